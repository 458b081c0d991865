//! For tests here and in other rooms: sample values of any message, and all messages in one list.
//!
//! A sample is made of entropy bytes and nothing else, so that a property test shrinks the bytes,
//! and a fuzz target hands over what it was given. No entropy makes the smallest message.

pub mod fuzz;
mod mutate;
mod probe;
mod sample;

pub use mutate::Mutator;
pub(crate) use probe::probe;
pub use probe::{Probe, Recoded, Sampled, probes};
pub use sample::{Gen, Sample, dump_field};
