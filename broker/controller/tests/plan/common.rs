//! Images of clusters, made of the records a controller would write.

use ottla_controller::plan::Plan;
use ottla_metadata::Image;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    ConfigRecord, MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use std::collections::BTreeMap;

/// A cluster that grows record by record.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) image: Image,
    topics: u128,
}

/// A broker's directory with this number.
pub(crate) fn dir(broker: i32, number: u128) -> Uuid {
    Uuid::from_u128((u128::from(broker.unsigned_abs()) << 32) + 1_000 + number)
}

impl World {
    /// Applies a record.
    pub(crate) fn apply(&mut self, record: impl Into<MetadataRecord>) {
        self.image.apply(&record.into(), 0).expect("it fits");
    }

    /// A broker in service, with one log directory.
    pub(crate) fn broker(&mut self, id: i32, rack: &str) {
        self.broker_with(id, rack, |_| {});
    }

    /// A broker with what `change` says.
    pub(crate) fn broker_with(
        &mut self,
        broker_id: i32,
        rack: &str,
        change: impl FnOnce(&mut RegisterBrokerRecord),
    ) {
        let mut record = RegisterBrokerRecord {
            broker_id,
            rack: (!rack.is_empty()).then(|| rack.to_owned()),
            fenced: false,
            log_dirs: vec![dir(broker_id, 0)],
            ..RegisterBrokerRecord::default()
        };
        change(&mut record);
        self.apply(record);
    }

    /// A topic with these replicas, all of them in sync and in the first directories.
    pub(crate) fn topic(&mut self, name: &str, partitions: &[&[i32]]) {
        self.topic_with(name, partitions, |_| {});
    }

    /// A topic whose partitions are as `change` says.
    pub(crate) fn topic_with(
        &mut self,
        name: &str,
        partitions: &[&[i32]],
        change: impl Fn(&mut PartitionRecord),
    ) {
        self.topics += 1;
        let topic_id = Uuid::from_u128(77_000 + self.topics);
        self.apply(TopicRecord { name: name.to_owned(), topic_id });
        for (partition_id, replicas) in (0..).zip(partitions) {
            let mut record = PartitionRecord {
                partition_id,
                topic_id,
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                leader: replicas[0],
                directories: replicas.iter().map(|b| dir(*b, 0)).collect(),
                ..PartitionRecord::default()
            };
            change(&mut record);
            self.apply(record);
        }
    }

    /// A configuration of a topic.
    pub(crate) fn config(&mut self, topic: &str, key: &str, value: &str) {
        self.apply(ConfigRecord {
            resource_type: 2,
            resource_name: topic.to_owned(),
            name: key.to_owned(),
            value: Some(value.to_owned()),
        });
    }
}

/// All partitions as they are after a plan.
pub(crate) fn after(image: &Image, plan: &Plan) -> BTreeMap<(String, i32), Vec<i32>> {
    let mut all: BTreeMap<(String, i32), Vec<i32>> = BTreeMap::new();
    for topic in image.topics() {
        for (id, p) in topic.partitions.iter() {
            all.insert((topic.name.to_string(), id), p.replicas.to_vec());
        }
    }
    for m in &plan.moves {
        all.insert((m.topic.to_string(), m.partition), m.to.clone());
    }
    all
}

/// How many replicas each broker holds.
pub(crate) fn loads(
    image: &Image,
    all: &BTreeMap<(String, i32), Vec<i32>>,
) -> BTreeMap<i32, usize> {
    let mut loads: BTreeMap<i32, usize> = image.brokers().map(|b| (b.id, 0)).collect();
    for broker in all.values().flatten() {
        *loads.entry(*broker).or_default() += 1;
    }
    loads
}
