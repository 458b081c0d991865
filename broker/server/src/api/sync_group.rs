//! SyncGroup: the leader brings the assignment, the others wait for it.

use bytes::Bytes;
use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupResponse};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers SyncGroup.
pub fn handle(call: Call, mut request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
    let fail = |error_code: ErrorCode| SyncGroupResponse { error_code, ..Default::default() };
    if !groups::is_valid(&request.group_id) {
        return fail(ErrorCode::INVALID_GROUP_ID).into();
    }
    // The group keeps it; a slice would keep the whole frame.
    for assignment in &mut request.assignments {
        assignment.assignment = Bytes::copy_from_slice(&assignment.assignment);
    }
    let group = request.group_id.clone();
    let take = |reply| match reply {
        Reply::SyncGroup(response) => Some(response),
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, Request::SyncGroup(request)), take, fail)
}
