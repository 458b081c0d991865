//! Why the engine could not do what was asked.

use ottla_log::LogError;
use ottla_replica::ReplicaError;
use ottla_wire::ErrorCode;

/// A failed operation on a partition.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No replica of the partition is on this node. Whether the partition exists at all, and
    /// where, the caller's Image says.
    #[error("no replica of this partition is here")]
    NotHere,
    /// This node does not lead the partition.
    #[error("this node does not lead the partition")]
    NotLeader,
    /// The partition's log directory is out of service.
    #[error("the log directory is offline")]
    Offline,
    /// This node leads, but does not know yet how much was committed by those who led before.
    #[error("the high watermark is not known yet")]
    OffsetNotAvailable,
    /// The replica protocol refused.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The log refused or failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl EngineError {
    /// What the protocol calls it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotHere | Self::NotLeader => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            Self::Offline => ErrorCode::KAFKA_STORAGE_ERROR,
            Self::OffsetNotAvailable => ErrorCode::OFFSET_NOT_AVAILABLE,
            Self::Replica(e) => e.code(),
            Self::Log(e) => log_code(e),
        }
    }
}

/// What the protocol calls a log's error.
pub(crate) fn log_code(error: &LogError) -> ErrorCode {
    match error {
        LogError::Disk(_)
        | LogError::Corrupt { .. }
        | LogError::Damaged { .. }
        | LogError::Locked { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
        LogError::Closed => ErrorCode::KAFKA_STORAGE_ERROR,
        LogError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        LogError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        LogError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        LogError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
        LogError::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
        LogError::TooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        LogError::UnexpectedOffset { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
        LogError::InvalidBatch(_) => ErrorCode::CORRUPT_MESSAGE,
    }
}
