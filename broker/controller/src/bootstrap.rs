//! The records with which a cluster begins.

use ottla_metadata::MetadataVersion;
use ottla_metadata::features::{FEATURES, Feature, KRAFT};
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord};
use std::collections::BTreeMap;
use thiserror::Error;

/// Features that cannot be had together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BootstrapError {
    /// There is no such feature.
    #[error("Feature {0} not found.")]
    UnknownFeature(String),
    /// There is no such level of a feature.
    #[error("No feature:{feature} with feature level {level}")]
    UnknownLevel {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
    },
    /// A level needs another feature.
    #[error("{feature} could not be set to {level} because it depends on {needs} level {least}")]
    Needs {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
        /// What it needs.
        needs: &'static str,
        /// At which level at least.
        least: i16,
    },
    /// A level needs a newer metadata version.
    #[error(
        "{feature} could not be set to {level} because it depends on metadata.version={least} ({name})"
    )]
    NeedsVersion {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
        /// The least metadata version.
        least: i16,
        /// Its name.
        name: &'static str,
    },
}

/// Checks that a level exists and that what it needs is finalized.
pub fn check_level(
    name: &str,
    level: i16,
    version: MetadataVersion,
    finalized: &BTreeMap<String, i16>,
) -> Result<(), BootstrapError> {
    let unknown = || BootstrapError::UnknownFeature(name.to_owned());
    let feature = Feature::named(name).ok_or_else(unknown)?;
    let feature_name = name.to_owned();
    if !feature.levels.iter().any(|l| l.level == level) {
        return Err(BootstrapError::UnknownLevel { feature: feature_name, level });
    }
    match feature.missing(level, version, finalized) {
        None => Ok(()),
        Some((MetadataVersion::FEATURE, least)) => {
            let name = MetadataVersion::from_level(least).map_or("unknown", MetadataVersion::name);
            Err(BootstrapError::NeedsVersion { feature: feature_name, level, least, name })
        }
        Some((needs, least)) => {
            Err(BootstrapError::Needs { feature: feature_name, level, needs, least })
        }
    }
}

/// The records of a new cluster: the metadata version, then each feature that is not at level 0. A feature not in
/// `chosen` gets the version's default. `kraft.version` is the quorum's and stands in no record here.
pub fn bootstrap_records(
    version: MetadataVersion,
    chosen: &BTreeMap<String, i16>,
) -> Result<Vec<MetadataRecord>, BootstrapError> {
    let mut levels: BTreeMap<String, i16> =
        FEATURES.iter().map(|f| (f.name.to_owned(), f.default_level(version))).collect();
    levels.extend(chosen.iter().map(|(name, level)| (name.clone(), *level)));
    for (name, level) in &levels {
        check_level(name, *level, version, &levels)?;
    }
    let record = |name: &str, feature_level| {
        FeatureLevelRecord { name: name.to_owned(), feature_level }.into()
    };
    let mut records = vec![record(MetadataVersion::FEATURE, version.level())];
    let others = levels.iter().filter(|(name, level)| *name != KRAFT && **level > 0);
    records.extend(others.map(|(name, level)| record(name, *level)));
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::Image;

    #[test]
    fn a_new_cluster_begins_with_the_defaults_of_its_version() {
        let records =
            bootstrap_records(MetadataVersion::LATEST, &BTreeMap::new()).expect("records");
        let image = Image::from_snapshot(&records, 0).expect("fits");
        assert_eq!(image.features().version(), MetadataVersion::LATEST);
        let finalized: Vec<_> =
            image.features().finalized().iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(
            finalized,
            [
                ("eligible.leader.replicas.version", 1),
                ("group.version", 1),
                ("share.version", 1),
                ("streams.version", 1),
                ("transaction.version", 2),
            ]
        );
    }

    #[test]
    fn levels_that_cannot_be_are_refused() {
        let old = MetadataVersion::from_level(22).expect("a level");
        let elr = BTreeMap::from([("eligible.leader.replicas.version".to_owned(), 1)]);
        let error = bootstrap_records(old, &elr).expect_err("needs more");
        assert_eq!(
            error.to_string(),
            "eligible.leader.replicas.version could not be set to 1 because it depends on metadata.version=23 \
             (4.0-IV1)"
        );
        let unknown = BTreeMap::from([("x".to_owned(), 1)]);
        assert!(bootstrap_records(old, &unknown).is_err());
    }
}
