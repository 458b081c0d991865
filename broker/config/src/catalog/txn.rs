//! Keys of transactions.

use crate::catalog::{keys, why};

keys! {
    /// Longest timeout that a producer may ask for its transactions.
    TRANSACTION_MAX_TIMEOUT_MS: i32 = "transaction.max.timeout.ms",
        .default("900000").min(1).high();
    /// How long a transactional id without a transaction is remembered.
    TRANSACTIONAL_ID_EXPIRATION_MS: i32 = "transactional.id.expiration.ms",
        .default("604800000").min(1).high();
    /// Bytes read at once when transactions are loaded.
    TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE: i32 = "transaction.state.log.load.buffer.size",
        .default("5242880").min(1).high().no_effect(why::LOADING);
    /// Least replicas in sync of the topic of transactions.
    TRANSACTION_STATE_LOG_MIN_ISR: i32 = "transaction.state.log.min.isr",
        .default("2").min(1).high();
    /// Partitions of that topic; not to be changed afterwards.
    TRANSACTION_STATE_LOG_NUM_PARTITIONS: i32 = "transaction.state.log.num.partitions",
        .default("50").min(1).high();
    /// Replicas of that topic, when it is created.
    TRANSACTION_STATE_LOG_REPLICATION_FACTOR: i16 = "transaction.state.log.replication.factor",
        .default("3").min(1).high();
    /// Segment size of that topic.
    TRANSACTION_STATE_LOG_SEGMENT_BYTES: i32 = "transaction.state.log.segment.bytes",
        .default("104857600").min(1).high();
    /// How often transactions that ran out of time are aborted.
    TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS: i32 = "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        .default("10000").min(1).low();
    /// How often transactional ids that expired are removed.
    TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS: i32 = "transaction.remove.expired.transaction.cleanup.interval.ms",
        .default("3600000").min(1).low();
    /// Whether a partition asks the coordinator before it takes a transaction's first record.
    TRANSACTION_PARTITION_VERIFICATION_ENABLE: bool = "transaction.partition.verification.enable",
        .default("true").low().cluster_wide();
    /// Whether transactions may wait for an outer coordinator without a timeout (KIP-939).
    TRANSACTION_TWO_PHASE_COMMIT_ENABLE: bool = "transaction.two.phase.commit.enable",
        .default("false").low().planned(why::TWO_PHASES);
    /// Longest time that the broker itself retries to add a partition to a transaction.
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS: i32 = "add.partitions.to.txn.retry.backoff.max.ms",
        .default("100").min(0).high();
    /// Pause between those retries.
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS: i32 = "add.partitions.to.txn.retry.backoff.ms",
        .default("20").min(1).high();
}
