//! DeleteTopics, key 20, versions 1-6.

use crate::{ErrorCode, Message, Uuid};

/// The request of DeleteTopics.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsRequest {
    #[field(versions = "6+")]
    pub topics: Vec<DeleteTopicState>,
    #[field(versions = "0-5", ignorable)]
    pub topic_names: Vec<String>,
    pub timeout_ms: i32,
}

/// One element of `topics` in [`DeleteTopicsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteTopicState {
    #[field(versions = "6+", nullable = "6+", default = "null")]
    pub name: Option<String>,
    #[field(versions = "6+")]
    pub topic_id: Uuid,
}

/// The response of DeleteTopics.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub responses: Vec<DeletableTopicResult>,
}

/// One element of `responses` in [`DeleteTopicsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeletableTopicResult {
    #[field(nullable = "6+")]
    pub name: Option<String>,
    #[field(versions = "6+", ignorable)]
    pub topic_id: Uuid,
    pub error_code: ErrorCode,
    #[field(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub error_message: Option<String>,
}
