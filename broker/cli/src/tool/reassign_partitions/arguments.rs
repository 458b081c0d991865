//! The options of `ottla reassign-partitions`, and which of them go together.

use clap::Parser;

/// Moves replicas of partitions between brokers and log directories.
#[derive(Parser, Debug, Default)]
#[command(name = "kafka-reassign-partitions", version, infer_long_args = true)]
pub(super) struct Reassign {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    pub(super) bootstrap_server: Option<String>,
    /// Controllers to ask, as host:port,host:port; for --cancel and --list.
    #[arg(long)]
    pub(super) bootstrap_controller: Option<String>,
    /// A file with properties of the client.
    #[arg(long)]
    pub(super) command_config: Option<String>,
    /// Propose where replicas shall go; nothing is moved.
    #[arg(long)]
    pub(super) generate: bool,
    /// Begin the moves of --reassignment-json-file.
    #[arg(long)]
    pub(super) execute: bool,
    /// Show how far the moves of --reassignment-json-file are, and take throttles away when they are done.
    #[arg(long)]
    pub(super) verify: bool,
    /// Cancel the moves of --reassignment-json-file that are under way.
    #[arg(long)]
    pub(super) cancel: bool,
    /// Show all moves that are under way.
    #[arg(long)]
    pub(super) list: bool,
    /// A file {"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/path"]}]};
    /// log_dirs may be left out.
    #[arg(long)]
    pub(super) reassignment_json_file: Option<String>,
    /// A file {"version":1,"topics":[{"topic":"t"}]} with the topics that --generate is about; all without it, where
    /// another goal is given.
    #[arg(long)]
    pub(super) topics_to_move_json_file: Option<String>,
    /// With --generate: put the topics on these brokers, separated by commas, and on no others.
    #[arg(long)]
    pub(super) broker_list: Option<String>,
    /// With --generate: empty these brokers, separated by commas. Not an option of Kafka's tool.
    #[arg(long)]
    pub(super) drain_brokers: Option<String>,
    /// With --generate: empty a log directory, as BROKER:PATH. Not an option of Kafka's tool.
    #[arg(long)]
    pub(super) drain_log_dir: Option<String>,
    /// With --generate: give each partition so many replicas. Not an option of Kafka's tool.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) replication_factor: Option<String>,
    /// With --generate: give these brokers, which are new, their share of what others hold. Not an option of Kafka's
    /// tool.
    #[arg(long)]
    pub(super) spread_brokers: Option<String>,
    /// Take no notice of racks.
    #[arg(long)]
    pub(super) disable_rack_aware: bool,
    /// The most bytes a second that move between brokers.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) throttle: Option<String>,
    /// The most bytes a second that move between log directories of a broker.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) replica_alter_log_dirs_throttle: Option<String>,
    /// Milliseconds to wait until moves between log directories begin.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) timeout: Option<String>,
    /// Begin these moves beside others that are under way, or change their throttle.
    #[arg(long)]
    pub(super) additional: bool,
    /// Leave throttles as they are.
    #[arg(long)]
    pub(super) preserve_throttles: bool,
    /// Refuse to change how many replicas a partition has.
    #[arg(long)]
    pub(super) disallow_replication_factor_change: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Generate,
    Execute,
    Verify,
    Cancel,
    List,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Execute => "execute",
            Self::Verify => "verify",
            Self::Cancel => "cancel",
            Self::List => "list",
        }
    }
}

impl Reassign {
    /// The one action of the command line, if its options go together.
    pub(super) fn action(&self) -> Result<Action, String> {
        use Action::{Cancel, Execute, Generate, List, Verify};
        let given = [
            (self.generate, Generate),
            (self.execute, Execute),
            (self.verify, Verify),
            (self.cancel, Cancel),
            (self.list, List),
        ];
        let mut actions = given.iter().filter_map(|(given, action)| given.then_some(*action));
        let (Some(action), None) = (actions.next(), actions.next()) else {
            let names: Vec<String> = given.iter().map(|(_, a)| format!("--{}", a.name())).collect();
            return Err(format!("Command must include exactly one action: {}", names.join(", ")));
        };
        match (&self.bootstrap_server, &self.bootstrap_controller) {
            (Some(_), Some(_)) => {
                return Err(
                    "Please don't specify both --bootstrap-server and --bootstrap-controller"
                        .into(),
                );
            }
            (None, None) => {
                return Err(
                    "Please specify either --bootstrap-server or --bootstrap-controller".into()
                );
            }
            _ => {}
        }
        let missing = |name: &str| Err(format!("Missing required argument \"[{name}]\""));
        match action {
            Execute | Verify | Cancel if self.reassignment_json_file.is_none() => {
                return missing("reassignment-json-file");
            }
            Generate if self.goals() == 0 && self.topics_to_move_json_file.is_none() => {
                return missing("topics-to-move-json-file");
            }
            Generate if self.goals() == 0 => return missing("broker-list"),
            Generate if self.goals() > 1 => {
                return Err(
                    "give one of --broker-list, --drain-brokers, --drain-log-dir, --replication-factor and \
                     --spread-brokers"
                        .into(),
                );
            }
            Generate if self.broker_list.is_some() && self.topics_to_move_json_file.is_none() => {
                return missing("topics-to-move-json-file");
            }
            _ => {}
        }
        for (given, option, actions) in self.allowed() {
            if given && !actions.contains(&action) {
                return Err(format!(
                    "Option \"[{option}]\" can't be used with action \"[{}]\"",
                    action.name()
                ));
            }
        }
        Ok(action)
    }

    fn goals(&self) -> usize {
        let goals = [
            &self.broker_list,
            &self.drain_brokers,
            &self.drain_log_dir,
            &self.replication_factor,
            &self.spread_brokers,
        ];
        goals.into_iter().flatten().count()
    }

    /// Each option that does not go with all actions: whether it is given, its name and the actions it goes with.
    fn allowed(&self) -> [(bool, &'static str, &'static [Action]); 15] {
        use Action::{Cancel, Execute, Generate, List, Verify};
        [
            (self.bootstrap_controller.is_some(), "bootstrap-controller", &[Cancel, List]),
            (
                self.reassignment_json_file.is_some(),
                "reassignment-json-file",
                &[Execute, Verify, Cancel],
            ),
            (self.topics_to_move_json_file.is_some(), "topics-to-move-json-file", &[Generate]),
            (self.broker_list.is_some(), "broker-list", &[Generate]),
            (self.drain_brokers.is_some(), "drain-brokers", &[Generate]),
            (self.drain_log_dir.is_some(), "drain-log-dir", &[Generate]),
            (self.replication_factor.is_some(), "replication-factor", &[Generate]),
            (self.spread_brokers.is_some(), "spread-brokers", &[Generate]),
            (self.disable_rack_aware, "disable-rack-aware", &[Generate]),
            (self.throttle.is_some(), "throttle", &[Execute]),
            (
                self.replica_alter_log_dirs_throttle.is_some(),
                "replica-alter-log-dirs-throttle",
                &[Execute],
            ),
            (self.timeout.is_some(), "timeout", &[Execute, Cancel]),
            (self.additional, "additional", &[Execute]),
            (self.preserve_throttles, "preserve-throttles", &[Verify, Cancel]),
            (
                self.disallow_replication_factor_change,
                "disallow-replication-factor-change",
                &[Execute],
            ),
        ]
    }

    /// --throttle; none below 0.
    pub(super) fn throttle(&self) -> Result<Option<i64>, String> {
        rate("throttle", self.throttle.as_deref())
    }

    /// --replica-alter-log-dirs-throttle; none below 0.
    pub(super) fn log_dirs_throttle(&self) -> Result<Option<i64>, String> {
        let given = self.replica_alter_log_dirs_throttle.as_deref();
        rate("replica-alter-log-dirs-throttle", given)
    }

    /// --timeout: 10 seconds without it.
    pub(super) fn timeout(&self) -> Result<std::time::Duration, String> {
        let ms = number("timeout", self.timeout.as_deref())?.unwrap_or(10_000);
        Ok(std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    /// --replication-factor.
    pub(super) fn factor(&self) -> Result<Option<i16>, String> {
        let number = number("replication-factor", self.replication_factor.as_deref())?;
        Ok(number.map(|n| i16::try_from(n).unwrap_or(if n < 0 { -1 } else { i16::MAX })))
    }
}

fn rate(option: &str, text: Option<&str>) -> Result<Option<i64>, String> {
    Ok(number(option, text)?.filter(|rate| *rate >= 0))
}

fn number(option: &str, text: Option<&str>) -> Result<Option<i64>, String> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.parse();
    parsed.map(Some).map_err(|_| format!("Cannot parse argument '{text}' of option {option}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Reassign {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Reassign::try_parse_from(words).unwrap()
    }

    #[test]
    fn options_that_go_together() {
        let base = "--bootstrap-server h:1";
        for (line, action) in [
            ("--generate --topics-to-move-json-file f --broker-list 1,2", Action::Generate),
            ("--generate --drain-brokers 1", Action::Generate),
            ("--generate --replication-factor 3 --topics-to-move-json-file f", Action::Generate),
            ("--execute --reassignment-json-file f --throttle 5 --additional", Action::Execute),
            ("--verify --reassignment-json-file f --preserve-throttles", Action::Verify),
            ("--cancel --reassignment-json-file f --timeout 5", Action::Cancel),
            ("--list", Action::List),
        ] {
            assert_eq!(parse(&format!("{base} {line}")).action(), Ok(action), "{line}");
        }
        for (line, why) in [
            (
                "",
                "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list",
            ),
            ("--execute", "Missing required argument \"[reassignment-json-file]\""),
            (
                "--generate --broker-list 1",
                "Missing required argument \"[topics-to-move-json-file]\"",
            ),
            ("--generate", "Missing required argument \"[topics-to-move-json-file]\""),
            (
                "--generate --topics-to-move-json-file f",
                "Missing required argument \"[broker-list]\"",
            ),
            ("--list --throttle 5", "Option \"[throttle]\" can't be used with action \"[list]\""),
        ] {
            assert_eq!(parse(&format!("{base} {line}")).action(), Err(why.to_owned()), "{line}");
        }
        assert!(parse("--list").action().unwrap_err().starts_with("Please specify either"));
        assert!(
            parse(&format!("{base} --generate --drain-brokers 1 --spread-brokers 2"))
                .action()
                .is_err()
        );
        assert!(
            parse("--bootstrap-controller h:1 --verify --reassignment-json-file f")
                .action()
                .is_err()
        );
    }

    #[test]
    fn numbers() {
        assert_eq!(parse("--throttle -1").throttle(), Ok(None));
        assert_eq!(parse("--throttle 7").throttle(), Ok(Some(7)));
        assert!(parse("--throttle x").throttle().is_err());
        assert_eq!(parse("").timeout().map(|t| t.as_millis()), Ok(10_000));
        assert_eq!(parse("--replication-factor 99999").factor(), Ok(Some(i16::MAX)));
    }
}
