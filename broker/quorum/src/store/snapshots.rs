//! The snapshots a store keeps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::disk::{Disk, Open};

use super::{Kept, Store};
use crate::batch::VersionedRecord;
use crate::error::QuorumError;
use crate::snapshot::{self, Head, SnapshotId};
use crate::state_machine::{SnapshotMeta, SnapshotSource};

/// How many removed files are deleted at once.
const PURGE_LIMIT: usize = 1024;

impl Store {
    /// Writes a snapshot; durable when this returns. One that is there already is left as it is.
    pub(crate) fn write_snapshot(
        &self,
        id: SnapshotId,
        head: &Head<'_>,
        records: impl Iterator<Item = VersionedRecord>,
        now_ms: i64,
    ) -> Result<(), QuorumError> {
        let path = self.dir.join(id.file_name());
        if self.disk.exists(&path).map_err(|e| QuorumError::io("look for", &path, e))? {
            return Ok(());
        }
        // What lies below a snapshot is not looked at again when the node starts.
        self.flush()?;
        snapshot::write(&*self.disk, &path, head, records, now_ms)
    }

    /// Where a snapshot is received. What an interrupted transfer left there is removed at the next start.
    pub(crate) fn part_path(&self, id: SnapshotId) -> PathBuf {
        self.dir.join(format!("{}.part", id.file_name()))
    }

    /// The disk all is on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Gives a snapshot that was received its name; durable when this returns.
    pub(crate) fn adopt_snapshot(&self, id: SnapshotId, part: &Path) -> Result<(), QuorumError> {
        let path = self.dir.join(id.file_name());
        self.flush()?;
        let written = self.disk.open(part, Open::Write).and_then(|file| {
            file.sync_data()?;
            self.disk.rename(part, &path)?;
            self.disk.sync_dir(&self.dir)
        });
        written.map_err(|e| QuorumError::io("write", &path, e))
    }

    /// Notes that a snapshot is there, and what it contains.
    pub(crate) fn keep_snapshot(&self, id: SnapshotId, meta: SnapshotMeta, kraft_version: i16) {
        let mut state = self.state.lock();
        state.snapshots.retain(|kept| kept.id != id);
        state.snapshots.push(Kept { id, meta: Some(meta), kraft_version });
        state.snapshots.sort_by_key(|kept| kept.id);
    }

    /// The newest snapshot that contains entries.
    pub(crate) fn newest_snapshot(&self) -> Option<(SnapshotId, SnapshotMeta)> {
        let state = self.state.lock();
        let known = state.snapshots.iter().rev();
        known
            .filter_map(|kept| Some((kept.id, kept.meta.clone()?)))
            .find(|(_, meta)| meta.last_log_id.is_some())
    }

    /// The file of the newest snapshot that contains entries.
    pub(crate) fn newest_snapshot_path(&self) -> Option<PathBuf> {
        self.newest_snapshot().map(|(id, _)| self.dir.join(id.file_name()))
    }

    /// Where a snapshot's bytes are.
    pub(crate) fn snapshot_source(&self, id: SnapshotId) -> SnapshotSource {
        SnapshotSource::Stored { disk: self.disk.clone(), path: self.dir.join(id.file_name()) }
    }

    /// Removes snapshots that are older than the retention allows, and what of the log lies before the oldest one that
    /// stays. The newest one always stays.
    pub(crate) fn clean(&self) -> Result<(), QuorumError> {
        let _one = self.cleaning.lock();
        let now_ms = (self.clock)();
        let mut total = self.log.size();
        let mut files = Vec::new();
        for id in snapshot::list(&*self.disk, &self.dir)? {
            let path = self.dir.join(id.file_name());
            let failed = |e| QuorumError::io("open", &path, e);
            let file = self.disk.open(&path, Open::Read).map_err(failed)?;
            let len = file.len().map_err(failed)?;
            let modified = file.modified_ms().map_err(failed)?;
            total += len;
            files.push((id, len, modified));
        }
        let mut oldest = 0;
        while let Some([(id, len, modified), _]) = files.get(oldest..oldest + 2) {
            let aged = self.retention.ms.is_some_and(|ms| now_ms.saturating_sub(*modified) > ms);
            let large = self.retention.bytes.is_some_and(|bytes| total > bytes);
            if !aged && !large {
                break;
            }
            let path = self.dir.join(id.file_name());
            self.disk.remove_file(&path).map_err(|e| QuorumError::io("remove", &path, e))?;
            self.state.lock().snapshots.retain(|kept| kept.id != *id);
            total -= len;
            oldest += 1;
        }
        if let Some((id, ..)) = files.get(oldest) {
            let start = id.end_offset.min(self.state.lock().index.start_offset());
            if start > self.log.start_offset() && start <= self.log.high_watermark() {
                self.log.set_start_offset(start)?;
                self.log.delete_old_segments(now_ms)?;
            }
        }
        self.graveyard.purge(now_ms, PURGE_LIMIT)?;
        Ok(())
    }
}
