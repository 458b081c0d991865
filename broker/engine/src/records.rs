//! Looking into batches that lie in a file.

use bytes::{Buf, Bytes};
use ottla_log::log::FetchSlice;
use ottla_log::{DiskError, LogError};
use ottla_wire::record::StoredBatch;

/// The most that the records of one batch may take decompressed, in bytes: what a produced one may.
pub(crate) const MAX_DECOMPRESSED: usize = ottla_wire::record::DEFAULT_MAX_DECOMPRESSED_BYTES;

/// Reads a slice into memory.
pub(crate) fn load(slice: &FetchSlice) -> Result<Bytes, LogError> {
    let read = slice.read().map(Bytes::from);
    read.map_err(|source| {
        LogError::Disk(DiskError { op: "read", path: std::path::PathBuf::new(), source })
    })
}

/// Offsets and timestamps of the records in a slice that begins with a whole batch.
pub(crate) fn timestamps(slice: &FetchSlice) -> Result<Vec<(i64, i64)>, LogError> {
    let mut rest = load(slice)?;
    let mut found = Vec::new();
    // Segments of long ago hold messages of older formats too.
    while let Ok(batch) = StoredBatch::parse(&rest) {
        found.extend(stamps(&batch)?);
        rest.advance(batch.bytes().len());
    }
    Ok(found)
}

fn stamps(batch: &StoredBatch) -> Result<Vec<(i64, i64)>, LogError> {
    let records = batch.records(MAX_DECOMPRESSED);
    let records = records.map_err(|_| LogError::InvalidBatch("records cannot be read"))?;
    Ok(records.into_iter().map(|record| (record.offset, record.timestamp)).collect())
}
