//! An image of a cluster as its answers draw it, for what plans and judges over images.

use std::collections::BTreeMap;

use ottla_client::TopicPartition;
use ottla_client::{
    Client, Fenced, LogDir, NodeDescription, PerName, Reassignment, TopicDescription,
};
use ottla_metadata::Image;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    ConfigRecord, MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};

use super::connect::Failure;

/// The most partitions in one answer of a broker.
const PAGE: i32 = 2_000;

/// Topics whose configurations are asked for at a time.
const TOPICS_AT_A_TIME: usize = 500;

/// Whether racks count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RackAware {
    /// They do.
    Yes,
    /// Brokers are taken as if they had none.
    No,
}

/// A cluster as it answered.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// Its brokers and topics.
    pub(crate) image: Image,
    /// Ids that stand for log directories, by broker and path: clients are not told the real ones.
    pub(crate) directories: BTreeMap<(i32, String), Uuid>,
    /// Where replicas are, by partition and broker.
    pub(crate) places: BTreeMap<(TopicPartition, i32), String>,
}

/// What the picture is drawn from.
#[derive(Debug, Default)]
struct Answers {
    nodes: Vec<NodeDescription>,
    dirs: BTreeMap<i32, Vec<LogDir>>,
    topics: PerName<TopicDescription>,
    moving: BTreeMap<TopicPartition, Reassignment>,
    /// min.insync.replicas of topics.
    min_isr: BTreeMap<String, String>,
}

impl Picture {
    /// Asks the cluster for its brokers, their directories, all topics and what is being moved.
    pub(crate) async fn take(client: &Client, racks: RackAware) -> Result<Self, Failure> {
        Self::draw(Answers::ask(client).await?, racks)
    }

    /// The same with what topics need to be written.
    pub(crate) async fn take_with_min_isr(client: &Client) -> Result<Self, Failure> {
        let mut answers = Answers::ask(client).await?;
        let names: Vec<String> = answers.topics.keys().cloned().collect();
        for some in names.chunks(TOPICS_AT_A_TIME) {
            for (topic, entries) in client.topic_configs(some).await? {
                // A topic that is gone by now needs nothing.
                let Ok(entries) = entries else { continue };
                let found = entries.into_iter().find(|e| e.name == "min.insync.replicas");
                if let Some(value) = found.and_then(|e| e.value) {
                    answers.min_isr.insert(topic, value);
                }
            }
        }
        Self::draw(answers, RackAware::Yes)
    }

    /// The path of a directory by the id that stands for it.
    pub(crate) fn path(&self, broker: i32, directory: Uuid) -> Option<&str> {
        let found = self.directories.iter().find(|((b, _), id)| *b == broker && **id == directory);
        found.map(|((_, path), _)| path.as_str())
    }

    fn draw(answers: Answers, racks: RackAware) -> Result<Self, Failure> {
        let mut picture = Self::default();
        picture.draw_directories(&answers.dirs);
        let mut offset = 0;
        let mut apply = |image: &mut Image, record: MetadataRecord| {
            offset += 1;
            image.apply(&record, offset).map_err(Failure::from)
        };
        for node in &answers.nodes {
            let record = picture.registration(node, answers.dirs.get(&node.id), racks);
            apply(&mut picture.image, record.into())?;
        }
        for (name, topic) in &answers.topics {
            let Ok(topic) = topic else { continue };
            let topic_id = topic.id;
            apply(&mut picture.image, TopicRecord { name: name.clone(), topic_id }.into())?;
            for record in picture.partitions(topic, &answers.moving) {
                apply(&mut picture.image, record.into())?;
            }
            if let Some(value) = answers.min_isr.get(name) {
                let record = ConfigRecord {
                    resource_type: 2,
                    resource_name: name.clone(),
                    name: "min.insync.replicas".to_owned(),
                    value: Some(value.clone()),
                };
                apply(&mut picture.image, record.into())?;
            }
        }
        Ok(picture)
    }

    fn draw_directories(&mut self, dirs: &BTreeMap<i32, Vec<LogDir>>) {
        // Ids below 100 have meanings of their own.
        let mut next: u128 = 100;
        for (broker, dirs) in dirs {
            for dir in dirs.iter().filter(|d| d.error.is_none()) {
                next += 1;
                self.directories.insert((*broker, dir.path.clone()), Uuid::from_u128(next));
                let here = dir.replicas.iter().filter(|(_, info)| !info.is_future);
                for (partition, _) in here {
                    self.places.insert((partition.clone(), *broker), dir.path.clone());
                }
            }
        }
    }

    fn registration(
        &self,
        node: &NodeDescription,
        dirs: Option<&Vec<LogDir>>,
        racks: RackAware,
    ) -> RegisterBrokerRecord {
        let dirs = dirs.map(Vec::as_slice).unwrap_or_default();
        let id = |d: &LogDir| self.directories.get(&(node.id, d.path.clone())).copied();
        let cordoned = dirs.iter().filter(|d| d.is_cordoned).filter_map(id);
        RegisterBrokerRecord {
            broker_id: node.id,
            rack: node.rack.clone().filter(|_| racks == RackAware::Yes),
            fenced: node.is_fenced,
            log_dirs: dirs.iter().filter_map(id).collect(),
            cordoned_log_dirs: Some(cordoned.collect()),
            ..RegisterBrokerRecord::default()
        }
    }

    fn partitions(
        &self,
        topic: &TopicDescription,
        moving: &BTreeMap<TopicPartition, Reassignment>,
    ) -> Vec<PartitionRecord> {
        let record = |p: &ottla_client::PartitionDescription| {
            let named = TopicPartition::new(topic.name.clone(), p.partition);
            let directories = p.replicas.iter().map(|broker| {
                let path = self.places.get(&(named.clone(), *broker));
                let known = path.and_then(|path| self.directories.get(&(*broker, path.clone())));
                known.copied().unwrap_or(Uuid::UNASSIGNED_DIRECTORY)
            });
            let under_way = moving.get(&named).cloned().unwrap_or_default();
            PartitionRecord {
                partition_id: p.partition,
                topic_id: topic.id,
                replicas: p.replicas.clone(),
                isr: p.isr.clone(),
                leader: p.leader.unwrap_or(-1),
                directories: directories.collect(),
                adding_replicas: under_way.adding,
                removing_replicas: under_way.removing,
                eligible_leader_replicas: p.eligible_leaders.clone(),
                last_known_elr: p.last_known_eligible.clone(),
                ..PartitionRecord::default()
            }
        };
        topic.partitions.iter().map(record).collect()
    }
}

impl Answers {
    async fn ask(client: &Client) -> Result<Self, Failure> {
        let nodes = client.describe_cluster(Fenced::Included).await?.nodes;
        let mut dirs = BTreeMap::new();
        for node in nodes.iter().filter(|n| !n.is_fenced) {
            // A broker that goes down just now has no directories to speak of.
            match client.log_dirs(node.id, None).await {
                Ok(found) => {
                    dirs.insert(node.id, found);
                }
                Err(error) => {
                    tracing::warn!(
                        "the log directories of broker {} are not known: {error}",
                        node.id
                    );
                }
            }
        }
        let names: Vec<String> = client.list_topics().await?.into_keys().collect();
        let topics = client.describe_topics(&names, PAGE).await?;
        let moving = client.reassignments().await?;
        Ok(Self { nodes, dirs, topics, moving, min_isr: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::{PartitionDescription, ReplicaInfo};

    #[test]
    fn answers_draw_a_picture() {
        let node = |id, fenced| NodeDescription {
            id,
            host: "h".into(),
            port: 1,
            rack: Some(format!("r{id}")),
            is_fenced: fenced,
        };
        let info = ReplicaInfo { size: 1, offset_lag: 0, is_future: false };
        let dir = |path: &str, cordoned| LogDir {
            path: path.into(),
            error: None,
            total_bytes: -1,
            usable_bytes: -1,
            is_cordoned: cordoned,
            replicas: vec![(TopicPartition::new("t", 0), info)],
        };
        let topic = TopicDescription {
            name: "t".into(),
            id: Uuid::from_u128(7_000),
            internal: false,
            partitions: vec![PartitionDescription {
                partition: 0,
                leader: Some(1),
                replicas: vec![1, 2],
                isr: vec![1],
                eligible_leaders: None,
                last_known_eligible: None,
            }],
        };
        let moving = Reassignment { replicas: vec![1, 2], adding: vec![2], removing: vec![] };
        let answers = || Answers {
            nodes: vec![node(1, false), node(2, true)],
            dirs: BTreeMap::from([(1, vec![dir("/a", false)])]),
            topics: BTreeMap::from([("t".to_owned(), Ok(topic.clone()))]),
            moving: BTreeMap::from([(TopicPartition::new("t", 0), moving.clone())]),
            min_isr: BTreeMap::from([("t".to_owned(), "2".to_owned())]),
        };
        let picture = Picture::draw(answers(), RackAware::Yes).unwrap();
        let image = &picture.image;
        assert!(image.is_active(1) && !image.is_active(2));
        assert_eq!(image.broker(1).unwrap().rack.as_deref(), Some("r1"));
        let p = image.topic_named("t").unwrap().partition(0).unwrap();
        assert_eq!((p.replicas.as_slice(), p.adding().as_slice()), (&[1, 2][..], &[2][..]));
        let directory = p.directory_of(1).unwrap();
        assert_eq!(picture.path(1, directory), Some("/a"));
        assert_eq!(p.directory_of(2), Some(Uuid::UNASSIGNED_DIRECTORY));
        let blind = Picture::draw(answers(), RackAware::No).unwrap();
        assert_eq!(blind.image.broker(1).unwrap().rack, None);
        let mut cordoned = answers();
        cordoned.dirs = BTreeMap::from([(1, vec![dir("/a", true)])]);
        assert!(
            Picture::draw(cordoned, RackAware::Yes).unwrap().image.broker(1).unwrap().is_cordoned()
        );
    }
}
