//! The settings of groups, as the shell takes them from the broker's configuration.

/// What governs groups, filled from the configuration keys named at each field.
///
/// No replicated state: a change takes effect with [`super::Request::Configure`] and says nothing
/// about what was already decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`: the most members of one classic group.
    pub max_size: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: u64,
    /// How long a join of a new member may stay parked before it is answered with
    /// `UNKNOWN_MEMBER_ID`; no key, five minutes as in Kafka.
    pub new_member_join_timeout_ms: u64,
    /// `offset.metadata.max.bytes`; Kafka counts UTF-16 units, and so does this.
    pub offset_metadata_max_size: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// The most bytes of a batch: `max.message.bytes` of the topic. No key of the broker: the shell
    /// says it with [`super::GroupWaits::set_max_batch_bytes`].
    pub max_batch_bytes: usize,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX as usize,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 300_000,
            offset_metadata_max_size: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            max_batch_bytes: 1_048_588,
        }
    }
}
