//! Offsets deleted: on request, with their group, or with their partitions.

use std::collections::BTreeSet;

use ottla_machine::{Decision, Ticket};
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::GroupOffsets;
use crate::group::GroupMachine;
use crate::group::classic::Phase;
use crate::group::command::{DeletedTopic, Effect, Reply};
use crate::group::record::GroupRecord;
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
        if view.phase() != Phase::Empty && !view.uses_consumer_protocol() {
            return refuse(ErrorCode::NON_EMPTY_GROUP);
        }
        let offsets = state.offsets.of(group_id);
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let error = if view.is_subscribed(&topic.name) {
                ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            } else {
                tombstones(group_id, offsets, topic, &mut records);
                ErrorCode::NONE
            };
            topics.push(answer(topic, error));
        }
        let response = OffsetDeleteResponse { topics, ..Default::default() };
        let effects = vec![Effect::OffsetsDeleted(records.len())];
        Decision { records, effects, ..Decision::reply(ticket, Reply::OffsetDelete(response)) }
    }
}

fn answer(topic: &OffsetDeleteRequestTopic, error_code: ErrorCode) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code,
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

fn tombstones(
    group: &str,
    offsets: Option<&GroupOffsets>,
    topic: &OffsetDeleteRequestTopic,
    records: &mut Vec<GroupRecord>,
) {
    let Some(offsets) = offsets else { return };
    for partition in &topic.partitions {
        let index = partition.partition_index;
        if offsets.get(&topic.name, index).is_some() || offsets.is_pending(&topic.name, index) {
            records.push(GroupRecord::offset_tombstone(group, &topic.name, index));
        }
    }
}

/// Every partition of which the group has an offset, committed or pending.
fn partitions_of(offsets: &GroupOffsets) -> BTreeSet<(&str, i32)> {
    let all = offsets.pending.values().chain(std::iter::once(&offsets.committed));
    all.flat_map(|topics| {
        topics
            .iter()
            .flat_map(|(topic, all)| all.keys().map(|partition| (topic.as_str(), *partition)))
    })
    .collect()
}

/// Deletes all offsets of a group.
pub(crate) fn all(state: &GroupState, group: &str, records: &mut Vec<GroupRecord>) {
    let Some(offsets) = state.offsets.of(group) else { return };
    for (topic, partition) in partitions_of(offsets) {
        records.push(GroupRecord::offset_tombstone(group, topic, partition));
    }
}

/// Deletes the offsets of partitions that are gone, of all groups.
pub(crate) fn partitions(state: &GroupState, topics: &[DeletedTopic]) -> Vec<GroupRecord> {
    let mut records = Vec::new();
    for (group, offsets) in state.offsets.groups() {
        for topic in topics {
            let gone: BTreeSet<i32> = topic.partitions.iter().copied().collect();
            for index in gone {
                let name = topic.name.as_str();
                if offsets.get(name, index).is_some() || offsets.is_pending(name, index) {
                    records.push(GroupRecord::offset_tombstone(group, name, index));
                }
            }
        }
    }
    records
}
