//! WriteShareGroupState, key 85, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of WriteShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct WriteShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<WriteStateData>,
}

/// One element of `topics` in [`WriteShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WriteStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `topics.partitions` in [`WriteShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub delivery_complete_count: i32,
    pub state_batches: Vec<StateBatch>,
}

/// One element of `topics.partitions.state_batches` in [`WriteShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_state: i8,
    pub delivery_count: i16,
}

/// The response of WriteShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct WriteShareGroupStateResponse {
    pub results: Vec<WriteStateResult>,
}

/// One element of `results` in [`WriteShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WriteStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

/// One element of `results.partitions` in [`WriteShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
