//! `ottla topics`, Kafka's `kafka-topics.sh`: make topics, look at them, change and delete them.

mod arguments;
mod describe;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Client, ClientError, NewPartitions, NewTopic, PerName};
use ottla_wire::ErrorCode;

use super::cluster::{self, TopicPattern};
use arguments::{Action, Topics};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: Topics = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let action = match options.action() {
        Ok(action) => action,
        Err(why) => return cluster::refuse::<Topics>(&why),
    };
    if !options.delete_config.is_empty() {
        say(&mut std::io::stderr(), "--delete-config does nothing any more; see kafka-configs");
    }
    cluster::block_on(async {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let result = perform(&options, action, &mut out).await;
        if let Err(why) = &result {
            say(&mut out, &format!("Error while executing topic command : {why}"));
        }
        let _ = out.flush();
        if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Prints a line. A reader that is gone is no reason to fail.
fn say(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}");
}

async fn perform(options: &Topics, action: Action, out: &mut dyn Write) -> Result<(), String> {
    let given = cluster::properties(&[&options.command_config], &[])?;
    let servers = options.bootstrap_server.as_deref().unwrap_or_default();
    let client = Client::new(cluster::client_options(servers, "ottla-topics", &given)?);
    match action {
        Action::Create => create(options, &client, out).await,
        Action::List => list(options, &client, out).await,
        Action::Describe => describe::run(options, &client, out).await,
        Action::Alter => alter(options, &client).await,
        Action::Delete => delete(options, &client).await,
    }
}

async fn create(options: &Topics, client: &Client, out: &mut dyn Write) -> Result<(), String> {
    let topic = new_topic(options)?;
    if topic.name.contains(['.', '_']) {
        say(
            out,
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could \
             collide. To avoid issues it is best to use either, but not both.",
        );
    }
    check_numbers(&topic)?;
    let created = client.create_topics(std::slice::from_ref(&topic)).await;
    match created.and_then(all_done) {
        Ok(()) => say(out, &format!("Created topic {}.", topic.name)),
        Err(error)
            if options.if_not_exists && error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(())
}

fn new_topic(options: &Topics) -> Result<NewTopic, String> {
    let mut configs = BTreeMap::new();
    for config in &options.config {
        let (key, value) = config.split_once('=').ok_or(
            "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
        )?;
        configs.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(NewTopic {
        name: options.topic.clone().unwrap_or_default(),
        partitions: options.partitions()?,
        replication_factor: options
            .replication_factor()?
            .map(|factor| i16::try_from(factor).unwrap_or(0)),
        assignment: options.assignment()?.unwrap_or_default(),
        configs,
    })
}

/// What Kafka's tool checks before it asks the cluster.
fn check_numbers(topic: &NewTopic) -> Result<(), String> {
    if topic.replication_factor.is_some_and(|f| f < 1) {
        return Err("The replication factor must be between 1 and 32767 inclusive".to_owned());
    }
    if topic.partitions.is_some_and(|p| p < 1) {
        return Err("The partitions must be greater than 0".to_owned());
    }
    Ok(())
}

async fn list(options: &Topics, client: &Client, out: &mut dyn Write) -> Result<(), String> {
    say(out, &chosen(options, client).await?.join("\n"));
    Ok(())
}

/// The topics that --topic means, all without it, in the order of their names.
async fn chosen(options: &Topics, client: &Client) -> Result<Vec<String>, String> {
    let topics = client.list_topics().await.map_err(|e| e.to_string())?;
    let pattern = options.topic.as_deref().map(TopicPattern::parse).transpose()?;
    let wanted = topics.into_iter().filter(|(name, internal)| {
        pattern.as_ref().is_none_or(|p| p.matches(name)) && !(options.exclude_internal && *internal)
    });
    Ok(wanted.map(|(name, _)| name).collect())
}

/// The same, and an error if --topic means none, unless --if-exists is given.
async fn chosen_that_exist(options: &Topics, client: &Client) -> Result<Vec<String>, String> {
    let topics = chosen(options, client).await?;
    match &options.topic {
        Some(topic) if topics.is_empty() && !options.if_exists => {
            Err(format!("Topic '{topic}' does not exist as expected"))
        }
        _ => Ok(topics),
    }
}

async fn alter(options: &Topics, client: &Client) -> Result<(), String> {
    let topics = chosen_that_exist(options, client).await?;
    if topics.is_empty() {
        return Ok(());
    }
    let total = options.partitions()?.unwrap_or_default();
    let assignment = options.assignment()?;
    let mut more = Vec::new();
    for (topic, now) in client.describe_topics(&topics, 2000).await.map_err(|e| e.to_string())? {
        let there = now.map_err(|e| e.to_string())?.partitions.len();
        // The list begins with the partitions that are there already.
        let assignment = assignment.as_ref().map(|a| a.get(there..).unwrap_or_default().to_vec());
        more.push(NewPartitions { topic, total, assignment });
    }
    let altered = client.create_partitions(&more).await;
    altered.and_then(all_done).map_err(|e| e.to_string())
}

async fn delete(options: &Topics, client: &Client) -> Result<(), String> {
    let topics = chosen_that_exist(options, client).await?;
    if topics.is_empty() {
        return Ok(());
    }
    let deleted = client.delete_topics(&topics).await;
    deleted.and_then(all_done).map_err(|e| e.to_string())
}

/// The first error among names.
fn all_done<T>(results: PerName<T>) -> Result<(), ClientError> {
    match results.into_values().find_map(Result::err) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
