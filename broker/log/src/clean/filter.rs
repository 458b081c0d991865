//! What stays of a batch.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_wire::record::{self, RecordRef};

use super::offset_map::OffsetMap;
use super::txns::{CleanedTxns, Verdict};
use super::{CleanReport, with_records};
use crate::batch::{Batch, HEADER, parse_marker};
use crate::error::{LogError, Result};
use crate::index::txn::AbortedTxn;
use crate::producers::ProducerEntry;

/// The last thing that an active producer wrote: its batch stays, be it empty, since it tells
/// the producer's sequence number or epoch after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastRecord {
    offset: Option<i64>,
    epoch: i16,
}

impl LastRecord {
    pub(super) fn of(producer: &ProducerEntry) -> Self {
        Self { offset: producer.last().map(|b| b.last_offset), epoch: producer.epoch }
    }

    fn is(&self, batch: &Batch) -> bool {
        match self.offset {
            Some(offset) => batch.last_offset == offset,
            None => batch.is_control() && batch.producer_epoch == self.epoch,
        }
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filtered {
    /// Nothing of it stays.
    Gone,
    /// It stays as it is.
    Whole,
    /// This stays of it.
    Rewritten(Bytes),
}

/// Decides about the batches of one segment.
pub(super) struct Filter<'a> {
    pub(super) map: &'a OffsetMap,
    pub(super) txns: &'a mut CleanedTxns,
    pub(super) producers: &'a BTreeMap<i64, LastRecord>,
    pub(super) round_end: i64,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    pub(super) report: &'a mut CleanReport,
    /// The aborted transaction whose marker came by last and stays.
    pub(super) aborted: Option<AbortedTxn>,
}

/// What becomes of a batch of which no record stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// It goes.
    Gone,
    /// It keeps its place without records.
    Stays,
}

/// What is to become of the records of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Records {
    /// None stays.
    Discard,
    /// All stay.
    Keep,
    /// Each is judged by itself.
    Judge,
}

impl Filter<'_> {
    pub(super) fn batch(&mut self, batch: &Batch, bytes: &[u8]) -> Result<Filtered> {
        self.report.records_before += batch.count.max(0) as u64;
        if batch.magic < 2 {
            // Messages of the old formats stay until retention takes them.
            self.report.records_after += 1;
            return Ok(Filtered::Whole);
        }
        let (verdict, kept_txn) = if batch.is_control() {
            let marker = parse_marker(batch, bytes.get(HEADER..).unwrap_or_default());
            self.txns.control(batch, marker)
        } else {
            (self.txns.data(batch), None)
        };
        self.aborted = kept_txn;
        let discard = verdict == Verdict::Discard;
        let horizon_passed = batch.delete_horizon().is_some_and(|h| h <= self.now_ms);
        let records = match (batch.is_control(), discard) {
            (true, true) if horizon_passed || batch.count == 0 => Records::Discard,
            (true, _) => Records::Keep,
            (false, true) => Records::Discard,
            (false, false) => Records::Judge,
        };
        let last_of_producer = batch.producer_id >= 0
            && self.producers.get(&batch.producer_id).is_some_and(|last| last.is(batch));
        let stays = last_of_producer || batch.last_offset + 1 == self.round_end;
        let empty = if stays { Empty::Stays } else { Empty::Gone };
        // A marker that has outlived its transaction is given the time at which it may go.
        let outlived = batch.is_control() && discard;
        match records {
            Records::Discard => self.nothing(batch, bytes, empty),
            _ => with_records(bytes, |all| {
                let kept: Vec<RecordRef<'_>> =
                    all.iter().filter(|r| self.stays(records, batch, r)).copied().collect();
                if kept.is_empty() {
                    return self.nothing(batch, bytes, empty);
                }
                self.report.records_after += kept.len() as u64;
                let tombstones = !batch.is_control() && kept.iter().any(|r| r.value.is_none());
                let set_horizon = (tombstones || outlived) && batch.delete_horizon().is_none();
                if kept.len() == all.len() && !set_horizon {
                    return Ok(Filtered::Whole);
                }
                let horizon = if set_horizon {
                    Some(self.now_ms.saturating_add(self.delete_retention_ms))
                } else {
                    batch.delete_horizon()
                };
                rewritten(bytes, |header| record::rewrite(header, &kept, horizon))
            })?,
        }
    }

    fn nothing(&self, batch: &Batch, bytes: &[u8], keeps: Empty) -> Result<Filtered> {
        if keeps == Empty::Gone {
            return Ok(Filtered::Gone);
        }
        if batch.count == 0 {
            return Ok(Filtered::Whole);
        }
        rewritten(bytes, record::emptied)
    }

    fn stays(&mut self, records: Records, batch: &Batch, record: &RecordRef<'_>) -> bool {
        if records == Records::Keep || record.offset > self.map.latest() {
            return true;
        }
        let Some(key) = record.key else {
            self.report.without_key += 1;
            return false;
        };
        let newest = self.map.get(key).is_none_or(|newest| record.offset >= newest);
        let waits = || batch.delete_horizon().is_none_or(|horizon| self.now_ms < horizon);
        newest && (record.value.is_some() || waits())
    }
}

fn rewritten(
    bytes: &[u8],
    make: impl FnOnce(&record::BatchHeader) -> Result<record::Batch, record::RecordError>,
) -> Result<Filtered> {
    let invalid = |_| LogError::InvalidBatch("batch that cannot be written anew");
    let header = record::BatchHeader::parse(bytes).map_err(invalid)?;
    Ok(Filtered::Rewritten(make(&header).map_err(invalid)?.bytes))
}
