//! Cutting the log, as a follower does that has records its leader has not.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, State, Writer, load, read::floor};
use crate::checkpoint::Durability;
use crate::error::Result;
use crate::producers::Producers;

/// Whether a truncation changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// The log ends where it was told to.
    Yes,
    /// It ended there, or before, already.
    No,
}

impl Log {
    /// Removes everything from `offset` on, and of the batch that `offset` lies within all, and the leader epochs that
    /// begin there. Afterwards the recovery points should be written, since they may lie behind the log's end.
    pub fn truncate_to(&self, offset: i64, now_ms: i64) -> Result<Truncated> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        if offset >= self.end_offset() {
            // An epoch that this node led without writing a record is not its new leader's.
            self.epochs.lock().truncate_from_end(offset);
            return Ok(Truncated::No);
        }
        let cut = self.cut(&mut writer, offset, now_ms);
        if cut.is_err() {
            writer.state = State::Torn;
        }
        cut.map(|()| Truncated::Yes)
    }

    fn cut(&self, writer: &mut Writer, offset: i64, now_ms: i64) -> Result<()> {
        let segments = self.segments.load_full();
        if segments.first().is_none_or(|s| s.base_offset > offset) {
            return self.start_anew(writer, offset, now_ms);
        }
        let at = floor(&segments, offset);
        let within = match segments.get(at) {
            Some(segment) => segment.locate(offset)?,
            None => None,
        };
        // Batches are never cut in two.
        let offset = within.map_or(offset, |spot| spot.base_offset.min(offset));
        // The size first, then the end, so that no reader that knows the new end sees more.
        if let (Some(segment), Some(spot)) = (segments.get(at), within) {
            segment.publish(spot.position);
        }
        self.lower_offsets(offset);
        let (kept, gone) = segments.split_at((at + 1).min(segments.len()));
        // The newest first, so that a crash in between leaves a prefix.
        for segment in gone.iter().rev() {
            self.bury(std::slice::from_ref(segment), now_ms)?;
        }
        if !gone.is_empty() {
            self.sync_dir()?;
        }
        self.segments.store(Arc::new(kept.to_vec()));
        if let Some(active) = kept.last() {
            // Another crash may leave less than what was flushed before.
            self.recovery_point.fetch_min(active.base_offset, Ordering::AcqRel);
            if let Some(spot) = within {
                active.cut_at(spot.position, offset)?;
            } else {
                // It is appended to again.
                active.largest()?;
            }
            writer.since_entry = active.bytes_since_entry()?;
        }
        self.epochs.lock().truncate_from_end(offset);
        self.write_epochs(Durability::PageCache)?;
        self.reload_producers(writer, offset, now_ms)
    }

    /// Removes everything and goes on at `offset`, as a follower does whose leader has nothing
    /// older.
    pub fn truncate_fully_and_start_at(&self, offset: i64, now_ms: i64) -> Result<()> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let begun = self.start_anew(&mut writer, offset, now_ms);
        if begun.is_err() {
            writer.state = State::Torn;
        }
        begun
    }

    fn start_anew(&self, writer: &mut Writer, offset: i64, now_ms: i64) -> Result<()> {
        self.lower_offsets(offset);
        let segments = self.segments.load_full();
        for segment in segments.iter().rev() {
            self.bury(std::slice::from_ref(segment), now_ms)?;
        }
        self.replace_active(writer, offset, now_ms, &[])?;
        self.sync_dir()?;
        // Of the list only the new segment stays.
        let new = self.segments.load().last().cloned();
        self.segments.store(Arc::new(new.into_iter().collect()));
        self.end.store(offset, Ordering::Release);
        self.start.store(offset, Ordering::Release);
        self.recovery_point.store(offset, Ordering::Release);
        self.high_watermark.store(offset, Ordering::Release);
        self.epochs.lock().clear();
        self.write_epochs(Durability::PageCache)?;
        self.remove_snapshots(writer, |_| true)?;
        writer.producers = Producers::at(offset);
        self.publish_unstable(&writer.producers);
        Ok(())
    }

    fn lower_offsets(&self, offset: i64) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
        self.end.fetch_min(offset, Ordering::AcqRel);
        self.high_watermark.fetch_min(offset, Ordering::AcqRel);
        self.recovery_point.fetch_min(offset, Ordering::AcqRel);
        self.start.fetch_min(offset, Ordering::AcqRel);
    }

    /// Makes the producers' state as of `end`, from the newest snapshot at or below it. One above
    /// the high watermark would not tell which transactions ended there, and are not stable.
    fn reload_producers(&self, writer: &mut Writer, end: i64, now_ms: i64) -> Result<()> {
        self.remove_snapshots(writer, |s| s > end)?;
        let expiration = self.settings.load().producer_id_expiration_ms;
        let start = self.start_offset();
        let dir = self.dir();
        let high_watermark = self.high_watermark();
        let mut snapshots = std::mem::take(&mut writer.snapshots);
        let above = snapshots.split_off(snapshots.partition_point(|s| *s <= high_watermark));
        let (mut producers, mut snapshots) =
            load::newest_snapshot(&**self.disk(), &dir, snapshots, start, now_ms, expiration)?;
        snapshots.extend(above);
        writer.snapshots = snapshots;
        let segments = self.segments.load_full();
        for segment in &segments[floor(&segments, producers.end_offset())..] {
            let from = producers.end_offset().max(segment.base_offset);
            let Some(first) = segment.locate(from)? else { continue };
            segment.for_each_header(first.position, |placed| {
                load::replay(&mut producers, segment, &placed)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        producers.set_end_offset(end);
        producers.forget_replicated(self.high_watermark());
        writer.producers = producers;
        self.publish_unstable(&writer.producers);
        Ok(())
    }
}
