//! BeginQuorumEpoch, key 53, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of BeginQuorumEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct BeginQuorumEpochRequest {
    #[field(nullable = "0+", default = "null")]
    pub cluster_id: Option<String>,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub voter_id: i32,
    pub topics: Vec<BeginQuorumEpochRequestTopicData>,
    #[field(versions = "1+", ignorable)]
    pub leader_endpoints: Vec<LeaderEndpoint>,
}

/// One element of `topics` in [`BeginQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BeginQuorumEpochRequestTopicData {
    pub topic_name: String,
    pub partitions: Vec<BeginQuorumEpochRequestPartitionData>,
}

/// One element of `topics.partitions` in [`BeginQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BeginQuorumEpochRequestPartitionData {
    pub partition_index: i32,
    #[field(versions = "1+", ignorable)]
    pub voter_directory_id: Uuid,
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `leader_endpoints` in [`BeginQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderEndpoint {
    #[field(versions = "1+")]
    pub name: String,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}

/// The response of BeginQuorumEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct BeginQuorumEpochResponse {
    pub error_code: ErrorCode,
    pub topics: Vec<BeginQuorumEpochResponseTopicData>,
    #[field(tag = 0, tagged = "1+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `topics` in [`BeginQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BeginQuorumEpochResponseTopicData {
    pub topic_name: String,
    pub partitions: Vec<BeginQuorumEpochResponsePartitionData>,
}

/// One element of `topics.partitions` in [`BeginQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BeginQuorumEpochResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `node_endpoints` in [`BeginQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "1+")]
    pub node_id: i32,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}
