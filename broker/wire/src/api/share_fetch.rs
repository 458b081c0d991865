//! ShareFetch, key 78, versions 1-2.

use crate::{ErrorCode, Message, Records, Uuid};

/// The request of ShareFetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "0+")]
pub struct ShareFetchRequest {
    #[field(nullable = "0+", default = "null")]
    pub group_id: Option<String>,
    #[field(nullable = "0+")]
    pub member_id: Option<String>,
    pub share_session_epoch: i32,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    #[field(default = "0x7fffffff")]
    pub max_bytes: i32,
    #[field(versions = "1+")]
    pub max_records: i32,
    #[field(versions = "1+")]
    pub batch_size: i32,
    #[field(versions = "2+", ignorable)]
    pub share_acquire_mode: i8,
    #[field(versions = "2+")]
    pub is_renew_ack: bool,
    pub topics: Vec<FetchTopic>,
    pub forgotten_topics_data: Vec<ForgottenTopic>,
}

/// One element of `topics` in [`ShareFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartition>,
}

/// One element of `topics.partitions` in [`ShareFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchPartition {
    pub partition_index: i32,
    #[field(versions = "0")]
    pub partition_max_bytes: i32,
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

/// One element of `topics.partitions.acknowledgement_batches` in [`ShareFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AcknowledgementBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub acknowledge_types: Vec<i8>,
}

/// One element of `forgotten_topics_data` in [`ShareFetchRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ForgottenTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The response of ShareFetch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "0+")]
pub struct ShareFetchResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[field(versions = "1+")]
    pub acquisition_lock_timeout_ms: i32,
    pub responses: Vec<ShareFetchableTopicResponse>,
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `responses` in [`ShareFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareFetchableTopicResponse {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

/// One element of `responses.partitions` in [`ShareFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub acknowledge_error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub acknowledge_error_message: Option<String>,
    pub current_leader: LeaderIdAndEpoch,
    #[field(nullable = "0")]
    pub records: Option<Records>,
    pub acquired_records: Vec<AcquiredRecords>,
}

/// The value of `responses.partitions.current_leader` in [`ShareFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// One element of `responses.partitions.acquired_records` in [`ShareFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AcquiredRecords {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_count: i16,
}

/// One element of `node_endpoints` in [`ShareFetchResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    #[field(nullable = "0+", default = "null")]
    pub rack: Option<String>,
}
