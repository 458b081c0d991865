//! DescribeQuorum, key 55, versions 0-2.

use crate::{ErrorCode, Message, Uuid};

/// The request of DescribeQuorum.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumRequest {
    pub topics: Vec<DescribeQuorumRequestTopicData>,
}

/// One element of `topics` in [`DescribeQuorumRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumRequestTopicData {
    pub topic_name: String,
    pub partitions: Vec<DescribeQuorumRequestPartitionData>,
}

/// One element of `topics.partitions` in [`DescribeQuorumRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumRequestPartitionData {
    pub partition_index: i32,
}

/// The response of DescribeQuorum.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumResponse {
    pub error_code: ErrorCode,
    #[field(versions = "2+", nullable = "2+", ignorable)]
    pub error_message: Option<String>,
    pub topics: Vec<DescribeQuorumResponseTopicData>,
    #[field(versions = "2+")]
    pub nodes: Vec<Node>,
}

/// One element of `topics` in [`DescribeQuorumResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumResponseTopicData {
    pub topic_name: String,
    pub partitions: Vec<DescribeQuorumResponsePartitionData>,
}

/// One element of `topics.partitions` in [`DescribeQuorumResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(versions = "2+", nullable = "2+", ignorable)]
    pub error_message: Option<String>,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub current_voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
}

/// One element of `nodes` in [`DescribeQuorumResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Node {
    #[field(versions = "2+")]
    pub node_id: i32,
    #[field(versions = "2+")]
    pub listeners: Vec<Listener>,
}

/// One element of `nodes.listeners` in [`DescribeQuorumResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Listener {
    #[field(versions = "2+")]
    pub name: String,
    #[field(versions = "2+")]
    pub host: String,
    #[field(versions = "2+")]
    pub port: u16,
}

/// A struct of several fields of [`DescribeQuorumResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplicaState {
    pub replica_id: i32,
    #[field(versions = "2+")]
    pub replica_directory_id: Uuid,
    pub log_end_offset: i64,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub last_fetch_timestamp: i64,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub last_caught_up_timestamp: i64,
}
