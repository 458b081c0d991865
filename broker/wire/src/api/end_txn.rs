//! EndTxn, key 26, versions 0-5.

use crate::{ErrorCode, Message};

/// The request of EndTxn.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct EndTxnRequest {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
}

/// The response of EndTxn.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct EndTxnResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub producer_id: i64,
    #[field(versions = "5+", default = "-1", ignorable)]
    pub producer_epoch: i16,
}
