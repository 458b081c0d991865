//! Decisions about a log, made from facts alone: when a segment is closed, which segments go,
//! what is compacted, what is recovered.

pub mod clean;
pub mod recover;
pub mod retain;
pub mod roll;
