//! ShareAcknowledge, key 79, versions 1-2.

use crate::{ErrorCode, Message, Uuid};

/// The request of ShareAcknowledge.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "0+")]
pub struct ShareAcknowledgeRequest {
    #[field(nullable = "0+", default = "null")]
    pub group_id: Option<String>,
    #[field(nullable = "0+")]
    pub member_id: Option<String>,
    pub share_session_epoch: i32,
    #[field(versions = "2+")]
    pub is_renew_ack: bool,
    pub topics: Vec<AcknowledgeTopic>,
}

/// One element of `topics` in [`ShareAcknowledgeRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AcknowledgeTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<AcknowledgePartition>,
}

/// One element of `topics.partitions` in [`ShareAcknowledgeRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AcknowledgePartition {
    pub partition_index: i32,
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

/// One element of `topics.partitions.acknowledgement_batches` in [`ShareAcknowledgeRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AcknowledgementBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub acknowledge_types: Vec<i8>,
}

/// The response of ShareAcknowledge.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "0+")]
pub struct ShareAcknowledgeResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[field(versions = "2+", ignorable)]
    pub acquisition_lock_timeout_ms: i32,
    pub responses: Vec<ShareAcknowledgeTopicResponse>,
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `responses` in [`ShareAcknowledgeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareAcknowledgeTopicResponse {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `responses.partitions` in [`ShareAcknowledgeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub current_leader: LeaderIdAndEpoch,
}

/// The value of `responses.partitions.current_leader` in [`ShareAcknowledgeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `node_endpoints` in [`ShareAcknowledgeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    #[field(nullable = "0+", default = "null")]
    pub rack: Option<String>,
}
