//! OffsetCommit: how far a group has read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ottla_coordinator::{Reply, Request};
use ottla_metadata::Image;
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers OffsetCommit.
pub fn handle(call: Call, mut request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
    let image = call.context.image();
    // What does not exist is refused here; the coordinator knows no topics.
    let mut refused = Vec::new();
    request.topics = std::mem::take(&mut request.topics)
        .into_iter()
        .filter_map(|topic| known(&image, call.version, topic, &mut refused))
        .collect();
    if request.topics.is_empty() {
        return OffsetCommitResponse { topics: refused, ..Default::default() }.into();
    }
    let failing: Vec<_> = request.topics.clone();
    let group = request.group_id.clone();
    let submitted = groups::submit(&call, &group, Request::OffsetCommit(request));
    let refused_too = refused.clone();
    let take = move |reply| match reply {
        Reply::OffsetCommit(mut response) => {
            merge(&mut response.topics, refused);
            Some(response)
        }
        _ => None,
    };
    let fail = move |error: ErrorCode| {
        let mut topics: Vec<_> = failing.into_iter().map(|t| all_failed(t, error)).collect();
        merge(&mut topics, refused_too);
        OffsetCommitResponse { topics, ..Default::default() }
    };
    groups::answer(submitted, take, fail)
}

/// The part of a topic that exists, with its name and id; the rest goes to `refused`.
fn known(
    image: &Image,
    version: i16,
    mut topic: OffsetCommitRequestTopic,
    refused: &mut Vec<OffsetCommitResponseTopic>,
) -> Option<OffsetCommitRequestTopic> {
    let by_id = version >= groups::IDS_SINCE;
    let found = if by_id { image.topic(topic.topic_id) } else { image.topic_named(&topic.name) };
    let Some(found) = found else {
        let error =
            if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        refused.push(all_failed(topic, error));
        return None;
    };
    let (there, absent): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition(|p| found.partition(p.partition_index).is_some());
    if !absent.is_empty() {
        let gone = OffsetCommitRequestTopic { partitions: absent, ..topic.clone() };
        refused.push(all_failed(gone, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
    topic.name = found.name.to_string();
    topic.topic_id = found.id;
    topic.partitions = there;
    (!topic.partitions.is_empty()).then_some(topic)
}

fn all_failed(topic: OffsetCommitRequestTopic, error_code: ErrorCode) -> OffsetCommitResponseTopic {
    let row = |partition_index| OffsetCommitResponsePartition { partition_index, error_code };
    OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|p| row(p.partition_index)).collect(),
    }
}

/// Puts refused partitions beside the others of their topic.
fn merge(topics: &mut Vec<OffsetCommitResponseTopic>, refused: Vec<OffsetCommitResponseTopic>) {
    // Nearly every commit: it costs nothing.
    if refused.is_empty() {
        return;
    }
    // By name and id, and by name alone for those without one: a request may name very many.
    let mut places = BTreeMap::new();
    for (place, topic) in topics.iter().enumerate() {
        places.entry((topic.name.clone(), topic.topic_id)).or_insert(place);
        places.entry((topic.name.clone(), Uuid::ZERO)).or_insert(place);
    }
    for topic in refused {
        match places.entry((topic.name.clone(), topic.topic_id)) {
            Entry::Occupied(place) => {
                if let Some(there) = topics.get_mut(*place.get()) {
                    there.partitions.extend(topic.partitions);
                }
            }
            Entry::Vacant(place) => {
                place.insert(topics.len());
                topics.push(topic);
            }
        }
    }
}
