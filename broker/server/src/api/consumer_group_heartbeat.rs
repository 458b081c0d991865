//! ConsumerGroupHeartbeat: a member of a consumer group joins, beats or leaves (KIP-848).

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers ConsumerGroupHeartbeat.
pub fn handle(
    call: Call,
    request: ConsumerGroupHeartbeatRequest,
) -> Answer<ConsumerGroupHeartbeatResponse> {
    let fail = |error_code| ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
    if !groups::has_consumer_protocol(&call) {
        return fail(ErrorCode::UNSUPPORTED_VERSION).into();
    }
    if !groups::is_valid(&request.group_id) {
        return ConsumerGroupHeartbeatResponse {
            error_message: Some("GroupId can't be empty.".to_owned()),
            ..fail(ErrorCode::INVALID_REQUEST)
        }
        .into();
    }
    let group = request.group_id.clone();
    let request = Request::ConsumerGroupHeartbeat { request, fresh: call.context.random() };
    let take = |reply| match reply {
        Reply::ConsumerGroupHeartbeat(response) => Some(response),
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, request), take, fail)
}
