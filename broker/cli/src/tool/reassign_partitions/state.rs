//! Where replicas are now, and how far their moves are.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Client, Reassignment, TopicPartition};

use super::Refusal;
use super::document::Replica;
use crate::tool::connect::joined;

/// The most partitions in one answer of a broker.
const PAGE: i32 = 2_000;

/// The replicas of those of these partitions that there are.
pub(super) async fn known_replicas<T>(
    client: &Client,
    partitions: &BTreeMap<TopicPartition, T>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Refusal> {
    let topics: BTreeSet<String> = partitions.keys().map(|p| p.topic.clone()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let mut found = BTreeMap::new();
    for (name, topic) in client.describe_topics(&topics, PAGE).await? {
        for p in topic.map(|t| t.partitions).unwrap_or_default() {
            let named = TopicPartition::new(name.clone(), p.partition);
            if partitions.contains_key(&named) {
                found.insert(named, p.replicas);
            }
        }
    }
    Ok(found)
}

/// The replicas of all these partitions.
pub(super) async fn replicas<T>(
    client: &Client,
    partitions: &BTreeMap<TopicPartition, T>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Refusal> {
    let found = known_replicas(client, partitions).await?;
    let absent: Vec<_> = partitions.keys().filter(|p| !found.contains_key(*p)).collect();
    if absent.is_empty() {
        return Ok(found);
    }
    Err(Refusal::Told(format!("Unable to find partition: {}", joined(absent, ", "))))
}

/// The log directories of replicas on brokers that are alive, without those they are on their way into.
pub(super) async fn places(
    client: &Client,
    replicas: &BTreeMap<TopicPartition, Vec<i32>>,
    alive: &BTreeSet<i32>,
) -> Result<BTreeMap<Replica, String>, Refusal> {
    let wanted = replicas.iter().flat_map(|(p, ids)| ids.iter().map(move |id| (p.clone(), *id)));
    let wanted = wanted.filter(|(_, broker)| alive.contains(broker)).collect();
    let found = directories(client, &wanted).await?;
    Ok(found.into_iter().filter_map(|(replica, at)| Some((replica, at.current?))).collect())
}

/// Where a replica is, and where it is on its way to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) current: Option<String>,
    pub(super) future: Option<String>,
    /// A directory of its broker is offline.
    pub(super) lost: bool,
}

/// The places of replicas.
pub(super) async fn directories(
    client: &Client,
    wanted: &BTreeSet<Replica>,
) -> Result<BTreeMap<Replica, Place>, Refusal> {
    let mut by_broker: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
    for (partition, broker) in wanted {
        by_broker.entry(*broker).or_default().push(partition.clone());
    }
    let mut found: BTreeMap<Replica, Place> =
        wanted.iter().map(|r| (r.clone(), Place::default())).collect();
    for (broker, partitions) in by_broker {
        let dirs = client.log_dirs(broker, Some(&partitions)).await?;
        let lost = dirs.iter().any(|d| d.error.is_some());
        for partition in partitions {
            found.entry((partition, broker)).or_default().lost = lost;
        }
        for dir in dirs {
            for (partition, info) in dir.replicas {
                let place = found.entry((partition, broker)).or_default();
                let slot = if info.is_future { &mut place.future } else { &mut place.current };
                *slot = Some(dir.path.clone());
            }
        }
    }
    Ok(found)
}

/// What is to be said of the move of a replica into a directory, and whether it is under way.
pub(super) fn told(replica: &Replica, place: &Place, target: &str) -> (String, bool) {
    let (p, broker) = replica;
    match (&place.current, &place.future) {
        (_, Some(future)) if future == target => {
            (format!("Reassignment of replica {p}-{broker} is still in progress."), true)
        }
        (_, Some(future)) => (
            format!(
                "Partition {p} on broker {broker} is being moved to log dir {future} instead of {target}."
            ),
            true,
        ),
        (Some(current), None) if current == target => {
            (format!("Reassignment of replica {p}-{broker} completed successfully."), false)
        }
        (Some(current), None) => (
            format!(
                "Partition {p} on broker {broker} is not being moved from log dir {current} to {target}."
            ),
            false,
        ),
        (None, None) if place.lost => (
            format!(
                "Partition {p} is not found in any live log dir on broker {broker}. There is likely an offline log \
                 directory on the broker."
            ),
            false,
        ),
        (None, None) => (
            format!("Partition {p} cannot be found in any live log directory on broker {broker}."),
            false,
        ),
    }
}

/// What is to be said of the reassignment of a partition.
pub(super) fn told_of_partition(
    partition: &TopicPartition,
    target: &[i32],
    under_way: Option<&Reassignment>,
    now: Option<&Vec<i32>>,
) -> String {
    if under_way.is_some() {
        return format!("Reassignment of partition {partition} is still in progress.");
    }
    let now = now.map(Vec::as_slice).unwrap_or_default();
    if now == target {
        return format!("Reassignment of partition {partition} is completed.");
    }
    format!(
        "There is no active reassignment of partition {partition}, but replica set is {} rather than {}.",
        joined(now, ","),
        joined(target, ",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_of_as_kafka_tells() {
        let p = TopicPartition::new("a", 0);
        let moving = Reassignment::default();
        let now = vec![2, 3];
        assert_eq!(
            told_of_partition(&p, &[2, 3], Some(&moving), None),
            "Reassignment of partition a-0 is still in progress."
        );
        assert_eq!(
            told_of_partition(&p, &[2, 3], None, Some(&now)),
            "Reassignment of partition a-0 is completed."
        );
        assert_eq!(
            told_of_partition(&p, &[1, 2], None, Some(&now)),
            "There is no active reassignment of partition a-0, but replica set is 2,3 rather than 1,2."
        );
        assert_eq!(
            told_of_partition(&p, &[1, 2], None, None),
            "There is no active reassignment of partition a-0, but replica set is  rather than 1,2."
        );
    }

    #[test]
    fn moves_between_directories() {
        let replica = (TopicPartition::new("a", 0), 1);
        let place = |current: Option<&str>, future: Option<&str>, lost| Place {
            current: current.map(str::to_owned),
            future: future.map(str::to_owned),
            lost,
        };
        let says = |place: Place| told(&replica, &place, "/to");
        assert!(says(place(Some("/at"), Some("/to"), false)).1);
        assert!(
            says(place(Some("/at"), Some("/else"), false)).0.ends_with("/else instead of /to.")
        );
        assert!(says(place(Some("/to"), None, false)).0.ends_with("completed successfully."));
        assert!(says(place(Some("/at"), None, false)).0.ends_with("from log dir /at to /to."));
        assert!(says(place(None, None, true)).0.contains("offline log directory"));
        assert!(!says(place(None, None, false)).1);
    }
}
