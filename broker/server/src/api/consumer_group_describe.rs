//! ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848).

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
};

use crate::answer::Answer;
use crate::api::{groups, operations};
use crate::call::Call;

/// Answers ConsumerGroupDescribe, in the order asked, each group once.
pub fn handle(
    call: Call,
    mut request: ConsumerGroupDescribeRequest,
) -> Answer<ConsumerGroupDescribeResponse> {
    let mut seen = BTreeSet::new();
    request.group_ids.retain(|name| seen.insert(name.clone()));
    let order = request.group_ids;
    if !groups::has_consumer_protocol(&call) {
        let refused = |name| of_error(name, ErrorCode::UNSUPPORTED_VERSION);
        let groups = order.into_iter().map(refused).collect();
        return ConsumerGroupDescribeResponse { groups, ..Default::default() }.into();
    }
    let (valid, invalid): (Vec<_>, Vec<_>) =
        order.iter().cloned().partition(|name| groups::is_valid(name));
    let (asked, failed) = groups::by_shard(&call, valid, Request::ConsumerGroupDescribe);
    let allowed = operations::asked(request.include_authorized_operations, operations::GROUP);
    Answer::later(async move {
        let mut found: BTreeMap<String, DescribedGroup> = BTreeMap::new();
        let invalid = invalid.into_iter().map(|name| (name, ErrorCode::INVALID_GROUP_ID));
        for (group, error) in failed.into_iter().chain(invalid) {
            found.insert(group.clone(), of_error(group, error));
        }
        for (names, submitted) in asked {
            let error = match submitted.await {
                Ok(Reply::ConsumerGroupDescribe(described)) => {
                    found.extend(described.into_iter().map(|d| (d.group_id.clone(), d)));
                    continue;
                }
                Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
                Err(error) => error,
            };
            found.extend(names.into_iter().map(|n| (n.clone(), of_error(n, error))));
        }
        let take = |name: String| {
            let described = found.remove(&name);
            let mut described =
                described.unwrap_or_else(|| of_error(name, ErrorCode::UNKNOWN_SERVER_ERROR));
            if described.error_code == ErrorCode::NONE {
                described.authorized_operations = allowed;
            }
            described
        };
        let groups = order.into_iter().map(take).collect();
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    })
}

fn of_error(group_id: String, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id, error_code, ..Default::default() }
}
