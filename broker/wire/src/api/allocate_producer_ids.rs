//! AllocateProducerIds, key 67, versions 0.

use crate::{ErrorCode, Message};

/// The request of AllocateProducerIds.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AllocateProducerIdsRequest {
    pub broker_id: i32,
    #[field(default = "-1")]
    pub broker_epoch: i64,
}

/// The response of AllocateProducerIds.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AllocateProducerIdsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub producer_id_start: i64,
    pub producer_id_len: i32,
}
