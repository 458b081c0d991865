//! --generate: where replicas shall go, by the planner of the controller.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{Client, TopicPartition};
use ottla_controller::plan::{Goal, Plan, PlanError, Topics, plan};
use ottla_metadata::Image;

use super::arguments::Reassign;
use super::document::{self, Replica, repeated};
use super::{Refusal, read};
use crate::tool::connect::{ids, joined, say};
use crate::tool::picture::{Picture, RackAware};

/// Prints what is and what shall be. With --broker-list of all partitions of the topics, as Kafka's tool does, else of
/// those that move.
pub(super) async fn run(
    options: &Reassign,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let named = match &options.topics_to_move_json_file {
        Some(file) => Some(document::topics(&read(file)?)?),
        None => None,
    };
    let onto = options.broker_list.as_deref().map(unique_ids).transpose()?;
    let racks = if options.disable_rack_aware { RackAware::No } else { RackAware::Yes };
    let picture = Picture::take(client, racks).await?;
    let image = &picture.image;
    if let Some(absent) = named.iter().flatten().find(|t| image.topic_named(t).is_none()) {
        return Err(Refusal::Told(format!("Topic {absent} not found.")));
    }
    let topics = named.clone().map_or(Topics::All, Topics::Named);
    let (shown, planned) = match onto {
        Some(onto) => {
            // Brokers that are not there are passed over, as Kafka's tool does.
            let onto: BTreeSet<i32> = onto.into_iter().filter(|b| image.is_active(*b)).collect();
            check_racks(image, &onto)?;
            let count = onto.len();
            let planned = plan(image, &Goal::Only(onto), &topics);
            let planned = planned.map_err(|e| too_few(e, count))?;
            (partitions(image, &named.unwrap_or_default()), planned)
        }
        None => {
            let planned = plan(image, &goal(options, &picture)?, &topics)?;
            (
                planned
                    .moves
                    .iter()
                    .map(|m| (partition(&m.topic, m.partition), m.from.clone()))
                    .collect(),
                planned,
            )
        }
    };
    if planned.moves.is_empty() && shown.is_empty() {
        say(&mut std::io::stderr(), "Nothing has to move.");
    }
    let (proposed, directories) = proposal(&picture, &shown, &planned);
    let current = document::write(&shown, &picture.places)?;
    say(out, format_args!("Current partition replica assignment\n{current}\n"));
    let proposed = document::write(&proposed, &directories)?;
    say(out, format_args!("Proposed partition reassignment configuration\n{proposed}"));
    Ok(())
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn unique_ids(list: &str) -> Result<Vec<i32>, Refusal> {
    let ids = ids(list)?;
    let twice = repeated(&ids);
    if twice.is_empty() {
        return Ok(ids);
    }
    let twice = joined(twice, ", ");
    Err(Refusal::Told(format!("Broker list contains duplicate entries: [{twice}]")))
}

/// The goal of an option that is not one of Kafka's.
fn goal(options: &Reassign, picture: &Picture) -> Result<Goal, Refusal> {
    if let Some(list) = &options.drain_brokers {
        return Ok(Goal::EmptyBrokers(unique_ids(list)?.into_iter().collect()));
    }
    if let Some(list) = &options.spread_brokers {
        return Ok(Goal::Spread(unique_ids(list)?.into_iter().collect()));
    }
    if let Some(text) = &options.drain_log_dir {
        let (broker, path) = text.split_once(':').unwrap_or((text, ""));
        let broker: i32 =
            broker.parse().map_err(|_| Refusal::Told(format!("'{text}' is no BROKER:PATH")))?;
        let found = picture.directories.get(&(broker, path.to_owned()));
        let directory = *found.ok_or_else(|| {
            Refusal::Told(format!("broker {broker} has no log directory {path} that is online"))
        })?;
        return Ok(Goal::EmptyDirectory { broker, directory });
    }
    let factor = options.factor()?;
    factor.map(Goal::ReplicationFactor).ok_or_else(|| Refusal::Told("no goal is given".into()))
}

/// Refuses brokers of which some have racks and some have none.
fn check_racks(image: &Image, brokers: &BTreeSet<i32>) -> Result<(), Refusal> {
    let has = |b: &&i32| image.broker(**b).is_some_and(|b| b.rack.is_some());
    let with = brokers.iter().filter(has).count();
    if with == 0 || with == brokers.len() {
        return Ok(());
    }
    Err(Refusal::Told(
        "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica \
         assignment without rack information."
            .into(),
    ))
}

/// Kafka's words for brokers that are too few.
fn too_few(error: PlanError, brokers: usize) -> Refusal {
    match error {
        PlanError::TooFewBrokers { wanted, .. } => Refusal::Told(format!(
            "The target replication factor of {wanted} cannot be reached because only {brokers} broker(s) are \
             registered or some brokers have all their log directories cordoned."
        )),
        other => other.into(),
    }
}

/// All partitions of topics and their replicas.
fn partitions(image: &Image, topics: &BTreeSet<String>) -> BTreeMap<TopicPartition, Vec<i32>> {
    let topics = topics.iter().filter_map(|name| image.topic_named(name));
    let all = topics.flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|(id, p)| (partition(&topic.name, id), p.replicas.to_vec()))
    });
    all.collect()
}

/// The partitions as they shall be, and the directories that the plan names.
fn proposal(
    picture: &Picture,
    shown: &BTreeMap<TopicPartition, Vec<i32>>,
    planned: &Plan,
) -> (BTreeMap<TopicPartition, Vec<i32>>, BTreeMap<Replica, String>) {
    let (mut proposed, mut directories) = (shown.clone(), BTreeMap::new());
    for m in &planned.moves {
        let named = partition(&m.topic, m.partition);
        for (broker, directory) in &m.directories {
            if let Some(path) = picture.path(*broker, *directory) {
                directories.insert((named.clone(), *broker), path.to_owned());
            }
        }
        proposed.insert(named, m.to.clone());
    }
    (proposed, directories)
}
