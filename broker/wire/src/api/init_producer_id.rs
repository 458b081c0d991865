//! InitProducerId, key 22, versions 0-6.

use crate::{ErrorCode, Message};

/// The request of InitProducerId.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-6", flexible = "2+")]
pub struct InitProducerIdRequest {
    #[field(nullable = "0+")]
    pub transactional_id: Option<String>,
    pub transaction_timeout_ms: i32,
    #[field(versions = "3+", default = "-1")]
    pub producer_id: i64,
    #[field(versions = "3+", default = "-1")]
    pub producer_epoch: i16,
    #[field(versions = "6+")]
    pub enable2_pc: bool,
    #[field(versions = "6+")]
    pub keep_prepared_txn: bool,
}

/// The response of InitProducerId.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-6", flexible = "2+")]
pub struct InitProducerIdResponse {
    #[field(ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(default = "-1")]
    pub producer_id: i64,
    pub producer_epoch: i16,
    #[field(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_id: i64,
    #[field(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_epoch: i16,
}
