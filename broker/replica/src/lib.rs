//! The protocol of one partition's replicas, without files, sockets or clocks: who may write, what
//! is committed, who waits for it, and what a consumer's fetch session remembers.
//!
//! Invariant: the high watermark of a [`Leader`] never goes back and never passes the end offset of
//! an in-sync replica; an acknowledgement leaves [`AckWaits`] only when the high watermark is at or
//! past its offset, or when leadership is lost.
//!
//! Start reading at [`Leader`], then [`AckWaits`]; sessions (KIP-227) are in [`session`].

mod acks;
mod error;
mod leader;
pub mod session;

pub use acks::AckWaits;
pub use error::ReplicaError;
pub use leader::{Acks, EpochCheck, Follower, Leader, LeaderStart};
