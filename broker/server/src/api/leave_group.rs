//! LeaveGroup: members leave a classic group.

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::leave_group::{LeaveGroupRequest, LeaveGroupResponse};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers LeaveGroup.
pub fn handle(call: Call, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
    let fail = |error_code: ErrorCode| LeaveGroupResponse { error_code, ..Default::default() };
    if !groups::is_valid(&request.group_id) {
        return fail(ErrorCode::INVALID_GROUP_ID).into();
    }
    let group = request.group_id.clone();
    let take = |reply| match reply {
        Reply::LeaveGroup(response) => Some(response),
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, Request::LeaveGroup(request)), take, fail)
}
