//! --verify, --cancel and --list: how far moves are, and their end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{Client, FactorChange, Fenced, ResourceKind, TopicPartition};

use super::arguments::Reassign;
use super::document::{Replica, Wanted};
use super::execute::move_log_dirs;
use super::moves::{FOLLOWERS, LEADERS, LOG_DIRS_RATE, RATES};
use super::state::{self, directories};
use super::{Refusal, read};
use crate::tool::connect::{joined, plural, say};

fn wanted(options: &Reassign) -> Result<Wanted, Refusal> {
    let file = options.reassignment_json_file.as_deref().unwrap_or_default();
    Ok(Wanted::parse(&read(file)?)?)
}

/// Tells how far the moves of a file are. Throttles go when nothing moves any more.
pub(super) async fn verify(
    options: &Reassign,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let wanted = wanted(options)?;
    let targets = wanted.targets();
    let under_way = client.reassignments().await?;
    let now = state::known_replicas(client, &targets).await?;
    say(out, "Status of partition reassignment:");
    for (partition, target) in &targets {
        let (moving, now) = (under_way.get(partition), now.get(partition));
        say(out, state::told_of_partition(partition, target, moving, now));
    }
    let mut dirs_move = false;
    if wanted.directories.is_empty() {
        say(out, "");
    } else {
        let replicas: BTreeSet<Replica> = wanted.directories.keys().cloned().collect();
        for (replica, place) in directories(client, &replicas).await? {
            let Some(target) = wanted.directories.get(&replica) else { continue };
            let (text, moves) = state::told(&replica, &place, target);
            say(out, text);
            dirs_move |= moves;
        }
    }
    if under_way.is_empty() && !dirs_move && !options.preserve_throttles {
        clear_throttles(client, &wanted, out).await?;
    }
    Ok(())
}

/// Cancels those moves of a file that are under way.
pub(super) async fn cancel(
    options: &Reassign,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let wanted = wanted(options)?;
    let timeout = options.timeout()?;
    let targets = wanted.targets();
    let under_way = client.reassignments().await?;
    let active: BTreeMap<TopicPartition, Option<Vec<i32>>> =
        targets.keys().filter(|p| under_way.contains_key(*p)).map(|p| (p.clone(), None)).collect();
    if active.is_empty() {
        say(out, "None of the specified partition reassignments are active.");
    } else {
        let results = client.reassign(&active, FactorChange::Allowed).await?;
        let failed: Vec<String> = results
            .iter()
            .filter_map(|(p, result)| Some(format!("{p}: {}", result.as_ref().err()?)))
            .collect();
        if !failed.is_empty() {
            let (s, failed) = (plural(failed.len()), failed.join("\n"));
            return Err(Refusal::Terse(format!(
                "Error cancelling partition reassignment{s} for:\n{failed}"
            )));
        }
        let (s, list) = (plural(active.len()), joined(active.keys(), ","));
        say(out, format_args!("Successfully cancelled partition reassignment{s} for: {list}"));
    }
    let replicas: BTreeSet<Replica> = wanted.directories.keys().cloned().collect();
    let moving = directories(client, &replicas).await?.into_iter();
    // Whoever is told to move to where it is stops moving.
    let back: BTreeMap<Replica, String> = moving
        .filter(|(_, place)| place.future.is_some())
        .filter_map(|(replica, place)| Some((replica, place.current?)))
        .collect();
    if back.is_empty() {
        // Without an end of the line, as Kafka's tool prints it.
        let _ = write!(out, "None of the specified partition moves are active.");
    } else {
        move_log_dirs(client, back, timeout, out).await?;
    }
    if options.preserve_throttles {
        return Ok(());
    }
    clear_throttles(client, &wanted, out).await
}

/// Tells of all moves that are under way.
pub(super) async fn list(client: &Client, out: &mut dyn Write) -> Result<(), Refusal> {
    let under_way = client.reassignments().await?;
    if under_way.is_empty() {
        say(out, "No partition reassignments found.");
        return Ok(());
    }
    say(out, "Current partition reassignments:");
    for (partition, moving) in under_way {
        let some = |what: &str, ids: &[i32]| {
            if ids.is_empty() { String::new() } else { format!("  {what}: {}.", joined(ids, ",")) }
        };
        say(
            out,
            format_args!(
                "{partition}: replicas: {}.{}{}",
                joined(&moving.replicas, ","),
                some("adding", &moving.adding),
                some("removing", &moving.removing)
            ),
        );
    }
    Ok(())
}

async fn clear_throttles(
    client: &Client,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let alive = client.describe_cluster(Fenced::Left).await?.nodes;
    let alive: BTreeSet<i32> = alive.into_iter().map(|n| n.id).collect();
    let mut brokers = alive.clone();
    brokers.extend(wanted.partitions.iter().flat_map(|(_, replicas)| replicas));
    let (s, list) = (plural(brokers.len()), joined(&brokers, ","));
    say(out, format_args!("Clearing broker-level throttles on broker{s} {list}"));
    let keys = RATES.iter().chain([&LOG_DIRS_RATE]);
    let rates = keys.map(|key| ((*key).to_owned(), None)).collect();
    for broker in &brokers {
        // A broker's rates are the broker's own to take away.
        if alive.contains(broker) {
            client.alter_config(ResourceKind::Broker, &broker.to_string(), &rates).await?;
        } else {
            tracing::warn!("broker {broker} is not there: its throttles stay");
        }
    }
    let topics: BTreeSet<&str> = wanted.partitions.iter().map(|(p, _)| p.topic.as_str()).collect();
    let (s, list) = (plural(topics.len()), joined(&topics, ","));
    say(out, format_args!("Clearing topic-level throttles on topic{s} {list}"));
    let lists = [LEADERS, FOLLOWERS].map(|key| (key.to_owned(), None)).into();
    for topic in topics {
        client.alter_config(ResourceKind::Topic, topic, &lists).await?;
    }
    Ok(())
}
