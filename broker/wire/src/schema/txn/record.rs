//! Keys and values of `__transaction_state`.

use crate::Message;

/// The key of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct TransactionLogKey {
    #[field(versions = "0")]
    pub transactional_id: String,
}

/// The value of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct TransactionLogValue {
    pub producer_id: i64,
    #[field(tag = 0, tagged = "1+", default = "-1")]
    pub previous_producer_id: i64,
    #[field(tag = 1, tagged = "1+", default = "-1")]
    pub next_producer_id: i64,
    pub producer_epoch: i16,
    #[field(tag = 3, tagged = "1+", default = "-1")]
    pub next_producer_epoch: i16,
    pub transaction_timeout_ms: i32,
    pub transaction_status: i8,
    #[field(nullable = "0+")]
    pub transaction_partitions: Option<Vec<PartitionsSchema>>,
    pub transaction_last_update_timestamp_ms: i64,
    pub transaction_start_timestamp_ms: i64,
    #[field(tag = 2, tagged = "1+")]
    pub client_transaction_version: i16,
}

/// One element of `transaction_partitions` in [`TransactionLogValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionsSchema {
    pub topic: String,
    pub partition_ids: Vec<i32>,
}
