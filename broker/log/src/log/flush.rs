//! Making the log survive a power loss.

use std::sync::atomic::Ordering;

use super::{Log, State, read::floor};
use crate::checkpoint::{Durability, identity};
use crate::error::{DiskError, LogError, Result};
use crate::segment::{Growth, Segment};

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
        let cuts = self.cuts();
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
            let flushed = segment.flush(if last { Growth::Active } else { Growth::Complete });
            match flushed {
                // It went meanwhile, and its files with it: nothing of it needs to survive.
                Err(e) if Segment::is_gone(&e) && !self.has(segment) => {}
                other => other?,
            }
            if let Some(next) = segments.get(i + 1) {
                self.sync_snapshot(next.base_offset)?;
            }
        }
        self.write_epochs(Durability::Flushed)?;
        if segments.iter().any(|s| s.base_offset >= from) || from == 0 {
            self.sync_dir()?;
        }
        if !self.born.load(Ordering::Acquire) {
            self.sync_birth()?;
        }
        self.note_flushed(up_to, cuts, now_ms);
        Ok(self.recovery_point())
    }

    /// Makes names of files survive a power loss.
    pub(super) fn sync_dir(&self) -> Result<()> {
        let dir = self.place.dir.read();
        Ok(self.disk().sync_dir(&dir).map_err(DiskError::at("flush", &dir))?)
    }

    /// Makes it survive a power loss that the log is there, and whose it is.
    fn sync_birth(&self) -> Result<()> {
        let dir = self.place.dir.read();
        identity::flush_topic_id(&**self.disk(), &dir)?;
        let Some(parent) = dir.parent() else { return Ok(()) };
        Ok(self.disk().sync_dir(parent).map_err(DiskError::at("flush", parent))?)
    }

    /// How often records were cut off; to be asked before a flush that is
    /// [noted](Self::note_flushed) later.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    /// Says that everything below `up_to` was flushed, with the log's name, since it had been cut
    /// `cuts` times. Where it was cut again, other records may stand there now.
    pub(crate) fn note_flushed(&self, up_to: i64, cuts: u64, now_ms: i64) {
        self.last_flush_ms.store(now_ms, Ordering::Relaxed);
        self.born.store(true, Ordering::Release);
        let _writer = self.writer.lock();
        if cuts == self.cuts() && up_to > self.recovery_point() {
            self.recovery_point.store(up_to, Ordering::Release);
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
        self.close_with(now_ms, Durability::Flushed)
    }

    /// [Closes](Self::close) it, and leaves it to the caller to flush the snapshot and the indexes.
    pub(crate) fn close_with(&self, now_ms: i64, how: Durability) -> Result<()> {
        self.flush(i64::MAX, now_ms)?;
        let mut writer = self.writer.lock();
        match writer.state {
            State::Open => {}
            State::Closed => return Ok(()),
            // What is on the disk is to be checked when it is opened again.
            State::Torn => return Err(LogError::Closed),
        }
        if let Err(e) = self.make_dir() {
            // It has no records, and begins anew when it is missed.
            tracing::warn!(log = %self.name, "cannot make the directory of an empty log: {e}");
        }
        self.write_epochs(how)?;
        // A log without producers, that never had any, is told from its having no snapshot.
        if !writer.producers.is_empty() || !writer.snapshots.is_empty() {
            let end = self.end_offset();
            self.take_snapshot(&mut writer, end)?;
            if how == Durability::Flushed {
                self.sync_snapshot(end)?;
                self.sync_dir()?;
            }
        }
        let segments = self.segments.load();
        if let Some(active) = segments.last() {
            active.settle()?;
            active.trim()?;
            if how == Durability::Flushed {
                active.flush(Growth::Complete)?;
            }
        }
        writer.state = State::Closed;
        for segment in segments.iter() {
            segment.close_files();
        }
        Ok(())
    }
}
