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
    /// Of groups of the consumer protocol.
    pub consumer: ConsumerSettings,
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
            consumer: ConsumerSettings::default(),
            max_batch_bytes: 1_048_588,
        }
    }
}

/// What governs groups of the consumer protocol (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout_ms: Bounded,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: Bounded,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval_ms: Bounded,
    /// `group.consumer.max.size`: the most members of one group.
    pub max_size: usize,
    /// `group.consumer.assignors`, the one taken where no member asks for another first; at least
    /// one.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`.
    pub migration: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub regex_refresh_interval_ms: u64,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            session_timeout_ms: Bounded { value: 45_000, min: 45_000, max: 60_000 },
            heartbeat_interval_ms: Bounded { value: 5_000, min: 5_000, max: 15_000 },
            assignment_interval_ms: Bounded { value: 1_000, min: 0, max: 15_000 },
            max_size: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: MigrationPolicy::Bidirectional,
            regex_refresh_interval_ms: 600_000,
        }
    }
}

/// A time in milliseconds, and between what a group's own value of it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// Of groups that have none of their own.
    pub value: i32,
    /// The `min` of the key.
    pub min: i32,
    /// The `max` of the key.
    pub max: i32,
}

impl Bounded {
    /// What holds for a group with this value of its own.
    #[must_use]
    pub fn of(self, own: Option<i32>) -> i32 {
        own.map_or(self.value, |own| own.min(self.max).max(self.min))
    }
}

/// An assignor of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// All partitions of all topics are shared out evenly, and move as little as can be.
    Uniform,
    /// Each topic is cut into ranges, so that partitions of one number go together.
    Range,
}

impl Assignor {
    /// Its name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of this name, or of the name of Kafka's class.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "uniform" | "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => {
                Some(Self::Uniform)
            }
            "range" | "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => {
                Some(Self::Range)
            }
            _ => None,
        }
    }
}

/// Which way a group may go between the protocols while it has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Neither way.
    Disabled,
    /// From consumer to classic.
    Downgrade,
    /// From classic to consumer.
    Upgrade,
    /// Both ways.
    Bidirectional,
}

impl MigrationPolicy {
    /// The policy of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            ("disabled", Self::Disabled),
            ("downgrade", Self::Downgrade),
            ("upgrade", Self::Upgrade),
            ("bidirectional", Self::Bidirectional),
        ];
        all.into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, policy)| policy)
    }

    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub(crate) fn downgrades(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

/// What is set on one group: configurations of the resource type GROUP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: Option<i32>,
}
