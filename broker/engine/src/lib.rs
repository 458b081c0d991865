//! The heart: partitions that are appended to and read, machines that run over them, and what
//! keeps both in step with the cluster's metadata.
//!
//! Invariant: an append and a read happen on the thread that asks, without a hop; whatever waits
//! (for more bytes, for acknowledgement, for a deadline) costs no thread and no polling, and what
//! may block on a disk runs on threads of its own. Nothing in here sees an API version.
//!
//! Start reading at [`Partition`] (append, read), then [`fetch()`] (waiting), [`Replicas`] (all of
//! them), `publish` (how the Image becomes logs and roles) and `shard` (machines).

mod assignments;
mod channel;
mod cluster;
mod controller;
mod core;
mod dirs;
mod env;
mod error;
mod fetch;
mod flush;
mod groups;
mod housekeeping;
mod ids;
mod isr;
mod lifecycle;
mod making;
mod moves;
mod partition;
mod pool;
pub mod publish;
mod records;
mod replicas;
mod replication;
mod sessions;
mod settings;
mod shard;
mod throttle;
mod timers;
mod txns;
mod verifier;
mod wait;
mod warm;
mod wishes;

pub use crate::core::Core;
pub use assignments::Assignments;
pub use channel::{
    Answered, Answering, Asker, ControllerChannel, RemoteController, led_by_another,
};
pub use cluster::Cluster;
pub use controller::{ControllerHandle, ControllerStart};
pub use dirs::{LogDir, LogDirs};
pub use env::{Clock, SystemClock};
pub use error::EngineError;
pub use fetch::{Fetch, FetchItem, FetchParams, Fetched, NEVER_TOLD, ParkedFetch, ReadFrom, fetch};
pub use groups::{GroupShell, Groups, OFFSETS_TOPIC};
pub use housekeeping::Housekeeping;
pub use ids::PartitionId;
pub use isr::keep_in_sync;
pub use lifecycle::{Applied, Lifecycle, Pace, Stage};
pub use moves::Moves;
pub use partition::{
    Ack, AppendHow, Appended, FollowerId, Future, Lead, OffsetAt, OffsetQuery, Partition, Read,
    ReadAsk, TxnEnd,
};
pub use pool::Pool;
pub use publish::{Assignment, LoadSummary, Published, Publisher, RoleListener};
pub use replicas::Replicas;
pub use replication::{Lane, PeerError, PeerFuture, Peers, Replication, ReplicationStart};
pub use sessions::{FetchSessions, Session, SharedSession};
pub use settings::{TopicSettings, log_settings};
pub use shard::{
    Belongs, Coordinator, KeyValue, Linger, Origin, Outcome, Shard, Shards, Submitted,
    Transactional,
};
pub use timers::{Deadline, Timers};
pub use txns::{Leader, MarkerPeers, TRANSACTIONS_TOPIC, TxnShell, Txns};
pub use verifier::{Adding, Verification, Verified, Verifier, VerifyFuture};
pub use wait::{AckResult, AckWait, Reader};
