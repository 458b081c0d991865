//! From the cluster's metadata to this node's logs and roles.
//!
//! One thread calls [`Publisher`]; it blocks on the disk, so it is not a network thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_config::{BrokerConfig, LogConfig, keys};
use ottla_log::LogError;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::names::DirKind;
use ottla_metadata::{ConfigResource, Delta, Image, MetadataVersion, ResourceType, Topic};
use ottla_replica::ActiveBrokers;
use ottla_wire::Uuid;
use tracing::{error, info, warn};

use crate::assignments::Assignments;
use crate::core::Core;
use crate::dirs::{LogDir, LogDirs};
use crate::ids::PartitionId;
use crate::making::Making;
use crate::partition::{Lead, Partition, Retire};
use crate::replicas::Replicas;
use crate::replication::Replication;
use crate::settings::TopicSettings;

mod load;

pub use load::LoadSummary;

/// Hears which partitions this node begins and ceases to lead. Called on the publishing thread,
/// after the partition has its role: do not block.
pub trait RoleListener: Send + Sync + 'static {
    /// This node leads `partition` in `epoch` now. Called again when an epoch follows another
    /// without a loss between.
    fn leads(&self, partition: &Arc<Partition>, epoch: i32);

    /// This node does not lead the partition any more, or its directory failed.
    fn resigns(&self, topic: &str, id: PartitionId);
}

/// Where this node put a replica, for the controller to know (AssignReplicasToDirs, KIP-858).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The replica.
    pub id: PartitionId,
    /// The directory's id.
    pub dir: Uuid,
}

/// What a publication did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Replicas in another directory than the metadata say.
    pub assigned: Vec<Assignment>,
    /// Replicas created.
    pub created: usize,
    /// Replicas removed.
    pub removed: usize,
}

/// Makes this node's replicas what the metadata say.
pub struct Publisher {
    me: i32,
    core: Arc<Core>,
    replicas: Arc<Replicas>,
    dirs: LogDirs,
    config: Arc<BrokerConfig>,
    /// Of topics that set nothing of their own.
    defaults: TopicSettings,
    listeners: Vec<Arc<dyn RoleListener>>,
    assignments: Option<Arc<Assignments>>,
    replication: Option<Arc<Replication>>,
    /// The registration that metadata must name before roles are taken that others depend on.
    awaited: Option<Uuid>,
    image: Image,
    retired: u64,
    making: Arc<Making>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publisher of node {}", self.me)
    }
}

fn resolve(config: &BrokerConfig, overrides: &BTreeMap<String, String>) -> TopicSettings {
    // What the metadata hold was checked when it was set; an older cluster may have been laxer.
    let resolved = LogConfig::resolve(config, overrides).unwrap_or_else(|e| {
        warn!(error = %e, "a topic's configuration is not usable: taking the broker's");
        LogConfig::resolve(config, &BTreeMap::new()).unwrap_or_default()
    });
    TopicSettings::new(resolved, i64::from(config.get(keys::PRODUCER_ID_EXPIRATION_MS)))
}

impl Publisher {
    /// A publisher that has published nothing. Call [`load`](Self::load) with the first image.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        replicas: Arc<Replicas>,
        dirs: LogDirs,
        config: Arc<BrokerConfig>,
    ) -> Self {
        core.cluster().configure(&config);
        Self {
            me: config.node_id(),
            core,
            replicas,
            dirs,
            defaults: resolve(&config, &BTreeMap::new()),
            config,
            listeners: Vec::new(),
            assignments: None,
            replication: None,
            awaited: None,
            image: Image::default(),
            retired: 0,
            making: Arc::default(),
        }
    }

    /// Has the controller told where replicas were put, through `assignments`.
    pub fn assign_with(&mut self, assignments: Arc<Assignments>) {
        self.assignments = Some(assignments);
    }

    /// Has the partitions that this node follows fetched, by `replication`.
    pub fn replicate_with(&mut self, replication: Arc<Replication>) {
        self.replication = Some(replication);
    }

    /// Takes no part in partitions that have other replicas until metadata name this registration of
    /// the broker. What was committed before may still call it leader of records that it has lost
    /// since, and followers would cut theirs by its word.
    pub fn await_registration(&mut self, incarnation: Uuid) {
        self.awaited = Some(incarnation);
    }

    /// Whether the registration that was waited for is there with this image.
    fn is_registered_with(&self, image: &Image) -> bool {
        let named = image.broker(self.me).map(|broker| broker.incarnation_id);
        self.awaited.is_some() && self.awaited == named
    }

    fn unfollow(&self, id: PartitionId) {
        if let Some(replication) = &self.replication {
            replication.unfollow(id);
        }
    }

    fn assign(&self, assignment: Assignment) {
        if let Some(assignments) = &self.assignments {
            assignments.tell(assignment);
        }
    }

    /// Has the controller told where a replica was found, unless it moves by now: what the move tells would be taken
    /// back, and it would never end.
    fn assign_at_rest(&self, found: Assignment) {
        match self.replicas.get(found.id) {
            Ok(replica) => replica.at_rest(|dir| self.assign(Assignment { dir, ..found })),
            Err(_) => self.assign(found),
        }
    }

    /// Has the controller told of all replicas that are elsewhere than the metadata say. What it was told under a version
    /// that knows no directories it could not write down.
    fn assign_all(&self) {
        if !self.image.features().version().has_directories() {
            return;
        }
        for replica in self.replicas.all() {
            let id = replica.id();
            let wanted = self.image.partition(id.topic, id.partition);
            let known = wanted.and_then(|wanted| wanted.directory_of(self.me));
            replica.at_rest(|dir| {
                if known.is_some_and(|known| known != dir) {
                    self.assign(Assignment { id, dir });
                }
            });
        }
    }

    /// Adds one who hears of roles. Those that this node has already are not told.
    pub fn listen(&mut self, listener: Arc<dyn RoleListener>) {
        self.listeners.push(listener);
    }

    /// The image published last.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Publishes an image and what differs from the one before. An image that was published by
    /// [`load`](Self::load) changes nothing the second time.
    pub fn publish(&mut self, image: Image, delta: &Delta) -> Published {
        let mut done = Published::default();
        if !delta.brokers.is_empty() {
            let active = image.brokers().filter(|broker| broker.is_active());
            let brokers = ActiveBrokers::new(active.map(|broker| (broker.id, broker.epoch)));
            self.core.cluster().set_brokers(brokers);
        }
        for topic in delta.deleted.values() {
            self.remove_topic(topic, &mut done);
        }
        if self.is_registered_with(&image) {
            self.awaited = None;
            self.take_roles(&image);
        }
        for (id, changed) in &delta.topics {
            let Some(topic) = image.topic(*id) else { continue };
            let mut settings = None;
            for &partition in &changed.partitions {
                self.adapt(&image, topic, partition, &mut settings, &mut done);
            }
        }
        if !delta.brokers.is_empty() {
            self.core.cluster().watched().iter().for_each(Partition::reconsider);
        }
        self.image = image;
        for resource in &delta.configs {
            if resource.kind == ResourceType::Topic {
                self.reconfigure(&resource.name);
            }
        }
        done.assigned.iter().for_each(|assignment| self.assign_at_rest(*assignment));
        if delta.features.contains(MetadataVersion::FEATURE) {
            self.assign_all();
        }
        if done.removed > 0 {
            self.write_checkpoints();
        }
        done
    }

    /// Forgets in the checkpoints what was removed: another log of the name must not be taken for
    /// it after a crash.
    fn write_checkpoints(&self) {
        for dir in self.dirs.online() {
            if let Err(e) = dir.files().write_checkpoints() {
                error!(dir = %dir.path().display(), error = %e, "cannot write checkpoints");
                dir.judge(&e);
            }
        }
    }

    /// Takes another configuration of the broker, and what follows from it for its topics.
    pub fn set_config(&mut self, config: Arc<BrokerConfig>) {
        self.defaults = resolve(&config, &BTreeMap::new());
        self.core.cluster().configure(&config);
        self.config = config;
        if let Some(replication) = &self.replication {
            replication.spread();
        }
        let topics: Vec<_> = self.image.topics().map(|topic| Arc::clone(&topic.name)).collect();
        for name in topics {
            self.reconfigure(&name);
        }
    }

    /// A directory failed: its replicas go out of service. Returns them.
    pub fn fail_dir(&mut self, dir: Uuid) -> Vec<PartitionId> {
        let Some(dir) = self.dirs.get(dir).cloned() else { return Vec::new() };
        for moving in self.replicas.all() {
            if moving.cancel_move(&dir) {
                self.assign(Assignment { id: moving.id(), dir: moving.dir().id() });
            }
        }
        let failed = self.replicas.fail_dir(&dir);
        dir.files().abandon();
        for id in &failed {
            self.unfollow(*id);
            if let Some(topic) = self.image.topic(id.topic) {
                self.listeners.iter().for_each(|l| l.resigns(&topic.name, *id));
            }
        }
        error!(dir = %dir.path().display(), replicas = failed.len(), "replicas are offline");
        failed
    }

    fn settings(&self, image: &Image, topic: &str) -> TopicSettings {
        match image.configs(&ConfigResource::topic(topic)) {
            Some(overrides) if !overrides.is_empty() => resolve(&self.config, overrides),
            _ => self.defaults.clone(),
        }
    }

    fn reconfigure(&self, name: &str) {
        let Some(topic) = self.image.topic_named(name) else { return };
        let settings = self.settings(&self.image, name);
        for (partition, _) in topic.partitions.iter() {
            if let Ok(found) = self.replicas.get(PartitionId::new(topic.id, partition)) {
                found.set_settings(settings.clone());
            }
        }
    }

    /// Makes one replica what `image` says, creating or removing its log.
    fn adapt(
        &mut self,
        image: &Image,
        topic: &Topic,
        partition: i32,
        settings: &mut Option<TopicSettings>,
        done: &mut Published,
    ) {
        let id = PartitionId::new(topic.id, partition);
        let Some(wanted) = topic.partition(partition) else { return };
        let place = wanted.replicas.as_slice().iter().position(|replica| *replica == self.me);
        let Some(place) = place else {
            self.remove(id, &topic.name, done);
            return;
        };
        let assigned = wanted.directories.get(place).copied();
        if !self.replicas.knows(id) {
            let settings = settings.get_or_insert_with(|| self.settings(image, &topic.name));
            match self.create(id, &topic.name, assigned, settings.clone()) {
                Ok(created) => {
                    done.created += 1;
                    self.replicas.insert(created);
                }
                Err(e) => {
                    error!(topic = %topic.name, partition, error = %e, "cannot create a replica");
                    self.replicas.insert_offline(id);
                }
            }
        }
        let Ok(replica) = self.replicas.get(id) else { return };
        let dir = replica.dir().id();
        // One that moves tells of its directory itself.
        if assigned.is_some_and(|assigned| assigned != dir) && replica.future().is_none() {
            done.assigned.push(Assignment { id, dir });
        }
        self.set_role(&replica, wanted);
    }

    /// Takes the roles in the partitions that are here.
    fn take_roles(&self, image: &Image) {
        for replica in self.replicas.all() {
            let id = replica.id();
            let wanted = image.partition(id.topic, id.partition);
            if let Some(wanted) = wanted.filter(|w| w.replicas.as_slice().contains(&self.me)) {
                self.set_role(&replica, wanted);
            }
        }
    }

    fn set_role(&self, replica: &Arc<Partition>, wanted: &ottla_metadata::Partition) {
        if self.awaited.is_some() && wanted.replicas.as_slice().len() > 1 {
            return;
        }
        let led = replica.leader_epoch();
        if wanted.leader == self.me {
            let lead = Lead {
                me: self.me,
                epoch: wanted.leader_epoch,
                partition_epoch: wanted.partition_epoch,
                replicas: wanted.replicas.as_slice().to_vec(),
                isr: wanted.isr.as_slice().to_vec(),
            };
            if led.is_none() {
                self.unfollow(replica.id());
            }
            replica.lead(lead);
            if led != Some(wanted.leader_epoch) {
                self.listeners.iter().for_each(|l| l.leads(replica, wanted.leader_epoch));
            }
        } else {
            if replica.follow(wanted.leader, wanted.leader_epoch) {
                match &self.replication {
                    Some(replication) if wanted.leader >= 0 => {
                        replication.follow(replica, wanted.leader, wanted.leader_epoch);
                    }
                    _ => self.unfollow(replica.id()),
                }
            }
            if led.is_some() {
                self.listeners.iter().for_each(|l| l.resigns(replica.topic(), replica.id()));
            }
        }
    }

    fn create(
        &self,
        id: PartitionId,
        topic: &Arc<str>,
        assigned: Option<Uuid>,
        settings: TopicSettings,
    ) -> Result<Arc<Partition>, LogError> {
        let assigned = assigned.filter(|dir| *dir != Uuid::UNASSIGNED_DIRECTORY);
        let dir = match assigned.map(|dir| self.dirs.get(dir)) {
            Some(Some(dir)) => Some(dir).filter(|dir| dir.is_online()),
            // Told to be in a directory that may be out of service, it is offline, not empty elsewhere.
            Some(None) if self.dirs.any_offline() => None,
            // One that is none of ours while all of ours are in service is gone for good.
            Some(None) | None => self.dirs.place(),
        };
        let Some(dir) = dir else { return Err(LogError::Closed) };
        let name = TopicPartition::new(&**topic, id.partition);
        let topic_id = id.topic.to_string();
        let now = self.core.clock().wall_ms();
        let log = dir
            .files()
            .begin_log(&name, Some(&topic_id), Arc::clone(&settings.log), now)
            .inspect_err(|e| dir.judge(e))?;
        self.making.add(&self.core, &log, dir);
        Ok(self.partition(id, topic, log, dir, settings))
    }

    fn partition(
        &self,
        id: PartitionId,
        topic: &Arc<str>,
        log: Arc<ottla_log::Log>,
        dir: &Arc<LogDir>,
        settings: TopicSettings,
    ) -> Arc<Partition> {
        let (topic, dir, core) = (Arc::clone(topic), Arc::clone(dir), Arc::clone(&self.core));
        Partition::new(id, topic, log, dir, settings, core)
    }

    fn remove_topic(&mut self, topic: &Topic, done: &mut Published) {
        for (partition, _) in topic.partitions.iter() {
            self.remove(PartitionId::new(topic.id, partition), &topic.name, done);
        }
    }

    fn remove(&mut self, id: PartitionId, topic: &str, done: &mut Published) {
        let Some(replica) = self.replicas.remove(id) else { return };
        self.unfollow(id);
        let led = replica.leader_epoch().is_some();
        replica.retire(Retire::Gone);
        if led {
            self.listeners.iter().for_each(|l| l.resigns(topic, id));
        }
        let now = self.core.clock().wall_ms();
        let (dir, unique) = (replica.dir(), self.unique(now));
        let name = TopicPartition::new(topic, id.partition);
        if let Err(e) = dir.files().delete_log(&name, DirKind::Current, unique, now) {
            error!(topic, partition = id.partition, error = %e, "cannot delete a log");
            dir.judge(&e);
        } else {
            done.removed += 1;
            info!(topic, partition = id.partition, "log deleted");
        }
    }

    /// Tells one removed directory from another of its name.
    fn unique(&mut self, now_ms: i64) -> u128 {
        self.retired += 1;
        (u128::from(now_ms.unsigned_abs()) << 64) | u128::from(self.retired)
    }
}

#[cfg(test)]
mod tests;
