//! Offsets deleted: on request, with their group, or with their partitions.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_machine::{Decision, Ticket};
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::GroupOffsets;
use crate::group::GroupMachine;
use crate::group::command::{Command, DeletedTopic, Effect, Reply, Request, Rest};
use crate::group::record::GroupRecord;
use crate::group::room::{Room, TOO_LARGE};
use crate::group::state::GroupState;
use crate::group::view::View;
use crate::group::waits::GroupWaits;

impl GroupWaits {
    pub(in crate::group) fn delete_offsets(
        &self,
        state: &GroupState,
        ticket: Ticket,
        request: OffsetDeleteRequest,
    ) -> Decision<GroupMachine> {
        let group_id = request.group_id.as_str();
        let refuse = |error_code| {
            let response = OffsetDeleteResponse { error_code, ..Default::default() };
            Decision::reply(ticket, Reply::OffsetDelete(response))
        };
        if group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        let Some(view) = View::of(state, &self.live, group_id) else {
            return refuse(ErrorCode::GROUP_ID_NOT_FOUND);
        };
        if !view.is_empty() && !view.uses_consumer_protocol() {
            return refuse(ErrorCode::NON_EMPTY_GROUP);
        }
        let offsets = state.offsets.of(group_id);
        let mut tombstones = Tombstones::new(group_id, self.settings.max_batch_bytes);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let error = if view.is_subscribed(&topic.name) {
                ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            } else {
                tombstones.add(offsets, topic);
                ErrorCode::NONE
            };
            topics.push(answer(topic, error));
        }
        let Some(records) = tombstones.finish() else {
            return refuse(TOO_LARGE);
        };
        let response = OffsetDeleteResponse { topics, ..Default::default() };
        let effects = vec![Effect::OffsetsDeleted(records.len())];
        Decision { records, effects, ..Decision::reply(ticket, Reply::OffsetDelete(response)) }
    }

    /// Deletes the offsets of partitions that are gone, of all groups from one on, as far as one
    /// batch goes.
    pub(in crate::group) fn partitions_gone(
        &self,
        state: &GroupState,
        ticket: Ticket,
        topics: Vec<DeletedTopic>,
        from: Option<Arc<str>>,
    ) -> Decision<GroupMachine> {
        let mut records = Vec::new();
        let mut room = Room::new(self.settings.max_batch_bytes);
        let gone = topics.iter().map(|topic| Gone {
            name: &topic.name,
            partitions: topic.partitions.iter().copied().collect(),
        });
        let gone: Vec<_> = gone.collect();
        let mut groups = state.offsets.groups_from(from.as_deref());
        let full = groups.find(|(group, offsets)| {
            let mut fill = |topic| fill(group, offsets, topic, &mut room, &mut records);
            gone.iter().any(|topic| fill(topic) == Filled::Full)
        });
        let Some((from, _)) = full else {
            return Decision { records, ..Decision::reply(ticket, Reply::Done) };
        };
        drop(gone);
        let rest = Rest::PartitionsDeleted { from: Arc::clone(from), topics };
        let again = Some(Command::internal(Request::Continue(rest)));
        Decision { records, again, ..Decision::default() }
    }
}

fn answer(topic: &OffsetDeleteRequestTopic, error_code: ErrorCode) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code,
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

/// The records of an OffsetDelete, as they gather: each partition once, whatever is asked.
struct Tombstones<'a> {
    group: &'a str,
    seen: BTreeSet<(&'a str, i32)>,
    room: Room,
    records: Vec<GroupRecord>,
}

impl<'a> Tombstones<'a> {
    fn new(group: &'a str, limit: usize) -> Self {
        Self { group, seen: BTreeSet::new(), room: Room::new(limit), records: Vec::new() }
    }

    fn add(&mut self, offsets: Option<&GroupOffsets>, topic: &'a OffsetDeleteRequestTopic) {
        let Some(offsets) = offsets else { return };
        let name = topic.name.as_str();
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let known = offsets.get(name, index).is_some() || offsets.is_pending(name, index);
            if known && !self.room.is_over() && self.seen.insert((name, index)) {
                self.room.add_offset_tombstone(self.group, name);
                self.records.push(GroupRecord::offset_tombstone(self.group, name, index));
            }
        }
    }

    /// The records, if they fit one batch.
    fn finish(self) -> Option<Vec<GroupRecord>> {
        self.room.holds(&self.records).then_some(self.records)
    }
}

/// Whether all of something fitted a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// It did.
    All,
    /// The batch is full.
    Full,
}

/// Deletes all offsets of a group, committed and pending, as far as there is room.
pub(crate) fn all(
    state: &GroupState,
    group: &str,
    room: &mut Room,
    records: &mut Vec<GroupRecord>,
) -> Filled {
    let Some(offsets) = state.offsets.of(group) else { return Filled::All };
    let every = std::iter::once(&offsets.committed).chain(offsets.pending.values());
    for (topic, partitions) in every.flatten() {
        for partition in partitions.keys() {
            if !room.take_tombstone(group, topic) {
                return Filled::Full;
            }
            records.push(GroupRecord::offset_tombstone(group, topic, *partition));
        }
    }
    Filled::All
}

/// Partitions of a topic that are gone.
struct Gone<'a> {
    name: &'a str,
    partitions: BTreeSet<i32>,
}

/// Deletes a group's offsets of partitions that are gone, as far as there is room.
fn fill(
    group: &str,
    offsets: &GroupOffsets,
    topic: &Gone<'_>,
    room: &mut Room,
    records: &mut Vec<GroupRecord>,
) -> Filled {
    for topics in std::iter::once(&offsets.committed).chain(offsets.pending.values()) {
        // Most groups have no offset of the topic.
        let Some(known) = topics.get(topic.name) else { continue };
        for index in known.keys().filter(|index| topic.partitions.contains(index)) {
            if !room.take_tombstone(group, topic.name) {
                return Filled::Full;
            }
            records.push(GroupRecord::offset_tombstone(group, topic.name, *index));
        }
    }
    Filled::All
}
