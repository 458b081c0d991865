//! DeleteGroups: groups without members are deleted, with their offsets.

use std::collections::BTreeMap;

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers DeleteGroups, in the order asked.
pub fn handle(call: Call, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
    let order = request.groups_names.clone();
    let (asked, failed) = groups::by_shard(&call, request.groups_names, Request::DeleteGroups);
    Answer::later(async move {
        let mut codes: BTreeMap<String, ErrorCode> = failed.into_iter().collect();
        for (names, submitted) in asked {
            match submitted.await {
                Ok(Reply::DeleteGroups(results)) => {
                    codes.extend(results.into_iter().map(|r| (r.group_id, r.error_code)));
                }
                Ok(_) => {
                    codes.extend(names.into_iter().map(|n| (n, ErrorCode::UNKNOWN_SERVER_ERROR)))
                }
                Err(error) => codes.extend(names.into_iter().map(|n| (n, error))),
            }
        }
        let result = |group_id: String| {
            let code = codes.get(&group_id).copied();
            let error_code = code.unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            DeletableGroupResult { group_id, error_code }
        };
        let results = order.into_iter().map(result).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    })
}
