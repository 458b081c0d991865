//! Making a segment's indexes again from its batches, and cutting a segment.

use std::ops::ControlFlow;

use super::{Largest, NO_TIMESTAMP, Segment};
use crate::batch::Batch;
use crate::disk::Open;
use crate::error::Result;
use crate::index::offset::OffsetEntry;
use crate::index::time::TimeEntry;
use crate::names;

/// Collects the index entries of a segment while its batches are walked over from the start.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    base_offset: i64,
    interval: u32,
    since_entry: u32,
    largest: (i64, i64),
    last_time: i64,
    offsets: Vec<u8>,
    times: Vec<u8>,
}

impl IndexBuilder {
    pub(crate) fn new(base_offset: i64, interval: u32) -> Self {
        Self {
            base_offset,
            interval,
            since_entry: 0,
            largest: (NO_TIMESTAMP, base_offset),
            last_time: NO_TIMESTAMP,
            offsets: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Notes a batch that begins at `position`.
    pub(crate) fn batch(&mut self, batch: &Batch, position: u64) {
        if batch.max_timestamp > self.largest.0 {
            self.largest = (batch.max_timestamp, batch.last_offset);
        }
        if self.since_entry > self.interval {
            let entry = OffsetEntry::new(self.base_offset, batch.last_offset, position);
            if let Some(entry) = entry {
                self.offsets.extend_from_slice(&entry.encode());
                self.time();
            }
            self.since_entry = 0;
        }
        self.since_entry = self.since_entry.saturating_add(batch.size);
    }

    fn time(&mut self) {
        let (timestamp, offset) = self.largest;
        if timestamp > self.last_time
            && let Some(entry) = TimeEntry::new(self.base_offset, timestamp, offset)
        {
            self.times.extend_from_slice(&entry.encode());
            self.last_time = timestamp;
        }
    }
}

/// Whether more batches will be appended to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// It is the active one.
    Active,
    /// It is complete: the time index ends with the largest timestamp.
    Complete,
}

impl Segment {
    /// Takes the indexes that `builder` made in place of those that were.
    pub(crate) fn install(&self, mut builder: IndexBuilder, growth: Growth) -> Result<()> {
        if growth == Growth::Complete {
            builder.time();
        }
        let write = growth == Growth::Complete;
        // Small active segments do without index files.
        let exists = |open: Option<_>| open.is_some();
        if write || !builder.offsets.is_empty() || exists(self.open_offsets()(Open::Write)?) {
            self.offsets.replace(&builder.offsets, &self.open_offsets())?;
        } else {
            self.offsets.replace_missing();
        }
        if write || !builder.times.is_empty() || exists(self.open_times()(Open::Write)?) {
            self.times.replace(&builder.times, &self.open_times())?;
        } else {
            self.times.replace_missing();
        }
        let (timestamp, offset) = builder.largest;
        *self.largest.lock() = Largest::Known { timestamp, offset };
        Ok(())
    }

    /// Makes both indexes again, because something was found wrong with them.
    pub(crate) fn rebuild_indexes(&self, why: &str) -> Result<()> {
        tracing::warn!(path = %self.path(names::INDEX).display(), why, "rebuilding an index");
        // The interval at which entries were made does not matter for finding things.
        let mut builder = IndexBuilder::new(self.base_offset, 4096);
        self.for_each_header(0, |placed| {
            builder.batch(&placed.batch, placed.position);
            Ok(ControlFlow::Continue(()))
        })?;
        self.install(builder, Growth::Complete)
    }

    /// Whether the indexes could be those of this segment, judged by their lengths and last
    /// entries alone. Says what is wrong with them.
    pub(crate) fn check_indexes(&self) -> Result<Option<&'static str>> {
        let Some(file) = self.open_offsets()(Open::Write)? else {
            let small = self.size() <= 2 * 4096;
            return Ok((!small).then_some("there is none"));
        };
        let len = file.len().map_err(self.failed("measure", names::INDEX))?;
        if len % 8 != 0 {
            return Ok(Some("its length is no multiple of an entry's"));
        }
        if let Some(last) = self.offsets.last(&self.open_offsets())? {
            let last = OffsetEntry::decode(&last);
            if last.relative == 0 || u64::from(last.position) >= self.size() {
                return Ok(Some("its last entry lies outside of the segment"));
            }
        }
        let Some(file) = self.open_times()(Open::Write)? else { return Ok(None) };
        let len = file.len().map_err(self.failed("measure", names::TIME_INDEX))?;
        if len % 12 != 0 {
            return Ok(Some("the time index's length is no multiple of an entry's"));
        }
        let first = self.times.get(0, &self.open_times())?.map(|e| TimeEntry::decode(&e));
        let last = self.times.last(&self.open_times())?.map(|e| TimeEntry::decode(&e));
        if let (Some(first), Some(last)) = (first, last)
            && (last.timestamp < first.timestamp || (len > 12 && last == first))
        {
            return Ok(Some("the time index's last entry is older than its first"));
        }
        Ok(None)
    }

    /// Cuts the segment at `position`, where the first batch that holds `offset` or more begins.
    pub(crate) fn cut_at(&self, position: u64, offset: i64) -> Result<()> {
        let keep = self.split_at_position(position)?.count;
        self.offsets.truncate(keep, &self.open_offsets())?;
        let relative = (offset - self.base_offset).clamp(0, i64::from(u32::MAX)) as u32;
        let before = |e: &[u8; 12]| TimeEntry::decode(e).relative < relative;
        let keep = self.times.split(before, |_| 1.0, &self.open_times())?.count;
        self.times.truncate(keep, &self.open_times())?;
        self.txns.truncate(offset, &self.open_txns())?;
        *self.recent.lock() = super::Recent::default();
        self.publish(position);
        let file = self.log_file()?;
        file.truncate(position).map_err(self.failed("truncate", names::LOG))?;
        // What is written here next may be lost with the power, and what was cut off must not stand in its place then.
        file.sync_data().map_err(self.failed("flush", names::LOG))?;
        // Not by whoever looked for it before the cut.
        *self.largest.lock() = Largest::Unknown;
        let (timestamp, offset) = self.find_largest()?;
        *self.largest.lock() = Largest::Known { timestamp, offset };
        Ok(())
    }

    /// Bytes from the last index entry to the end.
    pub(crate) fn bytes_since_entry(&self) -> Result<u32> {
        let last = self.offsets.last(&self.open_offsets())?;
        let position = last.map_or(0, |e| u64::from(OffsetEntry::decode(&e).position));
        Ok(u32::try_from(self.size().saturating_sub(position)).unwrap_or(u32::MAX))
    }
}
