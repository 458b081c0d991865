//! What can go wrong in the quorum.

use std::io;
use std::path::{Path, PathBuf};

use ottla_metadata::ApplyError;
use ottla_wire::ErrorCode;
use thiserror::Error;

use crate::voter::NodeKey;

/// Why the quorum could not do what was asked.
#[derive(Debug, Error)]
pub enum QuorumError {
    /// This node does not lead, or leads a newer epoch than the caller believed.
    #[error("not the leader of the metadata quorum{}", leader_text(*.leader))]
    NotLeader {
        /// Who leads, if known.
        leader: Option<NodeKey>,
    },
    /// The records do not fit in one batch.
    #[error("a batch of {bytes} bytes is larger than the {limit} a metadata batch may have")]
    TooLarge {
        /// What was asked for.
        bytes: usize,
        /// [`MAX_BATCH_BYTES`](crate::batch::MAX_BATCH_BYTES).
        limit: usize,
    },
    /// A record has a field that its version cannot carry.
    #[error("a metadata record cannot be encoded: {0}")]
    Encode(String),
    /// The quorum was shut down, or ended after a failed disk.
    #[error("the metadata quorum has stopped: {0}")]
    Stopped(String),
    /// A file could not be read or written.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds what cannot be true.
    #[error("{} is corrupt: {why}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The metadata log lacks what was flushed. It was left as it is.
    #[error(
        "the metadata log is damaged, and not only where an interrupted write could have left it: {what}. {}",
        rescue(dir)
    )]
    Damaged {
        /// The directory of the metadata partition.
        dir: PathBuf,
        /// What was found where.
        what: ottla_log::LogError,
    },
    /// The metadata log begins behind the newest snapshot that can be read. It was left as it is.
    #[error("the metadata log in {} begins at offset {log_start}, and no snapshot there that can be read reaches it. {}", dir.display(), rescue(dir))]
    NoSnapshot {
        /// The directory of the metadata partition.
        dir: PathBuf,
        /// Where the log begins.
        log_start: i64,
    },
    /// This node's log lacks entries that this node acknowledged. It was left as it is.
    #[error(
        "the metadata log in {} ends before entry {end}, and this node acknowledged all before entry {acknowledged} to \
         node {leader}, which leads: the disk was put back to an older state, or another process runs on a copy of it. {}",
        dir.display(),
        rescue(dir)
    )]
    Forgotten {
        /// The directory of the metadata partition.
        dir: PathBuf,
        /// The raft index behind the last entry that is there.
        end: u64,
        /// The same of the last entry that was acknowledged.
        acknowledged: u64,
        /// To whom.
        leader: i32,
    },
    /// A newer software raised a feature of the cluster to a level that is not known here. Nothing was changed.
    #[error(
        "{}, offset {offset}: {what} here. Nothing was changed. Start a version of this software that knows that level, \
         at least as new as the one that set it",
        path.display()
    )]
    UnknownLevel {
        /// The snapshot, or the directory of the metadata log.
        path: PathBuf,
        /// The record's offset, or the last one that the snapshot contains.
        offset: i64,
        /// The feature, its level, and the levels known here.
        what: ApplyError,
    },
    /// The metadata log itself failed.
    #[error("metadata log: {0}")]
    Log(#[from] ottla_log::LogError),
    /// The node's directories were never formatted for a quorum, and the configuration names none.
    #[error("{0}")]
    NoVoters(String),
    /// A change of members that cannot be made.
    #[error("{0}")]
    Membership(String),
    /// A change of members that cannot be made yet: another one is under way, or a new voter is behind.
    #[error("{0}")]
    Busy(String),
    /// A node that is to become a voter is one, or another one has its id.
    #[error("The voter id for {} is already part of the set of voters {}.", replica(*.asked), replicas(voters))]
    DuplicateVoter {
        /// Who was to become one.
        asked: NodeKey,
        /// Those there are.
        voters: Vec<NodeKey>,
    },
    /// A node whose vote is to be changed or taken has none.
    #[error("Cannot {what} voter {} from the set of voters {}", replica(*.asked), replicas(voters))]
    VoterNotFound {
        /// What was to be done to it.
        what: &'static str,
        /// Whose vote it was about.
        asked: NodeKey,
        /// Those there are.
        voters: Vec<NodeKey>,
    },
    /// Another member was asked, and refused.
    #[error("{text}")]
    Told {
        /// Why, as a code.
        code: ErrorCode,
        /// Why, as a text.
        text: String,
    },
    /// This node's metadata log contradicts the leader's, or the leader will have nothing to do with it.
    #[error("{0}")]
    Contradiction(String),
}

/// What a person should do about a damaged directory.
fn rescue(dir: &Path) -> String {
    let aside = dir.parent().unwrap_or(dir).with_extension("damaged");
    let (dir, aside) = (dir.display(), aside.display());
    format!(
        "Nothing was cut off. Where most of the other controllers are up, have this one catch up from them: mv -T {dir} {aside} \
         && mkdir {dir} && cp {aside}/quorum-state {dir}/ ; where this is the only one, restore {dir} from a backup"
    )
}

/// A voter as Kafka's tools know it.
fn replica(key: NodeKey) -> String {
    format!("ReplicaKey(id={}, directoryId={})", key.id, key.directory)
}

fn replicas(keys: &[NodeKey]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| replica(*key)).collect();
    format!("[{}]", keys.join(", "))
}

fn leader_text(leader: Option<NodeKey>) -> String {
    leader.map_or_else(String::new, |l| format!("; node {} is", l.id))
}

impl QuorumError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    /// The error code a client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader { .. } => ErrorCode::NOT_CONTROLLER,
            Self::TooLarge { .. } | Self::Encode(_) => ErrorCode::INVALID_REQUEST,
            Self::Stopped(_) => ErrorCode::NOT_CONTROLLER,
            Self::UnknownLevel { .. } => ErrorCode::UNSUPPORTED_VERSION,
            Self::Io { .. }
            | Self::Corrupt { .. }
            | Self::Damaged { .. }
            | Self::NoSnapshot { .. }
            | Self::Forgotten { .. }
            | Self::Log(_) => ErrorCode::KAFKA_STORAGE_ERROR,
            Self::NoVoters(_) | Self::Membership(_) => ErrorCode::INVALID_REQUEST,
            Self::Busy(_) => ErrorCode::REQUEST_TIMED_OUT,
            Self::DuplicateVoter { .. } => ErrorCode::DUPLICATE_VOTER,
            Self::VoterNotFound { .. } => ErrorCode::VOTER_NOT_FOUND,
            Self::Told { code, .. } => *code,
            Self::Contradiction(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

/// Why a list of voters is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VoterError {
    /// No `@`.
    #[error("No @ found in dynamic voter string.")]
    NoAt,
    /// Nothing before the `@`.
    #[error("Invalid @ at beginning of dynamic voter string.")]
    LeadingAt,
    /// The node id is no number.
    #[error("Failed to parse node id in dynamic voter string.")]
    NodeId,
    /// The node id is negative.
    #[error("Invalid negative node id {0} in dynamic voter string.")]
    NegativeNodeId(i32),
    /// Nothing after the `@`.
    #[error("No hostname found after node id.")]
    NoHost,
    /// `[` without `]`.
    #[error("Hostname began with left bracket, but no right bracket was found.")]
    OpenBracket,
    /// No colon after `]`.
    #[error("Port section must start with a colon.")]
    NoPortColon,
    /// No colon after the host.
    #[error("No colon following hostname could be found.")]
    NoColonAfterHost,
    /// No colon after the port.
    #[error("No colon following port could be found.")]
    NoColonAfterPort,
    /// The port is no number.
    #[error("Failed to parse port in dynamic voter string.")]
    Port,
    /// The port is out of range.
    #[error("Invalid port {0} in dynamic voter string.")]
    InvalidPort(i64),
    /// The directory id is none.
    #[error("Failed to parse directory ID in dynamic voter string.")]
    Directory,
    /// The same node id twice.
    #[error("Node id {0} was specified more than once.")]
    Duplicate(i32),
    /// An empty list.
    #[error("No voters given.")]
    NoVoters,
}
