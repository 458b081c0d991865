//! The options of `ottla topics`, and which of them go together.

use std::collections::BTreeSet;

use clap::Parser;

/// Makes topics, shows them, changes and deletes them.
#[derive(Parser, Debug, Default)]
#[command(name = "kafka-topics", version, infer_long_args = true)]
pub(super) struct Topics {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    pub(super) bootstrap_server: Option<String>,
    /// A file with properties of the client.
    #[arg(long)]
    pub(super) command_config: Option<String>,
    /// Make a topic.
    #[arg(long)]
    pub(super) create: bool,
    /// Show the names of topics.
    #[arg(long)]
    pub(super) list: bool,
    /// Show topics in detail.
    #[arg(long)]
    pub(super) describe: bool,
    /// Change the number of partitions.
    #[arg(long)]
    pub(super) alter: bool,
    /// Delete topics.
    #[arg(long)]
    pub(super) delete: bool,
    /// The topic; except with --create a regular expression may stand for several.
    #[arg(long)]
    pub(super) topic: Option<String>,
    /// The id of the topic to describe.
    #[arg(long)]
    pub(super) topic_id: Option<String>,
    /// How many partitions the topic shall have; the cluster's default without this option.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) partitions: Option<String>,
    /// How many replicas each partition shall have; the cluster's default without this option.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) replication_factor: Option<String>,
    /// The brokers of each partition: 1:2,2:3 puts partition 0 on brokers 1 and 2, partition 1 on 2 and 3.
    #[arg(long)]
    pub(super) replica_assignment: Option<String>,
    /// A config of the new topic, as name=value. May be given several times.
    #[arg(long)]
    pub(super) config: Vec<String>,
    /// Does nothing; kept for old scripts.
    #[arg(long)]
    pub(super) delete_config: Vec<String>,
    /// It is fine if there is no such topic.
    #[arg(long)]
    pub(super) if_exists: bool,
    /// It is fine if there is such a topic already.
    #[arg(long)]
    pub(super) if_not_exists: bool,
    /// Leave out the brokers' own topics.
    #[arg(long)]
    pub(super) exclude_internal: bool,
    /// Show only topics that have configs of their own.
    #[arg(long)]
    pub(super) topics_with_overrides: bool,
    /// Show only partitions that lack replicas in sync.
    #[arg(long)]
    pub(super) under_replicated_partitions: bool,
    /// Show only partitions without a leader that is up.
    #[arg(long)]
    pub(super) unavailable_partitions: bool,
    /// Show only partitions with fewer replicas in sync than writing needs.
    #[arg(long)]
    pub(super) under_min_isr_partitions: bool,
    /// Show only partitions with just as many replicas in sync as writing needs.
    #[arg(long)]
    pub(super) at_min_isr_partitions: bool,
    /// The most partitions in one answer of a broker.
    #[arg(long)]
    pub(super) partition_size_limit_per_response: Option<i32>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    List,
    Describe,
    Alter,
    Delete,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Describe => "describe",
            Self::Alter => "alter",
            Self::Delete => "delete",
        }
    }
}

impl Topics {
    /// The one action of the command line, if its options go together.
    pub(super) fn action(&self) -> Result<Action, String> {
        use Action::{Alter, Create, Delete, Describe, List};
        let given = [
            (self.create, Create),
            (self.list, List),
            (self.describe, Describe),
            (self.alter, Alter),
            (self.delete, Delete),
        ];
        let mut actions = given.iter().filter_map(|(given, action)| given.then_some(*action));
        let (Some(action), None) = (actions.next(), actions.next()) else {
            return Err(
                "give exactly one of --create, --list, --describe, --alter and --delete".to_owned()
            );
        };
        if self.bootstrap_server.is_none() {
            return Err("--bootstrap-server is missing".to_owned());
        }
        let named = self.topic.is_some() || self.topic_id.is_some();
        match action {
            Create | Alter | Delete if self.topic.is_none() => {
                return Err(format!("--{} needs --topic", action.name()));
            }
            Describe if self.if_exists && !named => {
                return Err("--describe --if-exists needs --topic or --topic-id".to_owned());
            }
            Alter if !self.config.is_empty() => {
                return Err(
                    "--alter does not change --config; the tool kafka-configs does".to_owned()
                );
            }
            Alter if self.partitions.is_none() => {
                return Err("--alter needs --partitions".to_owned());
            }
            _ => {}
        }
        let several_reports = [
            self.under_replicated_partitions,
            self.unavailable_partitions,
            self.under_min_isr_partitions,
            self.at_min_isr_partitions,
        ];
        let reports = several_reports.into_iter().any(|given| given);
        for (given, option, actions) in [
            (!self.config.is_empty(), "config", &[Create, Alter][..]),
            (self.partitions.is_some(), "partitions", &[Create, Alter]),
            (self.replication_factor.is_some(), "replication-factor", &[Create]),
            (self.replica_assignment.is_some(), "replica-assignment", &[Create, Alter]),
            (reports, "...-partitions", &[Describe]),
            (self.topics_with_overrides, "topics-with-overrides", &[Describe]),
            (self.topic_id.is_some(), "topic-id", &[Describe]),
            (self.if_exists, "if-exists", &[Alter, Delete, Describe]),
            (self.if_not_exists, "if-not-exists", &[Create]),
            (self.exclude_internal, "exclude-internal", &[List, Describe]),
        ] {
            if given && !actions.contains(&action) {
                return Err(format!("--{option} does not go with --{}", action.name()));
            }
        }
        let counted = self.partitions.is_some() || self.replication_factor.is_some();
        if action == Create && self.replica_assignment.is_some() && counted {
            return Err(
                "--replica-assignment goes with neither --partitions nor --replication-factor"
                    .to_owned(),
            );
        }
        if reports && self.topics_with_overrides {
            return Err(
                "--topics-with-overrides does not go with a choice of partitions".to_owned()
            );
        }
        Ok(action)
    }

    /// --partitions.
    pub(super) fn partitions(&self) -> Result<Option<i32>, String> {
        integer("partitions", self.partitions.as_deref())
    }

    /// --replication-factor.
    pub(super) fn replication_factor(&self) -> Result<Option<i32>, String> {
        integer("replication-factor", self.replication_factor.as_deref())
    }

    /// --replica-assignment: the brokers of each partition.
    pub(super) fn assignment(&self) -> Result<Option<Vec<Vec<i32>>>, String> {
        let Some(text) = self.replica_assignment.as_deref().filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        let mut assignment: Vec<Vec<i32>> = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let brokers = entry.split(':').map(|id| id.trim().parse::<i32>());
            let brokers: Vec<i32> = brokers
                .collect::<Result<_, _>>()
                .map_err(|_| format!("For input string: \"{entry}\""))?;
            if brokers.iter().collect::<BTreeSet<_>>().len() < brokers.len() {
                return Err(format!(
                    "the replicas {entry} of partition {index} name a broker twice"
                ));
            }
            if assignment.first().is_some_and(|first| first.len() != brokers.len()) {
                return Err(format!(
                    "Partition {index} has different replication factor: {brokers:?}"
                ));
            }
            assignment.push(brokers);
        }
        Ok(Some(assignment))
    }
}

fn integer(option: &str, text: Option<&str>) -> Result<Option<i32>, String> {
    let parsed = text
        .map(|t| t.parse().map_err(|_| format!("Cannot parse argument '{t}' of option {option}")));
    parsed.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Topics {
        let args = std::iter::once("kafka-topics").chain(line.split_whitespace());
        Topics::try_parse_from(args).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    #[test]
    fn one_action_and_what_goes_with_it() {
        for (line, action) in [
            ("--create --topic a", Action::Create),
            (
                "--create --topic a --partitions 3 --replication-factor 1 --config a=1 --config b=2",
                Action::Create,
            ),
            ("--create --topic=a --replica-assignment 1:2,2:1 --if-not-exists", Action::Create),
            ("--list", Action::List),
            ("--list --exclude-internal --topic a.*", Action::List),
            ("--describe", Action::Describe),
            ("--describe --if-exists --topic a --under-replicated-partitions", Action::Describe),
            ("--alter --topic a --partitions 4", Action::Alter),
            ("--delete --topic a --if-exists", Action::Delete),
            ("--desc --unavail", Action::Describe),
        ] {
            assert_eq!(
                parse(&format!("{line} --bootstrap-server h:1")).action(),
                Ok(action),
                "{line}"
            );
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "",
            "--list --create",
            "--create",
            "--alter --topic a",
            "--alter --topic a --partitions 3 --config a=1",
            "--delete",
            "--list --partitions 3",
            "--list --if-exists",
            "--describe --if-exists",
            "--create --topic a --if-exists",
            "--create --topic a --replica-assignment 1 --partitions 2",
            "--alter --topic a --partitions 2 --replication-factor 2",
            "--describe --topics-with-overrides --at-min-isr-partitions",
            "--delete --topic a --exclude-internal",
        ] {
            assert!(parse(&format!("{line} --bootstrap-server h:1")).action().is_err(), "{line}");
        }
        assert!(parse("--list").action().is_err());
    }

    #[test]
    fn numbers_and_assignments() {
        assert_eq!(parse("--partitions -1").partitions(), Ok(Some(-1)));
        assert_eq!(
            parse("--partitions x").partitions(),
            Err("Cannot parse argument 'x' of option partitions".to_owned())
        );
        let assignment = |text: &str| parse(&format!("--replica-assignment {text}")).assignment();
        assert_eq!(assignment("1:2,2:3"), Ok(Some(vec![vec![1, 2], vec![2, 3]])));
        assert_eq!(parse("").assignment(), Ok(None));
        assert!(
            assignment("1:1").is_err() && assignment("1:2,3").is_err() && assignment("a").is_err()
        );
    }
}
