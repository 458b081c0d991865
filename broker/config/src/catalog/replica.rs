//! Keys of following and leading.

use crate::catalog::{keys, why};
use crate::key::Text;

keys! {
    /// How long a follower may lag before it leaves the replicas in sync.
    REPLICA_LAG_TIME_MAX_MS: i64 = "replica.lag.time.max.ms",
        .default("30000").high();
    /// How long a follower waits for an answer of its leader.
    REPLICA_SOCKET_TIMEOUT_MS: i32 = "replica.socket.timeout.ms",
        .default("30000").high();
    /// Receive buffer of a follower's socket.
    REPLICA_SOCKET_RECEIVE_BUFFER_BYTES: i32 = "replica.socket.receive.buffer.bytes",
        .default("65536").high().no_effect(why::SYSTEM);
    /// Bytes that a follower asks for of one partition.
    REPLICA_FETCH_MAX_BYTES: i32 = "replica.fetch.max.bytes",
        .default("1048576").min(0);
    /// How long a leader may hold a follower's Fetch that finds nothing new.
    REPLICA_FETCH_WAIT_MAX_MS: i32 = "replica.fetch.wait.max.ms",
        .default("500").high();
    /// Bytes worth answering a follower's Fetch for.
    REPLICA_FETCH_MIN_BYTES: i32 = "replica.fetch.min.bytes",
        .default("1").high();
    /// Bytes that a follower asks for in all.
    REPLICA_FETCH_RESPONSE_MAX_BYTES: i32 = "replica.fetch.response.max.bytes",
        .default("10485760").min(0);
    /// How long a follower rests a partition that failed.
    REPLICA_FETCH_BACKOFF_MS: i32 = "replica.fetch.backoff.ms",
        .default("1000").min(0);
    /// Connections that a broker follows each other broker with.
    NUM_REPLICA_FETCHERS: i32 = "num.replica.fetchers",
        .default("1").min(1).high().cluster_wide();
    /// How often high watermarks are written down.
    REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS: i64 = "replica.high.watermark.checkpoint.interval.ms",
        .default("5000").high();
    /// How a consumer is sent to a near replica: Kafka's rack-aware selector by its class name.
    REPLICA_SELECTOR_CLASS: Option<Text> = "replica.selector.class";
    /// Whether the controller gives leadership back to preferred replicas by itself.
    AUTO_LEADER_REBALANCE_ENABLE: bool = "auto.leader.rebalance.enable",
        .default("true").high();
    /// How often the controller looks for partitions not led by their preferred replica.
    LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS: i64 = "leader.imbalance.check.interval.seconds",
        .default("300").min(1).high();
}
