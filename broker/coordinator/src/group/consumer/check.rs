//! What a heartbeat must be.

use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatRequestTopicPartitions,
};

use super::desk::Refused;
use super::member::{LEAVE, LEAVE_FOR_A_WHILE, Member};
use super::reconcile::Owned;
use crate::group::settings::{Assignor, ConsumerSettings};

/// Refuses a request that makes no sense.
pub(crate) fn check_request(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    own_id_since: i16,
    settings: &ConsumerSettings,
) -> Result<(), Refused> {
    let invalid = |message: &str| Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    let is_empty = |text: &Option<String>| text.as_deref().is_some_and(|t| t.trim().is_empty());
    let epoch = request.member_epoch;
    if (version >= own_id_since || epoch > 0 || epoch == LEAVE)
        && request.member_id.trim().is_empty()
    {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if is_empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                 (re-)joining.",
            );
        }
    } else if epoch == LEAVE_FOR_A_WHILE {
        if request.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        }
    } else if epoch < LEAVE_FOR_A_WHILE {
        return invalid("MemberEpoch is invalid.");
    }
    check_assignor(request.server_assignor.as_deref(), settings)
}

fn check_assignor(asked: Option<&str>, settings: &ConsumerSettings) -> Result<(), Refused> {
    let Some(asked) = asked else { return Ok(()) };
    let names: Vec<&str> = settings.assignors.iter().copied().map(Assignor::name).collect();
    if names.contains(&asked) {
        return Ok(());
    }
    let message = format!(
        "ServerAssignor {asked} is not supported. Supported assignors: {}.",
        names.join(", ")
    );
    Err(Refused::new(ErrorCode::UNSUPPORTED_ASSIGNOR, message))
}

/// Whether a member is in the epoch it says. One that did not hear of its last step may be in the
/// epoch before, if it has nothing that it shall not have.
pub(crate) fn check_epoch(member: &Member, epoch: i32, owned: Owned<'_>) -> Result<(), Refused> {
    let fenced = |than: &str| {
        Err(Refused::new(
            ErrorCode::FENCED_MEMBER_EPOCH,
            format!(
                "The consumer group member has a {than} member epoch ({epoch}) than the one known \
                 by the group coordinator ({}). The member must abandon all its partitions and \
                 rejoin.",
                member.epoch
            ),
        ))
    };
    if epoch == 0 || epoch == member.epoch {
        return Ok(());
    }
    if epoch > member.epoch {
        return fenced("greater");
    }
    if epoch == member.previous_epoch && owned.is_some_and(|owned| is_subset(owned, member)) {
        return Ok(());
    }
    fenced("smaller")
}

fn is_subset(owned: &[ConsumerGroupHeartbeatRequestTopicPartitions], member: &Member) -> bool {
    owned.iter().all(|topic| {
        let assigned = member.assigned.get(&topic.topic_id);
        topic.partitions.iter().all(|p| assigned.is_some_and(|all| all.contains_key(p)))
    })
}
