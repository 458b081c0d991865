//! AlterPartition: a leader says who is in sync.

use super::change::{Change, Election};
use super::leaders::LeaderRules;
use crate::brokers::check_epoch;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_metadata::{Image, NO_LEADER_CHANGE, Partition, Recovery, Topic};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition::{
    AlterPartitionRequest, AlterPartitionRequestPartitionData, AlterPartitionResponse,
    AlterPartitionResponsePartitionData, AlterPartitionResponseTopicData, BrokerState,
};
use ottla_wire::schema::metadata::PartitionChangeRecord;

/// Takes what a leader says of its followers, each partition on its own.
pub(crate) fn alter_partition(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &AlterPartitionRequest,
) -> Result<AlterPartitionResponse, ApiError> {
    check_epoch(draft.image(), request.broker_id, request.broker_epoch)?;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|data| {
            let found = draft.image().topic(topic.topic_id).cloned();
            let done = match found {
                Some(found) => alter(draft, waits, request.broker_id, &found, data),
                None => Err(ErrorCode::UNKNOWN_TOPIC_ID),
            };
            done.unwrap_or_else(|error_code| AlterPartitionResponsePartitionData {
                partition_index: data.partition_index,
                error_code,
                ..AlterPartitionResponsePartitionData::default()
            })
        });
        let partitions = partitions.collect();
        AlterPartitionResponseTopicData { topic_id: topic.topic_id, partitions }
    });
    Ok(AlterPartitionResponse { topics: topics.collect(), ..AlterPartitionResponse::default() })
}

fn alter(
    draft: &mut Draft<'_>,
    waits: &Waits,
    leader: i32,
    topic: &Topic,
    data: &AlterPartitionRequestPartitionData,
) -> Result<AlterPartitionResponsePartitionData, ErrorCode> {
    let id = data.partition_index;
    let p = topic.partition(id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    // Older versions of the request name the brokers without their epochs.
    let states = if data.new_isr_with_epochs.is_empty() {
        let plain = data.new_isr.iter();
        plain.map(|id| BrokerState { broker_id: *id, broker_epoch: -1 }).collect()
    } else {
        data.new_isr_with_epochs.clone()
    };
    let isr: Vec<i32> = states.iter().map(|s| s.broker_id).collect();
    let recovery = check(leader, p, data, &states)?;
    if !states.iter().all(|s| is_eligible(draft.image(), s)) {
        // The leader hears that nothing changed, and counts without the one that it wanted. Should it have asked
        // twice, for an answer that was lost, the other request may still be under way, and come when the broker
        // is eligible again: the new partition epoch refuses it.
        let (topic_id, partition_id) = (topic.id, id);
        let same = PartitionChangeRecord { topic_id, partition_id, ..Default::default() };
        draft.push(same);
        return Err(ErrorCode::INELIGIBLE_REPLICA);
    }
    let image = draft.image().clone();
    let rules = LeaderRules::new(&image, waits.settings(), topic);
    let acceptable = |broker| rules.accepts(p, broker);
    let mut change = Change::new(p, topic.id, id, &acceptable, rules.of(p));
    if rules.unclean() {
        change = change.election(Election::Unclean);
    }
    let record = rules.build(change.isr(isr).recovery(recovery));
    let mut other_leader = false;
    if let Some(record) = record {
        other_leader = record.leader != leader && record.leader != NO_LEADER_CHANGE;
        draft.push(record);
    }
    if other_leader {
        // The change ended a reassignment, and the one who asked no longer leads.
        return Err(ErrorCode::NEW_LEADER_ELECTED);
    }
    let p = draft.image().partition(topic.id, id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok(AlterPartitionResponsePartitionData {
        partition_index: id,
        error_code: ErrorCode::NONE,
        leader_id: p.leader,
        leader_epoch: p.leader_epoch,
        isr: p.isr.to_vec(),
        leader_recovery_state: p.recovery.code(),
        partition_epoch: p.partition_epoch,
    })
}

fn check(
    leader: i32,
    p: &Partition,
    data: &AlterPartitionRequestPartitionData,
    states: &[BrokerState],
) -> Result<Recovery, ErrorCode> {
    // A leader that knows of a later epoch than this controller has heard of a later controller.
    if data.leader_epoch > p.leader_epoch || data.partition_epoch > p.partition_epoch {
        return Err(ErrorCode::NOT_CONTROLLER);
    }
    if data.leader_epoch < p.leader_epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if leader != p.leader {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if data.partition_epoch < p.partition_epoch {
        return Err(ErrorCode::INVALID_UPDATE_VERSION);
    }
    let held = |s: &BrokerState| p.replicas.contains(&s.broker_id);
    let mut ids: Vec<i32> = states.iter().map(|s| s.broker_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() != states.len() || !states.iter().all(held) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if !ids.contains(&leader) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let recovery =
        Recovery::from_code(data.leader_recovery_state).ok_or(ErrorCode::INVALID_REQUEST)?;
    if recovery == Recovery::Recovering && ids.len() > 1 {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if p.recovery == Recovery::Recovered && recovery == Recovery::Recovering {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(recovery)
}

/// Whether a broker may be in sync: in service, and the process that the leader means.
fn is_eligible(image: &Image, state: &BrokerState) -> bool {
    image.broker(state.broker_id).is_some_and(|broker| {
        let same = state.broker_epoch == -1 || state.broker_epoch == broker.epoch;
        broker.is_active() && same
    })
}
