//! Making the log survive a power loss.

use std::sync::atomic::Ordering;

use super::{Log, State, read::floor};
use crate::checkpoint::Durability;
use crate::error::{DiskError, Result};
use crate::segment::Growth;
use crate::settings::Preallocate;

/// Why a flush is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushDue {
    /// `flush.messages` records are not flushed.
    Messages,
    /// The last flush is `flush.ms` ago, and something was appended since.
    Time,
}

impl Log {
    /// Whether a flush is due by the settings.
    #[must_use]
    pub fn flush_due(&self, now_ms: i64) -> Option<FlushDue> {
        let unflushed = self.end_offset() - self.recovery_point();
        if unflushed <= 0 {
            return None;
        }
        let settings = self.settings.load();
        if unflushed >= settings.flush_messages {
            return Some(FlushDue::Messages);
        }
        let since = now_ms.saturating_sub(self.last_flush_ms.load(Ordering::Relaxed));
        (since >= settings.flush_ms).then_some(FlushDue::Time)
    }

    /// Flushes what lies below `up_to` (at most the log's end) and is not flushed. Blocks on the
    /// disk, but no appends meanwhile. Returns the new recovery point.
    pub fn flush(&self, up_to: i64, now_ms: i64) -> Result<i64> {
        let _one_at_a_time = self.flushing.lock();
        let up_to = up_to.min(self.end_offset());
        let from = self.recovery_point();
        if up_to <= from {
            return Ok(from);
        }
        let segments = self.segments.load_full();
        let first = floor(&segments, from);
        for (i, segment) in segments.iter().enumerate().skip(first) {
            if segment.base_offset >= up_to {
                break;
            }
            let last = i + 1 == segments.len();
            segment.flush(if last { Growth::Active } else { Growth::Complete })?;
        }
        self.write_epochs(Durability::Flushed)?;
        if segments.iter().any(|s| s.base_offset >= from) || from == 0 {
            self.sync_dir()?;
        }
        self.note_flushed(up_to, now_ms);
        Ok(self.recovery_point())
    }

    /// Makes names of files survive a power loss.
    pub(super) fn sync_dir(&self) -> Result<()> {
        let dir = self.place.dir.read();
        Ok(self.disk().sync_dir(&dir).map_err(DiskError::at("flush", &dir))?)
    }

    /// Says that everything below `up_to` was flushed.
    pub(crate) fn note_flushed(&self, up_to: i64, now_ms: i64) {
        self.last_flush_ms.store(now_ms, Ordering::Relaxed);
        // A truncation may have cut the log meanwhile.
        let _writer = self.writer.lock();
        let reached = up_to.min(self.end_offset());
        if reached > self.recovery_point() {
            self.recovery_point.store(reached, Ordering::Release);
        }
    }

    /// Writes what is only in memory: epochs, and index entries of unflushed segments.
    pub(crate) fn settle(&self) -> Result<()> {
        self.write_epochs(Durability::PageCache)?;
        let segments = self.segments.load_full();
        for segment in segments.iter().skip(floor(&segments, self.recovery_point())) {
            segment.settle()?;
        }
        Ok(())
    }

    /// Flushes everything, writes a snapshot of the producers, and takes no more appends. The
    /// directory may then be marked as cleanly shut down.
    pub fn close(&self, now_ms: i64) -> Result<()> {
        self.flush(i64::MAX, now_ms)?;
        let mut writer = self.writer.lock();
        if writer.state == State::Closed {
            return Ok(());
        }
        self.write_epochs(Durability::PageCache)?;
        // A log without producers, that never had any, is told from its having no snapshot.
        if !writer.producers.is_empty() || !writer.snapshots.is_empty() {
            let end = self.end_offset();
            self.take_snapshot(&mut writer, end)?;
        }
        let segments = self.segments.load();
        if let Some(active) = segments.last() {
            active.settle()?;
            if self.settings.load().preallocate == Preallocate::Yes && active.size() > 0 {
                active.trim()?;
            }
        }
        writer.state = State::Closed;
        for segment in segments.iter() {
            segment.close_files();
        }
        Ok(())
    }
}
