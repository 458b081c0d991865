//! What one batch of the partition has room for.
//!
//! Invariant: what one decision writes fits one batch of `max.message.bytes`, unless a single
//! record of the machine's own making is larger. The bound is of the batch before compression, so
//! it bounds memory too: a request that names a long group and many partitions becomes a thousand
//! times its size in records.

use ottla_wire::ErrorCode;
use ottla_wire::record::{BATCH_HEADER_SIZE, BatchBuilder};

use super::record::GroupRecord;

/// The least that the record of an offset takes besides its names and its metadata.
const LEAST_OF_OFFSET: usize = 40;
/// The least that the tombstone of an offset takes besides its names.
const LEAST_OF_TOMBSTONE: usize = 16;
/// The most that either takes besides them.
const MOST_OF_OFFSET: usize = 80;
/// The most that the tombstone of a group, or of something of it, takes besides its names.
pub(crate) const MOST_OF_TOMBSTONE: usize = MOST_OF_OFFSET;
/// The most that a record of a group without members takes: two names of the largest size.
pub(crate) const MOST_OF_EMPTY_GROUP: usize = 2 * 32_767 + 128;

/// What is answered when what a request would write fits no batch: what Kafka makes of
/// `MESSAGE_TOO_LARGE`.
pub(crate) const TOO_LARGE: ErrorCode = ErrorCode::UNKNOWN_SERVER_ERROR;

/// What a decision may still write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    limit: usize,
    /// What is taken at least.
    least: usize,
    /// What is taken at most.
    most: usize,
}

impl Room {
    /// An empty batch of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, least: BATCH_HEADER_SIZE, most: BATCH_HEADER_SIZE }
    }

    /// Takes in the record of an offset, with so many bytes of names and metadata.
    pub(crate) fn add_offset(&mut self, text: usize) {
        self.least = self.least.saturating_add(LEAST_OF_OFFSET + text);
        self.most = self.most.saturating_add(MOST_OF_OFFSET + text);
    }

    /// Takes in the tombstone of an offset.
    pub(crate) fn add_offset_tombstone(&mut self, group: &str, topic: &str) {
        let names = group.len() + topic.len();
        self.least = self.least.saturating_add(LEAST_OF_TOMBSTONE + names);
        self.most = self.most.saturating_add(MOST_OF_OFFSET + names);
    }

    /// Whether more was taken in than fits for certain.
    pub(crate) fn is_over(&self) -> bool {
        self.least > self.limit
    }

    /// Whether what was taken in, which is `records`, fits.
    pub(crate) fn holds(&self, records: &[GroupRecord]) -> bool {
        self.most <= self.limit
            || (!self.is_over() && size(records, self.limit).is_some_and(|n| n <= self.limit))
    }

    /// Whether there is room for another record of at most so many bytes. There always is for the
    /// first one.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.most == BATCH_HEADER_SIZE || self.most.saturating_add(bytes) <= self.limit
    }

    /// Takes a record of at most so many bytes in, if there is room.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let has = self.has(bytes);
        if has {
            self.least = self.least.saturating_add(bytes);
            self.most = self.most.saturating_add(bytes);
        }
        has
    }

    /// Takes the tombstone of an offset in, if there is room.
    pub(crate) fn take_tombstone(&mut self, group: &str, topic: &str) -> bool {
        self.take(MOST_OF_OFFSET + group.len() + topic.len())
    }
}

/// How large a batch of the records is, or something above `enough`; `None` if one of them has no
/// form, as when a name is too long for its field.
pub(crate) fn size(records: &[GroupRecord], enough: usize) -> Option<usize> {
    let mut batch = BatchBuilder::new(0);
    for record in records {
        if let Some((key, value)) = record.encode().ok()? {
            batch.append(0, Some(&key), value.as_deref());
        }
        if batch.uncompressed_size() > enough {
            break;
        }
    }
    Some(batch.uncompressed_size())
}

#[cfg(test)]
mod tests {
    use ottla_wire::Uuid;
    use ottla_wire::schema::group::OffsetCommitValue;

    use super::*;
    use crate::group::record::offset_key;

    fn offset(topic_id: Uuid, index: i32) -> GroupRecord {
        GroupRecord::Offset {
            producer: None,
            key: offset_key("group", "topic", index),
            value: Some(OffsetCommitValue {
                metadata: "metadata".to_owned(),
                expire_timestamp: -1,
                topic_id,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn the_size_of_offsets_is_between_its_bounds() {
        for (topic_id, records) in [(Uuid::ZERO, 1), (Uuid::from_u128(7), 3), (Uuid::ZERO, 9_000)] {
            let records: Vec<_> = (0..records).map(|index| offset(topic_id, index)).collect();
            let mut room = Room::new(usize::MAX);
            records.iter().for_each(|_| room.add_offset("grouptopicmetadata".len()));
            let exact = size(&records, usize::MAX).expect("they have a form");
            assert!((room.least..=room.most).contains(&exact), "{room:?} {exact}");
            for (limit, fits) in [(exact, true), (exact - 1, false)] {
                room.limit = limit;
                assert_eq!(room.holds(&records), fits);
            }
        }
    }

    #[test]
    fn tombstones_are_no_larger_than_taken_for() {
        let record = GroupRecord::offset_tombstone("group", "topic", 7);
        let mut room = Room::new(0);
        assert!(room.take_tombstone("group", "topic"), "the first one always has room");
        assert!(!room.take_tombstone("group", "topic"));
        assert!(size(&[record], usize::MAX).expect("it has a form") <= room.most);
        let group = GroupRecord::group_tombstone("group");
        let bytes = size(&[group], usize::MAX).expect("it has a form") - BATCH_HEADER_SIZE;
        assert!(bytes < "group".len() + MOST_OF_OFFSET);
    }

    #[test]
    fn a_name_that_is_too_long_has_no_form() {
        let record = GroupRecord::offset_tombstone(&"g".repeat(32_768), "topic", 7);
        assert_eq!(size(&[record], usize::MAX), None);
    }
}
