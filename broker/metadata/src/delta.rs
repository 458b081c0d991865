//! What differs between one image and a later one.

use crate::config::ConfigResource;
use crate::image::Image;
use crate::quota::QuotaEntity;
use crate::security::ScramMechanism;
use crate::topic::Topic;
use imbl::ordmap::DiffItem;
use ottla_wire::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One thing that a record changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The level of a feature.
    Feature(String),
    /// A broker was registered, unregistered or changed.
    Broker(i32),
    /// A controller was registered.
    Controller(i32),
    /// A topic was created. Its partitions follow as changes of their own.
    TopicCreated(Uuid),
    /// A topic was deleted; this is what it was.
    TopicDeleted(Arc<Topic>),
    /// A partition was created or changed.
    Partition(Uuid, i32),
    /// A value of a resource was set or removed.
    Config(ConfigResource),
    /// A quota of an entity was set or removed.
    Quota(QuotaEntity),
    /// A block of producer ids was taken.
    ProducerIds,
    /// An access rule was added or removed.
    Acl(Uuid),
    /// A credential was set or removed.
    Scram(ScramMechanism, Arc<str>),
    /// A delegation token was made, renewed or removed.
    Token(Arc<str>),
}

/// What changed in a topic that exists afterwards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicDelta {
    /// Whether the topic did not exist before.
    pub created: bool,
    /// The partitions that were created or changed.
    pub partitions: BTreeSet<i32>,
}

/// What changed between two images: names only, the values are in the later image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// Features whose level was set, `metadata.version` included.
    pub features: BTreeSet<String>,
    /// Brokers registered, unregistered or changed.
    pub brokers: BTreeSet<i32>,
    /// Controllers registered.
    pub controllers: BTreeSet<i32>,
    /// Topics created or changed.
    pub topics: BTreeMap<Uuid, TopicDelta>,
    /// Topics deleted that existed before, as they were.
    pub deleted: BTreeMap<Uuid, Arc<Topic>>,
    /// Resources with a value set or removed.
    pub configs: BTreeSet<ConfigResource>,
    /// Entities with a quota set or removed.
    pub quotas: BTreeSet<QuotaEntity>,
    /// Whether producer ids were handed out.
    pub producer_ids: bool,
    /// Access rules added or removed.
    pub acls: BTreeSet<Uuid>,
    /// Credentials set or removed.
    pub scram: BTreeSet<(ScramMechanism, Arc<str>)>,
    /// Delegation tokens made, renewed or removed.
    pub tokens: BTreeSet<Arc<str>>,
}

impl Delta {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds one change that came after all those before.
    pub fn add(&mut self, change: Change) {
        match change {
            Change::Feature(name) => drop(self.features.insert(name)),
            Change::Broker(id) => drop(self.brokers.insert(id)),
            Change::Controller(id) => drop(self.controllers.insert(id)),
            Change::TopicCreated(id) => {
                self.topics.insert(id, TopicDelta { created: true, partitions: BTreeSet::new() });
            }
            Change::TopicDeleted(topic) => {
                // One that was created since is as if it had never been.
                if !self.topics.remove(&topic.id).is_some_and(|t| t.created) {
                    self.deleted.insert(topic.id, topic);
                }
            }
            Change::Partition(topic, partition) => {
                self.topics.entry(topic).or_default().partitions.insert(partition);
            }
            Change::Config(resource) => drop(self.configs.insert(resource)),
            Change::Quota(entity) => drop(self.quotas.insert(entity)),
            Change::ProducerIds => self.producer_ids = true,
            Change::Acl(id) => drop(self.acls.insert(id)),
            Change::Scram(mechanism, user) => drop(self.scram.insert((mechanism, user))),
            Change::Token(id) => drop(self.tokens.insert(id)),
        }
    }

    /// Adds all changes of a later delta, as when a reader skips the image between.
    pub fn append(&mut self, later: Delta) {
        for (id, topic) in later.deleted {
            self.add(Change::TopicDeleted(topic));
            debug_assert!(!self.topics.contains_key(&id));
        }
        for (id, topic) in later.topics {
            let mine = self.topics.entry(id).or_default();
            mine.created |= topic.created;
            mine.partitions.extend(topic.partitions);
        }
        self.features.extend(later.features);
        self.brokers.extend(later.brokers);
        self.controllers.extend(later.controllers);
        self.configs.extend(later.configs);
        self.quotas.extend(later.quotas);
        self.producer_ids |= later.producer_ids;
        self.acls.extend(later.acls);
        self.scram.extend(later.scram);
        self.tokens.extend(later.tokens);
    }

    /// What differs between two images, found by comparing them: for when one comes from a snapshot. Parts the two
    /// share cost nothing.
    #[must_use]
    pub fn between(old: &Image, new: &Image) -> Self {
        let mut delta = Self::default();
        let features = |i: &Image| i.features().finalized().clone();
        let (before, after) = (features(old), features(new));
        for name in before.keys().chain(after.keys()) {
            if before.get(name) != after.get(name) {
                delta.features.insert(name.clone());
            }
        }
        if old.features().recorded_version() != new.features().recorded_version() {
            delta.features.insert(crate::version::MetadataVersion::FEATURE.to_owned());
        }
        delta.brokers = differing(&old.brokers, &new.brokers);
        delta.controllers = differing(&old.controllers, &new.controllers);
        delta.configs = differing(&old.configs, &new.configs);
        delta.quotas = differing(&old.quotas, &new.quotas);
        delta.producer_ids = old.next_producer_id() != new.next_producer_id();
        delta.acls = differing(&old.acls, &new.acls);
        delta.scram = differing(&old.scram, &new.scram);
        delta.tokens = differing(&old.tokens, &new.tokens);
        for item in old.topics.diff(&new.topics) {
            match item {
                DiffItem::Add(id, topic) => {
                    let partitions = topic.partitions.iter().map(|(n, _)| n).collect();
                    delta.topics.insert(*id, TopicDelta { created: true, partitions });
                }
                DiffItem::Remove(id, topic) => drop(delta.deleted.insert(*id, topic.clone())),
                DiffItem::Update { old: (id, old), new: (_, new) } => {
                    let all = new.partitions.iter();
                    let changed = all.filter(|(n, p)| old.partition(*n) != Some(*p));
                    let partitions = changed.map(|(n, _)| n).collect();
                    delta.topics.insert(*id, TopicDelta { created: false, partitions });
                }
            }
        }
        delta
    }
}

fn differing<K: Ord + Clone, V: PartialEq + Clone>(
    old: &imbl::OrdMap<K, V>,
    new: &imbl::OrdMap<K, V>,
) -> BTreeSet<K> {
    let keys = old.diff(new).map(|item| match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key.clone(),
        DiffItem::Update { new: (key, _), .. } => key.clone(),
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: u128) -> Arc<Topic> {
        Arc::new(Topic::new(Uuid::from_u128(n), "t"))
    }

    #[test]
    fn a_topic_created_and_deleted_leaves_no_trace() {
        let mut delta = Delta::default();
        delta.add(Change::TopicCreated(Uuid::from_u128(5)));
        delta.add(Change::Partition(Uuid::from_u128(5), 0));
        delta.add(Change::TopicDeleted(topic(5)));
        assert!(delta.is_empty());
    }

    #[test]
    fn a_topic_changed_and_deleted_is_deleted() {
        let mut delta = Delta::default();
        delta.add(Change::Partition(Uuid::from_u128(5), 0));
        delta.add(Change::TopicDeleted(topic(5)));
        assert!(delta.topics.is_empty());
        assert_eq!(delta.deleted.len(), 1);
    }

    #[test]
    fn deltas_join_in_order() {
        let mut first = Delta::default();
        first.add(Change::TopicCreated(Uuid::from_u128(5)));
        first.add(Change::Broker(1));
        let mut second = Delta::default();
        second.add(Change::TopicDeleted(topic(5)));
        second.add(Change::Broker(2));
        first.append(second);
        assert!(first.topics.is_empty() && first.deleted.is_empty());
        assert_eq!(first.brokers, BTreeSet::from([1, 2]));
    }
}
