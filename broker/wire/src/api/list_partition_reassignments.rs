//! ListPartitionReassignments, key 46, versions 0.

use crate::{ErrorCode, Message};

/// The request of ListPartitionReassignments.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ListPartitionReassignmentsRequest {
    #[field(default = "60000")]
    pub timeout_ms: i32,
    #[field(nullable = "0+", default = "null")]
    pub topics: Option<Vec<ListPartitionReassignmentsTopics>>,
}

/// One element of `topics` in [`ListPartitionReassignmentsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListPartitionReassignmentsTopics {
    pub name: String,
    pub partition_indexes: Vec<i32>,
}

/// The response of ListPartitionReassignments.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ListPartitionReassignmentsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub topics: Vec<OngoingTopicReassignment>,
}

/// One element of `topics` in [`ListPartitionReassignmentsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OngoingTopicReassignment {
    pub name: String,
    pub partitions: Vec<OngoingPartitionReassignment>,
}

/// One element of `topics.partitions` in [`ListPartitionReassignmentsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OngoingPartitionReassignment {
    pub partition_index: i32,
    pub replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    pub removing_replicas: Vec<i32>,
}
