//! `ottla topics --describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{
    AutoCreate, Client, ConfigEntry, PartitionDescription, Reassignment, TopicDescription,
    TopicPartition,
};
use ottla_wire::{ErrorCode, Uuid};

use super::arguments::Topics;
use super::{chosen, say};

/// Partitions in one answer, if nothing else is asked for.
const PAGE: i32 = 2000;

/// What describing shows of each topic.
struct View<'a> {
    options: &'a Topics,
    /// Brokers that are up.
    live: BTreeSet<i32>,
    moving: BTreeMap<TopicPartition, Reassignment>,
}

/// Shows topics.
pub(super) async fn run(
    options: &Topics,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), String> {
    let topics = match &options.topic_id {
        Some(id) => by_id(options, client, id).await?,
        None => {
            let topics = chosen(options, client).await?;
            match &options.topic {
                Some(topic) if topics.is_empty() && !options.if_exists => {
                    return Err(format!("Topic '{topic}' does not exist as expected"));
                }
                _ => topics,
            }
        }
    };
    if topics.is_empty() {
        return Ok(());
    }
    let page = options.partition_size_limit_per_response.unwrap_or(PAGE);
    let described = client.describe_topics(&topics, page).await.map_err(|e| e.to_string())?;
    let configs = client.topic_configs(&topics).await.map_err(|e| e.to_string())?;
    let brokers =
        client.metadata(Some(&[]), AutoCreate::Refused).await.map_err(|e| e.to_string())?.brokers;
    let view = View {
        options,
        live: brokers.into_keys().collect(),
        // Who may not see them, or asks an old broker, sees the topics without them.
        moving: client.reassignments().await.unwrap_or_default(),
    };
    for (name, topic) in described {
        let topic = match topic {
            // Deleted since it was listed.
            Err(error) if error.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => continue,
            topic => topic.map_err(|e| e.to_string())?,
        };
        let configs = match configs.get(&name) {
            Some(Ok(configs)) => configs.as_slice(),
            Some(Err(error)) => return Err(error.to_string()),
            None => &[],
        };
        view.lines(&topic, configs).iter().for_each(|line| say(out, line));
    }
    Ok(())
}

async fn by_id(options: &Topics, client: &Client, text: &str) -> Result<Vec<String>, String> {
    let id: Uuid = text.parse().map_err(|_| format!("'{text}' is no id of a topic"))?;
    let all = client.metadata(None, AutoCreate::Refused).await.map_err(|e| e.to_string())?;
    let found =
        all.topics.into_iter().filter(|(_, topic)| topic.as_ref().is_ok_and(|t| t.id == id));
    let found: Vec<String> = found.map(|(name, _)| name).collect();
    if found.is_empty() && !options.if_exists {
        return Err(format!("TopicId '{text}' does not exist as expected"));
    }
    Ok(found)
}

impl View<'_> {
    fn lines(&self, topic: &TopicDescription, configs: &[ConfigEntry]) -> Vec<String> {
        let options = self.options;
        let mut lines = Vec::new();
        let partitions_chosen = options.under_replicated_partitions
            || options.unavailable_partitions
            || options.under_min_isr_partitions
            || options.at_min_isr_partitions;
        let own: Vec<_> = configs
            .iter()
            .filter(|c| !c.is_default)
            .map(|c| format!("{}={}", c.name, c.value.as_deref().unwrap_or("null")))
            .collect();
        if !partitions_chosen && (!options.topics_with_overrides || !own.is_empty()) {
            let first = topic.partitions.first();
            lines.push(format!(
                "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
                topic.name,
                topic.id,
                topic.partitions.len(),
                first.map_or(0, |p| self.replication_factor(topic, p)),
                own.join(",")
            ));
        }
        if options.topics_with_overrides {
            return lines;
        }
        let min_isr = configs.iter().find(|c| c.name == "min.insync.replicas");
        let min_isr = min_isr.and_then(|c| c.value.as_deref()?.parse().ok()).unwrap_or(1);
        let wanted = topic.partitions.iter().filter(|p| {
            !partitions_chosen
                || (options.under_replicated_partitions
                    && p.isr.len() < self.replication_factor(topic, p))
                || (options.unavailable_partitions
                    && p.leader.is_none_or(|l| !self.live.contains(&l)))
                || (options.under_min_isr_partitions
                    && (p.leader.is_none() || p.isr.len() < min_isr))
                || (options.at_min_isr_partitions && p.isr.len() == min_isr)
        });
        lines.extend(wanted.map(|p| self.partition_line(topic, p)));
        lines
    }

    fn moving(
        &self,
        topic: &TopicDescription,
        partition: &PartitionDescription,
    ) -> Option<&Reassignment> {
        self.moving.get(&TopicPartition::new(topic.name.clone(), partition.partition))
    }

    /// Replicas that a partition has when those on the way in are not counted.
    fn replication_factor(
        &self,
        topic: &TopicDescription,
        partition: &PartitionDescription,
    ) -> usize {
        let adding = self.moving(topic, partition).map_or(0, |r| r.adding.len());
        partition.replicas.len().saturating_sub(adding)
    }

    fn partition_line(&self, topic: &TopicDescription, partition: &PartitionDescription) -> String {
        let leader = partition.leader.map_or_else(|| "none".to_owned(), |l| l.to_string());
        let mut line = format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
            topic.name,
            partition.partition,
            joined(&partition.replicas),
            joined(&partition.isr)
        );
        if let Some(moving) = self.moving(topic, partition) {
            line.push_str(&format!("\tAdding Replicas: {}", joined(&moving.adding)));
            line.push_str(&format!("\tRemoving Replicas: {}", joined(&moving.removing)));
        }
        let or_unknown =
            |ids: &Option<Vec<i32>>| ids.as_ref().map_or_else(|| "N/A".to_owned(), |i| joined(i));
        line.push_str(&format!("\tElr: {}", or_unknown(&partition.eligible_leaders)));
        line.push_str(&format!("\tLastKnownElr: {}", or_unknown(&partition.last_known_eligible)));
        line
    }
}

fn joined(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32, leader: Option<i32>, isr: &[i32]) -> PartitionDescription {
        PartitionDescription {
            partition: index,
            leader,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            eligible_leaders: Some(Vec::new()),
            last_known_eligible: None,
        }
    }

    fn lines(options: Topics) -> Vec<String> {
        let topic = TopicDescription {
            name: "t".to_owned(),
            id: Uuid::ZERO,
            internal: false,
            partitions: vec![
                partition(0, Some(1), &[1, 2, 3]),
                partition(1, Some(2), &[2, 3]),
                partition(2, Some(9), &[3]),
                partition(3, None, &[]),
            ],
        };
        let config = |name: &str, value: &str, is_default| ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            is_default,
        };
        let configs = [
            config("min.insync.replicas", "2", false),
            config("segment.bytes", "7", true),
            config("a", "b", false),
        ];
        let moving = Reassignment { replicas: vec![1, 2, 3], adding: vec![3], removing: vec![] };
        let view = View {
            options: &options,
            live: BTreeSet::from([1, 2, 3]),
            moving: BTreeMap::from([(TopicPartition::new("t", 1), moving)]),
        };
        view.lines(&topic, &configs)
    }

    fn shown(options: Topics) -> Vec<char> {
        let digit =
            |line: String| line.split("Partition: ").nth(1).and_then(|rest| rest.chars().next());
        lines(options).into_iter().filter_map(digit).collect()
    }

    #[test]
    fn lines_are_kafkas() {
        let lines = lines(Topics::default());
        assert_eq!(
            lines.iter().take(3).collect::<Vec<_>>(),
            [
                "Topic: t\tTopicId: AAAAAAAAAAAAAAAAAAAAAA\tPartitionCount: 4\tReplicationFactor: 3\tConfigs: \
                 min.insync.replicas=2,a=b",
                "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2,3\tElr: \tLastKnownElr: N/A",
                "\tTopic: t\tPartition: 1\tLeader: 2\tReplicas: 1,2,3\tIsr: 2,3\tAdding Replicas: 3\tRemoving \
                 Replicas: \tElr: \tLastKnownElr: N/A",
            ]
        );
        assert!(lines.last().unwrap().contains("Leader: none"));
    }

    #[test]
    fn a_choice_of_partitions() {
        let under = Topics { under_replicated_partitions: true, ..Topics::default() };
        assert_eq!(shown(under), ['2', '3']);
        let unavailable = Topics { unavailable_partitions: true, ..Topics::default() };
        assert_eq!(shown(unavailable), ['2', '3']);
        let under_min = Topics { under_min_isr_partitions: true, ..Topics::default() };
        assert_eq!(shown(under_min), ['2', '3']);
        let at_min = Topics { at_min_isr_partitions: true, ..Topics::default() };
        assert_eq!(shown(at_min), ['1']);
        let overrides = lines(Topics { topics_with_overrides: true, ..Topics::default() });
        assert_eq!(overrides.len(), 1);
    }
}
