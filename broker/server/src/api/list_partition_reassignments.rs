//! ListPartitionReassignments: the changes of replicas that are under way (KIP-455).

use ottla_controller::{Command, Reply};
use ottla_wire::api::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers ListPartitionReassignments.
pub fn handle(
    call: Call,
    request: ListPartitionReassignmentsRequest,
) -> Answer<ListPartitionReassignmentsResponse> {
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::ListPartitionReassignments(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::ListPartitionReassignments(request), take, |error| {
        ListPartitionReassignmentsResponse {
            error_code: error.code,
            error_message: error.message,
            ..Default::default()
        }
    })
}
