//! `ottla console-consumer`, Kafka's `kafka-console-consumer.sh`: print the records of topics.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ottla_client::{
    AutoCreate, Client, ClientError, Consumer, ConsumerOptions, Isolation, OffsetReset, Start,
    TopicPartition,
};
use ottla_wire::ErrorCode;
use tokio::time::Instant;

use super::cluster::{self, TopicPattern, millis};
use super::formatter::Formatter;

/// How often to look for new topics and partitions.
const LOOK: Duration = Duration::from_secs(60);

/// How long one wait for records takes, at the most.
const POLL: Duration = Duration::from_millis(500);

/// The exit code of a program that Ctrl-C ends.
const INTERRUPTED: u8 = 130;

/// Prints the records of topics.
#[derive(Parser, Debug)]
#[command(name = "kafka-console-consumer", version, infer_long_args = true)]
struct ConsoleConsumer {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: String,
    /// The topic to read.
    #[arg(long)]
    topic: Option<String>,
    /// A regular expression of the topics to read.
    #[arg(long)]
    include: Option<String>,
    /// Begin with the first record there is; without this only new ones are read.
    #[arg(long)]
    from_beginning: bool,
    /// Read this partition alone.
    #[arg(long)]
    partition: Option<i32>,
    /// Where to begin in --partition: earliest, latest, or an offset.
    #[arg(long, allow_hyphen_values = true)]
    offset: Option<String>,
    /// Stop after so many records.
    #[arg(long, allow_hyphen_values = true)]
    max_messages: Option<i64>,
    /// Stop when no record came for so long.
    #[arg(long, allow_hyphen_values = true)]
    timeout_ms: Option<i64>,
    /// A property of the formatter, as key=value: print.timestamp, print.key, print.offset, print.partition,
    /// print.epoch, print.headers, print.value, key.separator, line.separator, headers.separator, null.literal,
    /// key.deserializer, value.deserializer, headers.deserializer.
    #[arg(long)]
    formatter_property: Vec<String>,
    /// The old name of --formatter-property.
    #[arg(long)]
    property: Vec<String>,
    /// A file with properties of the formatter.
    #[arg(long)]
    formatter_config: Option<String>,
    /// DefaultMessageFormatter or NoOpMessageFormatter, with or without Kafka's package.
    #[arg(long)]
    formatter: Option<String>,
    /// What the bytes of keys are, as Kafka's class that reads them.
    #[arg(long)]
    key_deserializer: Option<String>,
    /// What the bytes of values are, as Kafka's class that reads them.
    #[arg(long)]
    value_deserializer: Option<String>,
    /// read_committed leaves out records of transactions that are not committed.
    #[arg(long, default_value = "read_uncommitted")]
    isolation_level: String,
    /// Leave out records that cannot be printed, instead of stopping there.
    #[arg(long)]
    skip_message_on_error: bool,
    /// A property of the consumer, as key=value.
    #[arg(long)]
    command_property: Vec<String>,
    /// A file with properties of the consumer.
    #[arg(long)]
    command_config: Option<String>,
    /// The old name of --command-property.
    #[arg(long)]
    consumer_property: Vec<String>,
    /// The old name of --command-config.
    #[arg(long = "consumer.config")]
    consumer_config: Option<String>,
    /// Not offered: partitions are read without a group.
    #[arg(long)]
    group: Option<String>,
    /// Not offered.
    #[arg(long)]
    enable_systest_events: bool,
}

/// What to read, and until when.
#[derive(Debug)]
struct Plan {
    topics: Topics,
    partition: Option<i32>,
    start: Start,
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    formatter: Formatter,
    skip_errors: bool,
    consumer: ConsumerOptions,
    client: ottla_client::Options,
}

#[derive(Debug)]
enum Topics {
    One(String),
    Like(TopicPattern),
}

/// Why reading ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Enough,
    Silence,
    NobodyReads,
    Interrupted,
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: ConsoleConsumer = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let plan = match options.plan() {
        Ok(plan) => plan,
        Err(why) => return cluster::refuse::<ConsoleConsumer>(&why),
    };
    cluster::block_on(async {
        let mut reading = Reading::new(plan);
        let end = reading.run().await;
        let mut err = std::io::stderr();
        let code = match end {
            Ok(End::Enough) => ExitCode::SUCCESS,
            Ok(End::Silence) => {
                let _ = writeln!(err, "no record came within --timeout-ms");
                ExitCode::SUCCESS
            }
            Ok(End::NobodyReads) => {
                let _ = writeln!(err, "nobody reads standard output any more");
                ExitCode::SUCCESS
            }
            Ok(End::Interrupted) => ExitCode::from(INTERRUPTED),
            Err(why) => {
                let _ = writeln!(err, "{why}");
                ExitCode::FAILURE
            }
        };
        let _ = writeln!(err, "Processed a total of {} messages", reading.printed);
        code
    })
}

impl ConsoleConsumer {
    fn plan(&self) -> Result<Plan, String> {
        let topics = match (&self.topic, &self.include) {
            (Some(topic), None) => Topics::One(topic.clone()),
            (None, Some(pattern)) => Topics::Like(TopicPattern::parse(pattern)?),
            _ => return Err("give exactly one of --topic and --include".to_owned()),
        };
        if self.partition.is_some() && self.topic.is_none() {
            return Err("--partition needs --topic".to_owned());
        }
        if self.offset.is_some() && self.partition.is_none() {
            return Err("--offset needs --partition".to_owned());
        }
        if self.offset.is_some() && self.from_beginning {
            return Err("--offset does not go with --from-beginning".to_owned());
        }
        let given = cluster::properties(
            &[&self.consumer_config, &self.command_config],
            &[&self.consumer_property, &self.command_property],
        )?;
        if self.group.is_some() || given.contains_key("group.id") {
            return Err(
                "--group is not offered yet: all partitions are read, and no offsets are kept"
                    .to_owned(),
            );
        }
        if self.enable_systest_events {
            return Err("--enable-systest-events is not offered".to_owned());
        }
        let mut formatting = cluster::properties(
            &[&self.formatter_config],
            &[&self.property, &self.formatter_property],
        )?;
        for (key, class) in [
            ("key.deserializer", &self.key_deserializer),
            ("value.deserializer", &self.value_deserializer),
        ] {
            if let Some(class) = class {
                formatting.insert(key.to_owned(), class.clone());
            }
        }
        let mut consumer = ConsumerOptions {
            isolation: isolation(&self.isolation_level)?,
            reset: if self.from_beginning { OffsetReset::Earliest } else { OffsetReset::Latest },
            ..ConsumerOptions::default()
        };
        let mut start = if self.from_beginning { Start::Earliest } else { Start::Latest };
        for (key, value) in &given {
            match key.as_str() {
                "auto.offset.reset" => (consumer.reset, start) = reset(value, self.from_beginning)?,
                "isolation.level" => consumer.isolation = isolation(value)?,
                "fetch.max.wait.ms" => consumer.max_wait = millis(key, value)?,
                "fetch.max.bytes" => consumer.max_bytes = size(key, value)?,
                "max.partition.fetch.bytes" => consumer.partition_bytes = size(key, value)?,
                _ => {}
            }
        }
        if let Some(text) = &self.offset {
            start = offset(text)?;
        }
        Ok(Plan {
            topics,
            partition: self.partition,
            start,
            // Kafka's tool takes a number below zero for no number, and one below zero of milliseconds for none.
            max_messages: self.max_messages.and_then(|n| u64::try_from(n).ok()),
            timeout: self.timeout_ms.and_then(|n| u64::try_from(n).ok()).map(Duration::from_millis),
            formatter: Formatter::new(self.formatter.as_deref(), &formatting)?,
            skip_errors: self.skip_message_on_error,
            consumer,
            client: cluster::client_options(&self.bootstrap_server, "console-consumer", &given)?,
        })
    }
}

fn isolation(text: &str) -> Result<Isolation, String> {
    match text {
        "read_committed" => Ok(Isolation::ReadCommitted),
        "read_uncommitted" => Ok(Isolation::ReadUncommitted),
        _ => Err(format!("isolation.level is read_committed or read_uncommitted, not '{text}'")),
    }
}

fn reset(text: &str, from_beginning: bool) -> Result<(OffsetReset, Start), String> {
    match text {
        "earliest" => Ok((OffsetReset::Earliest, Start::Earliest)),
        "latest" if from_beginning => {
            Err("--from-beginning does not go with auto.offset.reset=latest".to_owned())
        }
        "latest" => Ok((OffsetReset::Latest, Start::Latest)),
        "none" => {
            let start = if from_beginning { Start::Earliest } else { Start::Latest };
            Ok((OffsetReset::None, start))
        }
        _ => Err(format!("auto.offset.reset is earliest, latest or none, not '{text}'")),
    }
}

fn offset(text: &str) -> Result<Start, String> {
    match text.to_lowercase().as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        number => match number.parse() {
            Ok(offset) if offset >= 0 => Ok(Start::Offset(offset)),
            _ => Err(format!("--offset is earliest, latest or a number from 0 on, not '{text}'")),
        },
    }
}

fn size(key: &str, value: &str) -> Result<i32, String> {
    let parsed = value.trim().parse().ok().filter(|n| *n > 0);
    parsed.ok_or_else(|| format!("{key}: '{value}' is no number of bytes"))
}

/// A plan on its way.
struct Reading {
    plan: Plan,
    client: Arc<Client>,
    consumer: Consumer,
    /// Records printed.
    printed: u64,
    /// When topics and partitions are to be looked for again.
    look: Instant,
    /// Whether the partitions there at the beginning were found: later ones are read from their first record.
    begun: bool,
}

impl Reading {
    fn new(plan: Plan) -> Self {
        let client = Arc::new(Client::new(plan.client.clone()));
        let consumer = Consumer::new(Arc::clone(&client), plan.consumer.clone());
        Self { plan, client, consumer, printed: 0, look: Instant::now(), begun: false }
    }

    async fn run(&mut self) -> Result<End, String> {
        // Reading goes on as if nobody could interrupt it where signals cannot be had.
        tokio::select! {
            end = self.read() => end,
            Ok(()) = tokio::signal::ctrl_c() => Ok(End::Interrupted),
        }
    }

    async fn read(&mut self) -> Result<End, String> {
        let mut last = Instant::now();
        loop {
            if self.plan.max_messages.is_some_and(|max| self.printed >= max) {
                return Ok(End::Enough);
            }
            let left = self.plan.timeout.map(|t| t.saturating_sub(last.elapsed()));
            if left.is_some_and(|l| l.is_zero()) {
                return Ok(End::Silence);
            }
            let wait = left.map_or(POLL, |l| l.min(POLL));
            if self.look <= Instant::now() {
                // Looking may take long where nobody answers.
                match tokio::time::timeout(left.unwrap_or(Duration::MAX), self.find_partitions())
                    .await
                {
                    Ok(found) => found?,
                    Err(_) => continue,
                }
            }
            let records = self.consumer.poll(wait).await.map_err(|e| e.to_string())?;
            if records.is_empty() {
                continue;
            }
            if !self.print(records)? {
                return Ok(End::NobodyReads);
            }
            last = Instant::now();
        }
    }

    /// Prints records, no more than are wanted; whether somebody reads them.
    fn print(&mut self, records: Vec<ottla_client::Delivery>) -> Result<bool, String> {
        let mut lines = Vec::new();
        let mut failure = Ok(());
        for record in records {
            if self.plan.max_messages.is_some_and(|max| self.printed >= max) {
                break;
            }
            match self.plan.formatter.write(&record, &mut lines) {
                Ok(()) => self.printed += 1,
                Err(why) if self.plan.skip_errors => {
                    let (partition, offset) = (&record.partition, record.record.offset);
                    let _ =
                        writeln!(std::io::stderr(), "left out {partition} offset {offset}: {why}");
                }
                Err(why) => {
                    failure =
                        Err(format!("{} offset {}: {why}", record.partition, record.record.offset));
                    break;
                }
            }
        }
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&lines).and_then(|()| out.flush());
        failure.map(|()| written.is_ok())
    }

    /// Reads what is there now, and was not at the last look.
    async fn find_partitions(&mut self) -> Result<(), String> {
        let now = Instant::now();
        match self.partitions().await {
            Ok(partitions) => {
                let start = if self.begun { Start::Earliest } else { self.plan.start };
                for partition in partitions {
                    self.consumer.add(partition, start);
                }
                self.begun = true;
                self.look = now + LOOK;
            }
            Err(error) if error.is_retriable() => {
                if !self.begun {
                    tracing::warn!("{error}; waiting for it");
                }
                tokio::time::sleep(POLL).await;
                self.look = Instant::now();
            }
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    async fn partitions(&self) -> Result<Vec<TopicPartition>, ClientError> {
        let topic = match &self.plan.topics {
            Topics::One(topic) => topic,
            Topics::Like(pattern) => {
                let metadata = self.client.metadata_once(None, AutoCreate::Refused).await?;
                let topics = metadata.topics.into_iter().filter(|(name, _)| pattern.matches(name));
                let each = topics.flat_map(|(name, topic)| {
                    let partitions = topic.map(|t| t.partitions).unwrap_or_default();
                    partitions
                        .into_iter()
                        .map(move |p| TopicPartition::new(name.clone(), p.partition))
                });
                return Ok(each.collect());
            }
        };
        if let Some(partition) = self.plan.partition {
            return Ok(vec![TopicPartition::new(topic.clone(), partition)]);
        }
        let names = [topic.clone()];
        let metadata = self.client.metadata_once(Some(&names), AutoCreate::Allowed).await?;
        let partitions = &metadata.topic(topic)?.partitions;
        if partitions.is_empty() {
            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return Err(ottla_client::ApiError { code, message: None }.into());
        }
        Ok(partitions.iter().map(|p| TopicPartition::new(topic.clone(), p.partition)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        let base = ["kafka-console-consumer", "--bootstrap-server", "h:1"];
        ConsoleConsumer::try_parse_from(base.into_iter().chain(line.split_whitespace()))
            .unwrap()
            .plan()
    }

    #[test]
    fn where_reading_begins() {
        for (line, start, reset) in [
            ("--topic t", Start::Latest, OffsetReset::Latest),
            ("--topic t --from-beginning", Start::Earliest, OffsetReset::Earliest),
            ("--include t.* --from-beginning", Start::Earliest, OffsetReset::Earliest),
            ("--topic t --partition 1", Start::Latest, OffsetReset::Latest),
            ("--topic t --partition 1 --from-beginning", Start::Earliest, OffsetReset::Earliest),
            ("--topic t --partition 1 --offset earliest", Start::Earliest, OffsetReset::Latest),
            ("--topic t --partition 1 --offset 12", Start::Offset(12), OffsetReset::Latest),
            (
                "--topic t --command-property auto.offset.reset=earliest",
                Start::Earliest,
                OffsetReset::Earliest,
            ),
        ] {
            let plan = plan(line).unwrap();
            assert_eq!((plan.start, plan.consumer.reset), (start, reset), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "",
            "--topic t --include t",
            "--include t --partition 1",
            "--topic t --offset 3",
            "--topic t --partition 1 --offset 3 --from-beginning",
            "--topic t --partition 1 --offset -3",
            "--topic t --partition 1 --offset then",
            "--topic t --group g",
            "--topic t --consumer-property group.id=g",
            "--topic t --isolation-level none",
            "--topic t --from-beginning --command-property auto.offset.reset=latest",
            "--topic t --formatter com.example.Formatter",
            "--include a(",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
    }

    #[test]
    fn when_reading_ends() {
        let plan =
            plan("--topic t --max-messages 5 --timeout-ms 300 --isolation-level read_committed")
                .unwrap();
        assert_eq!((plan.max_messages, plan.timeout), (Some(5), Some(Duration::from_millis(300))));
        assert_eq!(plan.consumer.isolation, Isolation::ReadCommitted);
        let plan = super::tests::plan("--topic t --max-messages -1 --timeout-ms -1").unwrap();
        assert_eq!((plan.max_messages, plan.timeout), (None, None));
    }
}
