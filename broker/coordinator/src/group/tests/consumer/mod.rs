//! Groups of the consumer protocol: the rules one by one, and laws.

pub(crate) mod harness;
mod migrate;
mod offsets;
mod patterns;
mod statics;
mod stories;
