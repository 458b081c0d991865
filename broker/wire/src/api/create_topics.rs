//! CreateTopics, key 19, versions 2-7.

use crate::{ErrorCode, Message, Uuid};

/// The request of CreateTopics.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-7", flexible = "5+")]
pub struct CreateTopicsRequest {
    pub topics: Vec<CreatableTopic>,
    #[field(default = "60000")]
    pub timeout_ms: i32,
    #[field(versions = "1+")]
    pub validate_only: bool,
}

/// One element of `topics` in [`CreateTopicsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopic {
    pub name: String,
    pub num_partitions: i32,
    pub replication_factor: i16,
    pub assignments: Vec<CreatableReplicaAssignment>,
    pub configs: Vec<CreatableTopicConfig>,
}

/// One element of `topics.assignments` in [`CreateTopicsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableReplicaAssignment {
    pub partition_index: i32,
    pub broker_ids: Vec<i32>,
}

/// One element of `topics.configs` in [`CreateTopicsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicConfig {
    pub name: String,
    #[field(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of CreateTopics.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-7", flexible = "5+")]
pub struct CreateTopicsResponse {
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<CreatableTopicResult>,
}

/// One element of `topics` in [`CreateTopicsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicResult {
    pub name: String,
    #[field(versions = "7+", ignorable)]
    pub topic_id: Uuid,
    pub error_code: ErrorCode,
    #[field(versions = "1+", nullable = "0+", ignorable)]
    pub error_message: Option<String>,
    #[field(tag = 0, tagged = "5+", ignorable)]
    pub topic_config_error_code: ErrorCode,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub num_partitions: i32,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub replication_factor: i16,
    #[field(versions = "5+", nullable = "5+", ignorable)]
    pub configs: Option<Vec<CreatableTopicConfigs>>,
}

/// One element of `topics.configs` in [`CreateTopicsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicConfigs {
    #[field(versions = "5+")]
    pub name: String,
    #[field(versions = "5+", nullable = "5+")]
    pub value: Option<String>,
    #[field(versions = "5+")]
    pub read_only: bool,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub config_source: i8,
    #[field(versions = "5+")]
    pub is_sensitive: bool,
}
