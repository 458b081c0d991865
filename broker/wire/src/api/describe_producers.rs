//! DescribeProducers, key 61, versions 0.

use crate::{ErrorCode, Message};

/// The request of DescribeProducers.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeProducersRequest {
    pub topics: Vec<TopicRequest>,
}

/// One element of `topics` in [`DescribeProducersRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicRequest {
    pub name: String,
    pub partition_indexes: Vec<i32>,
}

/// The response of DescribeProducers.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeProducersResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<TopicResponse>,
}

/// One element of `topics` in [`DescribeProducersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicResponse {
    pub name: String,
    pub partitions: Vec<PartitionResponse>,
}

/// One element of `topics.partitions` in [`DescribeProducersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub active_producers: Vec<ProducerState>,
}

/// One element of `topics.partitions.active_producers` in [`DescribeProducersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i32,
    #[field(default = "-1")]
    pub last_sequence: i32,
    #[field(default = "-1")]
    pub last_timestamp: i64,
    pub coordinator_epoch: i32,
    #[field(default = "-1")]
    pub current_txn_start_offset: i64,
}
