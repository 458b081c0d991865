//! Record batches: the unit that producers send, logs store and consumers fetch.
//!
//! Invariant: nothing here trusts a length, a count or an offset that came from outside; a
//! function either answers within the bytes it was given or says what is wrong with them.
//! Start reading at [`BatchHeader`], then [`Batches`].

mod builder;
mod compression;
mod control;
mod crc;
mod error;
#[cfg(feature = "testing")]
pub mod fuzz;
mod header;
mod inspect;
mod legacy;
#[allow(clippy::module_inception)]
mod record;
mod reject;
mod rewrite;
mod scan;
mod validate;
mod varint;

pub use builder::BatchBuilder;
pub use compression::{Compressor, Decompressor, Lz4HeaderChecksum, Workspace, decompress};
pub use control::{ControlType, EndTxnMarker, TransactionResult};
pub use crc::{crc32c, replace_prefix};
pub use error::RecordError;
pub use header::{Attributes, BatchHeader, Compression, TimestampType};
pub use legacy::{OldMessage, StoredBatch};
pub use record::{HeaderRef, HeadersRef, Record, RecordHeader, RecordIter, RecordRef};
pub use reject::{MAX_RECORD_ERRORS, RecordFault, RejectedRecord, Rejection};
pub use rewrite::{emptied, rewrite};
pub use scan::{Batch, Batches, CrcCheck};
pub use validate::{
    AppendRules, CompressedRecords, DEFAULT_MAX_DECOMPRESSED_BYTES, Keys, TargetCompression,
    ValidatedBatch, validate, validate_in,
};

/// Bytes of base offset and length, which stand before every batch and every old message and
/// are not counted by that length.
pub const LOG_OVERHEAD: usize = 12;

/// Size of the header of a version 2 batch, in bytes; the records follow it.
pub const BATCH_HEADER_SIZE: usize = 61;

/// First byte, in a batch, of what its CRC covers (the attributes).
pub const CRC_START: usize = 21;

/// Position of the magic byte; the same in all message formats.
pub const MAGIC_OFFSET: usize = 16;

/// The current message format.
pub const MAGIC_V2: i8 = 2;

/// Partition leader epoch of a batch that no leader has stamped yet.
pub const NO_LEADER_EPOCH: i32 = -1;

/// Producer id of a batch from a producer that is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;

/// Producer epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;

/// Base sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;

/// Timestamp of records which have none, in milliseconds.
pub const NO_TIMESTAMP: i64 = -1;
