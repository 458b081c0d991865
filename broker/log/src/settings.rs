//! What a log is told about how to behave, in plain numbers.

/// The settings of one log, all of them with the meaning of the topic configuration of that name.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// `segment.bytes`: a segment grows no larger.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment whose first record is older than this is closed by an append.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: by how much at most `segment_ms` is shortened, by chance.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is closed when an index has grown this large.
    pub index_bytes: u32,
    /// `index.interval.bytes`: one index entry for each so many bytes.
    pub index_interval_bytes: u32,
    /// `preallocate`: whether space for a whole segment is reserved when it is created.
    pub preallocate: Preallocate,
    /// `cleanup.policy`.
    pub cleanup: Cleanup,
    /// `retention.ms`, `None` for no limit.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`, `None` for no limit.
    pub retention_bytes: Option<u64>,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `flush.messages`: records after which a flush is due.
    pub flush_messages: i64,
    /// `flush.ms`: time after which a flush is due.
    pub flush_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `max.message.bytes`; cleaning reads and writes at least that much at once.
    pub max_message_bytes: u32,
    /// `producer.id.expiration.ms` of the broker.
    pub producer_id_expiration_ms: i64,
}

/// Whether space is reserved ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preallocate {
    /// Files grow as they are written.
    No,
    /// A new segment's file has its full size at once.
    Yes,
}

/// How old records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// By age and size.
    Delete,
    /// When a newer record has the same key.
    Compact,
    /// Both.
    CompactAndDelete,
    /// Neither; only what lies below the log start offset goes.
    Keep,
}

impl Cleanup {
    /// Whether segments go by age and size.
    #[must_use]
    pub fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::CompactAndDelete)
    }

    /// Whether records with the same key replace each other.
    #[must_use]
    pub fn compacts(self) -> bool {
        matches!(self, Self::Compact | Self::CompactAndDelete)
    }
}

impl Default for LogSettings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            preallocate: Preallocate::No,
            cleanup: Cleanup::Delete,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3_600_000,
            max_message_bytes: 1_048_588,
            producer_id_expiration_ms: 24 * 3_600_000,
        }
    }
}
