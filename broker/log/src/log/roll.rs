//! Closing the active segment and beginning a new one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, Segments, Writer};
use crate::batch::Outcome;
use crate::error::{DiskError, Result};
use crate::index::txn::AbortedTxn;
use crate::names;
use crate::plan::roll::{self, Active, Arriving};
use crate::producers::{CompletedTxn, snapshot};
use crate::segment::{FileState, Segment};
use crate::settings::Preallocate;

impl Log {
    /// The segment that is appended to.
    pub(crate) fn active(&self) -> Arc<Segment> {
        let segments = self.segments.load();
        match segments.last() {
            Some(active) => Arc::clone(active),
            // The list is never empty; should it be, an empty segment takes the writes.
            None => Segment::create(Arc::clone(&self.place), self.end_offset(), FileState::Live),
        }
    }

    pub(super) fn roll_if_due(
        &self,
        writer: &mut Writer,
        base_offset: i64,
        arriving: &Arriving,
    ) -> Result<Option<i64>> {
        let settings = self.settings.load();
        let segment = self.active();
        if segment.size() == 0 {
            // An empty segment takes anything whose offsets it can express.
            let near = arriving.last_offset - segment.base_offset <= i64::from(i32::MAX);
            if near {
                if settings.preallocate == Preallocate::Yes {
                    segment.preallocate(u64::from(settings.segment_bytes))?;
                }
                writer.created_ms = arriving.now_ms;
                return Ok(None);
            }
            self.replace_active(writer, base_offset, arriving.now_ms, &[segment])?;
            return Ok(None);
        }
        let (index_entries, time_entries) = segment.index_lens()?;
        let active = Active {
            base_offset: segment.base_offset,
            size: segment.size(),
            first_timestamp: segment.first_timestamp()?,
            created_ms: writer.created_ms,
            jitter_ms: writer.jitter_ms,
            index_entries,
            time_entries,
        };
        let Some(reason) = roll::reason(&settings, &active, arriving) else { return Ok(None) };
        tracing::debug!(log = %self.name, base_offset, ?reason, "rolling");
        self.roll_at(writer, base_offset, arriving.now_ms)?;
        Ok(Some(base_offset))
    }

    /// Closes the active segment, unless it is empty; returns the offset behind it, up to which
    /// flushing is due, or `None` when nothing was done.
    pub fn roll(&self, now_ms: i64) -> Result<Option<i64>> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        if self.active().size() == 0 {
            return Ok(None);
        }
        let end = self.end_offset();
        self.roll_at(&mut writer, end, now_ms)?;
        Ok(Some(end))
    }

    pub(super) fn roll_at(&self, writer: &mut Writer, base: i64, now_ms: i64) -> Result<()> {
        let closed = self.active();
        closed.close_for_append()?;
        closed.trim()?;
        self.take_snapshot(writer, base)?;
        self.replace_active(writer, base, now_ms, &[])
    }

    /// Begins a segment at `base`, taking `gone` out of the list and burying them.
    pub(super) fn replace_active(
        &self,
        writer: &mut Writer,
        base: i64,
        now_ms: i64,
        gone: &[Arc<Segment>],
    ) -> Result<()> {
        let new = Segment::create(Arc::clone(&self.place), base, FileState::Live);
        self.bury(gone, now_ms)?;
        let is_gone = |s: &Arc<Segment>| gone.iter().any(|g| Arc::ptr_eq(g, s));
        let kept = self.segments.load();
        let mut list: Segments = kept.iter().filter(|s| !is_gone(s)).cloned().collect();
        list.push(Arc::clone(&new));
        let settings = self.settings.load();
        // The file says from which offset on the log goes on, should all before it go.
        let file = new.log_file()?;
        drop(file);
        if settings.preallocate == Preallocate::Yes {
            new.preallocate(u64::from(settings.segment_bytes))?;
        }
        self.segments.store(Arc::new(list));
        writer.since_entry = 0;
        writer.created_ms = now_ms;
        writer.jitter_ms = roll::jitter(&settings, self.seed(base));
        Ok(())
    }

    pub(super) fn seed(&self, base: i64) -> u64 {
        let name = self.name.topic.bytes().fold(self.name.partition as u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        name ^ base as u64
    }

    /// Writes the producers' state as of `offset`, the end of the log.
    pub(super) fn take_snapshot(&self, writer: &mut Writer, offset: i64) -> Result<()> {
        if writer.snapshots.last().is_some_and(|s| *s >= offset) || offset <= 0 {
            return Ok(());
        }
        let path = self.snapshot_path(offset);
        let bytes = snapshot::encode(&writer.producers.list());
        let file = self.place.cache.open("create", &path, crate::disk::Open::Truncate)?;
        file.write_at(&bytes, 0).map_err(DiskError::at("write", &path))?;
        writer.snapshots.push(offset);
        Ok(())
    }

    /// Makes the snapshot of this offset survive a power loss, if there is one.
    pub(super) fn sync_snapshot(&self, offset: i64) -> Result<()> {
        let path = self.snapshot_path(offset);
        match self.place.cache.open("open", &path, crate::disk::Open::Write) {
            Err(e) if crate::cache::is_missing(&e) => Ok(()),
            Err(e) => Err(e.into()),
            Ok(file) => Ok(file.sync_data().map_err(DiskError::at("flush", &path))?),
        }
    }

    pub(super) fn snapshot_path(&self, offset: i64) -> std::path::PathBuf {
        self.place.dir.read().join(names::file_name(offset, names::SNAPSHOT, ""))
    }

    /// Removes the snapshots for which `gone` holds.
    pub(super) fn remove_snapshots(
        &self,
        writer: &mut Writer,
        gone: impl Fn(i64) -> bool,
    ) -> Result<()> {
        for offset in writer.snapshots.iter().copied().filter(|o| gone(*o)) {
            let path = self.snapshot_path(offset);
            match self.disk().remove_file(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(DiskError::at("remove", &path))?,
            }
        }
        writer.snapshots.retain(|o| !gone(*o));
        Ok(())
    }

    /// Adds a transaction that ended to the segment's list, if it was aborted.
    pub(super) fn note_aborted(
        &self,
        segment: &Segment,
        txn: &CompletedTxn,
        stable: i64,
    ) -> Result<()> {
        if txn.outcome == Outcome::Commit {
            return Ok(());
        }
        self.may_have_aborted.store(true, Ordering::Release);
        segment.push_aborted(&AbortedTxn {
            producer_id: txn.producer_id,
            first_offset: txn.first_offset,
            last_offset: txn.last_offset,
            last_stable_offset: stable,
        })
    }
}
