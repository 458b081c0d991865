//! AlterPartitionReassignments, key 45, versions 0-1.

use crate::{ErrorCode, Message};

/// The request of AlterPartitionReassignments.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct AlterPartitionReassignmentsRequest {
    #[field(default = "60000")]
    pub timeout_ms: i32,
    #[field(versions = "1+", default = "true")]
    pub allow_replication_factor_change: bool,
    pub topics: Vec<ReassignableTopic>,
}

/// One element of `topics` in [`AlterPartitionReassignmentsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignableTopic {
    pub name: String,
    pub partitions: Vec<ReassignablePartition>,
}

/// One element of `topics.partitions` in [`AlterPartitionReassignmentsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignablePartition {
    pub partition_index: i32,
    #[field(nullable = "0+", default = "null")]
    pub replicas: Option<Vec<i32>>,
}

/// The response of AlterPartitionReassignments.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct AlterPartitionReassignmentsResponse {
    pub throttle_time_ms: i32,
    #[field(versions = "1+", default = "true", ignorable)]
    pub allow_replication_factor_change: bool,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub responses: Vec<ReassignableTopicResponse>,
}

/// One element of `responses` in [`AlterPartitionReassignmentsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignableTopicResponse {
    pub name: String,
    pub partitions: Vec<ReassignablePartitionResponse>,
}

/// One element of `responses.partitions` in [`AlterPartitionReassignmentsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignablePartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
}
