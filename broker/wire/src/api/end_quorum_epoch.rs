//! EndQuorumEpoch, key 54, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of EndQuorumEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct EndQuorumEpochRequest {
    #[field(nullable = "0+", default = "null")]
    pub cluster_id: Option<String>,
    pub topics: Vec<EndQuorumEpochRequestTopicData>,
    #[field(versions = "1+", ignorable)]
    pub leader_endpoints: Vec<LeaderEndpoint>,
}

/// One element of `topics` in [`EndQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndQuorumEpochRequestTopicData {
    pub topic_name: String,
    pub partitions: Vec<EndQuorumEpochRequestPartitionData>,
}

/// One element of `topics.partitions` in [`EndQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndQuorumEpochRequestPartitionData {
    pub partition_index: i32,
    pub leader_id: i32,
    pub leader_epoch: i32,
    #[field(versions = "0", ignorable)]
    pub preferred_successors: Vec<i32>,
    #[field(versions = "1+", ignorable)]
    pub preferred_candidates: Vec<ReplicaInfo>,
}

/// One element of `topics.partitions.preferred_candidates` in [`EndQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplicaInfo {
    #[field(versions = "1+")]
    pub candidate_id: i32,
    #[field(versions = "1+")]
    pub candidate_directory_id: Uuid,
}

/// One element of `leader_endpoints` in [`EndQuorumEpochRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderEndpoint {
    #[field(versions = "1+")]
    pub name: String,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}

/// The response of EndQuorumEpoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct EndQuorumEpochResponse {
    pub error_code: ErrorCode,
    pub topics: Vec<EndQuorumEpochResponseTopicData>,
    #[field(tag = 0, tagged = "1+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `topics` in [`EndQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndQuorumEpochResponseTopicData {
    pub topic_name: String,
    pub partitions: Vec<EndQuorumEpochResponsePartitionData>,
}

/// One element of `topics.partitions` in [`EndQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndQuorumEpochResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `node_endpoints` in [`EndQuorumEpochResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "1+")]
    pub node_id: i32,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}
