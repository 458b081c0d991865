//! Committed offsets, and those that wait for the end of a transaction.
//!
//! Invariant: of two offsets of one partition, the one written later to the log wins, also when
//! the earlier one belongs to a transaction that ends later. `written` keeps that order through
//! compaction, as the order of records survives it.

pub(crate) mod commit;
pub(crate) mod delete;
pub(crate) mod expire;
pub(crate) mod fetch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use ottla_wire::Uuid;
use ottla_wire::schema::group::{OffsetCommitKey, OffsetCommitValue};

use super::record::{Producer, TxnMarker, TxnOutcome};

/// One committed offset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) commit_ms: i64,
    /// Set for commits of old clients that asked for a retention of their own.
    pub(crate) expire_ms: Option<i64>,
    pub(crate) topic_id: Uuid,
    written: u64,
}

/// Offsets by topic and partition.
pub(crate) type ByTopic = BTreeMap<String, BTreeMap<i32, Committed>>;

/// The offsets of one group.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct GroupOffsets {
    pub(crate) committed: ByTopic,
    pub(crate) pending: BTreeMap<i64, ByTopic>,
}

impl GroupOffsets {
    fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.committed.get(topic)?.get(&partition)
    }

    /// Whether an open transaction has written an offset of the partition.
    pub(crate) fn is_pending(&self, topic: &str, partition: i32) -> bool {
        self.pending
            .values()
            .any(|topics| topics.get(topic).is_some_and(|all| all.contains_key(&partition)))
    }
}

/// The offsets of all groups of a shard.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Offsets {
    groups: BTreeMap<Arc<str>, GroupOffsets>,
    /// The groups in which a producer's open transaction has written.
    open: BTreeMap<i64, BTreeSet<Arc<str>>>,
    count: usize,
    written: u64,
}

impl Offsets {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn of(&self, group: &str) -> Option<&GroupOffsets> {
        self.groups.get(group)
    }

    /// The groups that have offsets, committed or pending, from one on.
    pub(crate) fn groups_from(
        &self,
        from: Option<&str>,
    ) -> impl Iterator<Item = (&Arc<str>, &GroupOffsets)> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        self.groups.range::<str, _>((from, Bound::Unbounded))
    }

    /// The groups that have offsets, committed or pending.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &GroupOffsets)> {
        self.groups.iter()
    }

    /// Stores an offset that is part of no transaction.
    pub(crate) fn put(
        &mut self,
        group: &Arc<str>,
        key: &OffsetCommitKey,
        value: &OffsetCommitValue,
    ) {
        let committed = self.committed(value);
        let offsets = self.groups.entry(Arc::clone(group)).or_default();
        if put(&mut offsets.committed, &key.topic, key.partition, committed) {
            self.count += 1;
        }
    }

    /// Stores an offset until the producer's transaction ends.
    pub(crate) fn put_pending(
        &mut self,
        producer: Producer,
        group: &Arc<str>,
        key: &OffsetCommitKey,
        value: &OffsetCommitValue,
    ) {
        let committed = self.committed(value);
        let offsets = self.groups.entry(Arc::clone(group)).or_default();
        let topics = offsets.pending.entry(producer.id).or_default();
        put(topics, &key.topic, key.partition, committed);
        self.open.entry(producer.id).or_default().insert(Arc::clone(group));
    }

    /// Removes an offset, and what open transactions wrote for the partition.
    pub(crate) fn remove(&mut self, key: &OffsetCommitKey) {
        let Some(offsets) = self.groups.get_mut(key.group.as_str()) else { return };
        if remove(&mut offsets.committed, &key.topic, key.partition) {
            self.count = self.count.saturating_sub(1);
        }
        for topics in offsets.pending.values_mut() {
            remove(topics, &key.topic, key.partition);
        }
        if offsets.is_empty() {
            self.groups.remove(key.group.as_str());
        }
    }

    /// Ends a producer's transaction: its offsets become committed, or are forgotten.
    pub(crate) fn end(&mut self, marker: &TxnMarker) {
        let Some(groups) = self.open.remove(&marker.producer.id) else { return };
        for group in groups {
            let Some(offsets) = self.groups.get_mut(&group) else { continue };
            let pending = offsets.pending.remove(&marker.producer.id).unwrap_or_default();
            if marker.outcome == TxnOutcome::Commit {
                for (topic, partitions) in pending {
                    for (partition, committed) in partitions {
                        let newer = offsets
                            .get(&topic, partition)
                            .is_none_or(|known| committed.written > known.written);
                        if newer && put(&mut offsets.committed, &topic, partition, committed) {
                            self.count += 1;
                        }
                    }
                }
            }
            if offsets.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    fn committed(&mut self, value: &OffsetCommitValue) -> Committed {
        self.written += 1;
        Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
            commit_ms: value.commit_timestamp,
            expire_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
            written: self.written,
        }
    }
}

/// Stores an offset; says whether there was none of the partition before.
fn put(topics: &mut ByTopic, topic: &str, partition: i32, committed: Committed) -> bool {
    if let Some(partitions) = topics.get_mut(topic) {
        return partitions.insert(partition, committed).is_none();
    }
    topics.insert(topic.to_owned(), BTreeMap::from([(partition, committed)]));
    true
}

/// Removes an offset; says whether there was one.
fn remove(topics: &mut ByTopic, topic: &str, partition: i32) -> bool {
    let Some(partitions) = topics.get_mut(topic) else { return false };
    let removed = partitions.remove(&partition).is_some();
    if partitions.is_empty() {
        topics.remove(topic);
    }
    removed
}
