//! ReadShareGroupStateSummary, key 87, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of ReadShareGroupStateSummary.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ReadShareGroupStateSummaryRequest {
    pub group_id: String,
    pub topics: Vec<ReadStateSummaryData>,
}

/// One element of `topics` in [`ReadShareGroupStateSummaryRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReadStateSummaryData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `topics.partitions` in [`ReadShareGroupStateSummaryRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub leader_epoch: i32,
}

/// The response of ReadShareGroupStateSummary.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ReadShareGroupStateSummaryResponse {
    pub results: Vec<ReadStateSummaryResult>,
}

/// One element of `results` in [`ReadShareGroupStateSummaryResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReadStateSummaryResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

/// One element of `results.partitions` in [`ReadShareGroupStateSummaryResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub delivery_complete_count: i32,
}
