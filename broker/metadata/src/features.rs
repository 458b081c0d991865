//! The features of a cluster besides `metadata.version`, their levels and what each level needs.

use crate::error::ApplyError;
use crate::version::MetadataVersion;
use std::collections::BTreeMap;

/// Levels a node supports, or a feature knows: both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

impl VersionRange {
    /// A range from the lowest to the highest level, both included.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether the level lies in the range.
    #[must_use]
    pub fn contains(self, level: i16) -> bool {
        self.min <= level && level <= self.max
    }
}

impl std::fmt::Display for VersionRange {
    /// `7-30`, or a single number when both ends are the same.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else if self.max == i16::MAX {
            write!(f, "{}+", self.min)
        } else {
            write!(f, "{}-{}", self.min, self.max)
        }
    }
}

/// One level of a feature.
#[derive(Debug)]
pub struct FeatureLevel {
    /// The level.
    pub level: i16,
    /// The metadata version from which on a format chooses this level, and the one that names it.
    pub since: i16,
    /// What must be finalized for this level: feature and least level.
    pub needs: &'static [(&'static str, i16)],
}

/// A feature, all levels of it, lowest first.
#[derive(Debug)]
pub struct Feature {
    /// The feature's name.
    pub name: &'static str,
    /// Its levels, from 0.
    pub levels: &'static [FeatureLevel],
}

/// The name of the feature that turns on eligible leader replicas (KIP-966).
pub const ELR: &str = "eligible.leader.replicas.version";
/// The name of the feature of the quorum (KIP-853). It is kept by the quorum's own records, not by the metadata's.
pub const KRAFT: &str = "kraft.version";
/// The name of the feature of transactions (KIP-890).
pub const TRANSACTION: &str = "transaction.version";
/// The name of the feature of consumer groups (KIP-848).
pub const GROUP: &str = "group.version";
/// The name of the feature of share groups (KIP-932).
pub const SHARE: &str = "share.version";
/// The name of the feature of streams groups (KIP-1071).
pub const STREAMS: &str = "streams.version";

const fn level(level: i16, since: i16, needs: &'static [(&'static str, i16)]) -> FeatureLevel {
    FeatureLevel { level, since, needs }
}

/// Every feature besides `metadata.version`, in the order of a format's output.
pub const FEATURES: [Feature; 6] = [
    Feature { name: KRAFT, levels: &[level(0, 7, &[]), level(1, 21, &[])] },
    Feature {
        name: TRANSACTION,
        levels: &[level(0, 7, &[]), level(1, 24, &[]), level(2, 24, &[])],
    },
    Feature { name: GROUP, levels: &[level(0, 7, &[]), level(1, 22, &[])] },
    Feature {
        name: ELR,
        levels: &[level(0, 7, &[]), level(1, 26, &[(MetadataVersion::FEATURE, 23)])],
    },
    Feature { name: SHARE, levels: &[level(0, 7, &[]), level(1, 28, &[])] },
    Feature { name: STREAMS, levels: &[level(0, 7, &[]), level(1, 29, &[])] },
];

impl Feature {
    /// The feature with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|f| f.name == name)
    }

    /// The level a format chooses for this metadata version.
    #[must_use]
    pub fn default_level(&self, version: MetadataVersion) -> i16 {
        let known = self.levels.iter().filter(|l| l.since <= version.level());
        known.map(|l| l.level).max().unwrap_or(0)
    }

    /// All levels of the feature.
    #[must_use]
    pub fn range(&self) -> VersionRange {
        VersionRange::new(0, self.levels.iter().map(|l| l.level).max().unwrap_or(0))
    }

    /// The first thing this level needs that `finalized` lacks: feature and least level.
    #[must_use]
    pub fn missing(
        &self,
        level: i16,
        version: MetadataVersion,
        finalized: &BTreeMap<String, i16>,
    ) -> Option<(&'static str, i16)> {
        let level = self.levels.iter().find(|l| l.level == level)?;
        level.needs.iter().copied().find(|(name, least)| {
            let have = if *name == MetadataVersion::FEATURE {
                version.level()
            } else {
                finalized.get(*name).copied().unwrap_or(0)
            };
            have < *least
        })
    }
}

/// Everything this software supports, as it registers itself: feature and range of levels.
#[must_use]
pub fn supported() -> BTreeMap<String, VersionRange> {
    let mut all: BTreeMap<_, _> = FEATURES.iter().map(|f| (f.name.to_owned(), f.range())).collect();
    let versions =
        VersionRange::new(MetadataVersion::MINIMUM.level(), MetadataVersion::LATEST.level());
    all.insert(MetadataVersion::FEATURE.to_owned(), versions);
    all
}

/// The levels that hold in a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    version: Option<MetadataVersion>,
    finalized: BTreeMap<String, i16>,
}

impl Default for Features {
    /// Nothing is finalized yet: the state before the first record.
    fn default() -> Self {
        Self { version: None, finalized: BTreeMap::new() }
    }
}

impl Features {
    /// The metadata version; the oldest one while none is recorded.
    #[must_use]
    pub fn version(&self) -> MetadataVersion {
        self.version.unwrap_or(MetadataVersion::MINIMUM)
    }

    /// The metadata version if one is recorded.
    #[must_use]
    pub fn recorded_version(&self) -> Option<MetadataVersion> {
        self.version
    }

    /// The finalized levels besides `metadata.version`; a feature at level 0 is not in it.
    #[must_use]
    pub fn finalized(&self) -> &BTreeMap<String, i16> {
        &self.finalized
    }

    /// The finalized level of any feature, `metadata.version` included; 0 if it has none.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        if name == MetadataVersion::FEATURE {
            return self.version.map_or(0, MetadataVersion::level);
        }
        self.finalized.get(name).copied().unwrap_or(0)
    }

    /// Whether eligible leader replicas are kept.
    #[must_use]
    pub fn elr_enabled(&self) -> bool {
        self.level(ELR) >= 1
    }

    /// Sets a level; 0 removes the feature.
    ///
    /// # Errors
    /// When this software does not know the level: it cannot tell what else such a cluster's metadata mean. The
    /// features are as they were.
    pub(crate) fn set(&mut self, name: &str, level: i16) -> Result<(), ApplyError> {
        let unknown = |known| ApplyError::Feature { name: name.to_owned(), level, known };
        if name == MetadataVersion::FEATURE {
            let known = VersionRange::new(
                MetadataVersion::MINIMUM.level(),
                MetadataVersion::LATEST_TESTING.level(),
            );
            let version = MetadataVersion::from_level(level).ok_or_else(|| unknown(known))?;
            self.version = Some(version);
            return Ok(());
        }
        let known = Feature::named(name).map_or(VersionRange::new(0, 0), Feature::range);
        if !known.contains(level) {
            return Err(unknown(known));
        }
        if level == 0 {
            self.finalized.remove(name);
        } else {
            self.finalized.insert(name.to_owned(), level);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_metadata_version() {
        let default = |name: &str, mv: i16| {
            let version = MetadataVersion::from_level(mv).expect("a level");
            Feature::named(name).expect("a feature").default_level(version)
        };
        assert_eq!(default(TRANSACTION, 23), 0);
        assert_eq!(default(TRANSACTION, 24), 2);
        assert_eq!(default(GROUP, 21), 0);
        assert_eq!(default(GROUP, 22), 1);
        assert_eq!(default(KRAFT, 20), 0);
        assert_eq!(default(KRAFT, 21), 1);
        assert_eq!(default(ELR, 25), 0);
        assert_eq!(default(ELR, 26), 1);
        assert_eq!(default(SHARE, 27), 0);
        assert_eq!(default(SHARE, 28), 1);
        assert_eq!(default(STREAMS, 28), 0);
        assert_eq!(default(STREAMS, 29), 1);
    }

    #[test]
    fn elr_needs_a_metadata_version() {
        let elr = Feature::named(ELR).expect("a feature");
        let at = |l| MetadataVersion::from_level(l).expect("a level");
        assert_eq!(elr.missing(1, at(22), &BTreeMap::new()), Some(("metadata.version", 23)));
        assert_eq!(elr.missing(1, at(23), &BTreeMap::new()), None);
        assert_eq!(elr.missing(0, at(7), &BTreeMap::new()), None);
    }

    #[test]
    fn levels_that_are_not_known_are_not_held() {
        let mut features = Features::default();
        assert_eq!(features.set(GROUP, 1), Ok(()));
        assert_eq!(features.set("feature.of.tomorrow", 0), Ok(()));
        let before = features.clone();
        for (name, level) in [
            (MetadataVersion::FEATURE, 99),
            (MetadataVersion::FEATURE, 0),
            (GROUP, 2),
            (GROUP, -1),
            (KRAFT, 2),
            ("feature.of.tomorrow", 1),
        ] {
            assert!(features.set(name, level).is_err(), "{name} {level}");
            assert_eq!(features, before);
        }
        let error = features.set(MetadataVersion::FEATURE, 99).expect_err("unknown");
        assert_eq!(error.to_string(), "metadata.version is at level 99, and levels 7-31 are known");
        let error = features.set("feature.of.tomorrow", 1).expect_err("unknown");
        assert_eq!(error.to_string(), "feature.of.tomorrow is at level 1, and no level is known");
    }

    #[test]
    fn ranges_print_as_the_tools_show_them() {
        assert_eq!(VersionRange::new(7, 30).to_string(), "7-30");
        assert_eq!(VersionRange::new(1, 1).to_string(), "1");
        assert_eq!(VersionRange::new(3, i16::MAX).to_string(), "3+");
    }
}
