//! OffsetForLeaderEpoch, key 23, versions 2-4.

use crate::{ErrorCode, Message};

/// The request of OffsetForLeaderEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochRequest {
    #[field(versions = "3+", default = "-2", ignorable)]
    pub replica_id: i32,
    pub topics: Vec<OffsetForLeaderTopic>,
}

/// One element of `topics` in [`OffsetForLeaderEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetForLeaderTopic {
    pub topic: String,
    pub partitions: Vec<OffsetForLeaderPartition>,
}

/// One element of `topics.partitions` in [`OffsetForLeaderEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetForLeaderPartition {
    pub partition: i32,
    #[field(versions = "2+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub leader_epoch: i32,
}

/// The response of OffsetForLeaderEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochResponse {
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetForLeaderTopicResult>,
}

/// One element of `topics` in [`OffsetForLeaderEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetForLeaderTopicResult {
    pub topic: String,
    pub partitions: Vec<EpochEndOffset>,
}

/// One element of `topics.partitions` in [`OffsetForLeaderEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EpochEndOffset {
    pub error_code: ErrorCode,
    pub partition: i32,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub leader_epoch: i32,
    #[field(default = "-1")]
    pub end_offset: i64,
}
