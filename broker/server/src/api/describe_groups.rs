//! DescribeGroups: state and members of classic groups.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};

use crate::answer::Answer;
use crate::api::{groups, operations};
use crate::call::Call;

/// Answers DescribeGroups, in the order asked, each group once: a name is short and an answer long.
pub fn handle(call: Call, mut request: DescribeGroupsRequest) -> Answer<DescribeGroupsResponse> {
    let mut seen = BTreeSet::new();
    request.groups.retain(|name| seen.insert(name.clone()));
    let order = request.groups.clone();
    let (asked, failed) = groups::by_shard(&call, request.groups, Request::DescribeGroups);
    let allowed = operations::asked(request.include_authorized_operations, operations::GROUP);
    Answer::later(async move {
        let mut found: BTreeMap<String, DescribedGroup> = BTreeMap::new();
        for (group, error) in failed {
            found.insert(group.clone(), of_error(group, error));
        }
        for (names, submitted) in asked {
            match submitted.await {
                Ok(Reply::DescribeGroups(described)) => {
                    found.extend(described.into_iter().map(|d| (d.group_id.clone(), d)));
                }
                Ok(_) => {
                    let error = ErrorCode::UNKNOWN_SERVER_ERROR;
                    found.extend(names.into_iter().map(|n| (n.clone(), of_error(n, error))));
                }
                Err(error) => {
                    found.extend(names.into_iter().map(|n| (n.clone(), of_error(n, error))));
                }
            }
        }
        let take = |name: String| {
            let described = found.get(&name).cloned();
            let mut described =
                described.unwrap_or_else(|| of_error(name, ErrorCode::UNKNOWN_SERVER_ERROR));
            if described.error_code == ErrorCode::NONE {
                described.authorized_operations = allowed;
            }
            described
        };
        let groups = order.into_iter().map(take).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    })
}

fn of_error(group_id: String, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code, ..Default::default() }
}
