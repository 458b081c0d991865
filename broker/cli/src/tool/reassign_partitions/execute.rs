//! --execute: begin moves, throttled if asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use ottla_client::{Client, FactorChange, Fenced, ResourceKind, TopicPartition};
use ottla_wire::ErrorCode;

use super::arguments::Reassign;
use super::document::{self, Replica, Wanted};
use super::moves::{self, FOLLOWERS, LEADERS, LOG_DIRS_RATE, RATES};
use super::state::{self, places};
use super::{Refusal, read};
use crate::tool::connect::{joined, plural, say};

/// The pause between tries to have replicas put into directories.
const AGAIN: Duration = Duration::from_millis(100);

/// Begins the moves of a file.
pub(super) async fn run(
    options: &Reassign,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let file = options.reassignment_json_file.as_deref().unwrap_or_default();
    let wanted = Wanted::parse_to_execute(&read(file)?)?;
    let (throttle, log_dirs_throttle) = (options.throttle()?, options.log_dirs_throttle()?);
    let timeout = options.timeout()?;
    let under_way = client.reassignments().await?;
    if !under_way.is_empty() && !options.additional {
        return Err(Refusal::Terse(
            "Cannot execute because there is an existing partition assignment.  Use --additional to override this \
             and create a new partition assignment in addition to the existing one. The --additional flag can also \
             be used to change the throttle by resubmitting the current reassignment."
                .into(),
        ));
    }
    let targets = wanted.targets();
    let alive = client.describe_cluster(Fenced::Left).await?.nodes;
    let alive: BTreeSet<i32> = alive.into_iter().map(|n| n.id).collect();
    if let Some(unknown) = targets.values().flatten().find(|b| !alive.contains(b)) {
        return Err(Refusal::Told(format!("Unknown broker id {unknown}")));
    }
    let now = state::replicas(client, &targets).await?;
    let current = document::write(&now, &places(client, &now, &alive).await?)?;
    say(
        out,
        format_args!(
            "Current partition replica assignment\n\n{current}\n\nSave this to use as the --reassignment-json-file \
             option during rollback"
        ),
    );
    if throttle.is_some() || log_dirs_throttle.is_some() {
        say(
            out,
            "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle \
             is removed.",
        );
    }
    if let Some(rate) = throttle {
        let moves = moves::moves(&under_way, &targets, &now);
        for (topic, (leaders, followers)) in moves::throttled(&moves) {
            let values = [(LEADERS, leaders), (FOLLOWERS, followers)];
            let values = values.map(|(key, list)| (key.to_owned(), Some(list)));
            client.alter_config(ResourceKind::Topic, topic, &values.into()).await?;
        }
        set_rates(client, &moves::brokers(&moves), &RATES, rate).await?;
        say(out, format_args!("The inter-broker throttle limit was set to {rate} B/s"));
    }
    if let Some(rate) = log_dirs_throttle {
        let brokers = wanted.directories.keys().map(|(_, broker)| *broker).collect();
        set_rates(client, &brokers, &[LOG_DIRS_RATE], rate).await?;
        say(out, format_args!("The replica-alter-dir throttle limit was set to {rate} B/s"));
    }
    begin(options, client, &targets, out).await?;
    if wanted.directories.is_empty() {
        return Ok(());
    }
    move_log_dirs(client, wanted.directories, timeout, out).await
}

async fn begin(
    options: &Reassign,
    client: &Client,
    targets: &BTreeMap<TopicPartition, Vec<i32>>,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let factor = if options.disallow_replication_factor_change {
        FactorChange::Refused
    } else {
        FactorChange::Allowed
    };
    let asked = targets.iter().map(|(p, replicas)| (p.clone(), Some(replicas.clone()))).collect();
    let results = client.reassign(&asked, factor).await?;
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(p, result)| Some(format!("{p}: {}", result.as_ref().err()?)))
        .collect();
    if !failed.is_empty() {
        let failed = failed.join("\n");
        return Err(Refusal::Terse(format!("Error reassigning partition(s):\n{failed}")));
    }
    let (s, list) = (plural(targets.len()), joined(targets.keys(), ","));
    say(out, format_args!("Successfully started partition reassignment{s} for {list}"));
    Ok(())
}

async fn set_rates(
    client: &Client,
    brokers: &BTreeSet<i32>,
    keys: &[&str],
    rate: i64,
) -> Result<(), Refusal> {
    let values = keys.iter().map(|key| ((*key).to_owned(), Some(rate.to_string()))).collect();
    for broker in brokers {
        client.alter_config(ResourceKind::Broker, &broker.to_string(), &values).await?;
    }
    Ok(())
}

/// Has replicas moved into directories. Those that their brokers do not have yet are asked for again until they do, or
/// the time is up.
pub(super) async fn move_log_dirs(
    client: &Client,
    mut wanted: BTreeMap<Replica, String>,
    timeout: Duration,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let begun = Instant::now();
    loop {
        let mut by_broker: BTreeMap<i32, BTreeMap<TopicPartition, String>> = BTreeMap::new();
        for ((partition, broker), path) in &wanted {
            by_broker.entry(*broker).or_default().insert(partition.clone(), path.clone());
        }
        for (broker, paths) in by_broker {
            for (partition, result) in client.move_log_dirs(broker, &paths).await? {
                match result {
                    Ok(()) => {
                        let path = paths.get(&partition).map(String::as_str).unwrap_or_default();
                        say(
                            out,
                            format_args!(
                                "Successfully started moving log directory to {path} for replica {partition} with \
                                 broker {broker} "
                            ),
                        );
                        wanted.remove(&(partition, broker));
                    }
                    // It comes when the reassignment does.
                    Err(e) if e.code == ErrorCode::REPLICA_NOT_AVAILABLE => {}
                    Err(e) => {
                        return Err(Refusal::Told(format!(
                            "Failed to alter dir for {partition}-{broker}: {e}"
                        )));
                    }
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= timeout {
            let s = plural(wanted.len());
            let list = joined(wanted.keys().map(|(p, broker)| format!("{p}-{broker}")), ",");
            return Err(Refusal::Terse(format!(
                "Timed out before log directory move{s} could be started for: {list}"
            )));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
