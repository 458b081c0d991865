//! ShareGroupHeartbeat, key 76, versions 1.

use crate::{ErrorCode, Message, Uuid};

/// The request of ShareGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1", flexible = "0+")]
pub struct ShareGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    pub member_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub subscribed_topic_names: Option<Vec<String>>,
}

/// The response of ShareGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1", flexible = "0+")]
pub struct ShareGroupHeartbeatResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub member_id: Option<String>,
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    #[field(nullable = "0+", default = "null")]
    pub assignment: Option<Assignment>,
}

/// The value of `assignment` in [`ShareGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}

/// A struct of several fields of [`ShareGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}
