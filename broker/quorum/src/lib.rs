//! The metadata quorum: openraft over an ottla-log. The only room that names openraft.
//!
//! The raft log *is* the metadata partition `__cluster_metadata-0`: one entry, one record batch, one index, one place
//! that maps it to an offset. Terms are leader epochs. What is on disk has Kafka's formats, so that Kafka's
//! `kafka-dump-log.sh` and `kafka-metadata-shell.sh` read it.
//!
//! Invariant: an append is reported only when it is on the disk, a vote before it is answered; entries follow each other
//! without a gap; and an image is published before whoever proposed a change is told of its commit.
//!
//! Voters and controllers that stand by are members ([`RaftQuorum`]), and speak with each other through a [`Transport`];
//! brokers are none ([`ObserverQuorum`]), and [`pull`] what is committed.
//!
//! Start reading at [`Quorum`], the trait the rest of the broker sees, then [`RaftQuorum`], then `store`. What a node's
//! directories hold before its first start is written by [`format`](mod@format) and checked by [`directories`].

pub mod batch;
mod control;
pub mod date;
pub mod directories;
mod error;
pub mod format;
pub mod meta_properties;
pub mod network;
mod observer;
mod pace;
mod peers;
pub mod pull;
mod quorum;
mod quorum_state;
mod raft_quorum;
mod rpc;
pub mod simulated;
pub mod snapshot;
mod state_machine;
mod store;
mod succession;
mod transport;
mod types;
mod updates;
mod voter;

pub use date::text as date_text;
pub use error::{QuorumError, VoterError};
pub use observer::ObserverQuorum;
pub use pace::Pace;
pub use quorum::{
    BoxFuture, Committed, Description, Leadership, Proposal, Quorum, Replica, Role, VoterChange,
};
pub use raft_quorum::greet::AutoJoin;
pub use raft_quorum::{Options, RaftQuorum};
pub use rpc::MAX_MESSAGE_BYTES;
pub use state_machine::{Received, SnapshotPolicy, SnapshotSource};
pub use store::Retention;
pub use succession::hand_over;
pub use transport::{Transport, TransportError};
pub use types::{Entry, MetadataBatch, TypeConfig};
pub use updates::{Ended, Update, Updates};
pub use voter::{Endpoint, InitialController, KraftVersions, Member, NodeKey, Voter};

/// Tells the time, in milliseconds since 1970.
pub type Clock = fn() -> i64;
