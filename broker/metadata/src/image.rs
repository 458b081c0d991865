//! The whole of a cluster's metadata at one offset.

use crate::cluster::{BrokerRegistration, ControllerRegistration, Endpoint};
use crate::config::{ConfigResource, ConfigValues};
use crate::features::Features;
use crate::intern::Directories;
use crate::partition::{NO_LEADER, Partition};
use crate::quota::{QuotaEntity, Quotas};
use crate::security::{Acl, DelegationToken, ScramCredential, ScramMechanism};
use crate::topic::Topic;
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use ottla_wire::Uuid;
use std::sync::Arc;

/// Where in the metadata log an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The offset of the last record contained; -1 before the first.
    pub offset: i64,
    /// The leader epoch of that record.
    pub epoch: i32,
    /// The time of that record, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl Default for Provenance {
    fn default() -> Self {
        Self { offset: -1, epoch: -1, timestamp_ms: -1 }
    }
}

/// The metadata of a cluster. A clone shares everything and costs next to nothing, so that each change can be
/// published as an image of its own.
///
/// Two images are equal when they say the same of the cluster; where they stand in the log does not matter.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub(crate) provenance: Provenance,
    pub(crate) features: Arc<Features>,
    pub(crate) brokers: OrdMap<i32, Arc<BrokerRegistration>>,
    pub(crate) controllers: OrdMap<i32, Arc<ControllerRegistration>>,
    pub(crate) topics: OrdMap<Uuid, Arc<Topic>>,
    pub(crate) topic_ids: OrdMap<Arc<str>, Uuid>,
    pub(crate) partition_count: usize,
    pub(crate) configs: OrdMap<ConfigResource, Arc<ConfigValues>>,
    pub(crate) quotas: OrdMap<QuotaEntity, Arc<Quotas>>,
    /// The producer id that the next block begins with.
    pub(crate) next_producer_id: i64,
    pub(crate) acls: OrdMap<Uuid, Arc<Acl>>,
    pub(crate) scram: OrdMap<(ScramMechanism, Arc<str>), Arc<ScramCredential>>,
    pub(crate) tokens: OrdMap<Arc<str>, Arc<DelegationToken>>,
    pub(crate) directories: Directories,
}

/// What became of a topic between two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicChange {
    /// It was not there.
    Made,
    /// Something of it, or of its partitions, is different.
    Changed,
    /// It is not there any more.
    Deleted,
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.features == other.features
            && self.brokers == other.brokers
            && self.controllers == other.controllers
            && self.topics == other.topics
            && self.topic_ids == other.topic_ids
            && self.configs == other.configs
            && self.quotas == other.quotas
            && self.next_producer_id() == other.next_producer_id()
            && self.acls == other.acls
            && self.scram == other.scram
            && self.tokens == other.tokens
    }
}

impl Image {
    /// Where in the log the image stands.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// Says where in the log the image stands, when that is known better than from the records applied.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }

    /// The levels of features.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Whether nothing but provenance is in the image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    // Nodes.

    /// The registration of a broker, fenced or not.
    #[must_use]
    pub fn broker(&self, id: i32) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// All registered brokers in the order of their ids.
    pub fn brokers(&self) -> impl DoubleEndedIterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// The brokers that clients are told of on a listener: those that are not fenced and have that listener, in the
    /// order of their ids.
    pub fn endpoints<'a>(
        &'a self,
        listener: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<BrokerRegistration>, &'a Endpoint)> {
        let alive = self.brokers.values().filter(|b| !b.fenced);
        alive.filter_map(move |b| b.endpoint(listener).map(|e| (b, e)))
    }

    /// The endpoint of one broker on a listener, unless the broker is fenced.
    #[must_use]
    pub fn endpoint(&self, id: i32, listener: &str) -> Option<&Endpoint> {
        self.brokers.get(&id).filter(|b| !b.fenced)?.endpoint(listener)
    }

    /// Whether a broker is registered and neither fenced nor shutting down.
    #[must_use]
    pub fn is_active(&self, id: i32) -> bool {
        self.brokers.get(&id).is_some_and(|b| b.is_active())
    }

    /// The registration of a controller.
    #[must_use]
    pub fn controller(&self, id: i32) -> Option<&Arc<ControllerRegistration>> {
        self.controllers.get(&id)
    }

    /// All registered controllers in the order of their ids.
    pub fn controllers(&self) -> impl Iterator<Item = &Arc<ControllerRegistration>> {
        self.controllers.values()
    }

    // Topics.

    /// The topic with this id.
    #[must_use]
    pub fn topic(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// The id of the topic of this name.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.topic_ids.get(name).copied()
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topic_ids.values().filter_map(|id| self.topics.get(id))
    }

    /// The topics whose names are not less than `from`, in the order of their names.
    pub fn topics_from<'a>(&'a self, from: &'a str) -> impl Iterator<Item = &'a Arc<Topic>> {
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        let named = self.topic_ids.range::<_, str>(bounds);
        named.filter_map(|(_, id)| self.topics.get(id))
    }

    /// All topics in the order of their ids.
    pub fn topics_by_id(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The names of the topics that differ from those of an image before, in the order of their
    /// ids. Costs what changed, where the one image came from the other.
    #[must_use]
    pub fn topic_changes(&self, before: &Self) -> Vec<(Arc<str>, TopicChange)> {
        let change = |item: DiffItem<'_, '_, Uuid, Arc<Topic>>| match item {
            DiffItem::Add(_, topic) => (Arc::clone(&topic.name), TopicChange::Made),
            DiffItem::Update { new: (_, topic), .. } => {
                (Arc::clone(&topic.name), TopicChange::Changed)
            }
            DiffItem::Remove(_, topic) => (Arc::clone(&topic.name), TopicChange::Deleted),
        };
        before.topics.diff(&self.topics).map(change).collect()
    }

    /// How many topics there are.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions all topics have together.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// A partition of the topic with this id.
    #[must_use]
    pub fn partition(&self, topic: Uuid, partition: i32) -> Option<&Partition> {
        self.topics.get(&topic)?.partition(partition)
    }

    /// The leader of a partition, when it has one that is registered and not fenced.
    #[must_use]
    pub fn leader(&self, topic: Uuid, partition: i32) -> Option<&Arc<BrokerRegistration>> {
        let leader = self.partition(topic, partition)?.leader;
        if leader == NO_LEADER {
            return None;
        }
        self.brokers.get(&leader).filter(|b| !b.fenced)
    }

    // Configurations and quotas.

    /// The values set on a resource; `None` when none is.
    #[must_use]
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Arc<ConfigValues>> {
        self.configs.get(resource)
    }

    /// One value set on a resource.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.configs.get(resource)?.get(key).map(String::as_str)
    }

    /// All resources that have values set, in order.
    pub fn config_resources(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigValues>)> {
        self.configs.iter()
    }

    /// The quotas of one entity.
    #[must_use]
    pub fn quotas(&self, entity: &QuotaEntity) -> Option<&Arc<Quotas>> {
        self.quotas.get(entity)
    }

    /// All entities that have quotas, in order.
    pub fn quota_entities(&self) -> impl Iterator<Item = (&QuotaEntity, &Arc<Quotas>)> {
        self.quotas.iter()
    }

    /// The producer id that the next block begins with.
    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    // Security.

    /// The access rule with this id.
    #[must_use]
    pub fn acl(&self, id: Uuid) -> Option<&Arc<Acl>> {
        self.acls.get(&id)
    }

    /// All access rules with their ids, in the order of the ids.
    pub fn acls(&self) -> impl Iterator<Item = (Uuid, &Arc<Acl>)> {
        self.acls.iter().map(|(id, acl)| (*id, acl))
    }

    /// A user's credential for a mechanism.
    #[must_use]
    pub fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<&Arc<ScramCredential>> {
        self.scram.get(&(mechanism, Arc::from(user)))
    }

    /// All credentials by mechanism and user, in order.
    pub fn scram_credentials(
        &self,
    ) -> impl Iterator<Item = (ScramMechanism, &str, &Arc<ScramCredential>)> {
        self.scram.iter().map(|((mechanism, user), c)| (*mechanism, user.as_ref(), c))
    }

    /// A delegation token.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<&Arc<DelegationToken>> {
        self.tokens.get(id)
    }

    /// All delegation tokens with their ids, in the order of the ids.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Arc<DelegationToken>)> {
        self.tokens.iter().map(|(id, token)| (id.as_ref(), token))
    }
}
