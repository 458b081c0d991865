//! OffsetCommit: how far a group has read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ottla_coordinator::group::DeletedTopic;
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
    let after = call.context.image();
    if after.provenance() != image.provenance() {
        forget_gone(&call, &group, &failing, &after);
    }
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

/// Has the offsets of topics forgotten that went while a commit of them was on its way. Who
/// publishes has offsets of deleted topics forgotten after their end is known here; so either they
/// saw this commit, or this sees the end.
fn forget_gone(call: &Call, group: &str, topics: &[OffsetCommitRequestTopic], after: &Image) {
    let gone = gone(topics, after);
    if !gone.is_empty() {
        // Nobody waits for the reply.
        drop(groups::submit(call, group, Request::PartitionsDeleted(gone)));
    }
}

/// The topics that are not there any more. One of the same name that came since keeps what is
/// committed for it; offsets of the former are told from its own by their topic's id.
fn gone(topics: &[OffsetCommitRequestTopic], after: &Image) -> Vec<DeletedTopic> {
    let is_gone = |topic: &&OffsetCommitRequestTopic| {
        after.topic(topic.topic_id).is_none() && after.topic_named(&topic.name).is_none()
    };
    let deleted = |topic: &OffsetCommitRequestTopic| DeletedTopic {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
    };
    topics.iter().filter(is_gone).map(deleted).collect()
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

#[cfg(test)]
mod tests {
    use ottla_wire::api::offset_commit::OffsetCommitRequestPartition;
    use ottla_wire::schema::metadata::{MetadataRecord, TopicRecord};

    use super::*;

    fn committed(name: &str, topic_id: u128) -> OffsetCommitRequestTopic {
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            ..Default::default()
        };
        OffsetCommitRequestTopic {
            name: name.to_owned(),
            topic_id: Uuid::from_u128(topic_id),
            partitions: vec![partition(4), partition(5)],
        }
    }

    #[test]
    fn only_topics_that_are_not_there_any_more_are_forgotten() {
        let mut after = Image::default();
        for (name, id) in [("kept", 1), ("again", 3)] {
            let topic = TopicRecord { name: name.to_owned(), topic_id: Uuid::from_u128(id) };
            after.apply(&MetadataRecord::from(topic), 0).unwrap();
        }
        let topics = [committed("kept", 1), committed("again", 2), committed("gone", 4)];
        let partitions = vec![4, 5];
        assert_eq!(gone(&topics, &after), [DeletedTopic { name: "gone".to_owned(), partitions }]);
    }
}
