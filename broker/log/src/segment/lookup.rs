//! Finding things in a segment.

use std::ops::ControlFlow;

use super::{Largest, NO_TIMESTAMP, Segment, Spot};
use crate::cache;
use crate::error::{LogError, Result};
use crate::index::file::Split;
use crate::index::offset::OffsetEntry;
use crate::index::time::TimeEntry;
use crate::names;
use crate::scan::Placed;

impl Segment {
    /// Position of a batch at or before the one that holds `offset`, as the index knows it.
    fn floor(&self, offset: i64) -> Result<u64> {
        let Some(relative) = offset.checked_sub(self.base_offset).filter(|r| *r >= 0) else {
            return Ok(0);
        };
        let relative = u32::try_from(relative).unwrap_or(u32::MAX);
        let before = |e: &[u8; 8]| OffsetEntry::decode(e).relative <= relative;
        let guess =
            |e: &[u8; 8]| f64::from(relative) / f64::from(OffsetEntry::decode(e).relative.max(1));
        let split = self.offsets.split(before, guess, &self.open_offsets())?;
        Ok(split.last.map_or(0, |e| u64::from(OffsetEntry::decode(&e).position)))
    }

    /// The first batch that ends at or behind `offset`; `None` when the segment holds none.
    pub(crate) fn locate(&self, offset: i64) -> Result<Option<Spot>> {
        if self.size() == 0 {
            return Ok(None);
        }
        if let Some(spot) = self.recent.lock().locate(offset) {
            return Ok(Some(spot));
        }
        let position = self.floor(offset)?;
        if let Some(found) = self.locate_from(position, offset)? {
            return Ok(found.map(Spot::from));
        }
        // The index pointed to a place where no batch begins, or too far.
        self.rebuild_indexes("it points to no batch")?;
        Ok(self.locate_from(0, offset)?.flatten().map(Spot::from))
    }

    /// Outer `None`: what stands at `position` shows that the index is wrong.
    fn locate_from(&self, position: u64, offset: i64) -> Result<Option<Option<Placed>>> {
        let (mut found, mut first) = (None, true);
        let mut plausible = position < self.size();
        self.for_each_header(position, |placed| {
            if first && position > 0 {
                plausible = placed.batch.base_offset <= offset;
            }
            if placed.batch.last_offset >= offset {
                found = Some(placed);
                first = false;
                return Ok(ControlFlow::Break(()));
            }
            first = false;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((plausible && (!first || position == 0)).then_some(found))
    }

    /// The offset index, split at a position.
    pub(super) fn split_at_position(&self, position: u64) -> Result<Split<8>> {
        let before = |e: &[u8; 8]| u64::from(OffsetEntry::decode(e).position) < position;
        let guess =
            |e: &[u8; 8]| position as f64 / f64::from(OffsetEntry::decode(e).position.max(1));
        self.offsets.split(before, guess, &self.open_offsets())
    }

    /// Position of the first index entry at or behind `position`, as the last offset of its
    /// batch; `None` when there is none. An upper bound of what a slice up to there holds.
    pub(crate) fn offset_bound(&self, position: u64) -> Result<Option<i64>> {
        let split = self.split_at_position(position)?;
        Ok(split.next.map(|e| self.base_offset + i64::from(OffsetEntry::decode(&e).relative)))
    }

    /// The offset behind the last batch.
    pub(crate) fn next_offset(&self) -> Result<i64> {
        Ok(self.walk_to_end()?.0)
    }

    /// The offset behind the last batch, and the position where it ends, which is the segment's
    /// size unless the segment is damaged.
    pub(crate) fn walk_to_end(&self) -> Result<(i64, u64)> {
        let from = self.floor(i64::MAX)?;
        let found = self.walk_from(from)?;
        if from == 0 || found.1 > from {
            return Ok(found);
        }
        self.rebuild_indexes("its last entry points to no batch")?;
        self.walk_from(0)
    }

    fn walk_from(&self, from: u64) -> Result<(i64, u64)> {
        let (mut next, mut end) = (self.base_offset, from);
        self.for_each_header(from, |placed| {
            next = placed.batch.last_offset + 1;
            end = placed.position + u64::from(placed.batch.size);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((next, end))
    }

    /// The largest timestamp and the last offset of its batch; [`NO_TIMESTAMP`] when there is
    /// none. A segment that is appended to knows it: it is looked for before the first append.
    pub(crate) fn largest(&self) -> Result<(i64, i64)> {
        if let Largest::Known { timestamp, offset } = *self.largest.lock() {
            return Ok((timestamp, offset));
        }
        let (timestamp, offset) = self.find_largest()?;
        let mut largest = self.largest.lock();
        if let Largest::Known { timestamp, offset } = *largest {
            return Ok((timestamp, offset));
        }
        *largest = Largest::Known { timestamp, offset };
        Ok((timestamp, offset))
    }

    /// Looks into the time index and at what the segment holds behind its last entry.
    pub(super) fn find_largest(&self) -> Result<(i64, i64)> {
        let last = self.times.last(&self.open_times())?.map(|e| TimeEntry::decode(&e));
        let (mut timestamp, mut offset) = match last {
            Some(e) => (e.timestamp, self.base_offset + i64::from(e.relative)),
            None => (NO_TIMESTAMP, self.base_offset),
        };
        self.for_each_header(self.floor(offset)?, |placed| {
            if placed.batch.max_timestamp > timestamp {
                (timestamp, offset) = (placed.batch.max_timestamp, placed.batch.last_offset);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((timestamp, offset))
    }

    /// The largest timestamp; when there is none, the time when the file was last written.
    pub(crate) fn age_timestamp(&self) -> Result<i64> {
        let (timestamp, _) = self.largest()?;
        if timestamp > NO_TIMESTAMP || self.size() == 0 {
            return Ok(timestamp);
        }
        self.log_file()?.modified_ms().map_err(self.failed("measure", names::LOG))
    }

    /// The largest timestamp of the first batch, [`NO_TIMESTAMP`] when there is none.
    pub(crate) fn first_timestamp(&self) -> Result<i64> {
        use std::sync::atomic::Ordering::Relaxed;
        let known = self.first_timestamp.load(Relaxed);
        if known != NO_TIMESTAMP || self.size() == 0 {
            return Ok(known);
        }
        let mut first = NO_TIMESTAMP;
        self.for_each_header(0, |placed| {
            first = placed.batch.max_timestamp;
            Ok(ControlFlow::Break(()))
        })?;
        self.first_timestamp.store(first, Relaxed);
        Ok(first)
    }

    /// The first batch from `from` on that has a timestamp of at least `timestamp`.
    pub(crate) fn locate_timestamp(&self, timestamp: i64, from: i64) -> Result<Option<Spot>> {
        let before = |e: &[u8; 12]| TimeEntry::decode(e).timestamp <= timestamp;
        let split = self.times.split(before, |_| 0.5, &self.open_times())?;
        let start = split.last.map_or(self.base_offset, |e| {
            self.base_offset + i64::from(TimeEntry::decode(&e).relative)
        });
        let mut found = None;
        self.for_each_header(self.floor(start.max(from))?, |placed| {
            let batch = &placed.batch;
            // Cleaning leaves batches without records, which keep their timestamp.
            if batch.max_timestamp >= timestamp && batch.last_offset >= from && batch.count > 0 {
                found = Some(placed.into());
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Whether an error says that the segment's files are gone.
    pub(crate) fn is_gone(error: &LogError) -> bool {
        matches!(error, LogError::Disk(e) if cache::is_missing(e))
    }
}
