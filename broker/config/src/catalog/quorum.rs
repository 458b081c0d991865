//! Keys of the metadata quorum and of this node's part in it.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// What this node is: `broker`, `controller`, or both.
    PROCESS_ROLES: Names = "process.roles",
        .required().valid(Valid::Distinct(&["broker", "controller"], Emptiness::Refused)).high();
    /// This node's number in the cluster.
    NODE_ID: i32 = "node.id", .required().min(0).high();
    /// Listeners of the controllers; a node that is a controller listens on the first of them
    /// that it has.
    CONTROLLER_LISTENER_NAMES: Names = "controller.listener.names",
        .required().valid(Valid::Distinct(&[], Emptiness::Refused)).high();
    /// How long a broker waits for an answer of the controller.
    CONTROLLER_SOCKET_TIMEOUT_MS: i32 = "controller.socket.timeout.ms", .default("30000");
    /// Voters of the metadata quorum, as `id@host:port` entries, when they are fixed.
    CONTROLLER_QUORUM_VOTERS: Names = "controller.quorum.voters",
        .default("").valid(Valid::Voters).high();
    /// Where to find the metadata quorum, as `host:port` entries, when its voters may change.
    CONTROLLER_QUORUM_BOOTSTRAP_SERVERS: Names = "controller.quorum.bootstrap.servers",
        .default("").valid(Valid::HostPorts).high();
    /// How long a voter waits before it calls an election.
    CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS: i32 = "controller.quorum.election.timeout.ms",
        .default("1000").min(0).high();
    /// How long a controller may be silent to a broker that pulls the metadata before that one asks another.
    CONTROLLER_QUORUM_FETCH_TIMEOUT_MS: i32 = "controller.quorum.fetch.timeout.ms",
        .default("2000").min(0).high();
    /// Longest pause between two elections that found no leader.
    CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS: i32 = "controller.quorum.election.backoff.max.ms",
        .default("1000").min(0).high().no_effect(why::CHANCE);
    /// How long the leader gathers records before it writes them.
    CONTROLLER_QUORUM_APPEND_LINGER_MS: i32 = "controller.quorum.append.linger.ms",
        .default("25").min(0).no_effect(why::GATHERED);
    /// How long a member waits for the answer of another.
    CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS: i32 = "controller.quorum.request.timeout.ms",
        .default("2000").min(0);
    /// Pause before a member asks again.
    CONTROLLER_QUORUM_RETRY_BACKOFF_MS: i32 = "controller.quorum.retry.backoff.ms",
        .default("20").min(0).low();
    /// Bytes of the metadata log that a member asks for at once.
    CONTROLLER_QUORUM_FETCH_MAX_BYTES: i32 = "controller.quorum.fetch.max.bytes",
        .default("1048576").min(1).low();
    /// Bytes of a snapshot that a member asks for at once.
    CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES: i32 = "controller.quorum.fetch.snapshot.max.bytes",
        .default("1048576").min(1).low();
    /// Whether a controller that finds a quorum adds itself to the voters.
    CONTROLLER_QUORUM_AUTO_JOIN_ENABLE: bool = "controller.quorum.auto.join.enable",
        .default("false").low();
    /// Period over which slow events of the controller are gathered.
    CONTROLLER_PERFORMANCE_SAMPLE_PERIOD_MS: i64 = "controller.performance.sample.period.ms",
        .default("60000").min(100).internal().planned(why::CONTROLLER_PERF);
    /// Events of the controller slower than this are always logged.
    CONTROLLER_PERFORMANCE_ALWAYS_LOG_THRESHOLD_MS: i64 = "controller.performance.always.log.threshold.ms",
        .default("2000").min(0).internal().planned(why::CONTROLLER_PERF);
    /// Directory of the metadata log; the first of `log.dirs` when not set.
    METADATA_LOG_DIR: Option<Text> = "metadata.log.dir", .high();
    /// Size a segment of the metadata log may reach.
    METADATA_LOG_SEGMENT_BYTES: i32 = "metadata.log.segment.bytes",
        .default("1073741824").min(8_388_608).high();
    /// Age a segment of the metadata log may reach.
    METADATA_LOG_SEGMENT_MS: i64 = "metadata.log.segment.ms", .default("604800000").high();
    /// Bytes of metadata records after which a snapshot is written.
    METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS: i64 = "metadata.log.max.record.bytes.between.snapshots",
        .default("20971520").min(1).high();
    /// Time after which a snapshot is written if there is anything new; 0 turns it off.
    METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS: i64 = "metadata.log.max.snapshot.interval.ms",
        .default("3600000").min(0).high();
    /// Bytes of metadata log and snapshots that are kept.
    METADATA_MAX_RETENTION_BYTES: i64 = "metadata.max.retention.bytes",
        .default("104857600").high();
    /// Age at which metadata log and snapshots are dropped.
    METADATA_MAX_RETENTION_MS: i64 = "metadata.max.retention.ms", .default("604800000").high();
    /// How often an idle controller writes an empty record, so that members know how current
    /// they are; 0 turns it off.
    METADATA_MAX_IDLE_INTERVAL_MS: i32 = "metadata.max.idle.interval.ms",
        .default("500").min(0).low().no_effect(why::QUIET);
    /// Segment size of the metadata log for tests, below the limit of the public key.
    INTERNAL_METADATA_LOG_SEGMENT_BYTES: Option<i32> = "internal.metadata.log.segment.bytes",
        .low().internal().no_effect(why::OWN_LIMITS);
    /// Largest batch of metadata records.
    INTERNAL_METADATA_MAX_BATCH_SIZE_IN_BYTES: i32 = "internal.metadata.max.batch.size.in.bytes",
        .default("8388608").low().internal().no_effect(why::OWN_LIMITS);
    /// How long a dropped file of the metadata log stays.
    INTERNAL_METADATA_DELETE_DELAY_MILLIS: i64 = "internal.metadata.delete.delay.millis",
        .default("60000").low().internal().no_effect(why::OWN_LIMITS);
}
