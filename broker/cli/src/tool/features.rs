//! `ottla features`, Kafka's `kafka-features.sh`: the levels of features, and changes of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ottla_client::{Client, Effect, FeatureChange, FeaturesDescription};
use ottla_metadata::MetadataVersion;
use ottla_metadata::features::{FEATURES, Feature};
use ottla_quorum::format;

use super::cluster;
use super::connect::{self, Failure, say};
use crate::argparse::{self, Manner};

/// Shows and changes the levels of features.
#[derive(Parser)]
#[command(name = "kafka-features")]
struct Features {
    #[command(flatten)]
    servers: Servers,
    /// A file with properties of the client.
    #[arg(long)]
    command_config: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// Whom to ask; what is known without asking needs nobody.
#[derive(Args)]
#[group(id = "asked", multiple = false)]
struct Servers {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// Controllers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_controller: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the levels of features.
    Describe {
        /// The node to ask; any without this option.
        #[arg(long, allow_negative_numbers = true)]
        node_id: Option<i32>,
    },
    /// Raises levels.
    Upgrade {
        #[command(flatten)]
        levels: Levels,
        /// Only check it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lowers levels.
    Downgrade {
        #[command(flatten)]
        levels: Levels,
        /// Even if metadata is lost.
        #[arg(long = "unsafe")]
        lossy: bool,
        /// Only check it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes features away: the same as lowering them to 0.
    Disable {
        /// The feature. May be given several times.
        #[arg(long)]
        feature: Vec<String>,
        /// Even if metadata is lost.
        #[arg(long = "unsafe")]
        lossy: bool,
        /// Only check it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Shows which level of each feature goes with a release; without --release-version, with the newest stable one.
    VersionMapping {
        /// The release or metadata version, from 3.3-IV3 on; 4.3-IV0 without this option.
        #[arg(long)]
        release_version: Option<String>,
    },
    /// Shows what a level of a feature needs. Can be asked of several features at once.
    FeatureDependencies {
        /// A feature and its level, such as metadata.version=5.
        #[arg(long, required = true)]
        feature: Vec<String>,
    },
}

#[derive(Args)]
struct Levels {
    /// The metadata version; the old name of --feature metadata.version=LEVEL.
    #[arg(long)]
    metadata: Option<String>,
    /// The release whose levels all features get, such as 4.3; version-mapping shows them.
    #[arg(long)]
    release_version: Option<String>,
    /// A feature and its level, such as group.version=1. May be given several times.
    #[arg(long)]
    feature: Vec<String>,
}

/// What happens to levels, in words of messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Upgrade,
    Downgrade,
    Disable,
}

impl Deed {
    fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disable => "disable",
        }
    }
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: Features = match argparse::parse(args, Manner::OneLine) {
        Ok(options) => options,
        Err(code) => return code,
    };
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        connect::end(perform(options, &mut out).await)
    })
}

async fn perform(options: Features, out: &mut dyn Write) -> Result<(), Failure> {
    let client = || {
        let (server, controller) =
            (&options.servers.bootstrap_server, &options.servers.bootstrap_controller);
        let files = [&options.command_config];
        connect::client("ottla-features", server.as_deref(), controller.as_deref(), &files)
    };
    let effect = |dry: bool| if dry { Effect::DryRun } else { Effect::Real };
    let down = |lossy: bool| {
        if lossy { FeatureChange::UnsafeDowngrade } else { FeatureChange::SafeDowngrade }
    };
    match options.command {
        Command::Describe { node_id } => {
            if let Some(id) = node_id.filter(|id| *id < 0) {
                return Err(Failure(format!("Invalid node id {id}: must be non-negative.")));
            }
            for line in described(&client()?.features(node_id).await?) {
                say(out, line);
            }
            Ok(())
        }
        Command::Upgrade { ref levels, dry_run } => {
            let wanted = wanted(levels, Deed::Upgrade, out)?;
            let change = FeatureChange::Upgrade;
            update(&client()?, &wanted, Deed::Upgrade, change, effect(dry_run), out).await
        }
        Command::Downgrade { ref levels, lossy, dry_run } => {
            let wanted = wanted(levels, Deed::Downgrade, out)?;
            update(&client()?, &wanted, Deed::Downgrade, down(lossy), effect(dry_run), out).await
        }
        Command::Disable { ref feature, lossy, dry_run } => {
            let mut wanted = BTreeMap::new();
            for name in feature {
                if wanted.insert(name.clone(), 0).is_some() {
                    return Err(Failure(format!("Feature {name} was specified more than once.")));
                }
            }
            if wanted.is_empty() {
                return Err("You must specify at least one feature to disable".into());
            }
            update(&client()?, &wanted, Deed::Disable, down(lossy), effect(dry_run), out).await
        }
        Command::VersionMapping { ref release_version } => {
            for line in format::version_mapping(release_version.as_deref())? {
                say(out, line);
            }
            Ok(())
        }
        Command::FeatureDependencies { ref feature } => {
            for one in feature {
                known_level(one)?;
                for line in format::feature_dependencies(one)? {
                    say(out, line);
                }
            }
            Ok(())
        }
    }
}

/// Refuses a level of a known feature that there is not.
fn known_level(argument: &str) -> Result<(), Failure> {
    let (name, level) = name_and_level(argument)?;
    let Some(feature) = Feature::named(&name) else { return Ok(()) };
    if feature.levels.iter().any(|l| l.level == level) {
        return Ok(());
    }
    Err(Failure(format!("No feature:{name} with feature level {level}")))
}

fn name_and_level(text: &str) -> Result<(String, i16), Failure> {
    let Some((name, level)) = text.split_once('=') else {
        return Err(Failure(format!(
            "Can't parse feature=level string {text}: equals sign not found."
        )));
    };
    let parsed = level.trim().parse().map_err(|_| {
        Failure(format!(
            "Can't parse feature=level string {text}: unable to parse {level} as a short."
        ))
    })?;
    Ok((name.trim().to_owned(), parsed))
}

/// The metadata version of a name, or an error that lists those there are.
fn version(name: &str) -> Result<MetadataVersion, Failure> {
    format::version_mapping(Some(name))?;
    MetadataVersion::from_name(name)
        .ok_or_else(|| Failure(format!("Unknown metadata.version '{name}'.")))
}

/// The levels that options ask for.
fn wanted(
    levels: &Levels,
    deed: Deed,
    out: &mut dyn Write,
) -> Result<BTreeMap<String, i16>, Failure> {
    let mut wanted = BTreeMap::new();
    if let Some(release) = &levels.release_version {
        if levels.metadata.is_some() || !levels.feature.is_empty() {
            return Err("Can not specify `release-version` with other feature flags.".into());
        }
        let version = version(release)?;
        let defaults = FEATURES.iter().map(|f| (f.name.to_owned(), f.default_level(version)));
        // What a release has not is left as it is when levels go up.
        wanted.extend(defaults.filter(|(_, level)| deed == Deed::Downgrade || *level > 0));
        wanted.insert(MetadataVersion::FEATURE.to_owned(), version.level());
        return Ok(wanted);
    }
    if let Some(name) = &levels.metadata {
        say(out, " `metadata` flag is deprecated and may be removed in a future release.");
        wanted.insert(MetadataVersion::FEATURE.to_owned(), version(name)?.level());
    }
    for text in &levels.feature {
        let (name, level) = name_and_level(text)?;
        if wanted.insert(name.clone(), level).is_some() {
            return Err(Failure(format!("Feature {name} was specified more than once.")));
        }
    }
    if wanted.is_empty() {
        let name = deed.name();
        return Err(Failure(format!("You must specify at least one feature to {name}")));
    }
    Ok(wanted)
}

async fn update(
    client: &Client,
    wanted: &BTreeMap<String, i16>,
    deed: Deed,
    change: FeatureChange,
    effect: Effect,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let results = client.update_features(wanted, change, effect).await?;
    let mut failed = 0;
    for (name, level) in wanted {
        let name = name.as_str();
        match results.get(name) {
            Some(Err(error)) => {
                failed += 1;
                let cannot = if effect == Effect::DryRun { "Can not" } else { "Could not" };
                let what = deed.name();
                if deed == Deed::Disable {
                    say(out, format_args!("{cannot} {what} {name}. {error}"));
                } else {
                    say(out, format_args!("{cannot} {what} {name} to {level}. {error}"));
                }
            }
            _ => {
                let does = if effect == Effect::DryRun { "can be" } else { "was" };
                if deed == Deed::Disable {
                    say(out, format_args!("{name} {does} disabled."));
                } else {
                    say(out, format_args!("{name} {does} {}d to {level}.", deed.name()));
                }
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Failure(format!("{failed} out of {} operation(s) failed.", wanted.len())))
}

/// A line for each feature.
fn described(features: &FeaturesDescription) -> Vec<String> {
    let shown = |name: &str, level: i16| {
        if name != MetadataVersion::FEATURE {
            return level.to_string();
        }
        let known = MetadataVersion::from_level(level).map(|v| v.name().to_owned());
        known.unwrap_or_else(|| format!("UNKNOWN {level}"))
    };
    let epoch = features.epoch.map_or_else(|| "-".to_owned(), |e| e.to_string());
    let lines = features.supported.iter().map(|(name, (min, max))| {
        let level = features.finalized.get(name).copied().unwrap_or(0);
        format!(
            "Feature: {name:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  \
             FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            shown(name, *min),
            shown(name, *max),
            shown(name, level)
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(metadata: Option<&str>, release: Option<&str>, features: &[&str]) -> Levels {
        Levels {
            metadata: metadata.map(str::to_owned),
            release_version: release.map(str::to_owned),
            feature: features.iter().map(|f| (*f).to_owned()).collect(),
        }
    }

    #[test]
    fn levels_asked_for() {
        let mut out = Vec::new();
        let mut ask = |l: Levels| wanted(&l, Deed::Upgrade, &mut out).map_err(|e| e.0);
        let named = |pairs: &[(&str, i16)]| -> BTreeMap<String, i16> {
            pairs.iter().map(|(n, l)| ((*n).to_owned(), *l)).collect()
        };
        assert_eq!(ask(levels(Some("4.3-IV0"), None, &[])), Ok(named(&[("metadata.version", 30)])));
        assert_eq!(ask(levels(None, None, &["a=3"])), Ok(named(&[("a", 3)])));
        assert_eq!(ask(levels(None, Some("4.3"), &[])).unwrap().len(), 7);
        for (wrong, why) in [
            (levels(None, None, &[]), "You must specify at least one feature to upgrade"),
            (
                levels(None, None, &["a"]),
                "Can't parse feature=level string a: equals sign not found.",
            ),
            (levels(None, None, &["a=1", "a=2"]), "Feature a was specified more than once."),
            (
                levels(Some("4.3-IV0"), None, &["metadata.version=30"]),
                "Feature metadata.version was specified more than once.",
            ),
            (
                levels(None, Some("4.3"), &["a=1"]),
                "Can not specify `release-version` with other feature flags.",
            ),
        ] {
            assert_eq!(ask(wrong), Err(why.to_owned()));
        }
        let unknown = ask(levels(Some("foo"), None, &[])).unwrap_err();
        assert!(unknown.starts_with("Unknown metadata.version 'foo'. Supported"), "{unknown}");
    }

    #[test]
    fn features_are_shown_as_kafka_shows_them() {
        let described = described(&FeaturesDescription {
            supported: BTreeMap::from([("metadata.version".to_owned(), (7, 30))]),
            finalized: BTreeMap::from([("metadata.version".to_owned(), 30)]),
            epoch: Some(911),
        });
        assert_eq!(
            described,
            [
                "Feature: metadata.version                          SupportedMinVersion: 3.3-IV3          \
                 SupportedMaxVersion: 4.3-IV0          FinalizedVersionLevel: 4.3-IV0          Epoch: 911"
            ]
        );
    }

    #[test]
    fn levels_that_there_are_not() {
        assert_eq!(
            known_level("transaction.version=99").unwrap_err().0,
            "No feature:transaction.version with feature level 99"
        );
        assert_eq!(known_level("transaction.version=2"), Ok(()));
    }
}
