//! The rules of groups, one by one, and laws that hold whatever happens.

mod classic;
pub(crate) mod consumer;
pub(crate) mod harness;
mod laws;
mod offsets;
mod room;
mod scale;
mod statics;
