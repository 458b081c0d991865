//! BrokerHeartbeat, key 63, versions 0-2.

use crate::{ErrorCode, Message, Uuid};

/// The request of BrokerHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct BrokerHeartbeatRequest {
    pub broker_id: i32,
    #[field(default = "-1")]
    pub broker_epoch: i64,
    pub current_metadata_offset: i64,
    pub want_fence: bool,
    pub want_shut_down: bool,
    #[field(tag = 0, tagged = "1+")]
    pub offline_log_dirs: Vec<Uuid>,
    #[field(tag = 1, tagged = "2+", nullable = "2+", default = "null")]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// The response of BrokerHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct BrokerHeartbeatResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub is_caught_up: bool,
    #[field(default = "true")]
    pub is_fenced: bool,
    pub should_shut_down: bool,
}
