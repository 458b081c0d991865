//! Groups of the consumer protocol: the rules one by one, and laws.

pub(crate) mod harness;
mod laws;
mod migrate;
mod offsets;
mod patterns;
mod scale;
mod statics;
mod stories;
