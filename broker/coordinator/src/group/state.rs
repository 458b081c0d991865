//! What the log of one partition of `__consumer_offsets` rebuilds.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::schema::group::GroupMetadataValue;

use super::consumer::{ConsumerGroup, ConsumerRecord};
use super::offsets::Offsets;
use super::record::GroupRecord;

/// The groups and offsets of one shard.
///
/// A group is here when the log says so: by a record of its own, or by an offset committed for it.
/// Of a classic group this is its last generation that became stable or empty; a rebalance under
/// way lives in [`super::GroupWaits`] and is forgotten by a restart, as in Kafka.
#[derive(Debug, Default, PartialEq)]
pub struct GroupState {
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    pub(crate) offsets: Offsets,
    skipped: u64,
}

/// A group of whatever type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Group {
    /// A classic group as last written. One that has only offsets is empty and of no protocol.
    Classic(Box<GroupMetadataValue>),
    /// A group of the consumer protocol.
    Consumer(Box<ConsumerGroup>),
}

impl Group {
    /// The group that exists because offsets were committed for it, and for no other reason.
    fn simple() -> Self {
        let value = GroupMetadataValue {
            protocol: None,
            leader: None,
            current_state_timestamp: -1,
            ..Default::default()
        };
        Self::Classic(Box::new(value))
    }
}

impl GroupState {
    /// How many records of unknown type were skipped.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many committed offsets there are.
    #[must_use]
    pub fn offsets(&self) -> usize {
        self.offsets.len()
    }

    /// The group's last written state, if it is a classic group.
    pub(crate) fn classic(&self, group: &str) -> Option<&GroupMetadataValue> {
        match self.groups.get(group)? {
            Group::Classic(value) => Some(value),
            Group::Consumer(_) => None,
        }
    }

    /// The group and its id, if it is a consumer group.
    pub(crate) fn consumer(&self, group: &str) -> Option<(&Arc<str>, &ConsumerGroup)> {
        match self.groups.get_key_value(group)? {
            (id, Group::Consumer(group)) => Some((id, group)),
            (_, Group::Classic(_)) => None,
        }
    }

    /// All consumer groups.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (&Arc<str>, &ConsumerGroup)> {
        self.groups.iter().filter_map(|(id, group)| match group {
            Group::Consumer(group) => Some((id, &**group)),
            Group::Classic(_) => None,
        })
    }

    /// The classic groups that have members.
    pub(crate) fn groups_with_members(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.groups.iter().filter(|(_, group)| match group {
            Group::Classic(value) => !value.members.is_empty(),
            Group::Consumer(_) => false,
        })
    }

    pub(crate) fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::Group { key, value: Some(value) } => {
                let group = Group::Classic(Box::new(value.clone()));
                match self.groups.get_mut(key.group.as_str()) {
                    Some(known) => *known = group,
                    None => {
                        self.groups.insert(Arc::from(key.group.as_str()), group);
                    }
                }
            }
            GroupRecord::Group { key, value: None } => {
                // After a compaction, the tombstone of a classic group may stand behind records
                // of the consumer group that took its place.
                if self.classic(&key.group).is_some() {
                    self.groups.remove(key.group.as_str());
                }
            }
            GroupRecord::Consumer(record) => self.apply_consumer(record),
            GroupRecord::Offset { producer, key, value: Some(value) } => {
                let group = self.group_id(&key.group);
                match producer {
                    None => self.offsets.put(&group, key, value),
                    Some(producer) => self.offsets.put_pending(*producer, &group, key, value),
                }
            }
            GroupRecord::Offset { key, value: None, .. } => self.offsets.remove(key),
            GroupRecord::Marker(marker) => self.offsets.end(marker),
            GroupRecord::Unknown { .. } => self.skipped = self.skipped.saturating_add(1),
        }
    }

    /// Applies a record of a consumer group, which any but a tombstone brings into being.
    fn apply_consumer(&mut self, record: &ConsumerRecord) {
        let id = record.group_id();
        let is_group = matches!(record, ConsumerRecord::Group { .. });
        if is_group && record.is_tombstone() {
            if self.consumer(id).is_some() {
                self.groups.remove(id);
            }
            return;
        }
        if let Some(Group::Consumer(group)) = self.groups.get_mut(id) {
            group.apply(record);
        } else if !record.is_tombstone() {
            let mut group = ConsumerGroup::new();
            group.apply(record);
            self.groups.insert(self.known_id(id), Group::Consumer(Box::new(group)));
        }
    }

    fn known_id(&self, group: &str) -> Arc<str> {
        self.groups.get_key_value(group).map_or_else(|| Arc::from(group), |(id, _)| Arc::clone(id))
    }

    /// The id of a group that exists from here on.
    fn group_id(&mut self, group: &str) -> Arc<str> {
        if let Some((id, _)) = self.groups.get_key_value(group) {
            return Arc::clone(id);
        }
        let id: Arc<str> = Arc::from(group);
        self.groups.insert(Arc::clone(&id), Group::simple());
        id
    }
}
