//! The records of `__transaction_state`.

mod record;

pub use record::*;

use super::family::coordinator_records;

coordinator_records! {
    /// The key of any record of `__transaction_state`.
    TxnKey,
    /// The value of any record of `__transaction_state`; a record without a value deletes what its
    /// key names.
    TxnValue
    {
        0 TransactionLog(TransactionLogKey, TransactionLogValue),
    }
}
