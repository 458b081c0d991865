//! ElectLeaders, key 43, versions 0-2.

use crate::{ErrorCode, Message};

/// The request of ElectLeaders.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct ElectLeadersRequest {
    #[field(versions = "1+")]
    pub election_type: i8,
    #[field(nullable = "0+")]
    pub topic_partitions: Option<Vec<TopicPartitions>>,
    #[field(default = "60000")]
    pub timeout_ms: i32,
}

/// One element of `topic_partitions` in [`ElectLeadersRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic: String,
    pub partitions: Vec<i32>,
}

/// The response of ElectLeaders.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct ElectLeadersResponse {
    pub throttle_time_ms: i32,
    #[field(versions = "1+")]
    pub error_code: ErrorCode,
    pub replica_election_results: Vec<ReplicaElectionResult>,
}

/// One element of `replica_election_results` in [`ElectLeadersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplicaElectionResult {
    pub topic: String,
    pub partition_result: Vec<PartitionResult>,
}

/// One element of `replica_election_results.partition_result` in [`ElectLeadersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionResult {
    pub partition_id: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
}
