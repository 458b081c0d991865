//! Why a leader refuses a produced batch, and what the producer is told.

use std::fmt;

use super::RecordError;
use crate::ErrorCode;

/// Most records of which a refusal says what is wrong with them; Kafka has no bound, but a
/// request may hold a hundred thousand bad records.
pub const MAX_RECORD_ERRORS: usize = 1000;

/// Number of records which the message for the whole batch names.
const IN_MESSAGE: usize = 3;

/// What is wrong with one record, although its structure is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// A compacted topic takes no record without a key.
    NoKey,
    /// The timestamp is too far from the broker's time, all in milliseconds.
    Timestamp {
        /// The record's timestamp.
        timestamp: i64,
        /// The record's offset within the batch.
        offset: i64,
        /// Smallest timestamp that is allowed.
        earliest: i64,
        /// Greatest timestamp that is allowed.
        latest: i64,
    },
    /// The batch claims that a broker set its timestamps.
    TimestampType {
        /// The record's timestamp.
        timestamp: i64,
        /// The record's offset within the batch.
        offset: i64,
    },
}

/// A record for which a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Position of the record in the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub fault: RecordFault,
}

impl RejectedRecord {
    /// What Kafka says of the record; `partition` is written as topic, dash and number.
    pub fn message(&self, partition: impl fmt::Display) -> String {
        match self.fault {
            RecordFault::NoKey => format!(
                "Compacted topic cannot accept message without key in topic partition {partition}"
            ),
            RecordFault::Timestamp { timestamp, offset, earliest, latest } => format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. The \
                 timestamp should be within [{earliest}, {latest}]"
            ),
            RecordFault::TimestampType { timestamp, offset } => format!(
                "Invalid timestamp type in message DefaultRecord(offset={offset}, \
                 timestamp={timestamp}). Producer should not set timestamp type to LogAppendTime."
            ),
        }
    }
}

/// Why a produced batch is refused. The checks come in this order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no batch, or the only one is cut off.
    #[error("no whole record batch")]
    NoBatch,
    /// What should be a batch is none.
    #[error("no record batch: {0}")]
    NotABatch(RecordError),
    /// The batch is of an old message format.
    #[error("message format {0} cannot be produced")]
    OldFormat(i8),
    /// Zstandard needs version 7 of Produce.
    #[error("zstd is not allowed in version {0} of produce")]
    ZstdTooEarly(i16),
    /// Behind the batch there is another.
    #[error("more than one record batch")]
    MoreBatches,
    /// The batch does not begin at offset 0.
    #[error("base offset is {0} instead of 0")]
    BaseOffset(i64),
    /// The batch is larger than the topic takes.
    #[error("batch of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The batch's size in bytes.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The checksum is wrong.
    #[error("{0}")]
    WrongCrc(RecordError),
    /// The codec is unknown.
    #[error("{0}")]
    UnknownCodec(RecordError),
    /// The number of records is not positive, or contradicts the last offset.
    #[error("{count} records with last offset delta {last_offset_delta}")]
    Count {
        /// The header's number of records.
        count: i32,
        /// The header's last offset delta.
        last_offset_delta: i32,
    },
    /// Clients write no control batches.
    #[error("control batch of a client")]
    Control,
    /// An idempotent producer's batch has no sequence number.
    #[error("sequence {sequence} of producer {producer_id}")]
    Sequence {
        /// The base sequence.
        sequence: i32,
        /// The producer's id.
        producer_id: i64,
    },
    /// The records cannot be read or do not fit the header.
    #[error("{0}")]
    Records(RecordError),
    /// Some records are not allowed.
    #[error("{total} records are not allowed")]
    NotAllowed {
        /// The first of them, at most [`MAX_RECORD_ERRORS`].
        records: Vec<RejectedRecord>,
        /// How many there are.
        total: usize,
    },
}

impl Rejection {
    /// The error code of the partition in the response.
    ///
    /// Two codes differ from Kafka, which answers UNKNOWN_SERVER_ERROR for a codec that it does
    /// not know and for records that it cannot decompress.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotABatch(_) | Self::WrongCrc(_) => ErrorCode::CORRUPT_MESSAGE,
            Self::ZstdTooEarly(_) | Self::UnknownCodec(_) => {
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
            }
            Self::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::NoBatch
            | Self::OldFormat(_)
            | Self::MoreBatches
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Records(_) => ErrorCode::INVALID_RECORD,
            Self::NotAllowed { records, .. } if has_time_fault(records) => {
                ErrorCode::INVALID_TIMESTAMP
            }
            Self::NotAllowed { .. } => ErrorCode::INVALID_RECORD,
        }
    }

    /// The records to name in the response (KIP-467).
    pub fn records(&self) -> &[RejectedRecord] {
        match self {
            Self::NotAllowed { records, .. } => records,
            _ => &[],
        }
    }

    /// The message of the partition in the response; Kafka gives one only where it names
    /// records.
    pub fn message(&self, partition: impl fmt::Display) -> Option<String> {
        let Self::NotAllowed { records, total } = self else {
            return None;
        };
        let start = "One or more records have been rejected due to";
        if has_time_fault(records) {
            return Some(format!("{start} invalid timestamp"));
        }
        let shown: Vec<_> = records
            .iter()
            .take(IN_MESSAGE)
            .map(|r| {
                let (index, message) = (r.index, r.message(&partition));
                format!("RecordError(batchIndex={index}, message='{message}')")
            })
            .collect();
        Some(format!(
            "{start} {total} record errors in total, and only showing the first three errors at \
             most: [{}]",
            shown.join(", ")
        ))
    }
}

fn has_time_fault(records: &[RejectedRecord]) -> bool {
    records.iter().any(|r| r.fault != RecordFault::NoKey)
}
