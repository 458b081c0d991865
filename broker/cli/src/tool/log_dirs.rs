//! `ottla log-dirs`, Kafka's `kafka-log-dirs.sh`: the log directories of brokers and what lies in them.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ottla_client::{Client, Fenced, LogDir};
use serde::Serialize;

use super::cluster;
use super::connect::{self, Failure, ids, joined, say};

/// Shows the log directories of brokers.
#[derive(Parser, Debug, Default)]
#[command(name = "kafka-log-dirs", version, infer_long_args = true)]
struct LogDirs {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// A file with properties of the client.
    #[arg(long)]
    command_config: Option<String>,
    /// Show them; must be given.
    #[arg(long)]
    describe: bool,
    /// Only these topics, separated by commas.
    #[arg(long)]
    topic_list: Option<String>,
    /// Only these brokers, separated by commas.
    #[arg(long)]
    broker_list: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    brokers: Vec<Broker>,
    version: i32,
}

#[derive(Serialize)]
struct Broker {
    broker: i32,
    #[serde(rename = "logDirs")]
    log_dirs: Vec<Dir>,
}

#[derive(Serialize)]
struct Dir {
    partitions: Vec<Replica>,
    error: Option<String>,
    #[serde(rename = "logDir")]
    log_dir: String,
}

#[derive(Serialize)]
struct Replica {
    partition: String,
    size: i64,
    #[serde(rename = "offsetLag")]
    offset_lag: i64,
    #[serde(rename = "isFuture")]
    is_future: bool,
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: LogDirs = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    for (given, name) in
        [(options.bootstrap_server.is_some(), "bootstrap-server"), (options.describe, "describe")]
    {
        if !given {
            return cluster::refuse::<LogDirs>(&format!("Missing required argument \"[{name}]\""));
        }
    }
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        connect::end(perform(&options, &mut out).await)
    })
}

async fn perform(options: &LogDirs, out: &mut dyn Write) -> Result<(), Failure> {
    let wanted = ids(options.broker_list.as_deref().unwrap_or_default())?;
    let wanted: BTreeSet<i32> = wanted.into_iter().collect();
    let topics = options.topic_list.as_deref().unwrap_or_default();
    let topics: BTreeSet<&str> = topics.split(',').filter(|t| !t.is_empty()).collect();
    let server = options.bootstrap_server.as_deref();
    let client = connect::client("ottla-log-dirs", server, None, &[&options.command_config])?;
    let nodes = client.describe_cluster(Fenced::Left).await?.nodes;
    let there: BTreeSet<i32> = nodes.iter().map(|n| n.id).collect();
    let absent: Vec<_> = wanted.difference(&there).collect();
    if !absent.is_empty() {
        return Err(Failure(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            joined(absent, ","),
            joined(&there, ",")
        )));
    }
    let asked = if wanted.is_empty() { there } else { wanted };
    say(out, "Querying brokers for log directories information");
    let mut brokers = Vec::with_capacity(asked.len());
    for broker in &asked {
        brokers.push(shown(&client, *broker, &topics).await?);
    }
    say(
        out,
        format_args!("Received log directory information from brokers {}", joined(&asked, ",")),
    );
    say(out, serde_json::to_string(&Shown { brokers, version: 1 })?);
    Ok(())
}

async fn shown(client: &Client, id: i32, topics: &BTreeSet<&str>) -> Result<Broker, Failure> {
    let dirs = client.log_dirs(id, None).await?.into_iter();
    Ok(Broker { broker: id, log_dirs: dirs.map(|dir| shown_dir(dir, topics)).collect() })
}

fn shown_dir(dir: LogDir, topics: &BTreeSet<&str>) -> Dir {
    let listed = |topic: &str| topics.is_empty() || topics.contains(topic);
    let replicas = dir.replicas.into_iter().filter(|(p, _)| listed(&p.topic));
    let partitions = replicas.map(|(p, info)| Replica {
        partition: p.to_string(),
        size: info.size,
        offset_lag: info.offset_lag,
        is_future: info.is_future,
    });
    Dir {
        partitions: partitions.collect(),
        error: dir.error.map(|e| e.to_string()),
        log_dir: dir.path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::{ReplicaInfo, TopicPartition};

    #[test]
    fn directories_are_shown_as_kafka_shows_them() {
        let info = ReplicaInfo { size: 5, offset_lag: 0, is_future: false };
        let dir = LogDir {
            path: "/data".into(),
            error: None,
            total_bytes: 1,
            usable_bytes: 1,
            is_cordoned: false,
            replicas: vec![
                (TopicPartition::new("a", 2), info),
                (TopicPartition::new("b", 0), info),
            ],
        };
        let log_dirs = vec![shown_dir(dir, &BTreeSet::from(["a"]))];
        let all = Shown { brokers: vec![Broker { broker: 1, log_dirs }], version: 1 };
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"a-2","size":5,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/data"}]}],"version":1}"#
        );
    }
}
