//! InitializeShareGroupState, key 83, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of InitializeShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct InitializeShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<InitializeStateData>,
}

/// One element of `topics` in [`InitializeShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct InitializeStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `topics.partitions` in [`InitializeShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub state_epoch: i32,
    pub start_offset: i64,
}

/// The response of InitializeShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct InitializeShareGroupStateResponse {
    pub results: Vec<InitializeStateResult>,
}

/// One element of `results` in [`InitializeShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct InitializeStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

/// One element of `results.partitions` in [`InitializeShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
