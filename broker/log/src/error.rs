//! What can go wrong with a log, so typed that the caller can tell a client's mistake from a
//! failing disk.

use std::io;
use std::path::{Path, PathBuf};

use ottla_wire::ErrorCode;
use thiserror::Error;

/// A failed operation of the operating system. The log directory it happened in is to be taken
/// out of service, unless it [says nothing of the disk](DiskError::is_out_of_resources).
#[derive(Debug, Error)]
#[error("{op} {path}: {source}", path = path.display())]
pub struct DiskError {
    /// What was tried: "open", "write", ...
    pub op: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl DiskError {
    /// Whether the disk is full, or the quota used up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the process or the machine has no more open files or memory to give, which says
    /// nothing of the disk.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        use rustix::io::Errno;
        let scarce = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
        self.source.raw_os_error().is_some_and(|code| scarce.contains(&code))
    }

    pub(crate) fn at(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self { op, path, source }
    }
}

/// Why an operation on a log was refused or failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed; see [`DiskError`].
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A read or truncation outside of what the log holds.
    #[error("offset {offset} is outside of {start}..={end}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The log start offset.
        start: i64,
        /// The log end offset.
        end: i64,
    },
    /// A producer's batch does not follow the one before it.
    #[error(
        "producer {producer_id}: sequence {sequence} with epoch {epoch} does not follow {last}"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The epoch in the batch.
        epoch: i16,
        /// The batch's first sequence number.
        sequence: i32,
        /// The last sequence number seen, -1 when none.
        last: i32,
    },
    /// A batch or marker carries an older producer epoch than the log has seen.
    #[error("producer {producer_id}: epoch {epoch} is older than {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The epoch in the batch.
        epoch: i16,
        /// The epoch seen last.
        current: i16,
    },
    /// A non-transactional batch inside the producer's open transaction.
    #[error("producer {producer_id} wrote outside of its open transaction")]
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
    },
    /// A transaction marker of a coordinator that has been replaced.
    #[error("marker of coordinator epoch {epoch}, while {current} was seen")]
    CoordinatorFenced {
        /// The epoch in the marker.
        epoch: i32,
        /// The epoch seen last.
        current: i32,
    },
    /// Batches which can never fit into one segment.
    #[error("{size} bytes do not fit into a segment of {limit}")]
    TooLarge {
        /// Bytes of the append.
        size: u64,
        /// `segment.bytes`.
        limit: u64,
    },
    /// Replicated batches that start below the log's end, or whose offsets do not increase.
    #[error("batch at offset {first} where {expected} or later was expected")]
    UnexpectedOffset {
        /// First offset of the batch.
        first: i64,
        /// The lowest offset it could have.
        expected: i64,
    },
    /// Bytes that are no record batch, or one with a wrong checksum.
    #[error("invalid batch: {0}")]
    InvalidBatch(&'static str),
    /// A file whose content contradicts itself and cannot be rebuilt from others.
    #[error("{path}: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// What was flushed is not there any more, or not as it was. Nothing was cut off.
    #[error(
        "{path}: {found} at byte {position}, where offset {offset} should begin, though {proof}",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// The offset of the first record that is lost.
        offset: i64,
        /// What is there instead.
        found: &'static str,
        /// Why that is not the end of an interrupted write.
        proof: String,
    },
    /// The log was closed or deleted, or a write to it failed half-way.
    #[error("the log is closed")]
    Closed,
    /// The directory is in use by another process.
    #[error("{path}: locked by another process", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl LogError {
    /// Whether there were too few open files or too little memory; see
    /// [`DiskError::is_out_of_resources`].
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        matches!(self, Self::Disk(e) if e.is_out_of_resources())
    }

    /// The error code that a client gets.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Disk(_) | Self::Corrupt { .. } | Self::Damaged { .. } | Self::Locked { .. } => {
                ErrorCode::KAFKA_STORAGE_ERROR
            }
            Self::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            Self::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            Self::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
            Self::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            Self::TooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            Self::UnexpectedOffset { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
            Self::InvalidBatch(_) => ErrorCode::CORRUPT_MESSAGE,
            // The log goes or has gone to another broker, or its disk failed.
            Self::Closed => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        }
    }
}

/// Result of most operations of this crate.
pub type Result<T, E = LogError> = std::result::Result<T, E>;
