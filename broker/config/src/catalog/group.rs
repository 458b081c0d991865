//! Keys of consumer groups and committed offsets.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// Most text that may go with a committed offset.
    OFFSET_METADATA_MAX_BYTES: i32 = "offset.metadata.max.bytes", .default("4096").high();
    /// Bytes read at once when committed offsets are loaded.
    OFFSETS_LOAD_BUFFER_SIZE: i32 = "offsets.load.buffer.size", .default("5242880").min(1).high()
        .no_effect(why::LOADING);
    /// Replicas of the topic of committed offsets, when it is created.
    OFFSETS_TOPIC_REPLICATION_FACTOR: i16 = "offsets.topic.replication.factor",
        .default("3").min(1).high();
    /// Partitions of that topic; not to be changed afterwards.
    OFFSETS_TOPIC_NUM_PARTITIONS: i32 = "offsets.topic.num.partitions",
        .default("50").min(1).high();
    /// Segment size of that topic.
    OFFSETS_TOPIC_SEGMENT_BYTES: i32 = "offsets.topic.segment.bytes",
        .default("104857600").min(1).high();
    /// Codec of that topic's batches, by number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    OFFSETS_TOPIC_COMPRESSION_CODEC: i32 = "offsets.topic.compression.codec",
        .default("0").high();
    /// How long committed offsets of an empty group stay.
    OFFSETS_RETENTION_MINUTES: i32 = "offsets.retention.minutes", .default("10080").min(1).high();
    /// How often such offsets are looked for.
    OFFSETS_RETENTION_CHECK_INTERVAL_MS: i64 = "offsets.retention.check.interval.ms",
        .default("600000").min(1).high();
    /// How long a commit may wait for its replicas.
    OFFSETS_COMMIT_TIMEOUT_MS: i32 = "offsets.commit.timeout.ms", .default("5000").min(1).high();
    /// Shortest session timeout that a member of a classic group may ask for.
    GROUP_MIN_SESSION_TIMEOUT_MS: i32 = "group.min.session.timeout.ms", .default("6000");
    /// Longest session timeout that a member of a classic group may ask for.
    GROUP_MAX_SESSION_TIMEOUT_MS: i32 = "group.max.session.timeout.ms", .default("1800000");
    /// How long an empty classic group waits for more members before its first rebalance.
    GROUP_INITIAL_REBALANCE_DELAY_MS: i32 = "group.initial.rebalance.delay.ms", .default("3000");
    /// Most members of a classic group.
    GROUP_MAX_SIZE: i32 = "group.max.size", .default("2147483647").min(1);
    /// How long the coordinator gathers records before it writes them; -1 adapts to the load.
    GROUP_COORDINATOR_APPEND_LINGER_MS: i32 = "group.coordinator.append.linger.ms",
        .default("-1").min(-1);
    /// Largest buffer that Kafka's coordinator keeps for reuse.
    GROUP_COORDINATOR_CACHED_BUFFER_MAX_BYTES: i32 = "group.coordinator.cached.buffer.max.bytes",
        .default("1048588").min(524_288).cluster_wide().no_effect(why::BUFFERS);
    /// Threads of Kafka's group coordinator.
    GROUP_COORDINATOR_THREADS: i32 = "group.coordinator.threads",
        .default("4").min(1).high().no_effect(why::THREADS);
    /// Threads of the background work of Kafka's group coordinator.
    GROUP_COORDINATOR_BACKGROUND_THREADS: i32 = "group.coordinator.background.threads",
        .default("2").min(1).high().no_effect(why::THREADS);
    /// Group protocols that are offered.
    GROUP_COORDINATOR_REBALANCE_PROTOCOLS: Names = "group.coordinator.rebalance.protocols",
        .default("classic,consumer,streams")
        .valid(Valid::Distinct(&["consumer", "classic", "share", "streams"], Emptiness::Refused));
    /// Session timeout of a consumer group's members.
    GROUP_CONSUMER_SESSION_TIMEOUT_MS: i32 = "group.consumer.session.timeout.ms",
        .default("45000").min(1);
    /// Least session timeout that a group may be set to.
    GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS: i32 = "group.consumer.min.session.timeout.ms",
        .default("45000").min(1);
    /// Greatest session timeout that a group may be set to.
    GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS: i32 = "group.consumer.max.session.timeout.ms",
        .default("60000").min(1);
    /// How often a consumer group's members report.
    GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS: i32 = "group.consumer.heartbeat.interval.ms",
        .default("5000").min(1);
    /// Least heartbeat interval that a group may be set to.
    GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS: i32 = "group.consumer.min.heartbeat.interval.ms",
        .default("5000").min(1);
    /// Greatest heartbeat interval that a group may be set to.
    GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS: i32 = "group.consumer.max.heartbeat.interval.ms",
        .default("15000").min(1);
    /// Most members of a consumer group.
    GROUP_CONSUMER_MAX_SIZE: i32 = "group.consumer.max.size",
        .default("2147483647").min(1);
    /// Assignors offered to consumer groups, the preferred one first.
    GROUP_CONSUMER_ASSIGNORS: Names = "group.consumer.assignors",
        .default("uniform,range").valid(Valid::Distinct(&[], Emptiness::Refused));
    /// Least time between two new assignments of a consumer group.
    GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS: i32 = "group.consumer.assignment.interval.ms",
        .default("1000").min(0).cluster_wide();
    /// Least assignment interval that a group may be set to.
    GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS: i32 = "group.consumer.min.assignment.interval.ms",
        .default("0").min(0);
    /// Greatest assignment interval that a group may be set to.
    GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS: i32 = "group.consumer.max.assignment.interval.ms",
        .default("15000").min(0);
    /// Which way a group may go between the classic protocol and the new one while it is in
    /// use.
    GROUP_CONSUMER_MIGRATION_POLICY: Text = "group.consumer.migration.policy",
        .default("bidirectional")
        .valid(Valid::OneOfIgnoreCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]));
    /// How often subscriptions by pattern are matched again.
    GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS: i32 = "group.consumer.regex.refresh.interval.ms",
        .default("600000").min(10_000).internal();
}
