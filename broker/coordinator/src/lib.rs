//! Group and transaction coordinators as pure machines: groups of every type and their offsets
//! in `__consumer_offsets`, transactions in `__transaction_state`.
//!
//! Invariant: what a reply promises is in the records of the same decision or an earlier one, so
//! a machine rebuilt from the log keeps every promise a client has seen. One machine holds one
//! partition and knows nothing of the others. No room here asks for time, randomness or I/O.
//!
//! Start reading at [`group::GroupMachine`], then [`group::Command`].

pub mod group;
pub mod hash;
pub mod txn;

pub use group::{
    Command, Context, Effect, GroupMachine, GroupRecord, GroupSettings, GroupState, GroupWaits,
    Reply, Request,
};
