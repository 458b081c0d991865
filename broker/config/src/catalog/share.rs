//! Keys of share groups and their coordinator.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// Session timeout of a share group's members.
    GROUP_SHARE_SESSION_TIMEOUT_MS: i32 = "group.share.session.timeout.ms",
        .default("45000").min(1).planned(why::SHARE);
    /// Least session timeout that a share group may be set to.
    GROUP_SHARE_MIN_SESSION_TIMEOUT_MS: i32 = "group.share.min.session.timeout.ms",
        .default("45000").min(1).planned(why::SHARE);
    /// Greatest session timeout that a share group may be set to.
    GROUP_SHARE_MAX_SESSION_TIMEOUT_MS: i32 = "group.share.max.session.timeout.ms",
        .default("60000").min(1).planned(why::SHARE);
    /// How often a share group's members report.
    GROUP_SHARE_HEARTBEAT_INTERVAL_MS: i32 = "group.share.heartbeat.interval.ms",
        .default("5000").min(1).planned(why::SHARE);
    /// Least heartbeat interval that a share group may be set to.
    GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS: i32 = "group.share.min.heartbeat.interval.ms",
        .default("5000").min(1).planned(why::SHARE);
    /// Greatest heartbeat interval that a share group may be set to.
    GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS: i32 = "group.share.max.heartbeat.interval.ms",
        .default("15000").min(1).planned(why::SHARE);
    /// Most members of a share group.
    GROUP_SHARE_MAX_SIZE: i32 = "group.share.max.size",
        .default("200").range(1, 1000).planned(why::SHARE);
    /// Assignors offered to share groups.
    GROUP_SHARE_ASSIGNORS: Names = "group.share.assignors",
        .default("simple").valid(Valid::Distinct(&[], Emptiness::Refused)).planned(why::SHARE);
    /// Least time between two new assignments of a share group.
    GROUP_SHARE_ASSIGNMENT_INTERVAL_MS: i32 = "group.share.assignment.interval.ms",
        .default("1000").min(0).cluster_wide().planned(why::SHARE);
    /// Least assignment interval that a share group may be set to.
    GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS: i32 = "group.share.min.assignment.interval.ms",
        .default("0").min(0).planned(why::SHARE);
    /// Greatest assignment interval that a share group may be set to.
    GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS: i32 = "group.share.max.assignment.interval.ms",
        .default("15000").min(0).planned(why::SHARE);
    /// How often a record is delivered before it is given up.
    GROUP_SHARE_DELIVERY_COUNT_LIMIT: i32 = "group.share.delivery.count.limit",
        .default("5").range(2, 10).planned(why::SHARE);
    /// Least delivery limit that a share group may be set to.
    GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT: i32 = "group.share.min.delivery.count.limit",
        .default("2").range(2, 5).planned(why::SHARE);
    /// Greatest delivery limit that a share group may be set to.
    GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT: i32 = "group.share.max.delivery.count.limit",
        .default("10").range(5, 25).planned(why::SHARE);
    /// How long a record stays with the consumer that got it.
    GROUP_SHARE_RECORD_LOCK_DURATION_MS: i32 = "group.share.record.lock.duration.ms",
        .default("30000").range(1000, 3_600_000).planned(why::SHARE);
    /// Least lock duration that a share group may be set to.
    GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS: i32 = "group.share.min.record.lock.duration.ms",
        .default("15000").range(1000, 30_000).planned(why::SHARE);
    /// Greatest lock duration that a share group may be set to.
    GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS: i32 = "group.share.max.record.lock.duration.ms",
        .default("60000").range(30_000, 3_600_000).planned(why::SHARE);
    /// Records of one partition that may be out with consumers at once.
    GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS: i32 = "group.share.partition.max.record.locks",
        .default("2000").range(100, 10_000).planned(why::SHARE);
    /// Least number of such records that a share group may be set to.
    GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS: i32 = "group.share.min.partition.max.record.locks",
        .default("100").range(100, 2000).planned(why::SHARE);
    /// Greatest number of such records that a share group may be set to.
    GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS: i32 = "group.share.max.partition.max.record.locks",
        .default("4000").range(2000, 10_000).planned(why::SHARE);
    /// Share sessions that one broker keeps.
    GROUP_SHARE_MAX_SHARE_SESSIONS: i32 = "group.share.max.share.sessions",
        .default("2000").min(1).planned(why::SHARE);
    /// Pause before the state of a share partition is initialised again after a failure.
    GROUP_SHARE_INITIALIZE_RETRY_INTERVAL_MS: i32 = "group.share.initialize.retry.interval.ms",
        .default("30000").min(1).low().internal().planned(why::SHARE);
    /// Java class that keeps the state of share groups.
    GROUP_SHARE_PERSISTER_CLASS_NAME: Text = "group.share.persister.class.name",
        .default("org.apache.kafka.server.share.persister.DefaultStatePersister").internal()
        .no_effect(why::CLASS);
    /// How long the share coordinator gathers records before it writes them; -1 adapts to the
    /// load.
    SHARE_COORDINATOR_APPEND_LINGER_MS: i32 = "share.coordinator.append.linger.ms",
        .default("-1").min(-1).planned(why::SHARE);
    /// Largest buffer that Kafka's share coordinator keeps for reuse.
    SHARE_COORDINATOR_CACHED_BUFFER_MAX_BYTES: i32 = "share.coordinator.cached.buffer.max.bytes",
        .default("1048588").min(524_288).cluster_wide().no_effect(why::BUFFERS);
    /// How often the state of quiet share partitions is written whole.
    SHARE_COORDINATOR_COLD_PARTITION_SNAPSHOT_INTERVAL_MS: i32 = "share.coordinator.cold.partition.snapshot.interval.ms",
        .default("300000").min(1).low().internal().planned(why::SHARE);
    /// Bytes read at once when share state is loaded.
    SHARE_COORDINATOR_LOAD_BUFFER_SIZE: i32 = "share.coordinator.load.buffer.size",
        .default("5242880").min(1).high().planned(why::SHARE);
    /// Changes of share state after which it is written whole.
    SHARE_COORDINATOR_SNAPSHOT_UPDATE_RECORDS_PER_SNAPSHOT: i32 = "share.coordinator.snapshot.update.records.per.snapshot",
        .default("500").range(0, 500).planned(why::SHARE);
    /// Codec of the topic of share state, by number.
    SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC: i32 = "share.coordinator.state.topic.compression.codec",
        .default("0").high().planned(why::SHARE);
    /// Least replicas in sync of the topic of share state.
    SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: i16 = "share.coordinator.state.topic.min.isr",
        .default("2").min(1).high().planned(why::SHARE);
    /// Partitions of that topic.
    SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS: i32 = "share.coordinator.state.topic.num.partitions",
        .default("50").min(1).high().planned(why::SHARE);
    /// How often records of that topic that nobody needs are deleted.
    SHARE_COORDINATOR_STATE_TOPIC_PRUNE_INTERVAL_MS: i32 = "share.coordinator.state.topic.prune.interval.ms",
        .default("300000").min(1).low().internal().planned(why::SHARE);
    /// Replicas of that topic, when it is created.
    SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: i16 = "share.coordinator.state.topic.replication.factor",
        .default("3").min(1).high().planned(why::SHARE);
    /// Segment size of that topic.
    SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES: i32 = "share.coordinator.state.topic.segment.bytes",
        .default("104857600").min(1).high().planned(why::SHARE);
    /// Threads of Kafka's share coordinator.
    SHARE_COORDINATOR_THREADS: i32 = "share.coordinator.threads",
        .default("1").min(1).no_effect(why::THREADS);
    /// How long a write of share state may wait for its replicas.
    SHARE_COORDINATOR_WRITE_TIMEOUT_MS: i32 = "share.coordinator.write.timeout.ms",
        .default("5000").min(1).high().planned(why::SHARE);
}
