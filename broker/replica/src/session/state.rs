//! One fetch session.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::{ErrorCode, Uuid};

use super::{INITIAL_EPOCH, next_epoch};

/// A topic as the session names it: by name before version 13, by id since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// By name.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// A partition in a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The topic.
    pub topic: Topic,
    /// The partition's number.
    pub partition: i32,
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// Bytes wanted at most.
    pub max_bytes: i32,
    /// The leader epoch the peer knows, -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch of the last record the peer has, -1 for none.
    pub last_fetched_epoch: i32,
    /// A follower's log start offset, -1 for consumers.
    pub log_start_offset: i64,
}

/// What was found for one partition, as far as it decides whether the peer must hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes of records.
    pub bytes: u32,
    /// The high watermark.
    pub high_watermark: i64,
    /// The log start offset.
    pub log_start_offset: i64,
    /// The error, if any.
    pub error: ErrorCode,
    /// Whether it says something that must be said each time: a preferred read replica, or where
    /// the peer's log diverges.
    pub notice: Notice,
}

/// Whether an answer holds a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notice {
    /// It does not.
    #[default]
    None,
    /// A preferred read replica.
    PreferredReplica,
    /// The offset where the peer's log diverges.
    Diverging,
}

/// What an incremental request changes.
#[derive(Clone, Debug, Default)]
pub struct SessionChange {
    /// Partitions that are new, or asked for differently.
    pub partitions: Vec<(Key, FetchPartition)>,
    /// Partitions not wanted any more.
    pub forgotten: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Key,
    asked: FetchPartition,
    /// What was told last; -1 if it is to be told again.
    high_watermark: i64,
    log_start_offset: i64,
}

/// What one peer asked for and was told. Partitions are kept in an order that turns: those that
/// gave records go to the end, so that all get their turn when a response is full.
#[derive(Clone, Debug, Default)]
pub struct FetchSession {
    epoch: i32,
    places: BTreeMap<Key, u64>,
    entries: BTreeMap<u64, Entry>,
    next_place: u64,
}

impl FetchSession {
    /// A session whose first request named these partitions and was answered so. The next request
    /// has epoch 1.
    #[must_use]
    pub fn new(partitions: Vec<(Key, FetchPartition)>) -> Self {
        let mut session = Self { epoch: next_epoch(INITIAL_EPOCH), ..Self::default() };
        for (key, asked) in partitions {
            session.put(key, asked);
        }
        session
    }

    /// The epoch that the next request must have.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How many partitions are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no partition is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether topics are named by id. A session does not change its mind about that.
    #[must_use]
    pub fn uses_ids(&self) -> bool {
        self.places.keys().all(|key| matches!(key.topic, Topic::Id(_)))
    }

    /// Takes an incremental request with `epoch` and its changes.
    ///
    /// # Errors
    /// [`ErrorCode::INVALID_FETCH_SESSION_EPOCH`], or [`ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR`] if the
    /// request names topics in the other way.
    pub fn update(
        &mut self,
        epoch: i32,
        by_id: Naming,
        change: SessionChange,
    ) -> Result<(), ErrorCode> {
        if epoch != self.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if !self.is_empty() && self.uses_ids() != (by_id == Naming::Ids) {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        for (key, asked) in change.partitions {
            self.put(key, asked);
        }
        for key in change.forgotten {
            if let Some(place) = self.places.remove(&key) {
                self.entries.remove(&place);
            }
        }
        self.epoch = next_epoch(epoch);
        Ok(())
    }

    fn put(&mut self, key: Key, asked: FetchPartition) {
        if let Some(entry) = self.places.get(&key).and_then(|place| self.entries.get_mut(place)) {
            if asked.fetch_offset == entry.asked.fetch_offset {
                // It has not moved on, and is named for another reason, as that its leader epoch
                // began: it may not have taken in what was told before.
                entry.high_watermark = -1;
            }
            entry.asked = asked;
            return;
        }
        let place = self.take_place();
        self.places.insert(key.clone(), place);
        let entry = Entry { key, asked, high_watermark: -1, log_start_offset: -1 };
        self.entries.insert(place, entry);
    }

    fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    /// All partitions, in the order in which they are to be read.
    pub fn partitions(&self) -> impl Iterator<Item = (&Key, &FetchPartition)> {
        self.entries.values().map(|entry| (&entry.key, &entry.asked))
    }

    /// The same, each with the high watermark that was told last, -1 if none or if it is to be told
    /// again.
    pub fn told(&self) -> impl Iterator<Item = (&Key, &FetchPartition, i64)> {
        self.entries.values().map(|entry| (&entry.key, &entry.asked, entry.high_watermark))
    }

    /// Notes an answer that is about to leave, and says whether the peer must hear of it. An answer
    /// without news may be left out of an incremental response.
    pub fn note(&mut self, key: &Key, answer: &Answer) -> News {
        let Some(place) = self.places.get(key).copied() else { return News::Some };
        let Some(entry) = self.entries.get_mut(&place) else { return News::Some };
        let news = answer.bytes > 0
            || entry.high_watermark != answer.high_watermark
            || entry.log_start_offset != answer.log_start_offset
            || answer.notice != Notice::None
            || answer.error != ErrorCode::NONE;
        entry.high_watermark = answer.high_watermark;
        entry.log_start_offset = answer.log_start_offset;
        if answer.error != ErrorCode::NONE || answer.notice == Notice::Diverging {
            // So that the peer hears when it is over.
            entry.high_watermark = -1;
        }
        if answer.bytes > 0 {
            self.move_last(place);
        }
        if news { News::Some } else { News::None }
    }

    /// Whether [`note`](Self::note) would find news, without noting anything.
    #[must_use]
    pub fn has_news(&self, key: &Key, answer: &Answer) -> News {
        let entry = self.places.get(key).and_then(|place| self.entries.get(place));
        let same = entry.is_some_and(|entry| {
            answer.bytes == 0
                && entry.high_watermark == answer.high_watermark
                && entry.log_start_offset == answer.log_start_offset
                && answer.notice == Notice::None
                && answer.error == ErrorCode::NONE
        });
        if same { News::None } else { News::Some }
    }

    fn move_last(&mut self, place: u64) {
        if self.entries.last_key_value().is_some_and(|(last, _)| *last == place) {
            return;
        }
        if let Some(entry) = self.entries.remove(&place) {
            let last = self.take_place();
            self.places.insert(entry.key.clone(), last);
            self.entries.insert(last, entry);
        }
    }
}

/// Whether a request names topics by id or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By name, before version 13.
    Names,
    /// By id, since version 13.
    Ids,
}

/// Whether an answer says anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It does.
    Some,
    /// It does not.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> Key {
        Key { topic: Topic::Id(Uuid::from_u128(9)), partition }
    }

    fn asked(fetch_offset: i64) -> FetchPartition {
        FetchPartition {
            fetch_offset,
            max_bytes: 100,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            log_start_offset: -1,
        }
    }

    fn answer(bytes: u32, high_watermark: i64) -> Answer {
        let (error, notice) = (ErrorCode::NONE, Notice::None);
        Answer { bytes, high_watermark, log_start_offset: 0, error, notice }
    }

    fn order(session: &FetchSession) -> Vec<i32> {
        session.partitions().map(|(key, _)| key.partition).collect()
    }

    #[test]
    fn only_news_are_told() {
        let mut session = FetchSession::new(vec![(key(1), asked(0))]);
        assert_eq!(session.note(&key(1), &answer(0, 5)), News::Some);
        assert_eq!(session.has_news(&key(1), &answer(0, 5)), News::None);
        assert_eq!(session.note(&key(1), &answer(0, 5)), News::None);
        assert_eq!(session.note(&key(1), &answer(0, 6)), News::Some);
        assert_eq!(session.told().map(|(_, _, told)| told).collect::<Vec<_>>(), [6]);
        let failed = Answer { error: ErrorCode::NOT_LEADER_OR_FOLLOWER, ..answer(0, 6) };
        assert_eq!(session.note(&key(1), &failed), News::Some);
        assert_eq!(session.note(&key(1), &failed), News::Some, "an error is told each time");
        assert_eq!(session.note(&key(1), &answer(0, 6)), News::Some, "and that it is over");
        assert_eq!(session.note(&key(1), &answer(0, 6)), News::None);
        assert_eq!(session.note(&key(1), &answer(9, 6)), News::Some);
    }

    #[test]
    fn those_that_gave_records_go_last() {
        let mut session = FetchSession::new((0..3).map(|p| (key(p), asked(0))).collect());
        session.note(&key(0), &answer(10, 5));
        assert_eq!(order(&session), [1, 2, 0]);
        session.note(&key(2), &answer(0, 5));
        assert_eq!(order(&session), [1, 2, 0]);
        session.note(&key(2), &answer(1, 6));
        assert_eq!(order(&session), [1, 0, 2]);
        assert_eq!(session.len(), 3);
    }

    #[test]
    fn changes_add_alter_and_forget() {
        let mut session = FetchSession::new(vec![(key(1), asked(0)), (key(2), asked(0))]);
        let change = SessionChange {
            partitions: vec![(key(2), asked(7)), (key(3), asked(1))],
            forgotten: vec![key(1)],
        };
        session.update(1, Naming::Ids, change).unwrap();
        assert_eq!(session.epoch(), 2);
        let offsets: Vec<_> =
            session.partitions().map(|(k, p)| (k.partition, p.fetch_offset)).collect();
        assert_eq!(offsets, [(2, 7), (3, 1)]);
        let again = session.update(1, Naming::Ids, SessionChange::default());
        assert_eq!(again, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        let names = session.update(2, Naming::Names, SessionChange::default());
        assert_eq!(names, Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    }

    #[test]
    fn who_names_a_partition_again_is_told_again() {
        let mut session = FetchSession::new(vec![(key(1), asked(5))]);
        session.note(&key(1), &answer(0, 5));
        let again = |asked| {
            let partitions = vec![(key(1), asked)];
            SessionChange { partitions, forgotten: vec![] }
        };
        let elected = FetchPartition { current_leader_epoch: 2, ..asked(5) };
        session.update(1, Naming::Ids, again(elected)).unwrap();
        assert_eq!(session.note(&key(1), &answer(0, 5)), News::Some);
        assert_eq!(session.note(&key(1), &answer(0, 5)), News::None);
        // Who has moved on has taken in what was told.
        session.update(2, Naming::Ids, again(asked(6))).unwrap();
        assert_eq!(session.note(&key(1), &answer(0, 5)), News::None);
    }
}
