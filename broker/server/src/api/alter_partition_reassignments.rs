//! AlterPartitionReassignments: partitions get other replicas, or a change under way is taken back (KIP-455).

use ottla_controller::{Command, Reply};
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers AlterPartitionReassignments.
pub fn handle(
    call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> Answer<AlterPartitionReassignmentsResponse> {
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::AlterPartitionReassignments(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::AlterPartitionReassignments(request), take, |error| {
        AlterPartitionReassignmentsResponse {
            error_code: error.code,
            error_message: error.message,
            ..Default::default()
        }
    })
}
