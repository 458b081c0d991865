//! Keys of logs: segments, retention, compaction, flushing.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// Directory of the logs, when `log.dirs` is not set.
    LOG_DIR: Names = "log.dir",
        .default("/tmp/kafka-logs").valid(Valid::Distinct(&[], Emptiness::Refused)).high();
    /// Directories of the logs; partitions are spread over them.
    LOG_DIRS: Option<Names> = "log.dirs", .valid(Valid::Distinct(&[], Emptiness::Refused)).high();
    /// Log directories that get no new partitions; `*` is all of them.
    CORDONED_LOG_DIRS: Names = "cordoned.log.dirs",
        .default("").valid(Valid::Distinct(&[], Emptiness::Allowed)).per_broker();
    /// How long a broker that cannot report a failed directory goes on before it stops.
    LOG_DIR_FAILURE_TIMEOUT_MS: i64 = "log.dir.failure.timeout.ms",
        .default("30000").min(1).low();
    /// Size a segment may reach before the next one is begun.
    LOG_SEGMENT_BYTES: i32 = "log.segment.bytes",
        .default("1073741824").min(1_048_576).high().cluster_wide();
    /// Age a segment may reach before the next one is begun.
    LOG_ROLL_MS: Option<i64> = "log.roll.ms", .high().cluster_wide();
    /// Same in hours; `log.roll.ms` wins.
    LOG_ROLL_HOURS: i32 = "log.roll.hours", .default("168").min(1).high();
    /// Random share taken off that age, so that segments do not all end at once.
    LOG_ROLL_JITTER_MS: Option<i64> = "log.roll.jitter.ms", .high().cluster_wide();
    /// Same in hours; `log.roll.jitter.ms` wins.
    LOG_ROLL_JITTER_HOURS: i32 = "log.roll.jitter.hours", .default("0").min(0).high();
    /// Size a partition may reach before its oldest segments go; -1 is no limit.
    LOG_RETENTION_BYTES: i64 = "log.retention.bytes", .default("-1").high().cluster_wide();
    /// Age records may reach before their segment goes; -1 is no limit.
    LOG_RETENTION_MS: Option<i64> = "log.retention.ms", .high().cluster_wide();
    /// Same in minutes; `log.retention.ms` wins.
    LOG_RETENTION_MINUTES: Option<i32> = "log.retention.minutes", .high();
    /// Same in hours; `log.retention.minutes` and `log.retention.ms` win.
    LOG_RETENTION_HOURS: i32 = "log.retention.hours", .default("168").high();
    /// How often segments are looked over for retention.
    LOG_RETENTION_CHECK_INTERVAL_MS: i64 = "log.retention.check.interval.ms",
        .default("300000").min(1);
    /// What becomes of old records: `delete` drops old segments, `compact` keeps the last
    /// record of a key; both may stand together.
    LOG_CLEANUP_POLICY: Names = "log.cleanup.policy",
        .default("delete").valid(Valid::Distinct(&["compact", "delete"], Emptiness::Allowed))
        .cluster_wide();
    /// Whether compaction runs at all.
    LOG_CLEANER_ENABLE: bool = "log.cleaner.enable", .default("true");
    /// Threads of compaction.
    LOG_CLEANER_THREADS: i32 = "log.cleaner.threads", .default("1").min(0).cluster_wide();
    /// Most bytes a second that compaction reads and writes.
    LOG_CLEANER_IO_MAX_BYTES_PER_SECOND: f64 = "log.cleaner.io.max.bytes.per.second",
        .default("1.7976931348623157E308").cluster_wide();
    /// Memory that compaction remembers keys in, over all its threads.
    LOG_CLEANER_DEDUPE_BUFFER_SIZE: i64 = "log.cleaner.dedupe.buffer.size",
        .default("134217728").cluster_wide();
    /// Memory that compaction copies through, over all its threads.
    LOG_CLEANER_IO_BUFFER_SIZE: i32 = "log.cleaner.io.buffer.size",
        .default("524288").min(0).cluster_wide().no_effect(why::CLEANER);
    /// How full the memory for keys may get.
    LOG_CLEANER_IO_BUFFER_LOAD_FACTOR: f64 = "log.cleaner.io.buffer.load.factor",
        .default("0.9").cluster_wide();
    /// How long compaction sleeps when no log needs it.
    LOG_CLEANER_BACKOFF_MS: i64 = "log.cleaner.backoff.ms", .default("15000").min(0).cluster_wide();
    /// Least share of a log that must be uncompacted before it is compacted again.
    LOG_CLEANER_MIN_CLEANABLE_RATIO: f64 = "log.cleaner.min.cleanable.ratio",
        .default("0.5").valid(Valid::Fraction(0.0, 1.0)).cluster_wide();
    /// How long a tombstone stays in a compacted log.
    LOG_CLEANER_DELETE_RETENTION_MS: i64 = "log.cleaner.delete.retention.ms",
        .default("86400000").min(0).cluster_wide();
    /// Least age of a record before compaction may take it.
    LOG_CLEANER_MIN_COMPACTION_LAG_MS: i64 = "log.cleaner.min.compaction.lag.ms",
        .default("0").min(0).cluster_wide();
    /// Greatest age of a record before its log must be compacted.
    LOG_CLEANER_MAX_COMPACTION_LAG_MS: i64 = "log.cleaner.max.compaction.lag.ms",
        .default("9223372036854775807").min(1).cluster_wide();
    /// Size of a segment's offset index; a full one begins the next segment.
    LOG_INDEX_SIZE_MAX_BYTES: i32 = "log.index.size.max.bytes",
        .default("10485760").min(4).cluster_wide();
    /// Bytes of log between two entries of its index.
    LOG_INDEX_INTERVAL_BYTES: i32 = "log.index.interval.bytes",
        .default("4096").min(0).cluster_wide();
    /// Records that may gather in a partition before it is flushed to disk.
    LOG_FLUSH_INTERVAL_MESSAGES: i64 = "log.flush.interval.messages",
        .default("9223372036854775807").min(1).high().cluster_wide();
    /// How long a dropped file stays, renamed, before it is removed.
    LOG_SEGMENT_DELETE_DELAY_MS: i64 = "log.segment.delete.delay.ms",
        .default("60000").min(0).high().cluster_wide();
    /// How often partitions are looked over for flushing.
    LOG_FLUSH_SCHEDULER_INTERVAL_MS: i64 = "log.flush.scheduler.interval.ms",
        .default("9223372036854775807").high();
    /// How long a record may stay in memory before it is flushed; that of the scheduler when
    /// not set.
    LOG_FLUSH_INTERVAL_MS: Option<i64> = "log.flush.interval.ms", .high().cluster_wide();
    /// How often the recovery points of the logs are written down.
    LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = "log.flush.offset.checkpoint.interval.ms",
        .default("60000").min(0).high();
    /// How often the first offsets of the logs are written down.
    LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = "log.flush.start.offset.checkpoint.interval.ms",
        .default("60000").min(0).high();
    /// Whether a new segment's file takes its whole size at once.
    LOG_PREALLOCATE: bool = "log.preallocate", .default("false").cluster_wide();
    /// How long after the start the background work on logs begins.
    LOG_INITIAL_TASK_DELAY_MS: i64 = "log.initial.task.delay.ms",
        .default("30000").min(0).low().internal();
    /// Whether a record's time is the one that its producer gave, or the time of its append.
    LOG_MESSAGE_TIMESTAMP_TYPE: Text = "log.message.timestamp.type",
        .default("CreateTime").valid(Valid::OneOf(&["CreateTime", "LogAppendTime"])).cluster_wide();
    /// How far before the broker's clock a record's time may lie.
    LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = "log.message.timestamp.before.max.ms",
        .default("9223372036854775807").min(0).cluster_wide();
    /// How far after the broker's clock a record's time may lie.
    LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = "log.message.timestamp.after.max.ms",
        .default("3600000").min(0).cluster_wide();
    /// Age at which local segments go that are in the remote store; -2 takes the whole
    /// retention.
    LOG_LOCAL_RETENTION_MS: i64 = "log.local.retention.ms",
        .default("-2").min(-2).cluster_wide().planned(why::TIER);
    /// Size at which local segments go that are in the remote store; -2 takes the whole
    /// retention.
    LOG_LOCAL_RETENTION_BYTES: i64 = "log.local.retention.bytes",
        .default("-2").min(-2).cluster_wide().planned(why::TIER);
    /// Threads that recover the logs of one directory after a crash.
    NUM_RECOVERY_THREADS_PER_DATA_DIR: i32 = "num.recovery.threads.per.data.dir",
        .default("2").min(1).high().cluster_wide();
    /// Largest batch of records that is accepted, as compressed.
    MESSAGE_MAX_BYTES: i32 = "message.max.bytes", .default("1048588").min(0).high().cluster_wide();
    /// Codec of the batches on disk; `producer` keeps what the producer chose.
    COMPRESSION_TYPE: Text = "compression.type",
        .default("producer")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])).high()
        .cluster_wide();
    /// Level for gzip where the broker compresses.
    COMPRESSION_GZIP_LEVEL: i32 = "compression.gzip.level",
        .default("-1").valid(Valid::GzipLevel).cluster_wide();
    /// Level for lz4 where the broker compresses.
    COMPRESSION_LZ4_LEVEL: i32 = "compression.lz4.level", .default("9").range(1, 17).cluster_wide();
    /// Level for zstd where the broker compresses.
    COMPRESSION_ZSTD_LEVEL: i32 = "compression.zstd.level",
        .default("3").range(-131_072, 22).cluster_wide();
    /// Least replicas in sync for a write with acks=all.
    MIN_INSYNC_REPLICAS: i32 = "min.insync.replicas", .default("1").min(1).high().cluster_wide();
    /// Whether a replica that lacks records may lead when no other is left.
    UNCLEAN_LEADER_ELECTION_ENABLE: bool = "unclean.leader.election.enable",
        .default("false").high().cluster_wide();
    /// How often the controller looks for partitions that need such a leader.
    UNCLEAN_LEADER_ELECTION_INTERVAL_MS: i64 = "unclean.leader.election.interval.ms",
        .default("300000").min(1).internal();
    /// How long the broker remembers an idempotent producer that sends nothing.
    PRODUCER_ID_EXPIRATION_MS: i32 = "producer.id.expiration.ms",
        .default("86400000").min(1).low().cluster_wide();
    /// How often it looks for such producers.
    PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS: i32 = "producer.id.expiration.check.interval.ms",
        .default("600000").min(1).low().internal();
}
