//! Produce, key 0, versions 3-13.

use crate::{ErrorCode, Message, Records, Uuid};

/// The request of Produce.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "3-13", flexible = "9+")]
pub struct ProduceRequest {
    #[field(versions = "3+", nullable = "3+", default = "null")]
    pub transactional_id: Option<String>,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topic_data: Vec<TopicProduceData>,
}

/// One element of `topic_data` in [`ProduceRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicProduceData {
    #[field(versions = "0-12", ignorable)]
    pub name: String,
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partition_data: Vec<PartitionProduceData>,
}

/// One element of `topic_data.partition_data` in [`ProduceRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionProduceData {
    pub index: i32,
    #[field(nullable = "0+")]
    pub records: Option<Records>,
}

/// The response of Produce.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "3-13", flexible = "9+")]
pub struct ProduceResponse {
    pub responses: Vec<TopicProduceResponse>,
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[field(tag = 0, tagged = "10+")]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One element of `responses` in [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicProduceResponse {
    #[field(versions = "0-12", ignorable)]
    pub name: String,
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partition_responses: Vec<PartitionProduceResponse>,
}

/// One element of `responses.partition_responses` in [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionProduceResponse {
    pub index: i32,
    pub error_code: ErrorCode,
    pub base_offset: i64,
    #[field(versions = "2+", default = "-1", ignorable)]
    pub log_append_time_ms: i64,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    #[field(versions = "8+", ignorable)]
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    #[field(versions = "8+", nullable = "8+", default = "null", ignorable)]
    pub error_message: Option<String>,
    #[field(tag = 0, tagged = "10+")]
    pub current_leader: LeaderIdAndEpoch,
}

/// One element of `responses.partition_responses.record_errors` in [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BatchIndexAndErrorMessage {
    #[field(versions = "8+")]
    pub batch_index: i32,
    #[field(versions = "8+", nullable = "8+", default = "null")]
    pub batch_index_error_message: Option<String>,
}

/// The value of `responses.partition_responses.current_leader` in [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    #[field(versions = "10+", default = "-1")]
    pub leader_id: i32,
    #[field(versions = "10+", default = "-1")]
    pub leader_epoch: i32,
}

/// One element of `node_endpoints` in [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint {
    #[field(versions = "10+")]
    pub node_id: i32,
    #[field(versions = "10+")]
    pub host: String,
    #[field(versions = "10+")]
    pub port: i32,
    #[field(versions = "10+", nullable = "10+", default = "null")]
    pub rack: Option<String>,
}
