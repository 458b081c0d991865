//! CreateTopics.

use ottla_controller::{Command, Reply};
use ottla_wire::api::create_topics::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers CreateTopics.
pub fn handle(call: Call, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
    let names: Vec<_> = request.topics.iter().map(|t| t.name.clone()).collect();
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::CreateTopics(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::CreateTopics(request), take, |error| {
        let row = |name| CreatableTopicResult {
            name,
            error_code: error.code,
            error_message: error.message.clone(),
            ..Default::default()
        };
        let topics = names.into_iter().map(row).collect();
        CreateTopicsResponse { topics, ..Default::default() }
    })
}
