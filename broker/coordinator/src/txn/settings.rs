//! The settings of transactions, as the shell takes them from the broker's configuration.

/// What governs transactions, filled from the keys and the feature named at each field.
///
/// No replicated state: a change takes effect with [`super::Request::Configure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnSettings {
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_interval_ms: u64,
    /// `transactional.id.expiration.ms`.
    pub expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiration_interval_ms: u64,
    /// The level of the feature `transaction.version`: 2 bumps the epoch at each end (KIP-890).
    pub version: i16,
    /// How long a request waits for the markers of the transaction before it, before it is
    /// answered with `CONCURRENT_TRANSACTIONS`. No key; 0 answers at once, as Kafka does.
    pub park_ms: u64,
}

impl Default for TxnSettings {
    fn default() -> Self {
        Self {
            max_timeout_ms: 900_000,
            abort_interval_ms: 10_000,
            expiration_ms: 604_800_000,
            expiration_interval_ms: 3_600_000,
            version: 2,
            park_ms: 1_000,
        }
    }
}
