//! From a topic's configuration to what its log is told.

use std::sync::Arc;

use ottla_config::LogConfig;
use ottla_log::LogSettings;
use ottla_log::settings::{Cleanup, Preallocate};

fn positive(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A topic's settings, as the engine and as its logs use them. Shared by its partitions, and by
/// all topics that set nothing of their own.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// As the engine uses them.
    pub config: Arc<LogConfig>,
    /// As logs use them.
    pub log: Arc<LogSettings>,
}

impl TopicSettings {
    /// By a topic's configuration, and `producer.id.expiration.ms`.
    #[must_use]
    pub fn new(config: Arc<LogConfig>, producer_id_expiration_ms: i64) -> Self {
        let log = log_settings(&config, producer_id_expiration_ms);
        Self { config, log }
    }
}

/// The settings of a log by its topic's configuration.
#[must_use]
pub fn log_settings(config: &LogConfig, producer_id_expiration_ms: i64) -> Arc<LogSettings> {
    let cleanup = match (config.cleanup_policy.compact, config.cleanup_policy.delete) {
        (true, true) => Cleanup::CompactAndDelete,
        (true, false) => Cleanup::Compact,
        (false, true) => Cleanup::Delete,
        (false, false) => Cleanup::Keep,
    };
    // What compaction must take in time cannot wait in the active segment.
    let segment_ms = match config.cleanup_policy.compact {
        true => config.segment_ms.min(config.max_compaction_lag_ms),
        false => config.segment_ms,
    };
    Arc::new(LogSettings {
        segment_bytes: positive(config.segment_bytes),
        segment_ms,
        segment_jitter_ms: config.segment_jitter_ms,
        index_bytes: positive(config.segment_index_bytes),
        index_interval_bytes: positive(config.index_interval_bytes),
        preallocate: if config.preallocate { Preallocate::Yes } else { Preallocate::No },
        cleanup,
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes.and_then(|b| u64::try_from(b).ok()),
        file_delete_delay_ms: config.file_delete_delay_ms,
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        delete_retention_ms: config.delete_retention_ms,
        max_message_bytes: positive(config.max_message_bytes),
        producer_id_expiration_ms,
    })
}
