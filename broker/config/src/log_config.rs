//! What a log must know of its topic's settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::BrokerConfig;
use crate::catalog;
use crate::error::ValueError;
use crate::keys;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::topic_keys;
use crate::value::Value;

/// Which of the two ways of dropping records a topic uses; both or none are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Keep the last record of each key.
    pub compact: bool,
    /// Drop segments that are old or too many.
    pub delete: bool,
}

/// Codec of batches on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    /// None.
    Uncompressed,
    /// gzip at level 1 to 9, or -1 for the library's default.
    Gzip(i32),
    /// snappy.
    Snappy,
    /// lz4 at level 1 to 17.
    Lz4(i32),
    /// zstd at level -131072 to 22.
    Zstd(i32),
}

/// Whose clock a record's timestamp is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The leader's at the append.
    LogAppendTime,
}

/// Which replicas of a topic a throttle takes in (`*.replication.throttled.replicas`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// Every replica.
    All,
    /// These, as (partition, broker).
    Some(Vec<(i32, i32)>),
}

/// The tiered-storage settings of a topic (KIP-405).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// `remote.storage.enable`.
    pub storage_enable: bool,
    /// `remote.log.copy.disable`.
    pub copy_disable: bool,
    /// `remote.log.delete.on.disable`.
    pub delete_on_disable: bool,
    /// Age limit of local segments in ms; that of the whole log unless set. `None` is no limit.
    pub local_retention_ms: Option<i64>,
    /// Size limit of local segments; that of the whole log unless set. `None` is no limit.
    pub local_retention_bytes: Option<i64>,
}

/// Settings of one topic as a log uses them: the topic's own over the broker's.
///
/// Times are in milliseconds, sizes in bytes. Shared as `Arc<LogConfig>`; a change makes a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// Size at which a segment is full (`internal.segment.bytes` if set, else `segment.bytes`).
    pub segment_bytes: i32,
    /// Age at which a segment is full, before the jitter.
    pub segment_ms: i64,
    /// Upper bound of the random time taken off `segment_ms`.
    pub segment_jitter_ms: i64,
    /// Size of an offset index.
    pub segment_index_bytes: i32,
    /// Bytes of log between two index entries.
    pub index_interval_bytes: i32,
    /// Records after which the log is flushed; `i64::MAX` is never.
    pub flush_messages: i64,
    /// Time after which the log is flushed; `i64::MAX` is never.
    pub flush_ms: i64,
    /// Size limit of a partition; `None` is no limit.
    pub retention_bytes: Option<i64>,
    /// Age limit of records; `None` is no limit.
    pub retention_ms: Option<i64>,
    /// Largest batch, as compressed.
    pub max_message_bytes: i32,
    /// How long a removed file stays as `.deleted`.
    pub file_delete_delay_ms: i64,
    /// How long a tombstone stays.
    pub delete_retention_ms: i64,
    /// Least age before compaction.
    pub min_compaction_lag_ms: i64,
    /// Greatest age before compaction.
    pub max_compaction_lag_ms: i64,
    /// Share of the log that must be dirty for compaction, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// How records are dropped.
    pub cleanup_policy: CleanupPolicy,
    /// Codec on disk, with its level.
    pub compression: Compression,
    /// Whether a segment's file takes its whole size at once.
    pub preallocate: bool,
    /// Whose clock.
    pub timestamp_type: TimestampType,
    /// How far a record may lie before the broker's clock.
    pub timestamp_before_max_ms: i64,
    /// How far a record may lie after the broker's clock.
    pub timestamp_after_max_ms: i64,
    /// Least replicas in sync for acks=all.
    pub min_insync_replicas: i32,
    /// Whether a replica out of sync may lead.
    pub unclean_leader_election: bool,
    /// Replicas whose serving is throttled.
    pub leader_throttled: ThrottledReplicas,
    /// Replicas whose following is throttled.
    pub follower_throttled: ThrottledReplicas,
    /// Tiered storage.
    pub remote: RemoteConfig,
}

impl LogConfig {
    /// The settings of a topic with these overrides, on a broker with these settings.
    ///
    /// Keys that no topic has are passed over; a value that its key does not allow is the error.
    pub fn resolve(
        broker: &BrokerConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Arc<LogConfig>, ValueError> {
        Ok(Arc::new(LogConfig::from_settings(&topic_settings(broker, overrides)?)))
    }

    fn from_settings(s: &Settings) -> LogConfig {
        use topic_keys as t;
        let policy = s.get(t::CLEANUP_POLICY);
        let limit = |value: i64| (value >= 0).then_some(value);
        let retention_ms = limit(s.get(t::RETENTION_MS));
        let retention_bytes = limit(s.get(t::RETENTION_BYTES));
        let local = |value: i64, whole: Option<i64>| if value == -2 { whole } else { limit(value) };
        LogConfig {
            segment_bytes: s.get(t::INTERNAL_SEGMENT_BYTES).unwrap_or(s.get(t::SEGMENT_BYTES)),
            segment_ms: s.get(t::SEGMENT_MS),
            segment_jitter_ms: s.get(t::SEGMENT_JITTER_MS),
            segment_index_bytes: s.get(t::SEGMENT_INDEX_BYTES),
            index_interval_bytes: s.get(t::INDEX_INTERVAL_BYTES),
            flush_messages: s.get(t::FLUSH_MESSAGES),
            flush_ms: s.get(t::FLUSH_MS),
            retention_bytes,
            retention_ms,
            max_message_bytes: s.get(t::MAX_MESSAGE_BYTES),
            file_delete_delay_ms: s.get(t::FILE_DELETE_DELAY_MS),
            delete_retention_ms: s.get(t::DELETE_RETENTION_MS),
            min_compaction_lag_ms: s.get(t::MIN_COMPACTION_LAG_MS),
            max_compaction_lag_ms: s.get(t::MAX_COMPACTION_LAG_MS),
            min_cleanable_dirty_ratio: s.get(t::MIN_CLEANABLE_DIRTY_RATIO),
            cleanup_policy: CleanupPolicy {
                compact: policy.iter().any(|p| p == "compact"),
                delete: policy.iter().any(|p| p == "delete"),
            },
            compression: compression(s),
            preallocate: s.get(t::PREALLOCATE),
            timestamp_type: match s.get(t::MESSAGE_TIMESTAMP_TYPE) {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: s.get(t::MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
            timestamp_after_max_ms: s.get(t::MESSAGE_TIMESTAMP_AFTER_MAX_MS),
            min_insync_replicas: s.get(t::MIN_INSYNC_REPLICAS),
            unclean_leader_election: s.get(t::UNCLEAN_LEADER_ELECTION_ENABLE),
            leader_throttled: throttled(s.get(t::LEADER_REPLICATION_THROTTLED_REPLICAS)),
            follower_throttled: throttled(s.get(t::FOLLOWER_REPLICATION_THROTTLED_REPLICAS)),
            remote: RemoteConfig {
                storage_enable: s.get(t::REMOTE_STORAGE_ENABLE),
                copy_disable: s.get(t::REMOTE_LOG_COPY_DISABLE),
                delete_on_disable: s.get(t::REMOTE_LOG_DELETE_ON_DISABLE),
                local_retention_ms: local(s.get(t::LOCAL_RETENTION_MS), retention_ms),
                local_retention_bytes: local(s.get(t::LOCAL_RETENTION_BYTES), retention_bytes),
            },
        }
    }
}

impl Default for LogConfig {
    /// What a topic without settings has on a broker without settings.
    fn default() -> LogConfig {
        let none = |_: &Spec| None;
        match Settings::parse(catalog::topic_keys(), none) {
            Ok(settings) => LogConfig::from_settings(&settings),
            Err(error) => panic!("a default of the catalog is not allowed: {error}"),
        }
    }
}

/// The topic's keys as they stand: its overrides, else what the broker's keys give.
pub(crate) fn topic_settings(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Result<Settings, ValueError> {
    let mut settings = Settings::parse(catalog::topic_keys(), |spec| {
        overrides.get(spec.name).map(String::as_str)
    })?;
    for spec in catalog::topic_keys().filter(|spec| !overrides.contains_key(spec.name)) {
        if let Some(value) = from_broker(broker, spec) {
            settings.replace(spec.name, value);
        }
    }
    Ok(settings)
}

/// What a broker's keys give a topic key that the topic does not set.
fn from_broker(broker: &BrokerConfig, spec: &Spec) -> Option<Value> {
    Some(match spec.name {
        "retention.ms" => Value::Long(broker.log_retention_ms()),
        "segment.ms" => Value::Long(broker.log_roll_ms()),
        "segment.jitter.ms" => Value::Long(broker.log_roll_jitter_ms()),
        "flush.ms" => Value::Long(broker.log_flush_interval_ms()),
        "remote.storage.enable" | "remote.log.copy.disable" | "remote.log.delete.on.disable" => {
            return None;
        }
        _ => broker.settings().value(spec.synonyms.first()?)?.clone(),
    })
}

fn compression(s: &Settings) -> Compression {
    match s.get(topic_keys::COMPRESSION_TYPE) {
        "uncompressed" => Compression::Uncompressed,
        "gzip" => Compression::Gzip(s.get(topic_keys::COMPRESSION_GZIP_LEVEL)),
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4(s.get(topic_keys::COMPRESSION_LZ4_LEVEL)),
        "zstd" => Compression::Zstd(s.get(topic_keys::COMPRESSION_ZSTD_LEVEL)),
        _ => Compression::Producer,
    }
}

fn throttled(entries: &[String]) -> ThrottledReplicas {
    if entries.iter().any(|entry| entry == "*") {
        return ThrottledReplicas::All;
    }
    let pair = |entry: &String| {
        let (partition, broker) = entry.split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    ThrottledReplicas::Some(entries.iter().filter_map(pair).collect())
}

impl BrokerConfig {
    /// Age limit of records: `log.retention.ms`, else minutes, else hours; -1 is no limit.
    pub fn log_retention_ms(&self) -> i64 {
        let minutes = || {
            self.get(keys::LOG_RETENTION_MINUTES)
                .map_or(i64::from(self.get(keys::LOG_RETENTION_HOURS)) * 60, i64::from)
        };
        let millis = self.get(keys::LOG_RETENTION_MS).unwrap_or_else(|| match minutes() {
            minutes if minutes < 0 => -1,
            minutes => minutes * 60_000,
        });
        if millis < 0 { -1 } else { millis }
    }

    /// Age limit of a segment: `log.roll.ms`, else hours.
    pub fn log_roll_ms(&self) -> i64 {
        self.get(keys::LOG_ROLL_MS)
            .unwrap_or_else(|| i64::from(self.get(keys::LOG_ROLL_HOURS)) * 3_600_000)
    }

    /// Jitter of that limit: `log.roll.jitter.ms`, else hours.
    pub fn log_roll_jitter_ms(&self) -> i64 {
        self.get(keys::LOG_ROLL_JITTER_MS)
            .unwrap_or_else(|| i64::from(self.get(keys::LOG_ROLL_JITTER_HOURS)) * 3_600_000)
    }

    /// Time limit of flushing: `log.flush.interval.ms`, else that of the scheduler.
    pub fn log_flush_interval_ms(&self) -> i64 {
        self.get(keys::LOG_FLUSH_INTERVAL_MS)
            .unwrap_or_else(|| self.get(keys::LOG_FLUSH_SCHEDULER_INTERVAL_MS))
    }
}

#[cfg(test)]
mod tests;
