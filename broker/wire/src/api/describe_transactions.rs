//! DescribeTransactions, key 65, versions 0.

use crate::{ErrorCode, Message};

/// The request of DescribeTransactions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTransactionsRequest {
    pub transactional_ids: Vec<String>,
}

/// The response of DescribeTransactions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTransactionsResponse {
    pub throttle_time_ms: i32,
    pub transaction_states: Vec<TransactionState>,
}

/// One element of `transaction_states` in [`DescribeTransactionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TransactionState {
    pub error_code: ErrorCode,
    pub transactional_id: String,
    pub transaction_state: String,
    pub transaction_timeout_ms: i32,
    pub transaction_start_time_ms: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub topics: Vec<TopicData>,
}

/// One element of `transaction_states.topics` in [`DescribeTransactionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicData {
    pub topic: String,
    pub partitions: Vec<i32>,
}
