//! DeleteTopics, by name or by id.

use ottla_controller::{Command, Reply};
use ottla_wire::Uuid;
use ottla_wire::api::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers DeleteTopics.
pub fn handle(call: Call, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
    let by_name = request.topic_names.iter().map(|n| (Some(n.clone()), Uuid::ZERO));
    let named = request.topics.iter().map(|t| (t.name.clone(), t.topic_id));
    let asked: Vec<_> = by_name.chain(named).collect();
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::DeleteTopics(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::DeleteTopics(request), take, |error| {
        let row = |(name, topic_id)| DeletableTopicResult {
            name,
            topic_id,
            error_code: error.code,
            error_message: error.message.clone(),
        };
        let responses = asked.into_iter().map(row).collect();
        DeleteTopicsResponse { responses, ..Default::default() }
    })
}
