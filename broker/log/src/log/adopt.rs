//! A log that takes the place of another, which its records were copied from.

use std::sync::atomic::Ordering;

use super::{Log, State};
use crate::checkpoint::Durability;
use crate::error::{LogError, Result};

impl Log {
    /// Where this copy of `source` is to be cut, because `source` was cut since and may have gone
    /// on with other records; at most its end. Ask again after a cut.
    #[must_use]
    pub fn agrees_with(&self, source: &Log) -> i64 {
        let agreed = self.end_offset().min(source.end_offset());
        let (Some(ours), Some(theirs)) = (self.latest_epoch(), source.latest_epoch()) else {
            return agreed;
        };
        let Some(theirs) = source.end_of_epoch(ours.min(theirs)) else { return agreed };
        let ours = self.end_of_epoch(theirs.epoch).map_or(theirs.end, |e| e.end);
        agreed.min(theirs.end).min(ours)
    }

    /// Takes over what records alone do not tell of `source`, whose records this log has all: the
    /// log start offset, the high watermark, leader epochs, the state of the producers, settings.
    /// `source` must take no more appends.
    ///
    /// # Errors
    /// [`LogError::UnexpectedOffset`] when this log does not end where `source` does, or the
    /// disk's.
    pub fn adopt(&self, source: &Log) -> Result<()> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let end = self.end_offset();
        if source.end_offset() != end {
            return Err(LogError::UnexpectedOffset { first: end, expected: source.end_offset() });
        }
        self.settings.store(source.settings());
        self.start.store(source.start_offset(), Ordering::Release);
        self.high_watermark.store(source.high_watermark(), Ordering::Release);
        self.last_flush_ms.store(source.last_flush_ms.load(Ordering::Relaxed), Ordering::Relaxed);
        *self.epochs.lock() = source.epochs.lock().for_another_file();
        self.write_epochs(Durability::PageCache)?;
        {
            let theirs = source.writer.lock();
            writer.producers = theirs.producers.clone();
            writer.last_guard = writer.last_guard.max(theirs.last_guard);
        }
        self.publish_unstable(&writer.producers);
        if !writer.producers.is_empty() {
            // One of the same offset was taken while the state was that of the copied part alone.
            self.remove_snapshots(&mut writer, |s| s >= end)?;
            self.take_snapshot(&mut writer, end)?;
        }
        Ok(())
    }

    /// Goes on at `offset`, behind a gap that compaction left at the end of the copied log.
    ///
    /// # Errors
    /// The disk's.
    pub fn skip_to(&self, offset: i64, now_ms: i64) -> Result<()> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        if offset > self.end_offset() {
            let active = self.active();
            if active.size() == 0 {
                self.replace_active(&mut writer, offset, now_ms, &[active])?;
            } else {
                self.roll_at(&mut writer, offset, now_ms)?;
            }
            writer.producers.set_end_offset(offset);
            self.end.store(offset, Ordering::Release);
        }
        Ok(())
    }

    /// Takes no more appends, and changes no more; readers go on.
    pub fn stop_writing(&self) {
        let mut writer = self.writer.lock();
        if writer.state == State::Open {
            writer.state = State::Closed;
        }
    }

    /// Whether it takes appends.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.writer.lock().state == State::Open
    }

    /// Whether a change failed half-way. Only opening it again makes it whole.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.writer.lock().state == State::Torn
    }

    /// Undoes [`stop_writing`](Self::stop_writing), when what it was for did not come about.
    pub fn resume_writing(&self) {
        let mut writer = self.writer.lock();
        if writer.state == State::Closed {
            writer.state = State::Open;
        }
    }
}
