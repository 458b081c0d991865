//! What a shard knows of the cluster's topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_metadata::{Image, Topic, TopicChange};
use ottla_wire::Uuid;

/// The topics, and when they last changed.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    image: Option<Arc<Image>>,
    /// Grows whenever a topic is made, changed or deleted.
    pub(crate) version: u64,
    /// The version in which a topic was last made.
    pub(crate) made: u64,
    /// The hashes of topics that were asked for since they last changed.
    hashes: BTreeMap<Arc<str>, u64>,
}

impl Topics {
    /// Takes another image in the place of the one before.
    pub(crate) fn take(&mut self, image: Arc<Image>) {
        let changes = match &self.image {
            Some(known) => image.topic_changes(known),
            None => {
                image.topics().map(|topic| (Arc::clone(&topic.name), TopicChange::Made)).collect()
            }
        };
        if self.image.is_none() || !changes.is_empty() {
            self.version += 1;
        }
        for (name, change) in changes {
            self.hashes.remove(&name);
            if change == TopicChange::Made {
                self.made = self.version;
            }
        }
        self.image = Some(image);
    }

    /// The image, if there was one yet.
    pub(crate) fn image(&self) -> Option<&Arc<Image>> {
        self.image.as_ref()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.image.as_ref()?.topic_named(name)
    }

    pub(crate) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.image.as_ref()?.topic(id).map(|topic| &topic.name)
    }

    /// A number that changes when one of these topics does; 0 of no topic.
    pub(crate) fn hash<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> i64 {
        let mut all = Fnv::default();
        for name in names {
            if let Some(hash) = self.hash_of(name) {
                all.add(&hash.to_be_bytes());
            }
        }
        if all == Fnv::default() { 0 } else { i64::from_be_bytes(all.0.to_be_bytes()) }
    }

    fn hash_of(&mut self, name: &str) -> Option<u64> {
        if let Some(known) = self.hashes.get(name) {
            return Some(*known);
        }
        let image = self.image.as_ref()?;
        let topic = image.topic_named(name)?;
        let mut hash = Fnv::default();
        hash.add(&topic.id.as_bytes()[..]);
        hash.add(name.as_bytes());
        for (number, _) in topic.partitions.iter() {
            hash.add(&number.to_be_bytes());
            for rack in racks(image, topic, number) {
                hash.add(&rack.len().to_be_bytes());
                hash.add(rack.as_bytes());
            }
        }
        self.hashes.insert(Arc::clone(&topic.name), hash.0);
        Some(hash.0)
    }
}

/// The racks in which there are replicas of a partition, in order, each once.
pub(crate) fn racks<'a>(image: &'a Image, topic: &'a Topic, partition: i32) -> Vec<&'a str> {
    let Some(partition) = topic.partition(partition) else { return Vec::new() };
    let rack = |id: &i32| image.broker(*id).and_then(|broker| broker.rack.as_deref());
    let mut racks: Vec<&str> = partition.replicas.iter().filter_map(rack).collect();
    racks.sort_unstable();
    racks.dedup();
    racks
}

/// The hash FNV-1a of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
