//! OffsetCommit, key 8, versions 2-10.

use crate::{ErrorCode, Message, Uuid};

/// The request of OffsetCommit.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitRequest {
    pub group_id: String,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub generation_id_or_member_epoch: i32,
    #[field(versions = "1+", ignorable)]
    pub member_id: String,
    #[field(versions = "7+", nullable = "7+", default = "null")]
    pub group_instance_id: Option<String>,
    #[field(versions = "2-4", default = "-1", ignorable)]
    pub retention_time_ms: i64,
    pub topics: Vec<OffsetCommitRequestTopic>,
}

/// One element of `topics` in [`OffsetCommitRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitRequestTopic {
    #[field(versions = "0-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

/// One element of `topics.partitions` in [`OffsetCommitRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    #[field(versions = "6+", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[field(nullable = "0+")]
    pub committed_metadata: Option<String>,
}

/// The response of OffsetCommit.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitResponse {
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetCommitResponseTopic>,
}

/// One element of `topics` in [`OffsetCommitResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitResponseTopic {
    #[field(versions = "0-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

/// One element of `topics.partitions` in [`OffsetCommitResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}
