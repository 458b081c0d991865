//! Vote, key 52, versions 0-2.

use crate::{ErrorCode, Message, Uuid};

/// The request of Vote.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct VoteRequest {
    #[field(nullable = "0+", default = "null")]
    pub cluster_id: Option<String>,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub voter_id: i32,
    pub topics: Vec<VoteRequestTopicData>,
}

/// One element of `topics` in [`VoteRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct VoteRequestTopicData {
    pub topic_name: String,
    pub partitions: Vec<VoteRequestPartitionData>,
}

/// One element of `topics.partitions` in [`VoteRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct VoteRequestPartitionData {
    pub partition_index: i32,
    pub replica_epoch: i32,
    pub replica_id: i32,
    #[field(versions = "1+", ignorable)]
    pub replica_directory_id: Uuid,
    #[field(versions = "1+", ignorable)]
    pub voter_directory_id: Uuid,
    pub last_offset_epoch: i32,
    pub last_offset: i64,
    #[field(versions = "2+")]
    pub pre_vote: bool,
}

/// The response of Vote.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct VoteResponse {
    pub error_code: ErrorCode,
    pub topics: Vec<VoteResponseTopicData>,
    #[field(tag = 0, tagged = "1+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `topics` in [`VoteResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct VoteResponseTopicData {
    pub topic_name: String,
    pub partitions: Vec<VoteResponsePartitionData>,
}

/// One element of `topics.partitions` in [`VoteResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct VoteResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub vote_granted: bool,
}

/// One element of `node_endpoints` in [`VoteResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "1+")]
    pub node_id: i32,
    #[field(versions = "1+")]
    pub host: String,
    #[field(versions = "1+")]
    pub port: u16,
}
