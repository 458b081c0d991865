//! Why a leader refuses.

use ottla_wire::ErrorCode;

/// Why a replica refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// The peer's leader epoch is older than ours.
    #[error("leader epoch {theirs} is older than {ours}")]
    FencedEpoch {
        /// The epoch in the request.
        theirs: i32,
        /// The current one.
        ours: i32,
    },
    /// The peer's leader epoch is newer than ours: we have not heard yet.
    #[error("leader epoch {theirs} is newer than {ours}")]
    UnknownEpoch {
        /// The epoch in the request.
        theirs: i32,
        /// The current one.
        ours: i32,
    },
    /// Fewer replicas are in sync than `min.insync.replicas` asks for.
    #[error("{in_sync} replicas in sync, {required} required")]
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many must be.
        required: usize,
    },
    /// The fetching broker holds no replica of this partition.
    #[error("broker {0} holds no replica")]
    UnknownReplica(i32),
    /// A process of the fetching broker that is registered no more.
    #[error("broker {broker} fetches with epoch {theirs}, but {known} is known")]
    StaleBroker {
        /// The fetching broker.
        broker: i32,
        /// The broker epoch in the request.
        theirs: i64,
        /// The one that is known.
        known: i64,
    },
}

impl ReplicaError {
    /// What the protocol calls it.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::FencedEpoch { .. } => ErrorCode::FENCED_LEADER_EPOCH,
            Self::UnknownEpoch { .. } => ErrorCode::UNKNOWN_LEADER_EPOCH,
            Self::NotEnoughReplicas { .. } => ErrorCode::NOT_ENOUGH_REPLICAS,
            Self::UnknownReplica(_) | Self::StaleBroker { .. } => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        }
    }
}
