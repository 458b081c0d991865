//! OffsetFetch: how far groups have read.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::group::Stability;
use ottla_coordinator::{Reply, Request};
use ottla_engine::Submitted;
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Since this version a request names several groups.
const GROUPS_SINCE: i16 = 8;
/// Before this version errors were told at each partition.
const TOP_ERROR_SINCE: i16 = 2;

/// Answers OffsetFetch.
pub fn handle(call: Call, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
    let stability = if request.require_stable { Stability::Required } else { Stability::Any };
    let asked = match call.version {
        GROUPS_SINCE.. => request.groups,
        _ => vec![one_group(request.group_id, request.topics)],
    };
    let asked = once(asked);
    let pending: Vec<_> = asked.into_iter().map(|group| begin(&call, group, stability)).collect();
    Answer::later(async move {
        let found = groups::all(pending.into_iter().map(|p| p.finish(&call)).collect()).await;
        respond(call.version, found)
    })
}

/// Each partition of a group once, and each group that is asked for all its partitions: a few bytes
/// ask for metadata of thousands.
fn once(mut asked: Vec<OffsetFetchRequestGroup>) -> Vec<OffsetFetchRequestGroup> {
    let mut whole = BTreeSet::new();
    let mut partitions: BTreeMap<_, BTreeSet<i32>> = BTreeMap::new();
    asked.retain_mut(|group| {
        let Some(topics) = &mut group.topics else { return whole.insert(group.group_id.clone()) };
        for topic in topics {
            let key = (group.group_id.clone(), topic.name.clone(), topic.topic_id);
            let seen = partitions.entry(key).or_default();
            topic.partition_indexes.retain(|partition| seen.insert(*partition));
        }
        true
    });
    asked
}

fn one_group(
    group_id: String,
    topics: Option<Vec<OffsetFetchRequestTopic>>,
) -> OffsetFetchRequestGroup {
    let topic = |t: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: t.name,
        partition_indexes: t.partition_indexes,
        ..Default::default()
    };
    let topics = topics.map(|all| all.into_iter().map(topic).collect());
    OffsetFetchRequestGroup { group_id, topics, ..Default::default() }
}

/// One group's part, asked.
struct Pending {
    group_id: String,
    asked: Option<Vec<OffsetFetchRequestTopics>>,
    /// Topics that the broker does not know by their id.
    unknown: Vec<OffsetFetchRequestTopics>,
    submitted: Result<Submitted<ottla_coordinator::GroupMachine>, ErrorCode>,
}

fn begin(call: &Call, mut group: OffsetFetchRequestGroup, stability: Stability) -> Pending {
    let image = call.context.image();
    let mut unknown = Vec::new();
    if call.version >= groups::IDS_SINCE {
        let resolve = |mut topic: OffsetFetchRequestTopics| match image.topic(topic.topic_id) {
            Some(found) => {
                topic.name = found.name.to_string();
                Some(topic)
            }
            None => {
                unknown.push(topic);
                None
            }
        };
        group.topics = group.topics.map(|all| all.into_iter().filter_map(resolve).collect());
    }
    let group_id = group.group_id.clone();
    let asked = group.topics.clone();
    let submitted = groups::submit(call, &group_id, Request::OffsetFetch { group, stability });
    Pending { group_id, asked, unknown, submitted }
}

impl Pending {
    async fn finish(self, call: &Call) -> OffsetFetchResponseGroup {
        let outcome = match self.submitted {
            Ok(submitted) => submitted.await,
            Err(error) => Err(error),
        };
        let mut found = match outcome {
            Ok(Reply::OffsetFetch(found)) => found,
            Ok(_) => failed(self.group_id, self.asked, ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => failed(self.group_id, self.asked, error),
        };
        if call.version >= groups::IDS_SINCE {
            give_ids(&call.context.image(), &mut found);
        }
        found
            .topics
            .extend(self.unknown.into_iter().map(|t| no_offsets(t, ErrorCode::UNKNOWN_TOPIC_ID)));
        found
    }
}

/// Gives each topic its id; those that are gone meanwhile cannot be named and are left out.
fn give_ids(image: &Image, found: &mut OffsetFetchResponseGroup) {
    found.topics.retain_mut(|topic| match image.topic_id(&topic.name) {
        Some(id) => {
            topic.topic_id = id;
            true
        }
        None => false,
    });
}

fn failed(
    group_id: String,
    asked: Option<Vec<OffsetFetchRequestTopics>>,
    error_code: ErrorCode,
) -> OffsetFetchResponseGroup {
    let topics = asked.into_iter().flatten().map(|t| no_offsets(t, error_code)).collect();
    OffsetFetchResponseGroup { group_id, topics, error_code }
}

fn no_offsets(topic: OffsetFetchRequestTopics, error_code: ErrorCode) -> OffsetFetchResponseTopics {
    let row = |partition_index| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        metadata: Some(String::new()),
        error_code,
        ..Default::default()
    };
    OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.into_iter().map(row).collect(),
    }
}

/// Brings what was found into the form of a version.
fn respond(version: i16, mut found: Vec<OffsetFetchResponseGroup>) -> OffsetFetchResponse {
    if version >= GROUPS_SINCE {
        for group in found.iter_mut().filter(|g| g.error_code != ErrorCode::NONE) {
            // An error of the group is told once.
            group.topics.clear();
        }
        return OffsetFetchResponse { groups: found, ..Default::default() };
    }
    let one = found.pop().unwrap_or_default();
    let partition = |p: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: p.error_code,
    };
    let mut topics: Vec<_> = one
        .topics
        .into_iter()
        .map(|t| OffsetFetchResponseTopic {
            name: t.name,
            partitions: t.partitions.into_iter().map(partition).collect(),
        })
        .collect();
    if one.error_code != ErrorCode::NONE && version >= TOP_ERROR_SINCE {
        topics.clear();
    }
    OffsetFetchResponse { topics, error_code: one.error_code, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_again_is_answered_once() {
        let topic = |name: &str, partitions: &[i32]| OffsetFetchRequestTopics {
            name: name.to_owned(),
            partition_indexes: partitions.to_vec(),
            ..Default::default()
        };
        let group = |id: &str, topics| OffsetFetchRequestGroup {
            group_id: id.to_owned(),
            topics,
            ..Default::default()
        };
        let asked = vec![
            group("a", None),
            group("b", Some(vec![topic("t", &[0, 1, 0]), topic("t", &[1, 2]), topic("u", &[0])])),
            group("a", None),
            group("a", Some(vec![topic("t", &[0])])),
            group("b", Some(vec![topic("t", &[2, 3])])),
        ];
        let left = vec![
            group("a", None),
            group("b", Some(vec![topic("t", &[0, 1]), topic("t", &[2]), topic("u", &[0])])),
            group("a", Some(vec![topic("t", &[0])])),
            group("b", Some(vec![topic("t", &[3])])),
        ];
        assert_eq!(once(asked), left);
    }
}
