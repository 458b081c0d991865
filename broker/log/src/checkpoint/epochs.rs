//! Where each leader epoch of a partition begins.

use std::fmt::Write;
use std::path::Path;

use super::{Durability, corrupt, entries, read_text, replace};
use crate::disk::Disk;
use crate::error::Result;

/// One leader epoch and the first offset written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The leader epoch.
    pub epoch: i32,
    /// Offset of its first record.
    pub start: i64,
}

/// A leader epoch and the offset where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch: the asked one, or the largest below it which the log knows.
    pub epoch: i32,
    /// The first offset that is not in it.
    pub end: i64,
}

/// The leader epochs of a partition: epochs and start offsets both increase strictly.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    entries: Vec<EpochStart>,
    dirty: bool,
}

impl Epochs {
    /// Reads `leader-epoch-checkpoint`; empty when there is none.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let Some(text) = read_text(disk, path)? else { return Ok(Self::default()) };
        let mut epochs = Self::default();
        for line in entries(&text, path)? {
            let parsed = line.split_once(' ').and_then(|(epoch, start)| {
                Some(EpochStart { epoch: epoch.parse().ok()?, start: start.trim().parse().ok()? })
            });
            let Some(entry) = parsed else {
                return Err(corrupt(path, format!("entry {line:?}")));
            };
            epochs.assign(entry.epoch, entry.start);
        }
        epochs.dirty = false;
        Ok(epochs)
    }

    /// Writes the file when anything changed since it was read or written.
    pub fn write_if_changed(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        how: Durability,
    ) -> Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let mut text = format!("0\n{}\n", self.entries.len());
        for EpochStart { epoch, start } in &self.entries {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{epoch} {start}");
        }
        replace(disk, path, text.as_bytes(), how)?;
        self.dirty = false;
        Ok(())
    }

    /// The same epochs, to be written into a file that has others.
    #[must_use]
    pub(crate) fn for_another_file(&self) -> Self {
        Self { entries: self.entries.clone(), dirty: true }
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// Notes that `epoch` begins at `start`. Entries that contradict it, being of the same or a
    /// later epoch or beginning at or behind it, go. Negative epochs mean "none" and are ignored.
    pub fn assign(&mut self, epoch: i32, start: i64) {
        if epoch < 0 || start < 0 {
            return;
        }
        if let Some(last) = self.latest()
            && last.epoch == epoch
            && last.start <= start
        {
            return;
        }
        if self.latest().is_some_and(|last| last.epoch >= epoch || last.start >= start) {
            self.entries.retain(|e| e.epoch < epoch && e.start < start);
        }
        self.entries.push(EpochStart { epoch, start });
        self.dirty = true;
    }

    /// The epoch in which the record at `offset` was written.
    #[must_use]
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|e| e.start <= offset);
        Some(self.entries.get(after.checked_sub(1)?)?.epoch)
    }

    /// Where the asked epoch ends, as OffsetForLeaderEpoch wants it (KIP-279): of the largest
    /// known epoch at or below the asked one, the start of the next; the log's end for the
    /// newest; `None` when the epoch is unknown and later than all.
    #[must_use]
    pub fn end_of(&self, epoch: i32, log_end: i64) -> Option<EpochEnd> {
        let latest = self.latest()?;
        if epoch < 0 {
            return None;
        }
        if epoch == latest.epoch {
            return Some(EpochEnd { epoch, end: log_end });
        }
        let higher = self.entries.partition_point(|e| e.epoch <= epoch);
        let end = self.entries.get(higher)?.start;
        let floor = higher.checked_sub(1).and_then(|i| self.entries.get(i));
        Some(EpochEnd { epoch: floor.map_or(epoch, |e| e.epoch), end })
    }

    /// Forgets the epochs that begin at or behind `end`.
    pub fn truncate_from_end(&mut self, end: i64) {
        let keep = self.entries.partition_point(|e| e.start < end);
        if keep < self.entries.len() {
            self.entries.truncate(keep);
            self.dirty = true;
        }
    }

    /// Forgets what lies below `start`; the epoch which `start` is in then begins there.
    pub fn truncate_from_start(&mut self, start: i64) {
        let behind = self.entries.partition_point(|e| e.start <= start);
        let Some(last_before) = behind.checked_sub(1) else { return };
        if last_before == 0 && self.entries.first().is_some_and(|e| e.start == start) {
            return;
        }
        self.entries.drain(..last_before);
        if let Some(first) = self.entries.first_mut() {
            first.start = start;
        }
        self.dirty = true;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.dirty |= !self.entries.is_empty();
        self.entries = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    fn epochs(list: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        list.iter().for_each(|&(e, s)| epochs.assign(e, s));
        epochs
    }

    fn list(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.entries().iter().map(|e| (e.epoch, e.start)).collect()
    }

    #[test]
    fn assigns_and_drops_contradictions() {
        let mut e = epochs(&[(0, 0), (2, 10), (4, 20)]);
        e.assign(4, 25);
        assert_eq!(list(&e), [(0, 0), (2, 10), (4, 20)]);
        e.assign(3, 15);
        assert_eq!(list(&e), [(0, 0), (2, 10), (3, 15)]);
        e.assign(-1, 15);
        e.assign(5, 15);
        assert_eq!(list(&e), [(0, 0), (2, 10), (5, 15)]);
    }

    #[test]
    fn a_torn_file_is_empty_or_corrupt() {
        let tmp = tempfile::tempdir().expect("temp dir");
        let (path, disk) = (tmp.path().join("leader-epoch-checkpoint"), RealDisk);
        let mut written = epochs(&[(0, 13), (1, 268), (2, 333)]);
        written.write_if_changed(&disk, &path, Durability::PageCache).expect("write");
        assert_eq!(list(&Epochs::read(&disk, &path).expect("read")), list(&written));
        let text = std::fs::read(&path).expect("read");
        for len in 1..text.len() {
            std::fs::write(&path, &text[..len]).expect("write");
            assert!(Epochs::read(&disk, &path).is_err(), "{len} bytes of it");
        }
    }

    #[test]
    fn ends_of_epochs() {
        let e = epochs(&[(2, 10), (4, 20)]);
        assert_eq!(e.end_of(4, 99), Some(EpochEnd { epoch: 4, end: 99 }));
        assert_eq!(e.end_of(3, 99), Some(EpochEnd { epoch: 2, end: 20 }));
        assert_eq!(e.end_of(2, 99), Some(EpochEnd { epoch: 2, end: 20 }));
        assert_eq!(e.end_of(1, 99), Some(EpochEnd { epoch: 1, end: 10 }));
        assert_eq!(e.end_of(5, 99), None);
        assert_eq!(e.end_of(-1, 99), None);
        assert_eq!(Epochs::default().end_of(0, 5), None);
        assert_eq!(e.epoch_of(9), None);
        assert_eq!(e.epoch_of(19), Some(2));
        assert_eq!(e.epoch_of(20), Some(4));
    }

    #[test]
    fn truncates() {
        let mut e = epochs(&[(0, 0), (2, 10), (4, 20)]);
        e.truncate_from_start(15);
        assert_eq!(list(&e), [(2, 15), (4, 20)]);
        e.truncate_from_end(20);
        assert_eq!(list(&e), [(2, 15)]);
        e.truncate_from_start(3);
        assert_eq!(list(&e), [(2, 15)]);
    }
}
