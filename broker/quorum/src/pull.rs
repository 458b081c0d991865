//! How a node that is no member follows the metadata log: it asks the leading controller for what is committed.
//!
//! The same words serve both ends. The server carries them as Kafka's Fetch and FetchSnapshot on
//! `__cluster_metadata-0`: the leader's [`RaftQuorum::pull`](crate::RaftQuorum::pull) and
//! [`RaftQuorum::snapshot_chunk`](crate::RaftQuorum::snapshot_chunk) on one side, a [`Puller`] on the other.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_log::disk::DiskFile;
use thiserror::Error;

use crate::quorum::BoxFuture;
use crate::snapshot::SnapshotId;
use crate::voter::{Endpoint, NodeKey};

/// Most bytes of batches or of a snapshot in one answer; one larger batch comes alone.
pub const MAX_PULL_BYTES: u32 = 1 << 20;

/// Asks controllers. The server's room implements it.
pub trait Puller: Debug + Send + Sync + 'static {
    /// Asks for committed batches. Where `ask.whom` is not known, any controller will do: one that does not lead says
    /// who does.
    fn fetch(&self, ask: PullAsk) -> BoxFuture<'_, Result<Pulled, PullError>>;

    /// Asks for a piece of a snapshot.
    fn snapshot(&self, ask: SnapshotAsk) -> BoxFuture<'_, Result<SnapshotChunk, PullError>>;
}

/// The leading controller, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderHint {
    /// Its node id.
    pub id: i32,
    /// The epoch it leads.
    pub epoch: i32,
    /// Where it listens; empty when that is not known.
    pub endpoints: Vec<Endpoint>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullAsk {
    /// Whom to ask. Not looked at by who is asked.
    pub whom: Option<LeaderHint>,
    /// The cluster the asking node belongs to.
    pub cluster_id: String,
    /// Who asks: its node id and the id of its metadata directory.
    pub replica: NodeKey,
    /// The newest epoch it knows of; -1 for none.
    pub epoch: i32,
    /// The end of its log.
    pub offset: i64,
    /// The epoch of its last batch; -1 for none.
    pub last_epoch: i32,
    /// Most bytes of the answer.
    pub max_bytes: u32,
    /// How long the answer may wait for something to be committed.
    pub max_wait: Duration,
}

/// Bytes to be sent or that were received.
#[derive(Clone, Debug)]
pub enum Piece {
    /// A part of a file, to be sent as it is.
    File {
        /// The file, which stays open for as long as this is held.
        file: Arc<dyn DiskFile>,
        /// Where the part begins.
        position: u64,
        /// Its bytes.
        len: u32,
    },
    /// Bytes in memory.
    Bytes(Bytes),
}

impl Piece {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::File { len, .. } => *len as usize,
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the bytes. Waits for the disk where they are in a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File { file, position, len } => {
                let mut bytes = vec![0; *len as usize];
                let n = file.read_at(&mut bytes, *position)?;
                bytes.truncate(n);
                Ok(bytes.into())
            }
        }
    }
}

/// What a leader answers.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Who leads.
    pub leader: LeaderHint,
    /// Everything below is committed.
    pub high_watermark: i64,
    /// Where the leader's log begins.
    pub log_start: i64,
    /// What there is.
    pub found: Found,
}

/// What there is for a node that pulls.
#[derive(Clone, Debug)]
pub enum Found {
    /// Batches from the offset asked for on, below the high watermark. The last one may be cut short; there may be none.
    Batches(Piece),
    /// The log begins behind the offset asked for: this snapshot comes first.
    Snapshot(SnapshotId),
}

/// A piece of a snapshot is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotAsk {
    /// Whom to ask. Not looked at by who is asked.
    pub whom: Option<LeaderHint>,
    /// The cluster the asking node belongs to.
    pub cluster_id: String,
    /// Who asks.
    pub replica: NodeKey,
    /// The newest epoch it knows of.
    pub epoch: i32,
    /// Which snapshot.
    pub id: SnapshotId,
    /// Where the piece begins.
    pub position: i64,
    /// Most bytes of it.
    pub max_bytes: u32,
}

/// A piece of a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotChunk {
    /// Which snapshot.
    pub id: SnapshotId,
    /// Bytes of the whole.
    pub size: i64,
    /// Where the piece begins.
    pub position: i64,
    /// The piece.
    pub piece: Piece,
}

/// Why there is no answer, or none that helps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PullError {
    /// No controller answered. NETWORK_EXCEPTION, or no answer at all.
    #[error("no controller can be reached: {0}")]
    Unreachable(String),
    /// Who was asked does not lead. NOT_LEADER_OR_FOLLOWER, with the leader where it is known.
    #[error("another controller leads, or none does")]
    NotLeader(Option<LeaderHint>),
    /// The asking node knows a newer epoch: who was asked does not lead any more. UNKNOWN_LEADER_EPOCH.
    #[error("the controller that was asked leads an epoch that has ended")]
    StaleLeader,
    /// The asking node knows only an older epoch. FENCED_LEADER_EPOCH, with the leader.
    #[error("a newer epoch has begun")]
    NewerEpoch(Option<LeaderHint>),
    /// The asking node belongs to another cluster. INCONSISTENT_CLUSTER_ID.
    #[error("the controllers belong to cluster {0}")]
    ForeignCluster(String),
    /// The leader's log does not hold what the asking node's log ends with. Fetch's diverging epoch.
    #[error("the controllers' log ends at offset {end_offset} for epoch {epoch}")]
    Diverged {
        /// The newest epoch of the leader's log up to the one asked for.
        epoch: i32,
        /// Where that epoch ends there.
        end_offset: i64,
    },
    /// The snapshot is not there any more. SNAPSHOT_NOT_FOUND.
    #[error("the snapshot is gone")]
    NoSnapshot,
    /// The piece asked for begins behind the end. POSITION_OUT_OF_RANGE.
    #[error("the snapshot has no such position")]
    Position,
    /// The leader failed.
    #[error("{0}")]
    Failed(String),
}
