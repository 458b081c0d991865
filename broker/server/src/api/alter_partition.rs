//! AlterPartition: a leader says who is in sync (KIP-497).

use ottla_controller::{Command, Reply};
use ottla_wire::api::alter_partition::{AlterPartitionRequest, AlterPartitionResponse};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers AlterPartition.
pub fn handle(call: Call, request: AlterPartitionRequest) -> Answer<AlterPartitionResponse> {
    let take = |reply| match reply {
        Reply::AlterPartition(response) => Some(response),
        _ => None,
    };
    decide(call, Command::AlterPartition(request), take, |error_code| AlterPartitionResponse {
        error_code,
        ..Default::default()
    })
}
