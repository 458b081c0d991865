//! AddPartitionsToTxn, key 24, versions 0-5.

use crate::{ErrorCode, Message};

/// The request of AddPartitionsToTxn.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct AddPartitionsToTxnRequest {
    #[field(versions = "4+")]
    pub transactions: Vec<AddPartitionsToTxnTransaction>,
    #[field(versions = "0-3")]
    pub v3_and_below_transactional_id: String,
    #[field(versions = "0-3")]
    pub v3_and_below_producer_id: i64,
    #[field(versions = "0-3")]
    pub v3_and_below_producer_epoch: i16,
    #[field(versions = "0-3")]
    pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
}

/// One element of `transactions` in [`AddPartitionsToTxnRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AddPartitionsToTxnTransaction {
    #[field(versions = "4+")]
    pub transactional_id: String,
    #[field(versions = "4+")]
    pub producer_id: i64,
    #[field(versions = "4+")]
    pub producer_epoch: i16,
    #[field(versions = "4+")]
    pub verify_only: bool,
    #[field(versions = "4+")]
    pub topics: Vec<AddPartitionsToTxnTopic>,
}

/// A struct of several fields of [`AddPartitionsToTxnRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AddPartitionsToTxnTopic {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// The response of AddPartitionsToTxn.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct AddPartitionsToTxnResponse {
    pub throttle_time_ms: i32,
    #[field(versions = "4+", ignorable)]
    pub error_code: ErrorCode,
    #[field(versions = "4+")]
    pub results_by_transaction: Vec<AddPartitionsToTxnResult>,
    #[field(versions = "0-3")]
    pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
}

/// One element of `results_by_transaction` in [`AddPartitionsToTxnResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AddPartitionsToTxnResult {
    #[field(versions = "4+")]
    pub transactional_id: String,
    #[field(versions = "4+")]
    pub topic_results: Vec<AddPartitionsToTxnTopicResult>,
}

/// A struct of several fields of [`AddPartitionsToTxnResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AddPartitionsToTxnTopicResult {
    pub name: String,
    pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
}

/// A struct of several fields of [`AddPartitionsToTxnResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AddPartitionsToTxnPartitionResult {
    pub partition_index: i32,
    pub partition_error_code: ErrorCode,
}
