//! OffsetFetch, key 9, versions 1-10.

use crate::{ErrorCode, Message, Uuid};

/// The request of OffsetFetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-10", flexible = "6+")]
pub struct OffsetFetchRequest {
    #[field(versions = "0-7")]
    pub group_id: String,
    #[field(versions = "0-7", nullable = "2-7")]
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    #[field(versions = "8+")]
    pub groups: Vec<OffsetFetchRequestGroup>,
    #[field(versions = "7+")]
    pub require_stable: bool,
}

/// One element of `topics` in [`OffsetFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestTopic {
    #[field(versions = "0-7")]
    pub name: String,
    #[field(versions = "0-7")]
    pub partition_indexes: Vec<i32>,
}

/// One element of `groups` in [`OffsetFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestGroup {
    #[field(versions = "8+")]
    pub group_id: String,
    #[field(versions = "9+", nullable = "9+", default = "null", ignorable)]
    pub member_id: Option<String>,
    #[field(versions = "9+", default = "-1", ignorable)]
    pub member_epoch: i32,
    #[field(versions = "8+", nullable = "8+")]
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

/// One element of `groups.topics` in [`OffsetFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestTopics {
    #[field(versions = "8-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[field(versions = "8+")]
    pub partition_indexes: Vec<i32>,
}

/// The response of OffsetFetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-10", flexible = "6+")]
pub struct OffsetFetchResponse {
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    #[field(versions = "0-7")]
    pub topics: Vec<OffsetFetchResponseTopic>,
    #[field(versions = "2-7", ignorable)]
    pub error_code: ErrorCode,
    #[field(versions = "8+")]
    pub groups: Vec<OffsetFetchResponseGroup>,
}

/// One element of `topics` in [`OffsetFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseTopic {
    #[field(versions = "0-7")]
    pub name: String,
    #[field(versions = "0-7")]
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

/// One element of `topics.partitions` in [`OffsetFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponsePartition {
    #[field(versions = "0-7")]
    pub partition_index: i32,
    #[field(versions = "0-7")]
    pub committed_offset: i64,
    #[field(versions = "5-7", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[field(versions = "0-7", nullable = "0-7")]
    pub metadata: Option<String>,
    #[field(versions = "0-7")]
    pub error_code: ErrorCode,
}

/// One element of `groups` in [`OffsetFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseGroup {
    #[field(versions = "8+")]
    pub group_id: String,
    #[field(versions = "8+")]
    pub topics: Vec<OffsetFetchResponseTopics>,
    #[field(versions = "8+")]
    pub error_code: ErrorCode,
}

/// One element of `groups.topics` in [`OffsetFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseTopics {
    #[field(versions = "8-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[field(versions = "8+")]
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

/// One element of `groups.topics.partitions` in [`OffsetFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponsePartitions {
    #[field(versions = "8+")]
    pub partition_index: i32,
    #[field(versions = "8+")]
    pub committed_offset: i64,
    #[field(versions = "8+", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[field(versions = "8+", nullable = "8+")]
    pub metadata: Option<String>,
    #[field(versions = "8+")]
    pub error_code: ErrorCode,
}
