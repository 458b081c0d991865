//! `metadata.version`: which records, and which of their versions, a cluster may write.

use std::fmt;

/// A level of the feature `metadata.version` (KIP-584, KIP-778), from 7 (`3.3-IV3`) on.
///
/// A value of this type is always one of the table's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataVersion(i16);

/// What the table says of one level.
struct Row {
    level: i16,
    name: &'static str,
    release: &'static str,
    /// Whether records or their versions differ from the level before.
    changed: bool,
}

const fn row(level: i16, name: &'static str, release: &'static str, changed: bool) -> Row {
    Row { level, name, release, changed }
}

const TABLE: [Row; 25] = [
    row(7, "3.3-IV3", "3.3", true),
    row(8, "3.4-IV0", "3.4", true),
    row(9, "3.5-IV0", "3.5", false),
    row(10, "3.5-IV1", "3.5", false),
    row(11, "3.5-IV2", "3.5", true),
    row(12, "3.6-IV0", "3.6", false),
    row(13, "3.6-IV1", "3.6", true),
    row(14, "3.6-IV2", "3.6", true),
    row(15, "3.7-IV0", "3.7", true),
    row(16, "3.7-IV1", "3.7", false),
    row(17, "3.7-IV2", "3.7", true),
    row(18, "3.7-IV3", "3.7", false),
    row(19, "3.7-IV4", "3.7", false),
    row(20, "3.8-IV0", "3.8", false),
    row(21, "3.9-IV0", "3.9", false),
    row(22, "4.0-IV0", "4.0", false),
    row(23, "4.0-IV1", "4.0", true),
    row(24, "4.0-IV2", "4.0", false),
    row(25, "4.0-IV3", "4.0", false),
    row(26, "4.1-IV0", "4.1", false),
    row(27, "4.1-IV1", "4.1", false),
    row(28, "4.2-IV0", "4.2", false),
    row(29, "4.2-IV1", "4.2", false),
    row(30, "4.3-IV0", "4.3", true),
    row(31, "4.4-IV0", "4.4", false),
];

impl MetadataVersion {
    /// The name of the feature.
    pub const FEATURE: &'static str = "metadata.version";
    /// The oldest level that can be read and written: `3.3-IV3`.
    pub const MINIMUM: Self = Self(7);
    /// The newest level for production, the default of a format: `4.3-IV0`.
    pub const LATEST: Self = Self(30);
    /// The newest level of the table, not yet for production: `4.4-IV0`.
    pub const LATEST_TESTING: Self = Self(31);

    /// The level with this number, if there is one.
    #[must_use]
    pub fn from_level(level: i16) -> Option<Self> {
        TABLE.iter().any(|r| r.level == level).then_some(Self(level))
    }

    /// The level with this name, such as `4.3-IV0`, or the last level of a release such as `4.3` or `4.3.1`.
    ///
    /// A name with a suffix names the level itself; one without names the newest production level of the release.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(row) = TABLE.iter().find(|r| r.name == name) {
            return Some(Self(row.level));
        }
        if name.contains('-') {
            return None;
        }
        let mut parts = name.splitn(3, '.');
        let release = match (parts.next(), parts.next()) {
            (Some(major), Some(minor)) => format!("{major}.{minor}"),
            _ => return None,
        };
        let rows = || TABLE.iter().filter(|r| r.release == release);
        rows()
            .rfind(|r| r.level <= Self::LATEST.0)
            .or_else(|| rows().next_back())
            .map(|r| Self(r.level))
    }

    /// All levels, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        TABLE.iter().map(|r| Self(r.level))
    }

    /// The level as a number.
    #[must_use]
    pub const fn level(self) -> i16 {
        self.0
    }

    /// The level's name, such as `4.3-IV0`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |r| r.name)
    }

    /// The release, such as `4.3`.
    #[must_use]
    pub fn release(self) -> &'static str {
        self.row().map_or("unknown", |r| r.release)
    }

    /// Whether the level is stable enough for production.
    #[must_use]
    pub fn is_production(self) -> bool {
        self <= Self::LATEST
    }

    /// Whether going from one level to the other, in either direction, crosses a change of record formats. A
    /// downgrade across one would lose metadata.
    #[must_use]
    pub fn formats_differ(self, other: Self) -> bool {
        let (low, high) = (self.min(other), self.max(other));
        TABLE.iter().any(|r| r.level > low.0 && r.level <= high.0 && r.changed)
    }

    /// Whether SCRAM credentials can be recorded (KIP-900).
    #[must_use]
    pub fn has_scram(self) -> bool {
        self.0 >= 11
    }

    /// Whether shrinking an ISR raises the leader epoch, as it did before `3.6-IV0`.
    #[must_use]
    pub fn bumps_epoch_on_shrink(self) -> bool {
        self.0 < 12
    }

    /// Whether batches may be joined into transactions (KIP-868).
    #[must_use]
    pub fn has_transactions(self) -> bool {
        self.0 >= 13
    }

    /// Whether delegation tokens can be recorded (KIP-900).
    #[must_use]
    pub fn has_delegation_tokens(self) -> bool {
        self.0 >= 14
    }

    /// Whether controllers are registered (KIP-919).
    #[must_use]
    pub fn has_controller_registrations(self) -> bool {
        self.0 >= 15
    }

    /// Whether replicas are assigned to log directories (KIP-858).
    #[must_use]
    pub fn has_directories(self) -> bool {
        self.0 >= 17
    }

    /// Whether eligible leader replicas can be recorded (KIP-966).
    #[must_use]
    pub fn has_elr(self) -> bool {
        self.0 >= 23
    }

    /// Whether log directories can be cordoned (KIP-1066).
    #[must_use]
    pub fn has_cordoned_directories(self) -> bool {
        self.0 >= 30
    }

    /// Whether a registration says that the broker migrates from ZooKeeper.
    #[must_use]
    pub fn has_migration(self) -> bool {
        self.0 >= 8
    }

    /// The version in which to write a RegisterBrokerRecord.
    #[must_use]
    pub fn register_broker_version(self) -> i16 {
        if self.has_cordoned_directories() {
            4
        } else if self.has_directories() {
            3
        } else if self.has_migration() {
            2
        } else {
            1
        }
    }

    /// The version in which to write a BrokerRegistrationChangeRecord.
    #[must_use]
    pub fn registration_change_version(self) -> i16 {
        if self.has_cordoned_directories() {
            3
        } else if self.has_directories() {
            2
        } else {
            1
        }
    }

    /// The version in which to write PartitionRecord and PartitionChangeRecord.
    #[must_use]
    pub fn partition_version(self) -> i16 {
        if self.has_elr() {
            2
        } else if self.has_directories() {
            1
        } else {
            0
        }
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|r| r.level == self.0)
    }
}

impl fmt::Display for MetadataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_levels_agree() {
        for version in MetadataVersion::all() {
            assert_eq!(MetadataVersion::from_name(version.name()), Some(version));
            assert_eq!(MetadataVersion::from_level(version.level()), Some(version));
        }
        assert_eq!(MetadataVersion::from_level(6), None);
        assert_eq!(MetadataVersion::from_level(32), None);
        assert_eq!(MetadataVersion::LATEST.name(), "4.3-IV0");
    }

    #[test]
    fn a_release_names_its_last_level() {
        let level = |s: &str| MetadataVersion::from_name(s).map(MetadataVersion::level);
        assert_eq!(level("3.7"), Some(19));
        assert_eq!(level("3.7.2"), Some(19));
        assert_eq!(level("4.3"), Some(30));
        assert_eq!(level("4.3-IV1"), None);
        assert_eq!(level("2.8"), None);
        assert_eq!(level(""), None);
    }

    #[test]
    fn formats_change_where_the_table_says() {
        let at = |l| MetadataVersion::from_level(l).expect("a level of the table");
        assert!(at(30).formats_differ(at(29)));
        assert!(!at(29).formats_differ(at(23)));
        assert!(at(22).formats_differ(at(23)));
        assert!(!at(30).formats_differ(at(30)));
    }
}
