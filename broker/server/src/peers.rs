//! The other nodes of the cluster, as this one reaches them.
//!
//! [`Links`] holds the connections. Each file beside it is one kind of conversation, and implements
//! the trait of the room that needs it: commands to the active controller, replication, the raft of
//! the quorum's members, and metadata pulled by nodes that are no members.

mod address;
pub(crate) mod brokers;
mod controllers;
mod links;
pub(crate) mod members;
pub(crate) mod metadata;
mod transactions;

pub(crate) use controllers::Controllers;
pub(crate) use links::{Links, Ways};
pub(crate) use transactions::Transactions;
