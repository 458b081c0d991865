//! Which raft entry stands at which offset of the metadata log.

use std::collections::VecDeque;

use crate::types::{CommittedLeaderId, LogId};

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// The offset behind its last record.
    pub(crate) next_offset: i64,
    /// The bytes of its batch.
    pub(crate) bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    base_offset: i64,
    epoch: i32,
    bytes: u32,
}

/// The entries of the log behind the last purged one. Entries follow each other without a gap, and so do their offsets.
#[derive(Debug, Default)]
pub(crate) struct Index {
    purged: Option<LogId>,
    /// The offset behind the purged entry, where the first item begins.
    start: i64,
    items: VecDeque<Item>,
    end: i64,
}

impl Index {
    /// An index without entries, the last purged one ending before `offset`.
    pub(crate) fn after(purged: Option<LogId>, offset: i64) -> Self {
        Self { purged, start: offset, items: VecDeque::new(), end: offset }
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub(crate) fn first_index(&self) -> u64 {
        self.purged.map_or(0, |id| id.index + 1)
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.first_index() + self.items.len() as u64
    }

    /// The last entry; the last purged one when there is none behind it.
    pub(crate) fn last(&self) -> Option<LogId> {
        match self.items.back() {
            None => self.purged,
            Some(item) => Some(log_id(item.epoch, self.next_index() - 1)),
        }
    }

    /// The offset where the first entry begins.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start
    }

    /// The offset behind the last entry.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end
    }

    /// Adds an entry. The one before it ends where this one begins.
    pub(crate) fn push(&mut self, id: LogId, base_offset: i64, bytes: usize) {
        assert_eq!(id.index, self.next_index(), "an entry of the metadata log is missing");
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.items.push_back(Item { base_offset, epoch: id.leader_id.term, bytes });
    }

    /// Says where the last entry ends.
    pub(crate) fn set_end(&mut self, offset: i64) {
        self.end = offset;
    }

    pub(crate) fn at(&self, index: u64) -> Option<(LogId, Place)> {
        let i = usize::try_from(index.checked_sub(self.first_index())?).ok()?;
        let item = self.items.get(i)?;
        let next_offset = self.items.get(i + 1).map_or(self.end, |next| next.base_offset);
        let place = Place { base_offset: item.base_offset, next_offset, bytes: item.bytes };
        Some((log_id(item.epoch, index), place))
    }

    pub(crate) fn place(&self, index: u64) -> Option<Place> {
        self.at(index).map(|(_, place)| place)
    }

    /// The offset behind an entry; `None` when it is not known any more, or another one stands at its index.
    pub(crate) fn offset_after(&self, id: LogId) -> Option<i64> {
        if self.purged == Some(id) {
            return Some(self.start);
        }
        self.at(id.index).filter(|(at, _)| *at == id).map(|(_, place)| place.next_offset)
    }

    /// Removes all entries from `next` on.
    pub(crate) fn truncate(&mut self, next: u64) {
        let keep = next.saturating_sub(self.first_index());
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        if let Some(gone) = self.items.get(keep) {
            self.end = gone.base_offset;
            self.items.truncate(keep);
        }
    }

    /// Forgets all entries up to one that is there.
    pub(crate) fn purge(&mut self, upto: LogId) {
        let Some((id, place)) = self.at(upto.index) else { return };
        let gone = usize::try_from(upto.index - self.first_index()).unwrap_or(usize::MAX) + 1;
        self.items.drain(..gone.min(self.items.len()));
        self.start = place.next_offset;
        self.purged = Some(id);
    }
}

fn log_id(epoch: i32, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(epoch), index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Index {
        let mut index = Index::after(Some(log_id(1, 9)), 100);
        for (i, (epoch, base)) in [(1, 100), (2, 103), (2, 104)].into_iter().enumerate() {
            index.push(log_id(epoch, 10 + i as u64), base, 70);
        }
        index.set_end(110);
        index
    }

    #[test]
    fn entries_are_found_by_index() {
        let index = filled();
        assert_eq!((index.first_index(), index.next_index()), (10, 13));
        let place = Place { base_offset: 103, next_offset: 104, bytes: 70 };
        assert_eq!(index.at(11), Some((log_id(2, 11), place)));
        assert_eq!(index.place(12).map(|p| p.next_offset), Some(110));
        assert_eq!((index.at(9), index.at(13)), (None, None));
        assert_eq!(index.offset_after(log_id(1, 9)), Some(100));
        assert_eq!(index.offset_after(log_id(1, 11)), None);
        assert_eq!(index.last(), Some(log_id(2, 12)));
    }

    #[test]
    fn cutting_and_purging_keep_the_offsets() {
        let mut index = filled();
        index.truncate(11);
        assert_eq!((index.next_index(), index.end_offset()), (11, 103));
        index.truncate(99);
        assert_eq!(index.next_index(), 11);
        let mut index = filled();
        index.purge(log_id(2, 11));
        assert_eq!((index.first_index(), index.start_offset()), (12, 104));
        assert_eq!(index.place(12).map(|p| p.next_offset), Some(110));
        index.purge(log_id(2, 12));
        assert_eq!((index.last(), index.next_index()), (Some(log_id(2, 12)), 13));
    }

    #[test]
    #[should_panic(expected = "missing")]
    fn a_gap_is_no_entry() {
        filled().push(log_id(2, 14), 110, 1);
    }
}
