//! Clients of the consumer protocol, and the topics they read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_wire::api::consumer_group_describe::DescribedGroup;
use ottla_wire::api::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
};
use ottla_wire::schema::metadata::{
    MetadataRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::group::tests::harness::{GROUP, Shard};
use crate::group::{GroupSettings, Reply, Request};

/// Partitions, each by its topic's id and its number.
pub(crate) type Owned = BTreeSet<(Uuid, i32)>;

/// The metadata of a cluster, as they grow.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) image: Image,
    offset: i64,
}

impl Cluster {
    pub(crate) fn of(topics: &[(&str, i32)]) -> Self {
        let mut cluster = Self::default();
        for (name, partitions) in topics {
            cluster.grow(name, *partitions);
        }
        cluster
    }

    fn apply(&mut self, record: impl Into<MetadataRecord>) {
        self.offset += 1;
        self.image.apply(&record.into(), self.offset).expect("a record that fits");
    }

    /// Brokers 0 and so on, each in a rack.
    pub(crate) fn racks(&mut self, racks: &[&str]) {
        for (id, rack) in (0..).zip(racks) {
            self.apply(RegisterBrokerRecord {
                broker_id: id,
                rack: Some((*rack).to_owned()),
                ..Default::default()
            });
        }
    }

    /// A topic has so many partitions from here on; partition n is on broker n modulo 3.
    pub(crate) fn grow(&mut self, name: &str, partitions: i32) {
        let known = self.image.topic_named(name).map(|t| (t.id, t.partitions.len()));
        let (topic_id, from) = known.unwrap_or_else(|| {
            let topic_id = Uuid::from_u128(0x1_0000 + u128::try_from(self.offset).expect("few"));
            self.apply(TopicRecord { name: name.to_owned(), topic_id });
            (topic_id, 0)
        });
        for partition_id in i32::try_from(from).expect("few")..partitions {
            let replicas = vec![partition_id % 3];
            self.apply(PartitionRecord {
                partition_id,
                topic_id,
                isr: replicas.clone(),
                leader: replicas[0],
                replicas,
                ..Default::default()
            });
        }
    }

    pub(crate) fn delete(&mut self, name: &str) {
        let topic_id = self.id(name);
        self.apply(RemoveTopicRecord { topic_id });
    }

    pub(crate) fn id(&self, name: &str) -> Uuid {
        self.image.topic_id(name).expect("a topic of this name")
    }

    pub(crate) fn tell(&self, shard: &mut Shard) {
        shard.ask(Request::Metadata(Arc::new(self.image.clone())));
    }
}

/// A shard that assigns at once.
pub(crate) fn shard(cluster: &Cluster) -> Shard {
    let mut settings = GroupSettings::default();
    settings.consumer.assignment_interval_ms.value = 0;
    shard_with(settings, cluster)
}

pub(crate) fn shard_with(settings: GroupSettings, cluster: &Cluster) -> Shard {
    let mut shard = Shard::with(settings);
    cluster.tell(&mut shard);
    shard
}

/// A client of the consumer protocol.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) epoch: i32,
    pub(crate) topics: Option<Vec<String>>,
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) rebalance_ms: i32,
    /// What it has.
    pub(crate) owned: Owned,
    /// What it was told to have.
    pub(crate) told: Owned,
}

impl Client {
    pub(crate) fn new(id: &str, topics: &[&str]) -> Self {
        Self {
            group: GROUP.to_owned(),
            id: id.to_owned(),
            instance: None,
            rack: None,
            epoch: 0,
            topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            regex: None,
            assignor: None,
            rebalance_ms: 30_000,
            owned: Owned::new(),
            told: Owned::new(),
        }
    }

    pub(crate) fn of_pattern(id: &str, pattern: &str) -> Self {
        Self { topics: None, regex: Some(pattern.to_owned()), ..Self::new(id, &[]) }
    }

    pub(crate) fn of_instance(id: &str, instance: &str, topics: &[&str]) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(id, topics) }
    }

    /// All it has to say.
    pub(crate) fn full(&self) -> ConsumerGroupHeartbeatRequest {
        let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &self.owned {
            owned.entry(*topic).or_default().push(*partition);
        }
        let owned = owned.into_iter().map(|(topic_id, partitions)| {
            ConsumerGroupHeartbeatRequestTopicPartitions { topic_id, partitions }
        });
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            rack_id: self.rack.clone(),
            rebalance_timeout_ms: self.rebalance_ms,
            subscribed_topic_names: self.topics.clone(),
            subscribed_topic_regex: self.regex.clone(),
            server_assignor: self.assignor.clone(),
            topic_partitions: Some(owned.collect()),
        }
    }

    /// Asks, and takes what it is answered: an epoch, and perhaps other partitions to have, of
    /// which it gives up at once what is not its own any more.
    pub(crate) fn beat(&mut self, shard: &mut Shard) -> ErrorCode {
        let response = self.say(shard, self.full());
        self.hear(&response);
        response.error_code
    }

    pub(crate) fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        if response.error_code.is_none() {
            self.epoch = response.member_epoch;
            self.id = response.member_id.clone().expect("a member's id");
            if let Some(assignment) = &response.assignment {
                let topics = assignment.topic_partitions.iter();
                self.told =
                    topics.flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, *p))).collect();
                self.owned = self.told.clone();
            }
        } else if matches!(
            response.error_code,
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID
        ) {
            self.epoch = 0;
            self.owned.clear();
            self.told.clear();
        }
    }

    pub(crate) fn say(
        &self,
        shard: &mut Shard,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let fresh = 7 << 90 | u128::try_from(shard.asked.len()).expect("few");
        match shard.ask_as(1, Request::ConsumerGroupHeartbeat { request, fresh }) {
            Reply::ConsumerGroupHeartbeat(response) => response,
            other => panic!("not a heartbeat's answer: {other:?}"),
        }
    }

    /// Leaves, for a while if the epoch is -2.
    pub(crate) fn leave(&mut self, shard: &mut Shard, epoch: i32) -> ErrorCode {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: epoch,
            instance_id: self.instance.clone(),
            ..Default::default()
        };
        let response = self.say(shard, request);
        if response.error_code.is_none() {
            self.epoch = 0;
            self.owned.clear();
            self.told.clear();
        }
        response.error_code
    }
}

/// Has all clients beat until nothing changes any more.
pub(crate) fn settle(shard: &mut Shard, clients: &mut [&mut Client]) {
    for _ in 0..16 {
        let before: Vec<_> = clients.iter().map(|c| (c.epoch, c.owned.clone())).collect();
        for client in clients.iter_mut() {
            assert_eq!(client.beat(shard), ErrorCode::NONE, "{client:?}");
        }
        let after: Vec<_> = clients.iter().map(|c| (c.epoch, c.owned.clone())).collect();
        if before == after {
            return;
        }
    }
    panic!("no end of changes");
}

pub(crate) fn described(shard: &mut Shard, group: &str) -> DescribedGroup {
    match shard.ask_as(1, Request::ConsumerGroupDescribe(vec![group.to_owned()])) {
        Reply::ConsumerGroupDescribe(mut groups) => groups.remove(0),
        other => panic!("not a description: {other:?}"),
    }
}
