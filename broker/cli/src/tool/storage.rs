//! `ottla storage`, Kafka's `kafka-storage.sh`: format log directories and look at them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ottla_config::{BrokerConfig, File, Surroundings, keys};
use ottla_log::disk::Disk;
use ottla_log::disk::real::RealDisk;
use ottla_quorum::directories::{Ensemble, Found};
use ottla_quorum::format::{self, FormatRequest, IfFormatted, InitialQuorum, Unstable};
use ottla_quorum::{InitialController, meta_properties};

use crate::argparse::{self, Message};

/// Prepares a node's log directories.
#[derive(Parser)]
#[command(name = "kafka-storage")]
struct Storage {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what is in the log directories of this node.
    Info {
        /// The node's properties file.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Formats the log directories of this node.
    Format(Format),
    /// Shows which level of each feature goes with a release; without --release-version, with the newest stable one.
    VersionMapping {
        /// The release or metadata version, from 3.3-IV3 on; 4.3-IV0 without this option.
        #[arg(long, short)]
        release_version: Option<String>,
    },
    /// Shows what a level of a feature needs. Can be asked of several features at once.
    FeatureDependencies {
        /// A feature and its level, such as metadata.version=5.
        #[arg(long, short, required = true)]
        feature: Vec<String>,
    },
    /// Prints an id that nobody else has.
    RandomUuid,
}

#[derive(Args)]
struct Format {
    /// The node's properties file.
    #[arg(long, short)]
    config: PathBuf,
    /// The id of the cluster the node belongs to.
    #[arg(long, short = 't')]
    cluster_id: String,
    /// A first SCRAM credential, such as 'SCRAM-SHA-256=[name=alice,password=alice-secret]' or
    /// 'SCRAM-SHA-512=[name=alice,iterations=8192,salt="N3E=",saltedpassword="YCE="]'.
    #[arg(long, short = 'S')]
    add_scram: Vec<String>,
    /// Leave directories alone that are formatted already, instead of refusing.
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The release whose features the cluster begins with, from 3.3-IV3 on; 4.3-IV0 without this option.
    #[arg(long, short)]
    release_version: Option<String>,
    /// The level a feature begins with, such as group.version=1.
    #[arg(long, short)]
    feature: Vec<String>,
    /// Make this controller the only voter of a dynamic quorum. controller.quorum.bootstrap.servers is set instead of
    /// controller.quorum.voters.
    #[arg(long, short, group = "quorum")]
    standalone: bool,
    /// Join a dynamic quorum that has its voters. controller.quorum.bootstrap.servers is set instead of
    /// controller.quorum.voters.
    #[arg(long, short = 'N', group = "quorum")]
    no_initial_controllers: bool,
    /// The voters a dynamic quorum begins with, as id@host:port:directory, separated by commas; the same for all nodes.
    /// controller.quorum.bootstrap.servers is set instead of controller.quorum.voters.
    #[arg(long, short = 'I', group = "quorum")]
    initial_controllers: Option<String>,
}

/// What a run printed, and how it ended.
#[derive(Debug, Default)]
struct Outcome {
    out: Vec<String>,
    /// What is wrong; exit code 1.
    mistake: Option<String>,
}

impl Outcome {
    fn mistake(why: impl ToString) -> Self {
        Self { out: Vec::new(), mistake: Some(why.to_string()) }
    }

    fn of(result: Result<Vec<String>, String>) -> Self {
        result.map_or_else(Self::mistake, |out| Self { out, mistake: None })
    }
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let mut command = Storage::command().disable_help_subcommand(true);
    command.build();
    let parsed = command
        .clone()
        .try_get_matches_from(
            std::iter::once("kafka-storage").chain(args.iter().map(String::as_str)),
        )
        .and_then(|mut matches| Storage::from_arg_matches_mut(&mut matches));
    let outcome = match parsed {
        Ok(storage) => execute(storage.command),
        Err(error) => match argparse::explain(&command, args, &error) {
            Message::Help(text) => {
                let _ = write!(std::io::stdout(), "{text}");
                return ExitCode::SUCCESS;
            }
            Message::Mistake(text) => {
                let _ = write!(std::io::stderr(), "{text}");
                return ExitCode::FAILURE;
            }
        },
    };
    for line in &outcome.out {
        if writeln!(std::io::stdout(), "{line}").is_err() {
            break;
        }
    }
    match outcome.mistake {
        None => ExitCode::SUCCESS,
        Some(why) => {
            if !why.is_empty() {
                let _ = writeln!(std::io::stderr(), "{why}");
            }
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Outcome {
    match command {
        Command::RandomUuid => {
            Outcome { out: vec![format::random_uuid().to_string()], mistake: None }
        }
        Command::VersionMapping { release_version } => {
            Outcome::of(format::version_mapping(release_version.as_deref()))
        }
        Command::FeatureDependencies { feature } => feature_dependencies(&feature),
        Command::Info { config } => match read_config(&config) {
            Ok(config) => info(&RealDisk, &config),
            Err(why) => Outcome::mistake(why),
        },
        Command::Format(options) => match format_directories(options) {
            Ok(out) => Outcome { out, mistake: None },
            Err(why) => Outcome::mistake(why),
        },
    }
}

fn feature_dependencies(features: &[String]) -> Outcome {
    let mut outcome = Outcome::default();
    for feature in features {
        match format::feature_dependencies(feature) {
            Ok(lines) => outcome.out.extend(lines),
            Err(why) => {
                outcome.mistake = Some(why);
                break;
            }
        }
    }
    outcome
}

struct Process;

impl Surroundings for Process {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
}

fn read_config(path: &Path) -> Result<BrokerConfig, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name} cannot be read: {e}"))?;
    let file = File { name: &name, text: &text };
    let parsed = ottla_config::parse(Some(file), &[], &Process).map_err(|e| e.to_string())?;
    Ok(parsed.config)
}

fn directories(config: &BrokerConfig) -> (Vec<PathBuf>, PathBuf) {
    let log_dirs = config.log_dirs().iter().map(PathBuf::from).collect();
    (log_dirs, PathBuf::from(config.metadata_log_dir()))
}

fn info(disk: &dyn Disk, config: &BrokerConfig) -> Outcome {
    let (log_dirs, metadata_dir) = directories(config);
    let ensemble = Ensemble::inspect(disk, &log_dirs, &metadata_dir);
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut metadata: Option<meta_properties::MetaProperties> = None;
    for (dir, state) in ensemble.found() {
        let shown = dir.display();
        match state {
            Found::Absent => problems.push(format!("{shown} does not exist")),
            Found::Unformatted => {
                found.push(shown.to_string());
                problems.push(format!("{shown} is not formatted."));
            }
            Found::Failed(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                problems.push(format!("{shown} is not a directory"));
            }
            Found::Failed(e) => {
                found.push(shown.to_string());
                let file = dir.join(meta_properties::FILE);
                problems.push(format!("Error loading {}: {e}", file.display()));
            }
            Found::Formatted(properties) => {
                found.push(shown.to_string());
                if let Some(before) = &metadata {
                    if before.cluster_id != properties.cluster_id {
                        problems.push("Mismatched cluster IDs between storage directories.".into());
                    } else if before.node_id != properties.node_id {
                        problems.push("Mismatched node IDs between storage directories.".into());
                    }
                } else {
                    metadata = Some(properties.clone());
                }
            }
        }
    }
    let mut outcome = Outcome::default();
    list(&mut outcome.out, "Found log directory:", "Found log directories:", &found);
    if let Some(metadata) = metadata {
        outcome.out.extend([format!("Found metadata: {metadata}"), String::new()]);
    }
    list(&mut outcome.out, "Found problem:", "Found problems:", &problems);
    if !problems.is_empty() {
        outcome.mistake = Some(String::new());
    }
    outcome
}

fn list(out: &mut Vec<String>, one: &str, several: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.push(if lines.len() == 1 { one } else { several }.to_owned());
    out.extend(lines.iter().map(|line| format!("  {line}")));
    out.push(String::new());
}

fn format_directories(options: Format) -> Result<Vec<String>, String> {
    let config = read_config(&options.config)?;
    let features = options.feature.iter().map(|f| feature_level(f));
    let features = features.collect::<Result<Vec<_>, _>>()?;
    let quorum = initial_quorum(&options, &config)?;
    let (log_dirs, metadata_dir) = directories(&config);
    let listener = config.listeners().controller.first();
    let request = FormatRequest {
        node_id: config.node_id(),
        cluster_id: options.cluster_id,
        log_dirs,
        metadata_dir,
        controller_listener: listener.map(|l| l.as_str().to_owned()).unwrap_or_default(),
        quorum,
        release: options.release_version,
        features,
        scram: options.add_scram,
        formatted: if options.ignore_formatted { IfFormatted::Ignore } else { IfFormatted::Refuse },
        unstable: if config.get(keys::UNSTABLE_FEATURE_VERSIONS_ENABLE) {
            Unstable::Allowed
        } else {
            Unstable::Refused
        },
    };
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let formatted = format::format(&RealDisk, &request, now_ms).map_err(|e| e.to_string())?;
    Ok(formatted.lines())
}

fn feature_level(text: &str) -> Result<(String, i16), String> {
    let (name, level) = text.split_once('=').ok_or_else(|| {
        format!("Can't parse feature=level string {text}: equals sign not found.")
    })?;
    let level = level.parse().map_err(|_| {
        format!("Can't parse feature=level string {text}: unable to parse {level} as a short.")
    })?;
    Ok((name.to_owned(), level))
}

fn initial_quorum(options: &Format, config: &BrokerConfig) -> Result<InitialQuorum, String> {
    let is_static = !config.voters().is_empty();
    if is_static && (options.standalone || options.initial_controllers.is_some()) {
        return Err("You cannot specify controller.quorum.voters and format the node with \
                    --initial-controllers or --standalone. If you want to use dynamic quorum, please remove \
                    controller.quorum.voters and specify controller.quorum.bootstrap.servers instead."
            .to_owned());
    }
    if let Some(list) = &options.initial_controllers {
        let controllers = InitialController::parse_list(list).map_err(|e| e.to_string())?;
        return Ok(InitialQuorum::Controllers(controllers));
    }
    if options.standalone {
        if !config.roles().is_controller() {
            return Err("You can only use --standalone on a controller.".to_owned());
        }
        let own = config.listeners().advertised_controller.first();
        let own = own.ok_or("No controller listeners found.")?;
        let host = if own.address.host.is_empty() { "localhost" } else { &own.address.host };
        return Ok(InitialQuorum::Standalone { host: host.to_owned(), port: own.address.port });
    }
    if options.no_initial_controllers {
        return Ok(InitialQuorum::Joins);
    }
    if !is_static && config.roles().is_controller() {
        return Err("Because controller.quorum.voters is not set on this controller, you must specify one of the \
                    following: --standalone, --initial-controllers, or --no-initial-controllers."
            .to_owned());
    }
    Ok(InitialQuorum::Configured)
}
