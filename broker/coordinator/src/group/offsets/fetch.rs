//! OffsetFetch.

use std::collections::BTreeMap;

use ottla_wire::api::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_wire::{ErrorCode, Uuid};

use super::{Committed, GroupOffsets};
use crate::group::command::Stability;
use crate::group::state::GroupState;
use crate::group::view::View;
use crate::group::waits::GroupWaits;

impl GroupWaits {
    /// The offsets of a group that the request names, or all. A group that is not there has none.
    pub(in crate::group) fn fetch(
        &self,
        state: &GroupState,
        request: OffsetFetchRequestGroup,
        stability: Stability,
    ) -> OffsetFetchResponseGroup {
        let view = View::of(state, &self.live, &request.group_id);
        let member = request.member_id.as_deref();
        match view.map_or(Ok(()), |view| view.check_fetch(member, request.member_epoch)) {
            Ok(()) => fetch(state, request, stability),
            Err(error_code) => OffsetFetchResponseGroup {
                group_id: request.group_id,
                error_code,
                ..Default::default()
            },
        }
    }
}

fn fetch(
    state: &GroupState,
    request: OffsetFetchRequestGroup,
    stability: Stability,
) -> OffsetFetchResponseGroup {
    // Offsets of a group can be there only together with the group.
    let known = state.groups.contains_key(request.group_id.as_str());
    let offsets = state.offsets.of(&request.group_id).filter(|_| known);
    let topics = match request.topics {
        Some(topics) => {
            topics.into_iter().map(|topic| fetch_topic(offsets, topic, stability)).collect()
        }
        None => offsets.map(|offsets| fetch_all(offsets, stability)).unwrap_or_default(),
    };
    OffsetFetchResponseGroup { group_id: request.group_id, topics, error_code: ErrorCode::NONE }
}

fn fetch_topic(
    offsets: Option<&GroupOffsets>,
    topic: OffsetFetchRequestTopics,
    stability: Stability,
) -> OffsetFetchResponseTopics {
    let partition = |index: i32| {
        let unstable = stability == Stability::Required
            && offsets.is_some_and(|offsets| offsets.is_pending(&topic.name, index));
        let known = offsets
            .and_then(|offsets| offsets.get(&topic.name, index))
            .filter(|known| same_topic(known.topic_id, topic.topic_id));
        answer(index, known, unstable)
    };
    let partitions = topic.partition_indexes.iter().copied().map(partition).collect();
    OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
}

fn fetch_all(offsets: &GroupOffsets, stability: Stability) -> Vec<OffsetFetchResponseTopics> {
    let topic = |(name, partitions): (&String, &BTreeMap<i32, Committed>)| {
        let partition = |(index, known): (&i32, &Committed)| {
            let unstable = stability == Stability::Required && offsets.is_pending(name, *index);
            answer(*index, Some(known), unstable)
        };
        OffsetFetchResponseTopics {
            name: name.clone(),
            topic_id: Uuid::ZERO,
            partitions: partitions.iter().map(partition).collect(),
        }
    };
    offsets.committed.iter().map(topic).collect()
}

/// Whether an offset committed for one topic id holds for the other; where either is unknown,
/// the name decides.
fn same_topic(committed: Uuid, asked: Uuid) -> bool {
    committed == asked || committed == Uuid::ZERO || asked == Uuid::ZERO
}

fn answer(index: i32, known: Option<&Committed>, unstable: bool) -> OffsetFetchResponsePartitions {
    let none = OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::NONE,
    };
    match known {
        _ if unstable => {
            OffsetFetchResponsePartitions { error_code: ErrorCode::UNSTABLE_OFFSET_COMMIT, ..none }
        }
        None => none,
        Some(known) => OffsetFetchResponsePartitions {
            committed_offset: known.offset,
            committed_leader_epoch: known.leader_epoch,
            metadata: Some(known.metadata.clone()),
            ..none
        },
    }
}
