//! UpdateFeatures.

use crate::activate::min_insync_records;
use crate::bootstrap::check_level;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_metadata::features::{self, ELR, KRAFT};
use ottla_metadata::{Image, MetadataVersion, VersionRange};
use ottla_wire::ErrorCode;
use ottla_wire::api::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_wire::schema::metadata::FeatureLevelRecord;
use std::collections::BTreeMap;

/// In which direction a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upgrade {
    Up,
    SafeDown,
    UnsafeDown,
}

/// Changes levels of features, all of them or none.
pub(crate) fn update_features(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let elr_before = draft.image().features().elr_enabled();
    let done = update_all(draft, waits, request);
    if done.is_ok() && !elr_before && draft.image().features().elr_enabled() {
        let records = min_insync_records(draft.image(), waits);
        draft.extend(records);
    }
    if request.validate_only || done.is_err() {
        draft.discard();
    }
    let result = |name: &str, code, message| UpdatableFeatureResult {
        feature: name.to_owned(),
        error_code: code,
        error_message: message,
    };
    let names = request.feature_updates.iter().map(|u| u.feature.as_str());
    match done {
        Ok(()) => UpdateFeaturesResponse {
            results: names.map(|n| result(n, ErrorCode::NONE, None)).collect(),
            ..UpdateFeaturesResponse::default()
        },
        Err(e) => {
            let why = e.message.unwrap_or_default();
            let text = format!(
                "The update failed for all features since the following feature had an error: {why}"
            );
            UpdateFeaturesResponse {
                error_code: e.code,
                error_message: Some(text.clone()),
                results: names.map(|n| result(n, e.code, Some(text.clone()))).collect(),
                ..UpdateFeaturesResponse::default()
            }
        }
    }
}

fn update_all(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &UpdateFeaturesRequest,
) -> Result<(), ApiError> {
    let mut proposed = draft.image().features().finalized().clone();
    let mut version = draft.image().features().version();
    for update in &request.feature_updates {
        let level = update.max_version_level;
        if update.feature == MetadataVersion::FEATURE {
            version = MetadataVersion::from_level(level).unwrap_or(version);
        } else {
            proposed.insert(update.feature.clone(), level);
        }
    }
    for update in &request.feature_updates {
        update_one(draft, waits, update, version, &proposed)?;
    }
    Ok(())
}

fn update_one(
    draft: &mut Draft<'_>,
    waits: &Waits,
    update: &FeatureUpdateKey,
    version: MetadataVersion,
    proposed: &BTreeMap<String, i16>,
) -> Result<(), ApiError> {
    let (name, level) = (update.feature.as_str(), update.max_version_level);
    let refuse = |why: &str| {
        let text = format!("Invalid update version {level} for feature {name}. {why}");
        Err(ApiError::new(ErrorCode::INVALID_UPDATE_VERSION, text))
    };
    let direction = match (update.allow_downgrade, update.upgrade_type) {
        (true, _) => Upgrade::SafeDown,
        (false, 1) => Upgrade::Up,
        (false, 2) => Upgrade::SafeDown,
        (false, 3) => Upgrade::UnsafeDown,
        (false, _) => return refuse("The controller does not support the given upgrade type."),
    };
    if level < 0 {
        return refuse("A feature version cannot be less than 0.");
    }
    if let Some(why) = unsupported(draft.image(), waits, name, level) {
        return refuse(&why);
    }
    let current = draft.image().features().level(name);
    if level < current && direction == Upgrade::Up {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
             unsafe downgrade.",
        );
    }
    if level > current && direction != Upgrade::Up {
        return refuse("Can't downgrade to a newer version.");
    }
    match name {
        MetadataVersion::FEATURE => check_metadata_version(level, current, direction)?,
        KRAFT if level < current => return refuse("Can't downgrade the version of this feature."),
        // The voters of the configuration files would have to be written into the log first.
        KRAFT if level > current => {
            return refuse(
                "The voters of this quorum stand in controller.quorum.voters and cannot be changed while it runs: \
                 name the other features with --feature, and leave kraft.version at 0.",
            );
        }
        KRAFT => return Ok(()),
        _ => {
            if let Err(e) = check_level(name, level, version, proposed) {
                return refuse(&e.to_string());
            }
        }
    }
    if level != current || name == ELR {
        draft.push(FeatureLevelRecord { name: name.to_owned(), feature_level: level });
    }
    Ok(())
}

/// Refuses a downgrade that would lose what the older version cannot say.
fn check_metadata_version(level: i16, current: i16, direction: Upgrade) -> Result<(), ApiError> {
    let (new, old) = (MetadataVersion::from_level(level), MetadataVersion::from_level(current));
    let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
    if new >= old || !new.formats_differ(old) {
        return Ok(());
    }
    let why = if direction == Upgrade::UnsafeDown {
        "Unsafe metadata downgrade is not supported in this version."
    } else {
        "Refusing to perform the requested downgrade because it might delete metadata information."
    };
    let text = format!("Unsupported metadata.version downgrade from {current} to {level}. {why}");
    Err(ApiError::new(ErrorCode::INVALID_UPDATE_VERSION, text))
}

/// Which node, if any, could not follow.
fn unsupported(image: &Image, waits: &Waits, name: &str, level: i16) -> Option<String> {
    let why = |who: String, range: Option<&VersionRange>| {
        let range = range.copied().unwrap_or(VersionRange::new(0, 0));
        if range.contains(level) {
            None
        } else if range.max == 0 {
            Some(format!("{who} does not support this feature."))
        } else {
            Some(format!("{who} only supports versions {range}"))
        }
    };
    let local = features::supported();
    let id = waits.settings().node_id;
    why(format!("Local controller {id}"), local.get(name))
        .or_else(|| {
            let mut all = image.brokers();
            all.find_map(|b| why(format!("Broker {}", b.id), b.features.get(name)))
        })
        .or_else(|| {
            let mut others = image.controllers().filter(|c| c.id != id);
            others.find_map(|c| why(format!("Controller {}", c.id), c.features.get(name)))
        })
}
