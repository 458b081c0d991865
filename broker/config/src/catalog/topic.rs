//! Keys of a topic.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// What becomes of old records: `delete` drops old segments, `compact` keeps the last
    /// record of a key; both may stand together, and with neither nothing is dropped.
    CLEANUP_POLICY: Names = "cleanup.policy",
        .default("delete").valid(Valid::Distinct(&["compact", "delete"], Emptiness::Allowed))
        .synonyms(&["log.cleanup.policy"]);
    /// Codec of the batches on disk; `producer` keeps what the producer chose.
    COMPRESSION_TYPE: Text = "compression.type",
        .default("producer")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .synonyms(&["compression.type"]);
    /// Level for gzip where the broker compresses.
    COMPRESSION_GZIP_LEVEL: i32 = "compression.gzip.level",
        .default("-1").valid(Valid::GzipLevel).synonyms(&["compression.gzip.level"]);
    /// Level for lz4 where the broker compresses.
    COMPRESSION_LZ4_LEVEL: i32 = "compression.lz4.level",
        .default("9").range(1, 17).synonyms(&["compression.lz4.level"]);
    /// Level for zstd where the broker compresses.
    COMPRESSION_ZSTD_LEVEL: i32 = "compression.zstd.level",
        .default("3").range(-131_072, 22).synonyms(&["compression.zstd.level"]);
    /// How long a tombstone stays in a compacted log.
    DELETE_RETENTION_MS: i64 = "delete.retention.ms",
        .default("86400000").min(0).synonyms(&["log.cleaner.delete.retention.ms"]);
    /// How long a dropped file stays, renamed, before it is removed.
    FILE_DELETE_DELAY_MS: i64 = "file.delete.delay.ms",
        .default("60000").min(0).synonyms(&["log.segment.delete.delay.ms"]);
    /// Records that may gather in a partition before it is flushed to disk.
    FLUSH_MESSAGES: i64 = "flush.messages",
        .default("9223372036854775807").min(1).synonyms(&["log.flush.interval.messages"]);
    /// How long a record may stay in memory before it is flushed to disk.
    FLUSH_MS: i64 = "flush.ms",
        .default("9223372036854775807").min(0)
        .synonyms(&["log.flush.interval.ms", "log.flush.scheduler.interval.ms"]);
    /// Replicas whose following is throttled, as `partition:broker` entries, or `*`.
    FOLLOWER_REPLICATION_THROTTLED_REPLICAS: Names = "follower.replication.throttled.replicas",
        .default("").valid(Valid::ThrottledReplicas).planned(why::QUOTA);
    /// Replicas whose serving of followers is throttled, as `partition:broker` entries, or `*`.
    LEADER_REPLICATION_THROTTLED_REPLICAS: Names = "leader.replication.throttled.replicas",
        .default("").valid(Valid::ThrottledReplicas).planned(why::QUOTA);
    /// Bytes of log between two entries of its index.
    INDEX_INTERVAL_BYTES: i32 = "index.interval.bytes",
        .default("4096").min(0).synonyms(&["log.index.interval.bytes"]);
    /// Segment size for tests, below the limit of the public key.
    INTERNAL_SEGMENT_BYTES: Option<i32> = "internal.segment.bytes", .internal();
    /// Size at which local segments go that are in the remote store; -2 takes the whole
    /// retention.
    LOCAL_RETENTION_BYTES: i64 = "local.retention.bytes",
        .default("-2").min(-2).synonyms(&["log.local.retention.bytes"]).planned(why::TIER);
    /// Age at which local segments go that are in the remote store; -2 takes the whole
    /// retention.
    LOCAL_RETENTION_MS: i64 = "local.retention.ms",
        .default("-2").min(-2).synonyms(&["log.local.retention.ms"]).planned(why::TIER);
    /// Greatest age of a record before its log must be compacted.
    MAX_COMPACTION_LAG_MS: i64 = "max.compaction.lag.ms",
        .default("9223372036854775807").min(1).synonyms(&["log.cleaner.max.compaction.lag.ms"]);
    /// Largest batch of records that is accepted, as compressed.
    MAX_MESSAGE_BYTES: i32 = "max.message.bytes",
        .default("1048588").min(0).synonyms(&["message.max.bytes"]);
    /// How far after the broker's clock a record's time may lie.
    MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = "message.timestamp.after.max.ms",
        .default("3600000").min(0).synonyms(&["log.message.timestamp.after.max.ms"]);
    /// How far before the broker's clock a record's time may lie.
    MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = "message.timestamp.before.max.ms",
        .default("9223372036854775807").min(0).synonyms(&["log.message.timestamp.before.max.ms"]);
    /// Whether a record's time is the one that its producer gave, or the time of its append.
    MESSAGE_TIMESTAMP_TYPE: Text = "message.timestamp.type",
        .default("CreateTime").valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .synonyms(&["log.message.timestamp.type"]);
    /// Least share of the log that must be uncompacted before it is compacted again.
    MIN_CLEANABLE_DIRTY_RATIO: f64 = "min.cleanable.dirty.ratio",
        .default("0.5").valid(Valid::Fraction(0.0, 1.0))
        .synonyms(&["log.cleaner.min.cleanable.ratio"]);
    /// Least age of a record before compaction may take it.
    MIN_COMPACTION_LAG_MS: i64 = "min.compaction.lag.ms",
        .default("0").min(0).synonyms(&["log.cleaner.min.compaction.lag.ms"]);
    /// Least replicas in sync for a write with acks=all.
    MIN_INSYNC_REPLICAS: i32 = "min.insync.replicas",
        .default("1").min(1).synonyms(&["min.insync.replicas"]);
    /// Whether a new segment's file takes its whole size at once.
    PREALLOCATE: bool = "preallocate", .default("false").synonyms(&["log.preallocate"]);
    /// Stops copying to the remote store, which then can only be read.
    REMOTE_LOG_COPY_DISABLE: bool = "remote.log.copy.disable", .default("false").planned(why::TIER);
    /// Drops what is in the remote store when the topic stops using it.
    REMOTE_LOG_DELETE_ON_DISABLE: bool = "remote.log.delete.on.disable",
        .default("false").planned(why::TIER);
    /// Whether the topic's old segments move to the remote store.
    REMOTE_STORAGE_ENABLE: bool = "remote.storage.enable", .default("false").planned(why::TIER);
    /// Size a partition may reach before its oldest segments go; -1 is no limit.
    RETENTION_BYTES: i64 = "retention.bytes", .default("-1").synonyms(&["log.retention.bytes"]);
    /// Age records may reach before their segment goes; -1 is no limit.
    RETENTION_MS: i64 = "retention.ms",
        .default("604800000").min(-1)
        .synonyms(&["log.retention.ms", "log.retention.minutes", "log.retention.hours"]);
    /// Size a segment may reach before the next one is begun.
    SEGMENT_BYTES: i32 = "segment.bytes",
        .default("1073741824").min(1_048_576).synonyms(&["log.segment.bytes"]);
    /// Size of a segment's offset index; a full one begins the next segment.
    SEGMENT_INDEX_BYTES: i32 = "segment.index.bytes",
        .default("10485760").min(4).synonyms(&["log.index.size.max.bytes"]);
    /// Random share taken off a segment's greatest age, so that segments do not all end at
    /// once.
    SEGMENT_JITTER_MS: i64 = "segment.jitter.ms",
        .default("0").min(0).synonyms(&["log.roll.jitter.ms", "log.roll.jitter.hours"]);
    /// Age a segment may reach before the next one is begun.
    SEGMENT_MS: i64 = "segment.ms",
        .default("604800000").min(1).synonyms(&["log.roll.ms", "log.roll.hours"]);
    /// Whether a replica that lacks records may lead when no other is left.
    UNCLEAN_LEADER_ELECTION_ENABLE: bool = "unclean.leader.election.enable",
        .default("false").synonyms(&["unclean.leader.election.enable"]);
}
