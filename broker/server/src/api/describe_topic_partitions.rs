//! DescribeTopicPartitions: topics page by page, with eligible leader replicas (KIP-966).

use ottla_config::keys;
use ottla_metadata::{Image, Topic};
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use crate::answer::Answer;
use crate::api::{operations, topics};
use crate::call::Call;

/// Answers DescribeTopicPartitions.
pub fn handle(
    call: Call,
    request: DescribeTopicPartitionsRequest,
) -> Answer<DescribeTopicPartitionsResponse> {
    let image = call.context.image();
    let (from, from_partition) = match &request.cursor {
        Some(c) if c.partition_index < 0 => {
            return Answer::Close(format!("a cursor at partition {}", c.partition_index));
        }
        Some(c) => (c.topic_name.as_str(), c.partition_index),
        None => ("", 0),
    };
    let mut names: Vec<String> = match request.topics.as_slice() {
        [] => image.topics_from(from).map(|t| t.name.to_string()).collect(),
        named => named.iter().map(|t| t.name.clone()).filter(|n| n.as_str() >= from).collect(),
    };
    names.sort_unstable();
    names.dedup();

    let most = call.context.config().get(keys::MAX_REQUEST_PARTITION_SIZE_LIMIT);
    let mut page = Page {
        image: &image,
        listener: &call.session.listener,
        left: usize::try_from(request.response_partition_limit.min(most).max(1)).unwrap_or(1),
        response: DescribeTopicPartitionsResponse::default(),
    };
    for name in names {
        let first = if name == from { from_partition } else { 0 };
        if !page.add(name, first, request.topics.is_empty()) {
            break;
        }
    }
    page.response.into()
}

/// An answer being filled up to its limit of partitions.
struct Page<'a> {
    image: &'a Image,
    listener: &'a str,
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from a partition on. Whether there is room for another.
    fn add(&mut self, name: String, first: i32, all: bool) -> bool {
        let Some(topic) = self.image.topic_named(&name) else {
            // Of all topics this one was just deleted; one that was named is told of.
            if !all {
                let error_code = if topics::is_valid(&name) {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else {
                    ErrorCode::INVALID_TOPIC_EXCEPTION
                };
                self.response.topics.push(DescribeTopicPartitionsResponseTopic {
                    error_code,
                    is_internal: topics::is_internal(&name),
                    name: Some(name),
                    ..Default::default()
                });
            }
            return true;
        };
        if self.left == 0 {
            self.stop_at(name, first);
            return false;
        }
        let partitions: Vec<_> = self.partitions(topic, first);
        self.left -= partitions.len();
        let next = first + i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            topic_id: topic.id,
            is_internal: topics::is_internal(&name),
            name: Some(name.clone()),
            partitions,
            topic_authorized_operations: operations::TOPIC,
            ..Default::default()
        });
        if topic.partition(next).is_some() {
            self.stop_at(name, next);
            return false;
        }
        true
    }

    fn stop_at(&mut self, topic_name: String, partition_index: i32) {
        self.response.next_cursor =
            Some(DescribeTopicPartitionsResponseCursor { topic_name, partition_index });
    }

    fn partitions(
        &self,
        topic: &Topic,
        first: i32,
    ) -> Vec<DescribeTopicPartitionsResponsePartition> {
        let from_first = topic.partitions.iter().skip_while(|(id, _)| *id < first);
        from_first
            .take(self.left)
            .map(|(id, partition)| {
                let served = topics::served(self.image, partition, self.listener);
                DescribeTopicPartitionsResponsePartition {
                    error_code: served.error,
                    partition_index: id,
                    leader_id: served.leader,
                    leader_epoch: partition.leader_epoch,
                    replica_nodes: partition.replicas.as_slice().to_vec(),
                    isr_nodes: partition.isr.as_slice().to_vec(),
                    eligible_leader_replicas: Some(partition.elr().as_slice().to_vec()),
                    last_known_elr: Some(partition.last_known_elr().as_slice().to_vec()),
                    offline_replicas: served.offline,
                }
            })
            .collect()
    }
}
