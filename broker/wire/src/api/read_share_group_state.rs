//! ReadShareGroupState, key 84, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of ReadShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ReadShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<ReadStateData>,
}

/// One element of `topics` in [`ReadShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReadStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `topics.partitions` in [`ReadShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub leader_epoch: i32,
}

/// The response of ReadShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ReadShareGroupStateResponse {
    pub results: Vec<ReadStateResult>,
}

/// One element of `results` in [`ReadShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReadStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

/// One element of `results.partitions` in [`ReadShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub state_epoch: i32,
    pub start_offset: i64,
    pub state_batches: Vec<StateBatch>,
}

/// One element of `results.partitions.state_batches` in [`ReadShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_state: i8,
    pub delivery_count: i16,
}
