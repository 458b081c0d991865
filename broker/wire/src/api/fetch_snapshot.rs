//! FetchSnapshot, key 59, versions 0-1.

use crate::{ErrorCode, Message, Records, Uuid};

/// The request of FetchSnapshot.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct FetchSnapshotRequest {
    #[field(tag = 0, tagged = "0+", nullable = "0+", default = "null")]
    pub cluster_id: Option<String>,
    #[field(default = "-1")]
    pub replica_id: i32,
    #[field(default = "0x7fffffff")]
    pub max_bytes: i32,
    pub topics: Vec<FetchSnapshotRequestTopicSnapshot>,
}

/// One element of `topics` in [`FetchSnapshotRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotRequestTopicSnapshot {
    pub name: String,
    pub partitions: Vec<FetchSnapshotRequestPartitionSnapshot>,
}

/// One element of `topics.partitions` in [`FetchSnapshotRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotRequestPartitionSnapshot {
    pub partition: i32,
    pub current_leader_epoch: i32,
    pub snapshot_id: FetchSnapshotRequestSnapshotId,
    pub position: i64,
    #[field(tag = 0, tagged = "1+", ignorable)]
    pub replica_directory_id: Uuid,
}

/// The value of `topics.partitions.snapshot_id` in [`FetchSnapshotRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotRequestSnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

/// The response of FetchSnapshot.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct FetchSnapshotResponse {
    #[field(ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub topics: Vec<FetchSnapshotResponseTopicSnapshot>,
    #[field(tag = 0, tagged = "1+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `topics` in [`FetchSnapshotResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotResponseTopicSnapshot {
    pub name: String,
    pub partitions: Vec<FetchSnapshotResponsePartitionSnapshot>,
}

/// One element of `topics.partitions` in [`FetchSnapshotResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotResponsePartitionSnapshot {
    pub index: i32,
    pub error_code: ErrorCode,
    pub snapshot_id: FetchSnapshotResponseSnapshotId,
    #[field(tag = 0, tagged = "0+")]
    pub current_leader: LeaderIdAndEpoch,
    pub size: i64,
    pub position: i64,
    pub unaligned_records: Records,
}

/// The value of `topics.partitions.snapshot_id` in [`FetchSnapshotResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchSnapshotResponseSnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

/// The value of `topics.partitions.current_leader` in [`FetchSnapshotResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `node_endpoints` in [`FetchSnapshotResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "1+")]
    pub node_id: i32,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}
