//! DeleteTopics.

use super::create::repeated;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::settings::DeleteTopics;
use crate::waits::Waits;
use ottla_wire::api::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_wire::schema::metadata::RemoveTopicRecord;
use ottla_wire::{ErrorCode, Uuid};
use std::collections::BTreeSet;

/// Deletes topics named by name (in either list of the request) or by id. A topic given twice is not deleted.
pub(crate) fn delete_topics(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .iter()
        .map(|name| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO });
    let wanted: Vec<DeleteTopicState> = request.topics.iter().cloned().chain(by_name).collect();
    let names: BTreeSet<String> = repeated(wanted.iter().filter_map(|t| t.name.as_deref()))
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut seen = BTreeSet::new();
    let ids = wanted.iter().map(|t| t.topic_id).filter(|id| !id.is_zero());
    let ids: BTreeSet<Uuid> = ids.filter(|id| !seen.insert(*id)).collect();
    let mut told = BTreeSet::new();
    let mut deleted = BTreeSet::new();
    let mut responses = Vec::with_capacity(wanted.len());
    for topic in wanted {
        let doubled = topic.name.as_deref().is_some_and(|n| names.contains(n))
            || ids.contains(&topic.topic_id);
        if doubled && !told.insert((topic.name.clone(), topic.topic_id)) {
            continue;
        }
        responses.push(delete_topic(draft, waits, topic, doubled, &mut deleted));
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

fn delete_topic(
    draft: &mut Draft<'_>,
    waits: &Waits,
    topic: DeleteTopicState,
    doubled: bool,
    deleted: &mut BTreeSet<Uuid>,
) -> DeletableTopicResult {
    let found = find(draft, waits, &topic, doubled).and_then(|(id, name)| {
        if !deleted.insert(id) {
            let text = "The provided topic name maps to an ID that was already supplied.";
            return Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
        }
        draft.push(RemoveTopicRecord { topic_id: id });
        Ok((id, name))
    });
    match found {
        Ok((topic_id, name)) => {
            DeletableTopicResult { name: Some(name), topic_id, ..Default::default() }
        }
        Err(error) => DeletableTopicResult {
            name: topic.name,
            topic_id: topic.topic_id,
            error_code: error.code,
            error_message: error.message,
        },
    }
}

fn find(
    draft: &Draft<'_>,
    waits: &Waits,
    topic: &DeleteTopicState,
    doubled: bool,
) -> Result<(Uuid, String), ApiError> {
    let request = |text: &str| Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
    let before = draft.state().image();
    let by_id = !topic.topic_id.is_zero();
    match &topic.name {
        _ if waits.settings().delete_topics == DeleteTopics::Refused => {
            Err(ApiError::bare(ErrorCode::TOPIC_DELETION_DISABLED))
        }
        Some(_) if by_id => request("You may not specify both topic name and topic id."),
        None if !by_id => request("Neither topic name nor id were specified."),
        Some(_) if doubled => request("Duplicate topic name."),
        None if doubled => request("Duplicate topic id."),
        Some(name) => match before.topic_id(name) {
            Some(id) => Ok((id, name.clone())),
            None => Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        },
        None => match before.topic(topic.topic_id) {
            Some(found) => Ok((found.id, found.name.to_string())),
            None => Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_ID)),
        },
    }
}
