//! CreatePartitions.

use ottla_controller::{Command, Reply};
use ottla_wire::api::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers CreatePartitions.
pub fn handle(call: Call, request: CreatePartitionsRequest) -> Answer<CreatePartitionsResponse> {
    let names: Vec<_> = request.topics.iter().map(|t| t.name.clone()).collect();
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::CreatePartitions(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::CreatePartitions(request), take, |error| {
        let row = |name| CreatePartitionsTopicResult {
            name,
            error_code: error.code,
            error_message: error.message.clone(),
        };
        let results = names.into_iter().map(row).collect();
        CreatePartitionsResponse { results, ..Default::default() }
    })
}
