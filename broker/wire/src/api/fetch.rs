//! Fetch, key 1, versions 4-18.

use crate::{ErrorCode, Message, Records, Uuid};

/// The request of Fetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "4-18", flexible = "12+")]
pub struct FetchRequest {
    #[field(tag = 0, tagged = "12+", nullable = "12+", default = "null", ignorable)]
    pub cluster_id: Option<String>,
    #[field(versions = "0-14", default = "-1")]
    pub replica_id: i32,
    #[field(tag = 1, tagged = "15+")]
    pub replica_state: ReplicaState,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    #[field(versions = "3+", default = "0x7fffffff", ignorable)]
    pub max_bytes: i32,
    #[field(versions = "4+", ignorable)]
    pub isolation_level: i8,
    #[field(versions = "7+", ignorable)]
    pub session_id: i32,
    #[field(versions = "7+", default = "-1", ignorable)]
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    #[field(versions = "7+")]
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    #[field(versions = "11+", ignorable)]
    pub rack_id: String,
}

/// The value of `replica_state` in [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplicaState {
    #[field(versions = "15+", default = "-1")]
    pub replica_id: i32,
    #[field(versions = "15+", default = "-1")]
    pub replica_epoch: i64,
}

/// One element of `topics` in [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchTopic {
    #[field(versions = "0-12", ignorable)]
    pub topic: String,
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartition>,
}

/// One element of `topics.partitions` in [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchPartition {
    pub partition: i32,
    #[field(versions = "9+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    #[field(versions = "12+", default = "-1")]
    pub last_fetched_epoch: i32,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    pub partition_max_bytes: i32,
    #[field(tag = 0, tagged = "17+", ignorable)]
    pub replica_directory_id: Uuid,
    #[field(tag = 1, tagged = "18+", default = "9223372036854775807", ignorable)]
    pub high_watermark: i64,
}

/// One element of `forgotten_topics_data` in [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ForgottenTopic {
    #[field(versions = "7-12", ignorable)]
    pub topic: String,
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    #[field(versions = "7+")]
    pub partitions: Vec<i32>,
}

/// The response of Fetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "4-18", flexible = "12+")]
pub struct FetchResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[field(versions = "7+", ignorable)]
    pub error_code: ErrorCode,
    #[field(versions = "7+")]
    pub session_id: i32,
    pub responses: Vec<FetchableTopicResponse>,
    #[field(tag = 0, tagged = "16+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `responses` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchableTopicResponse {
    #[field(versions = "0-12", ignorable)]
    pub topic: String,
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `responses.partitions` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub high_watermark: i64,
    #[field(versions = "4+", default = "-1", ignorable)]
    pub last_stable_offset: i64,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    #[field(tag = 0, tagged = "12+")]
    pub diverging_epoch: EpochEndOffset,
    #[field(tag = 1, tagged = "12+")]
    pub current_leader: LeaderIdAndEpoch,
    #[field(tag = 2, tagged = "12+")]
    pub snapshot_id: SnapshotId,
    #[field(versions = "4+", nullable = "4+", ignorable)]
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    #[field(versions = "11+", default = "-1")]
    pub preferred_read_replica: i32,
    #[field(nullable = "0+")]
    pub records: Option<Records>,
}

/// The value of `responses.partitions.diverging_epoch` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EpochEndOffset {
    #[field(versions = "12+", default = "-1")]
    pub epoch: i32,
    #[field(versions = "12+", default = "-1")]
    pub end_offset: i64,
}

/// The value of `responses.partitions.current_leader` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    #[field(versions = "12+", default = "-1")]
    pub leader_id: i32,
    #[field(versions = "12+", default = "-1")]
    pub leader_epoch: i32,
}

/// The value of `responses.partitions.snapshot_id` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct SnapshotId {
    #[field(default = "-1")]
    pub end_offset: i64,
    #[field(default = "-1")]
    pub epoch: i32,
}

/// One element of `responses.partitions.aborted_transactions` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AbortedTransaction {
    #[field(versions = "4+")]
    pub producer_id: i64,
    #[field(versions = "4+")]
    pub first_offset: i64,
}

/// One element of `node_endpoints` in [`FetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "16+")]
    pub node_id: i32,
    #[field(versions = "16+")]
    pub host: String,
    #[field(versions = "16+")]
    pub port: i32,
    #[field(versions = "16+", nullable = "16+", default = "null")]
    pub rack: Option<String>,
}
