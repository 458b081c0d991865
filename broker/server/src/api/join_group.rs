//! JoinGroup: a member joins a classic group, and is answered when all have joined.

use bytes::Bytes;
use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupResponse};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Since this version the name of the protocol may be null.
const NULL_PROTOCOL_SINCE: i16 = 7;

/// Answers JoinGroup.
pub fn handle(call: Call, mut request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
    let version = call.version;
    let member_id = request.member_id.clone();
    let fail = move |error_code: ErrorCode| JoinGroupResponse {
        error_code,
        member_id,
        protocol_name: (version < NULL_PROTOCOL_SINCE).then(String::new),
        ..Default::default()
    };
    if !groups::is_valid(&request.group_id) {
        return fail(ErrorCode::INVALID_GROUP_ID).into();
    }
    // The group keeps it; a slice would keep the whole frame.
    for protocol in &mut request.protocols {
        protocol.metadata = Bytes::copy_from_slice(&protocol.metadata);
    }
    let group = request.group_id.clone();
    let request = Request::JoinGroup { request, fresh: call.context.random() };
    let take = move |reply| match reply {
        Reply::JoinGroup(mut response) => {
            if version < NULL_PROTOCOL_SINCE {
                response.protocol_name.get_or_insert_default();
            }
            Some(response)
        }
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, request), take, fail)
}
