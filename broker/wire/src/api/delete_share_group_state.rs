//! DeleteShareGroupState, key 86, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of DeleteShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DeleteShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<DeleteStateData>,
}

/// One element of `topics` in [`DeleteShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `topics.partitions` in [`DeleteShareGroupStateRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
}

/// The response of DeleteShareGroupState.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DeleteShareGroupStateResponse {
    pub results: Vec<DeleteStateResult>,
}

/// One element of `results` in [`DeleteShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

/// One element of `results.partitions` in [`DeleteShareGroupStateResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
