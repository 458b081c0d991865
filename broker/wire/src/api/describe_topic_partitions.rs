//! DescribeTopicPartitions, key 75, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of DescribeTopicPartitions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsRequest {
    pub topics: Vec<TopicRequest>,
    #[field(default = "2000")]
    pub response_partition_limit: i32,
    #[field(nullable = "0+", default = "null")]
    pub cursor: Option<DescribeTopicPartitionsRequestCursor>,
}

/// One element of `topics` in [`DescribeTopicPartitionsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicRequest {
    pub name: String,
}

/// The value of `cursor` in [`DescribeTopicPartitionsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsRequestCursor {
    pub topic_name: String,
    pub partition_index: i32,
}

/// The response of DescribeTopicPartitions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsResponse {
    #[field(ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    #[field(nullable = "0+", default = "null")]
    pub next_cursor: Option<DescribeTopicPartitionsResponseCursor>,
}

/// One element of `topics` in [`DescribeTopicPartitionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponseTopic {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub name: Option<String>,
    #[field(ignorable)]
    pub topic_id: Uuid,
    #[field(ignorable)]
    pub is_internal: bool,
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    #[field(default = "-2147483648")]
    pub topic_authorized_operations: i32,
}

/// One element of `topics.partitions` in [`DescribeTopicPartitionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponsePartition {
    pub error_code: ErrorCode,
    pub partition_index: i32,
    pub leader_id: i32,
    #[field(default = "-1", ignorable)]
    pub leader_epoch: i32,
    pub replica_nodes: Vec<i32>,
    pub isr_nodes: Vec<i32>,
    #[field(nullable = "0+", default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    #[field(nullable = "0+", default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
    #[field(ignorable)]
    pub offline_replicas: Vec<i32>,
}

/// The value of `next_cursor` in [`DescribeTopicPartitionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponseCursor {
    pub topic_name: String,
    pub partition_index: i32,
}
