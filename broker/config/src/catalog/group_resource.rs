//! Keys of one group, set by its name.

use crate::catalog::{keys, why};
use crate::key::Text;
use crate::valid::Valid;

keys! {
    /// Least time between two new assignments of this group.
    CONSUMER_ASSIGNMENT_INTERVAL_MS: i32 = "consumer.assignment.interval.ms",
        .default("1000").min(0).synonyms(&["group.consumer.assignment.interval.ms"]);
    /// How often this group's members report.
    CONSUMER_HEARTBEAT_INTERVAL_MS: i32 = "consumer.heartbeat.interval.ms",
        .default("5000").min(1).synonyms(&["group.consumer.heartbeat.interval.ms"]);
    /// Session timeout of this group's members.
    CONSUMER_SESSION_TIMEOUT_MS: i32 = "consumer.session.timeout.ms",
        .default("45000").min(1).synonyms(&["group.consumer.session.timeout.ms"]);
    /// Least time between two new assignments of this share group.
    SHARE_ASSIGNMENT_INTERVAL_MS: i32 = "share.assignment.interval.ms",
        .default("1000").min(0).synonyms(&["group.share.assignment.interval.ms"])
        .planned(why::SHARE);
    /// Where a share group without a state begins to read.
    SHARE_AUTO_OFFSET_RESET: Text = "share.auto.offset.reset",
        .default("latest").valid(Valid::ShareOffsetReset).planned(why::SHARE);
    /// How often a record is delivered to this group before it is given up.
    SHARE_DELIVERY_COUNT_LIMIT: i32 = "share.delivery.count.limit",
        .default("5").min(2).synonyms(&["group.share.delivery.count.limit"]).planned(why::SHARE);
    /// How often this share group's members report.
    SHARE_HEARTBEAT_INTERVAL_MS: i32 = "share.heartbeat.interval.ms",
        .default("5000").min(1).synonyms(&["group.share.heartbeat.interval.ms"])
        .planned(why::SHARE);
    /// Whether this share group reads records of open transactions.
    SHARE_ISOLATION_LEVEL: Text = "share.isolation.level",
        .default("read_uncommitted").valid(Valid::OneOf(&["read_committed", "read_uncommitted"]))
        .planned(why::SHARE);
    /// Records of one partition that may be out with this group's consumers at once.
    SHARE_PARTITION_MAX_RECORD_LOCKS: i32 = "share.partition.max.record.locks",
        .default("2000").min(100).synonyms(&["group.share.partition.max.record.locks"])
        .planned(why::SHARE);
    /// How long a record stays with the consumer that got it.
    SHARE_RECORD_LOCK_DURATION_MS: i32 = "share.record.lock.duration.ms",
        .default("30000").min(1000).synonyms(&["group.share.record.lock.duration.ms"])
        .planned(why::SHARE);
    /// Whether a consumer may prolong its hold on a record.
    SHARE_RENEW_ACKNOWLEDGE_ENABLE: bool = "share.renew.acknowledge.enable",
        .default("true").planned(why::SHARE);
    /// Session timeout of this share group's members.
    SHARE_SESSION_TIMEOUT_MS: i32 = "share.session.timeout.ms",
        .default("45000").min(1).synonyms(&["group.share.session.timeout.ms"]).planned(why::SHARE);
    /// Least time between two new assignments of this streams group.
    STREAMS_ASSIGNMENT_INTERVAL_MS: i32 = "streams.assignment.interval.ms",
        .default("1000").min(0).synonyms(&["group.streams.assignment.interval.ms"])
        .planned(why::STREAMS);
    /// How often this streams group's members report.
    STREAMS_HEARTBEAT_INTERVAL_MS: i32 = "streams.heartbeat.interval.ms",
        .default("5000").min(1).synonyms(&["group.streams.heartbeat.interval.ms"])
        .planned(why::STREAMS);
    /// How long this group, when empty, waits for more members before its first assignment.
    STREAMS_INITIAL_REBALANCE_DELAY_MS: i32 = "streams.initial.rebalance.delay.ms",
        .default("3000").min(0).synonyms(&["group.streams.initial.rebalance.delay.ms"])
        .planned(why::STREAMS);
    /// Standby copies of each stateful task of this group.
    STREAMS_NUM_STANDBY_REPLICAS: i32 = "streams.num.standby.replicas",
        .default("0").min(0).synonyms(&["group.streams.num.standby.replicas"])
        .planned(why::STREAMS);
    /// Session timeout of this streams group's members.
    STREAMS_SESSION_TIMEOUT_MS: i32 = "streams.session.timeout.ms",
        .default("45000").min(1).synonyms(&["group.streams.session.timeout.ms"])
        .planned(why::STREAMS);
}
