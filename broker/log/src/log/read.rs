//! Reading, which takes no lock that a writer holds.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, Segments};
use crate::disk::DiskFile;
use crate::error::{LogError, Result};
use crate::index::txn::AbortedTxn;
use crate::segment::{Segment, Spot};

/// How often a read begins anew because segments were replaced under it.
const RETRIES: u32 = 16;

/// What a read gives at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLeast {
    /// One whole batch, however large, so that a reader gets on.
    OneBatch,
    /// Nothing, when the first batch is larger than asked for.
    Nothing,
}

/// A part of a file, to be sent as it is.
#[derive(Clone, Debug)]
pub struct FetchSlice {
    /// The segment's file, which stays open for as long as this is held.
    pub file: Arc<dyn DiskFile>,
    /// Where the slice begins; a batch begins there.
    pub position: u64,
    /// Its bytes. The last batch may be cut short, as consumers expect.
    pub len: u32,
    /// Base offset of the first batch: at most the offset asked for, or behind it in a gap that
    /// compaction left.
    pub first_offset: i64,
    /// No record of the slice has this offset or a larger one.
    pub bound: i64,
}

impl FetchSlice {
    /// Reads the bytes.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        let n = self.file.read_at(&mut bytes, self.position)?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// The records; `None` when there are none below the bound, or none that fit.
    pub slice: Option<FetchSlice>,
    /// Log start offset.
    pub start_offset: i64,
    /// Log end offset.
    pub end_offset: i64,
}

/// A batch which has a record of at least the timestamp asked for.
#[derive(Clone, Debug)]
pub struct TimestampMatch {
    /// The batch, whole.
    pub slice: FetchSlice,
    /// Records below this offset do not count.
    pub from_offset: i64,
}

impl Log {
    /// Reads from `offset`, at most `max_bytes`, only batches that begin below `bound` (the high
    /// watermark, the last stable offset or [`i64::MAX`]).
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u32,
        bound: i64,
        at_least: AtLeast,
    ) -> Result<ReadResult> {
        self.retrying(|segments| {
            // The sizes first, then the end: see the module's documentation.
            let size = segments.last().map_or(0, |s| s.size());
            let (start_offset, end_offset) = (self.start_offset(), self.end_offset());
            if offset < start_offset || offset > end_offset {
                let (start, end) = (start_offset, end_offset);
                return Err(LogError::OffsetOutOfRange { offset, start, end });
            }
            // Less when the log was cut in between.
            let size = segments.last().map_or(0, |s| s.size()).min(size);
            let bound = bound.min(end_offset);
            let slice = if offset >= bound {
                None
            } else {
                let window = Window { offset, bound, end_offset, max_bytes, at_least };
                slice(segments, size, &window)?
            };
            Ok(ReadResult { slice, start_offset, end_offset })
        })
    }

    /// Runs a read on the list of segments as it is, again when a segment's files went meanwhile.
    pub(crate) fn retrying<T>(&self, read: impl Fn(&Segments) -> Result<T>) -> Result<T> {
        let mut left = RETRIES;
        loop {
            let segments = self.segments.load();
            match read(&segments) {
                Err(e) if left > 0 && Segment::is_gone(&e) => left -= 1,
                other => return other,
            }
        }
    }

    /// The aborted transactions which a reader of the records in `offsets` must know.
    pub fn aborted(&self, offsets: Range<i64>) -> Result<Vec<AbortedTxn>> {
        if !self.may_have_aborted.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        self.retrying(|segments| {
            let mut found = Vec::new();
            let from = floor(segments, offsets.start);
            for segment in segments.get(from..).unwrap_or_default() {
                for txn in segment.aborted()? {
                    if txn.last_offset >= offsets.start && txn.first_offset < offsets.end {
                        found.push(txn);
                    }
                    if txn.last_stable_offset >= offsets.end {
                        // Those with later markers began behind the range.
                        return Ok(found);
                    }
                }
            }
            Ok(found)
        })
    }

    /// The first batch, at or behind the log start offset, with a timestamp of at least this.
    pub fn find_timestamp(&self, timestamp: i64) -> Result<Option<TimestampMatch>> {
        self.find_timestamp_from(timestamp, self.start_offset())
    }

    /// The first batch that ends at or behind `offset`, with a timestamp of at least this. When
    /// no record at or behind `offset` has it, the search goes on behind the batch.
    pub fn find_timestamp_from(
        &self,
        timestamp: i64,
        offset: i64,
    ) -> Result<Option<TimestampMatch>> {
        self.retrying(|segments| {
            let from_offset = self.start_offset().max(offset);
            for (i, segment) in segments.iter().enumerate() {
                let next = segments.get(i + 1).map_or(i64::MAX, |s| s.base_offset);
                if next <= from_offset || segment.largest()?.0 < timestamp {
                    continue;
                }
                if let Some(found) = segment.locate_timestamp(timestamp, from_offset)? {
                    let slice = one_batch(segment, &found)?;
                    return Ok(Some(TimestampMatch { slice, from_offset }));
                }
            }
            Ok(None)
        })
    }

    /// The batch with the largest timestamp of the log, the first of several.
    pub fn find_largest_timestamp(&self) -> Result<Option<TimestampMatch>> {
        self.retrying(|segments| {
            let from_offset = self.start_offset();
            let mut best: Option<(i64, i64, &Arc<Segment>)> = None;
            for segment in segments.iter() {
                let (timestamp, offset) = segment.largest()?;
                if timestamp >= 0 && offset >= from_offset && best.is_none_or(|b| timestamp > b.0) {
                    best = Some((timestamp, offset, segment));
                }
            }
            let Some((_, offset, segment)) = best else { return Ok(None) };
            let Some(found) = segment.locate(offset)? else { return Ok(None) };
            Ok(Some(TimestampMatch { slice: one_batch(segment, &found)?, from_offset }))
        })
    }
}

fn one_batch(segment: &Segment, found: &Spot) -> Result<FetchSlice> {
    Ok(FetchSlice {
        file: segment.log_file()?,
        position: found.position,
        len: found.size,
        first_offset: found.base_offset,
        bound: found.last_offset + 1,
    })
}

/// Index of the segment that an offset belongs to.
pub(super) fn floor(segments: &Segments, offset: i64) -> usize {
    segments.partition_point(|s| s.base_offset <= offset).saturating_sub(1)
}

/// What a read asks for.
struct Window {
    offset: i64,
    bound: i64,
    end_offset: i64,
    max_bytes: u32,
    at_least: AtLeast,
}

/// `active_size` is the size of the last segment as it was before the end was looked at.
fn slice(segments: &Segments, active_size: u64, window: &Window) -> Result<Option<FetchSlice>> {
    let Window { offset, bound, .. } = *window;
    for i in floor(segments, offset)..segments.len() {
        let Some(segment) = segments.get(i) else { break };
        if segment.base_offset >= bound {
            break;
        }
        let next_base = segments.get(i + 1).map(|s| s.base_offset);
        let Some(found) = segment.locate(offset)? else { continue };
        if found.base_offset >= bound {
            break;
        }
        let size = if next_base.is_none() { active_size } else { segment.size() };
        let whole = bound >= next_base.unwrap_or(window.end_offset);
        let end = match whole {
            true => size,
            false => segment.locate(bound)?.map_or(size, |p| p.position.min(size)),
        };
        let available = end.saturating_sub(found.position);
        if available == 0 {
            return Ok(None);
        }
        let first = u64::from(found.size).min(available);
        let mut len = available.min(u64::from(window.max_bytes));
        if len < first {
            match window.at_least {
                AtLeast::OneBatch => len = first,
                AtLeast::Nothing => return Ok(None),
            }
        }
        let reached = found.position + len;
        let behind = next_base.unwrap_or(bound).min(bound);
        let slice_bound = if reached >= end {
            behind
        } else {
            segment.offset_bound(reached)?.map_or(behind, |o| (o + 1).min(behind))
        };
        return Ok(Some(FetchSlice {
            file: segment.log_file()?,
            position: found.position,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            first_offset: found.base_offset,
            bound: slice_bound.max(found.last_offset + 1),
        }));
    }
    Ok(None)
}
