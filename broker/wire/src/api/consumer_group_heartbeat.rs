//! ConsumerGroupHeartbeat, key 68, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    pub member_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[field(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[field(nullable = "0+", default = "null")]
    pub subscribed_topic_names: Option<Vec<String>>,
    #[field(versions = "1+", nullable = "1+", default = "null")]
    pub subscribed_topic_regex: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub server_assignor: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub topic_partitions: Option<Vec<ConsumerGroupHeartbeatRequestTopicPartitions>>,
}

/// One element of `topic_partitions` in [`ConsumerGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupHeartbeatRequestTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The response of ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupHeartbeatResponse {
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

/// The value of `assignment` in [`ConsumerGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<ConsumerGroupHeartbeatResponseTopicPartitions>,
}

/// A struct of several fields of [`ConsumerGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupHeartbeatResponseTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}
