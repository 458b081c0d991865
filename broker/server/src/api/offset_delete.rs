//! OffsetDelete: committed offsets of a group are forgotten.

use std::collections::BTreeMap;

use ottla_coordinator::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers OffsetDelete.
pub fn handle(call: Call, mut request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
    let image = call.context.image();
    let mut unknown = Vec::new();
    for topic in &mut request.topics {
        let found = image.topic_named(&topic.name);
        let there = |id: i32| found.is_some_and(|t| t.partition(id).is_some());
        let (known, absent): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions)
            .into_iter()
            .partition(|p| there(p.partition_index));
        topic.partitions = known;
        if !absent.is_empty() {
            unknown.push(OffsetDeleteRequestTopic { name: topic.name.clone(), partitions: absent });
        }
    }
    request.topics.retain(|t| !t.partitions.is_empty());

    let fail = |error_code: ErrorCode| OffsetDeleteResponse { error_code, ..Default::default() };
    if !groups::is_valid(&request.group_id) {
        return fail(ErrorCode::INVALID_GROUP_ID).into();
    }
    let group = request.group_id.clone();
    let take = move |reply| match reply {
        Reply::OffsetDelete(mut response) => {
            if response.error_code == ErrorCode::NONE {
                merge(&mut response.topics, unknown);
            }
            Some(response)
        }
        _ => None,
    };
    groups::answer(groups::submit(&call, &group, Request::OffsetDelete(request)), take, fail)
}

/// Adds the partitions that do not exist, beside the others of their topic.
fn merge(topics: &mut Vec<OffsetDeleteResponseTopic>, unknown: Vec<OffsetDeleteRequestTopic>) {
    let row = |partition_index| OffsetDeleteResponsePartition {
        partition_index,
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    let mut places: BTreeMap<String, usize> =
        topics.iter().enumerate().map(|(place, topic)| (topic.name.clone(), place)).collect();
    for topic in unknown {
        let rows = topic.partitions.iter().map(|p| row(p.partition_index));
        match places.get(&topic.name).and_then(|place| topics.get_mut(*place)) {
            Some(there) => there.partitions.extend(rows),
            None => {
                places.insert(topic.name.clone(), topics.len());
                let partitions = rows.collect();
                topics.push(OffsetDeleteResponseTopic { partitions, name: topic.name });
            }
        }
    }
}
