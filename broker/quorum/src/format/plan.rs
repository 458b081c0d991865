//! What a format request comes to, and what the tool says of versions and features.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ottla_metadata::MetadataVersion;
use ottla_metadata::features::{FEATURES, Feature, KRAFT};

use super::bootstrap::Bootstrap;
use super::scram::Credential;
use super::{
    FormatError, FormatRequest, IfFormatted, InitialQuorum, Unstable, parse_version, random_uuid,
};
use crate::directories::{Ensemble, Found};
use crate::voter::{InitialController, NodeKey};

/// Characters of a salt that was not given; Kafka's are as long.
const SALT_CHARS: usize = 25;

fn refuse<T>(why: impl Into<String>) -> Result<T, FormatError> {
    Err(FormatError::Refused(why.into()))
}

/// That a version is unknown, and which are known.
#[must_use]
pub fn unknown_version(name: &str, unstable: Unstable) -> String {
    let known = MetadataVersion::all()
        .filter(|v| v.is_production() || unstable == Unstable::Allowed)
        .map(MetadataVersion::name)
        .collect::<Vec<_>>()
        .join(", ");
    format!("Unknown metadata.version '{name}'. Supported metadata.version are: {known}")
}

/// What the cluster begins with.
pub(super) fn bootstrap(request: &FormatRequest) -> Result<Bootstrap, FormatError> {
    if request.node_id < 0 {
        return refuse("You must specify a valid non-negative node ID.");
    }
    if request.cluster_id.is_empty() {
        return refuse("You must specify the cluster id.");
    }
    let asked: BTreeMap<String, i16> = request.features.iter().cloned().collect();
    let version = version(request, &asked)?;
    if let Some(unknown) =
        asked.keys().find(|n| n.as_str() != MetadataVersion::FEATURE && Feature::named(n).is_none())
    {
        let mut known: Vec<_> = FEATURES.iter().map(|f| f.name).collect();
        known.sort_unstable();
        let known = known.join(", ");
        return refuse(format!("Unsupported feature: {unknown}. Supported features are: {known}"));
    }
    let levels = levels(version, &asked)?;
    let mut credentials = Vec::new();
    for argument in &request.scram {
        let salt = fresh_salt();
        match Credential::parse(argument, salt.as_bytes()) {
            Ok(credential) => credentials.push(credential),
            Err(why) => return refuse(why),
        }
    }
    if !credentials.is_empty() && !version.has_scram() {
        let first =
            MetadataVersion::all().find(|v| v.has_scram()).map_or("", MetadataVersion::name);
        return refuse(format!("SCRAM is only supported in metadata.version {first} or later."));
    }
    Ok(Bootstrap::new(version, levels, credentials))
}

fn version(
    request: &FormatRequest,
    asked: &BTreeMap<String, i16>,
) -> Result<MetadataVersion, FormatError> {
    let level = asked.get(MetadataVersion::FEATURE);
    let version = match (&request.release, level) {
        (Some(_), Some(_)) => {
            return refuse(
                "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.",
            );
        }
        (Some(name), None) => match parse_version(name) {
            Some(version) => version,
            None => return refuse(unknown_version(name, request.unstable)),
        },
        (None, Some(level)) => match MetadataVersion::from_level(*level) {
            Some(version) => version,
            None => return refuse(format!("No MetadataVersion with feature level {level}")),
        },
        (None, None) => MetadataVersion::LATEST,
    };
    if !version.is_production() && request.unstable == Unstable::Refused {
        let name = version.name();
        return refuse(format!("metadata.version {name} is not yet stable."));
    }
    Ok(version)
}

/// The levels above 0 besides those of `metadata.version` and `kraft.version`.
fn levels(
    version: MetadataVersion,
    asked: &BTreeMap<String, i16>,
) -> Result<BTreeMap<String, i16>, FormatError> {
    let mut levels = BTreeMap::new();
    for feature in FEATURES.iter().filter(|f| f.name != KRAFT) {
        let level =
            asked.get(feature.name).copied().unwrap_or_else(|| feature.default_level(version));
        if !feature.range().contains(level) {
            let name = feature.name;
            return refuse(format!("No feature:{name} with feature level {level}"));
        }
        if level > 0 {
            levels.insert(feature.name.to_owned(), level);
        }
    }
    for feature in FEATURES.iter().filter(|f| f.name != KRAFT) {
        let Some(level) = levels.get(feature.name) else { continue };
        if let Some((needs, least)) = feature.missing(*level, version, &levels) {
            let name = feature.name;
            return refuse(format!(
                "{name} could not be set to {level} because it depends on {needs} level {least}"
            ));
        }
    }
    Ok(levels)
}

fn is_dynamic(request: &FormatRequest) -> bool {
    request.quorum != InitialQuorum::Configured
}

/// The level of `kraft.version`: 1 with a dynamic quorum, else 0.
pub(super) fn kraft_version(request: &FormatRequest) -> Result<i16, FormatError> {
    let dynamic = is_dynamic(request);
    let asked = request.features.iter().find(|(name, _)| name == KRAFT).map(|(_, level)| *level);
    match asked {
        Some(0) if dynamic => refuse(
            "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, \
             --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try removing \
             the --feature flag for kraft.version.",
        ),
        Some(level) if level > 0 && !dynamic => refuse(format!(
            "Cannot set kraft.version to {level} unless controller.quorum.voters is empty and one of the flags \
             --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers \
             support, try using one of --standalone, --initial-controllers, or --no-initial-controllers and removing \
             controller.quorum.voters."
        )),
        Some(level) if !(0..=1).contains(&level) => {
            refuse(format!("No feature:kraft.version with feature level {level}"))
        }
        _ => Ok(i16::from(dynamic)),
    }
}

/// The directories to format.
pub(super) fn unformatted(
    request: &FormatRequest,
    ensemble: &Ensemble,
) -> Result<Vec<PathBuf>, FormatError> {
    let mut all = request.log_dirs.clone();
    if !all.contains(&request.metadata_dir) {
        all.push(request.metadata_dir.clone());
    }
    let mut todo = Vec::new();
    for dir in all {
        match ensemble.found().find(|(found, _)| *found == dir).map(|(_, found)| found) {
            Some(Found::Formatted(_)) if request.formatted == IfFormatted::Refuse => {
                let dir = dir.display();
                return refuse(format!(
                    "Log directory {dir} is already formatted. Use --ignore-formatted to ignore this directory and \
                     format the others."
                ));
            }
            Some(Found::Absent | Found::Unformatted) => todo.push(dir),
            _ => {}
        }
    }
    if todo.is_empty() && ensemble.formatted().next().is_none() {
        return refuse("No available log directories to format.");
    }
    Ok(todo)
}

/// The first voters of a dynamic quorum.
pub(super) fn controllers(request: &FormatRequest) -> Vec<InitialController> {
    match &request.quorum {
        InitialQuorum::Configured | InitialQuorum::Joins => Vec::new(),
        InitialQuorum::Standalone { host, port } => vec![InitialController {
            key: NodeKey::new(request.node_id, random_uuid()),
            host: host.clone(),
            port: *port,
        }],
        InitialQuorum::Controllers(controllers) => controllers.clone(),
    }
}

fn fresh_salt() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    let bytes: [u8; SALT_CHARS] = rand::random();
    bytes.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect()
}

/// What `version-mapping` prints for a version, a line each. Without a name, the newest stable version.
///
/// # Errors
/// When there is no such version.
pub fn version_mapping(name: Option<&str>) -> Result<Vec<String>, String> {
    let (version, shown) = match name {
        None => (MetadataVersion::LATEST, MetadataVersion::LATEST.name()),
        Some(name) => {
            let known = parse_version(name);
            (known.ok_or_else(|| unknown_version(name, Unstable::Allowed))?, name)
        }
    };
    let first = format!("metadata.version={} ({shown})", version.level());
    let rest = FEATURES.iter().map(|f| format!("{}={}", f.name, f.default_level(version)));
    Ok(std::iter::once(first).chain(rest).collect())
}

/// What `feature-dependencies` prints for `feature=level`, a line each.
///
/// # Errors
/// When there is no such feature or level.
pub fn feature_dependencies(argument: &str) -> Result<Vec<String>, String> {
    let Some((name, level)) = argument.split_once('=').filter(|(_, l)| !l.contains('=')) else {
        return Err(format!(
            "Invalid feature format: {argument}. Expected format: 'feature=version' (e.g. 'group.version=1')"
        ));
    };
    let number: i16 =
        level.parse().map_err(|_| format!("Invalid version format: {level} for feature {name}"))?;
    if name == MetadataVersion::FEATURE {
        let version = MetadataVersion::from_level(number)
            .ok_or_else(|| format!("Unknown metadata.version {number}"))?;
        return Ok(vec![format!("{name}={number} ({}) has no dependencies.", version.name())]);
    }
    let feature = Feature::named(name).ok_or_else(|| format!("Unknown feature: {name}"))?;
    let level = feature
        .levels
        .iter()
        .find(|l| l.level == number)
        .ok_or_else(|| format!("Feature level {number} is not supported for feature {name}"))?;
    if level.needs.is_empty() {
        return Ok(vec![format!("{name}={number} has no dependencies.")]);
    }
    let needs = level.needs.iter().map(|(needed, least)| {
        match MetadataVersion::from_level(*least).filter(|_| *needed == MetadataVersion::FEATURE) {
            Some(version) => format!("    {needed}={least} ({})", version.name()),
            None => format!("    {needed}={least}"),
        }
    });
    Ok(std::iter::once(format!("{name}={number} requires:")).chain(needs).collect())
}
