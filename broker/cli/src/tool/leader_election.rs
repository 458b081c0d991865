//! `ottla leader-election`, Kafka's `kafka-leader-election.sh`: have leaders of partitions elected.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ottla_client::{ElectionType, TopicPartition};
use ottla_wire::ErrorCode;
use serde_json::Value;

use super::cluster;
use super::connect::{self, Failure, joined, say};

/// Has leaders of partitions elected.
#[derive(Parser, Debug, Default)]
#[command(name = "kafka-leader-election", version, infer_long_args = true)]
struct LeaderElection {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// The old name of --command-config.
    #[arg(long = "admin.config")]
    admin_config: Option<String>,
    /// A file with properties of the client.
    #[arg(long)]
    command_config: Option<String>,
    /// preferred, or unclean where no replica in sync is alive: records may be lost.
    #[arg(long)]
    election_type: Option<String>,
    /// A file {"partitions":[{"topic":"t","partition":0}]}.
    #[arg(long)]
    path_to_json_file: Option<String>,
    /// The topic; goes with --partition.
    #[arg(long)]
    topic: Option<String>,
    /// The partition of --topic.
    #[arg(long, allow_hyphen_values = true)]
    partition: Option<String>,
    /// All partitions where there is something to elect.
    #[arg(long)]
    all_topic_partitions: bool,
}

impl LeaderElection {
    fn election(&self) -> Result<ElectionType, Failure> {
        let given = self.election_type.as_deref().unwrap_or_default();
        match given.to_ascii_lowercase().as_str() {
            "preferred" => Ok(ElectionType::Preferred),
            "unclean" => Ok(ElectionType::Unclean),
            _ => Err(Failure(format!("Cannot parse argument '{given}' of option election-type"))),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let mut missing = Vec::new();
        if self.bootstrap_server.is_none() {
            missing.push("bootstrap-server");
        }
        if self.election_type.is_none() {
            missing.push("election-type");
        }
        if !missing.is_empty() {
            return Err(Failure(format!("Missing required option(s): {}", missing.join(", "))));
        }
        let scopes =
            [self.topic.is_some(), self.all_topic_partitions, self.path_to_json_file.is_some()];
        if scopes.into_iter().filter(|given| *given).count() != 1 {
            return Err(
                "One and only one of the following options is required: topic, all-topic-partitions, \
                 path-to-json-file"
                    .into(),
            );
        }
        if self.topic.is_some() && self.partition.is_none() {
            return Err("Missing required option(s): partition".into());
        }
        if self.topic.is_none() && self.partition.is_some() {
            return Err("Option partition is only allowed if topic is used".into());
        }
        Ok(())
    }

    /// The partitions that are named; `None` is all.
    fn partitions(&self) -> Result<Option<Vec<TopicPartition>>, Failure> {
        if let Some(path) = &self.path_to_json_file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Failure(format!("cannot read {path}: {e}")))?;
            return partitions_of(&text).map(Some);
        }
        let (Some(topic), Some(given)) = (&self.topic, &self.partition) else { return Ok(None) };
        let partition = given
            .parse()
            .map_err(|_| Failure(format!("Cannot parse argument '{given}' of option partition")))?;
        Ok(Some(vec![TopicPartition::new(topic.clone(), partition)]))
    }
}

/// The partitions of a file.
fn partitions_of(text: &str) -> Result<Vec<TopicPartition>, Failure> {
    let parsed: Value = serde_json::from_str(text)
        .map_err(|_| Failure("Replica election data is empty".to_owned()))?;
    let listed = parsed.get("partitions").and_then(Value::as_array);
    let listed = listed
        .ok_or_else(|| Failure("Replica election data is missing \"partitions\" field".into()))?;
    let mut partitions = Vec::with_capacity(listed.len());
    for one in listed {
        let topic = one.get("topic").and_then(Value::as_str);
        let partition = one.get("partition").and_then(Value::as_i64);
        let partition = partition.and_then(|p| i32::try_from(p).ok());
        let (Some(topic), Some(partition)) = (topic, partition) else {
            return Err(Failure(format!("{one} is no topic with a partition")));
        };
        partitions.push(TopicPartition::new(topic, partition));
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> = partitions.iter().filter(|p| !seen.insert(*p)).collect();
    if !twice.is_empty() {
        let twice = joined(twice, ", ");
        return Err(Failure(format!(
            "Replica election data contains duplicate partitions: [{twice}]"
        )));
    }
    Ok(partitions)
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: LeaderElection = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        connect::end(perform(&options, &mut out).await)
    })
}

async fn perform(options: &LeaderElection, out: &mut dyn Write) -> Result<(), Failure> {
    options.check()?;
    let election = options.election()?;
    let partitions = options.partitions()?;
    if options.admin_config.is_some() {
        say(
            out,
            "Option --admin.config has been deprecated and will be removed in a future version. Use \
             --command-config instead.",
        );
    }
    if partitions.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let files = [&options.admin_config, &options.command_config];
    let server = options.bootstrap_server.as_deref();
    let client = connect::client("ottla-leader-election", server, None, &files)?;
    let results = client.elect_leaders(election, partitions.as_deref()).await?;
    let kind = match election {
        ElectionType::Preferred => "PREFERRED",
        ElectionType::Unclean => "UNCLEAN",
    };
    let (mut done, mut needless, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (partition, result) in &results {
        match result {
            Ok(()) => done.push(partition),
            Err(e) if e.code == ErrorCode::ELECTION_NOT_NEEDED => needless.push(partition),
            Err(e) => failed.push((partition, e)),
        }
    }
    if !done.is_empty() {
        let done = joined(done, ", ");
        say(
            out,
            format_args!("Successfully completed leader election ({kind}) for partitions {done}"),
        );
    }
    // Without partitions named, those where nothing was to be done are not told of.
    if !needless.is_empty() && partitions.is_some() {
        let needless = joined(needless, ", ");
        say(out, format_args!("Valid replica already elected for partitions {needless}"));
    }
    for (partition, error) in &failed {
        say(
            out,
            format_args!(
                "Error completing leader election ({kind}) for partition: {partition}: {error}"
            ),
        );
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!("{} replica(s) could not be elected", failed.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> LeaderElection {
        let words = std::iter::once("x").chain(line.split_whitespace());
        LeaderElection::try_parse_from(words).unwrap()
    }

    #[test]
    fn options_that_go_together() {
        let wrong = |line: &str| {
            let options = parse(line);
            options.check().and_then(|()| options.election().map(|_| ())).unwrap_err().0
        };
        assert_eq!(wrong("--bootstrap-server h:1"), "Missing required option(s): election-type");
        assert_eq!(wrong("--all"), "Missing required option(s): bootstrap-server, election-type");
        let base = "--bootstrap-server h:1 --election-type PREFERRED";
        let one = "One and only one of the following options is required: topic, all-topic-partitions, \
                   path-to-json-file";
        assert_eq!(wrong(base), one);
        assert_eq!(wrong(&format!("{base} --all-topic-partitions --topic t --partition 1")), one);
        assert_eq!(wrong(&format!("{base} --topic t")), "Missing required option(s): partition");
        assert_eq!(
            wrong("--bootstrap-server h:1 --election-type foo --all-topic-partitions"),
            "Cannot parse argument 'foo' of option election-type"
        );
        let fine = parse(&format!("{base} --topic t --partition 3"));
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(fine.partitions(), Ok(Some(vec![TopicPartition::new("t", 3)])));
        assert_eq!(parse(&format!("{base} --all-topic-partitions")).partitions(), Ok(None));
    }

    #[test]
    fn files_of_partitions() {
        let read = partitions_of(
            r#"{"partitions":[{"topic":"a","partition":1},{"topic":"a","partition":2}]}"#,
        );
        assert_eq!(read.unwrap().len(), 2);
        let wrong = |text: &str| partitions_of(text).unwrap_err().0;
        assert_eq!(wrong("garbage"), "Replica election data is empty");
        assert_eq!(wrong("{}"), "Replica election data is missing \"partitions\" field");
        assert_eq!(
            wrong(r#"{"partitions":[{"topic":"a","partition":1},{"topic":"a","partition":1}]}"#),
            "Replica election data contains duplicate partitions: [a-1]"
        );
        assert!(partitions_of(r#"{"partitions":[{"topic":"a"}]}"#).is_err());
    }
}
