//! Removing what is old.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, Segments, Writer};
use crate::checkpoint::Durability;
use crate::error::{LogError, Result};
use crate::plan::retain::{self, Bounds, Facts};
use crate::segment::Segment;

impl Log {
    /// Removes the segments that retention says; returns how many. Their files go after
    /// `file.delete.delay.ms`, with [`Graveyard::purge`](crate::graveyard::Graveyard::purge).
    pub fn delete_old_segments(&self, now_ms: i64) -> Result<usize> {
        let settings = self.settings.load_full();
        let segments = self.segments.load_full();
        let bounds = Bounds {
            start_offset: self.start_offset(),
            high_watermark: self.high_watermark(),
            now_ms,
        };
        let total = segments.iter().map(|s| s.size()).sum();
        let end = self.end_offset();
        let facts = |i: usize| facts(&segments, i, end);
        let found = match retain::deletable(&settings, bounds, segments.len(), total, facts) {
            // Truncated or cleaned meanwhile; the next round looks again.
            Err(e) if Segment::is_gone(&e) && !segments.iter().all(|s| self.has(s)) => None,
            other => other?,
        };
        let Some((count, reason)) = found else { return Ok(0) };
        let Some(_no_cleaning) = self.cleaning.try_lock() else { return Ok(0) };
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let now = self.segments.load_full();
        let same = now.len() >= count
            && now.iter().zip(segments.iter()).take(count).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            // Truncated or cleaned meanwhile; the next round looks again.
            return Ok(0);
        }
        if count == now.len() {
            if self.active().size() == 0 || self.end_offset() != end {
                // What was appended meanwhile is not old.
                return Ok(0);
            }
            self.roll_at(&mut writer, end, now_ms)?;
        }
        tracing::info!(log = %self.name, count, ?reason, "removing old segments");
        self.remove_first(&mut writer, count, now_ms)?;
        Ok(count)
    }

    fn remove_first(&self, writer: &mut Writer, count: usize, now_ms: i64) -> Result<()> {
        let segments = self.segments.load_full();
        let (gone, kept) = segments.split_at(count.min(segments.len().saturating_sub(1)));
        let Some(first) = kept.first() else { return Ok(()) };
        let base = first.base_offset;
        self.raise_start(writer, base)?;
        self.segments.store(Arc::new(kept.to_vec()));
        self.bury(gone, now_ms)?;
        self.remove_snapshots(writer, |s| s < base)
    }

    /// Raises the log start offset, as DeleteRecords and a follower's leader ask for. Offsets
    /// above the high watermark are refused. Returns the log start offset that holds now.
    pub fn set_start_offset(&self, offset: i64) -> Result<i64> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let (start, end) = (self.start_offset(), self.high_watermark());
        if offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        if offset > start {
            self.raise_start(&mut writer, offset)?;
        }
        Ok(self.start_offset())
    }

    fn raise_start(&self, writer: &mut Writer, offset: i64) -> Result<()> {
        if offset <= self.start_offset() {
            return Ok(());
        }
        self.start.store(offset, Ordering::Release);
        self.epochs.lock().truncate_from_start(offset);
        self.write_epochs(Durability::PageCache)?;
        writer.producers.forget_replicated(offset);
        self.publish_unstable(&writer.producers);
        Ok(())
    }
}

fn facts(segments: &Segments, i: usize, end: i64) -> Result<Facts> {
    let Some(segment) = segments.get(i) else { return Err(LogError::Closed) };
    Ok(Facts {
        next_offset: segments.get(i + 1).map_or(end, |s| s.base_offset),
        size: segment.size(),
        largest_timestamp: segment.age_timestamp()?,
    })
}
