//! ListOffsets, key 2, versions 1-11.

use crate::{ErrorCode, Message};

/// The request of ListOffsets.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-11", flexible = "6+")]
pub struct ListOffsetsRequest {
    pub replica_id: i32,
    #[field(versions = "2+")]
    pub isolation_level: i8,
    pub topics: Vec<ListOffsetsTopic>,
    #[field(versions = "10+", ignorable)]
    pub timeout_ms: i32,
}

/// One element of `topics` in [`ListOffsetsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsTopic {
    pub name: String,
    pub partitions: Vec<ListOffsetsPartition>,
}

/// One element of `topics.partitions` in [`ListOffsetsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsPartition {
    pub partition_index: i32,
    #[field(versions = "4+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub timestamp: i64,
}

/// The response of ListOffsets.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-11", flexible = "6+")]
pub struct ListOffsetsResponse {
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<ListOffsetsTopicResponse>,
}

/// One element of `topics` in [`ListOffsetsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsTopicResponse {
    pub name: String,
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

/// One element of `topics.partitions` in [`ListOffsetsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsPartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(versions = "1+", default = "-1")]
    pub timestamp: i64,
    #[field(versions = "1+", default = "-1")]
    pub offset: i64,
    #[field(versions = "4+", default = "-1")]
    pub leader_epoch: i32,
}
