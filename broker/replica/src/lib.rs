//! The protocol of one partition's replicas, without files, sockets or clocks: who may write, what
//! is committed, who waits for it, how a follower comes to agree with its leader, and what a fetch
//! session remembers.
//!
//! Invariant: the high watermark of a [`Leader`] never goes back and never passes the end offset of
//! an in-sync replica, nor of one that may have become so; an acknowledgement leaves [`AckWaits`]
//! only when the high watermark is at or past its offset, or when leadership is lost; a
//! [`Follower`] appends only what continues its leader's own log.
//!
//! Start reading at [`Leader`], then [`AckWaits`] and [`Follower`]; sessions (KIP-227) are in
//! [`session`].

mod acks;
mod error;
mod follower;
mod leader;
pub mod session;
mod world;

pub use acks::AckWaits;
pub use error::ReplicaError;
pub use follower::{Cut, EpochEnd, FetchAnswer, FetchAsk, Follower, LocalLog, Next, Patience};
pub use leader::{
    Acks, EpochCheck, FollowerFetch, IsrAnswer, IsrProposal, Leader, LeaderStart, Membership,
    Progress,
};
pub use world::{ActiveBrokers, NO_BROKER_EPOCH, StillWorld, World};
