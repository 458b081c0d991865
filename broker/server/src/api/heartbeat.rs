//! Heartbeat: a member of a classic group is alive, and hears whether it must rejoin.

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers Heartbeat.
pub fn handle(call: Call, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
    // A group that is being read is well: its members need not do anything about it.
    let fail = |error_code: ErrorCode| HeartbeatResponse {
        error_code: match error_code {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => ErrorCode::NONE,
            other => other,
        },
        ..Default::default()
    };
    if !groups::is_valid(&request.group_id) {
        return fail(ErrorCode::INVALID_GROUP_ID).into();
    }
    let group = request.group_id.clone();
    let take = |reply| match reply {
        Reply::Heartbeat(response) => Some(response),
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, Request::Heartbeat(request)), take, fail)
}
