//! How each record changes the image.

use crate::cluster::{BrokerRegistration, ControllerRegistration};
use crate::config::{ConfigResource, ResourceType};
use crate::delta::Change;
use crate::error::ApplyError;
use crate::features::KRAFT;
use crate::image::{Image, Provenance};
use crate::partition::{NO_RECOVERY_CHANGE, Partition, Recovery, directory};
use crate::quota::QuotaEntity;
use crate::security::{Acl, DelegationToken, ScramCredential, ScramMechanism};
use crate::topic::Topic;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord, ConfigRecord,
    MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord, UserScramCredentialRecord,
};
use std::sync::Arc;

type Done = Result<(), ApplyError>;

impl Image {
    /// Applies the record at an offset. On an error the image is as it was.
    pub fn apply(&mut self, record: &MetadataRecord, offset: i64) -> Done {
        self.apply_noting(record, offset, &mut |_| {})
    }

    /// Applies the record at an offset and tells `note` of everything that changed by it.
    pub fn apply_noting(
        &mut self,
        record: &MetadataRecord,
        offset: i64,
        note: &mut dyn FnMut(Change),
    ) -> Done {
        use MetadataRecord as R;
        match record {
            R::RegisterBroker(r) => {
                self.brokers.insert(r.broker_id, Arc::new(BrokerRegistration::from_record(r)));
                note(Change::Broker(r.broker_id));
            }
            R::UnregisterBroker(r) => {
                self.broker_at(r.broker_id, r.broker_epoch)?;
                self.brokers.remove(&r.broker_id);
                note(Change::Broker(r.broker_id));
            }
            R::FenceBroker(r) => self.change_broker(r.id, r.epoch, note, |b| b.fenced = true)?,
            R::UnfenceBroker(r) => self.change_broker(r.id, r.epoch, note, |b| b.fenced = false)?,
            R::BrokerRegistrationChange(r) => self.apply_registration_change(r, note)?,
            R::RegisterController(r) => {
                let controller = Arc::new(ControllerRegistration::from_record(r));
                self.controllers.insert(r.controller_id, controller);
                note(Change::Controller(r.controller_id));
            }
            R::Topic(r) => self.apply_topic(r, note)?,
            R::RemoveTopic(r) => self.apply_remove_topic(r.topic_id, note)?,
            R::Partition(r) => self.apply_partition(r, note)?,
            R::PartitionChange(r) => self.apply_partition_change(r, note)?,
            R::ClearElr(r) => self.apply_clear_elr(r, note)?,
            R::Config(r) => self.apply_config(r, note)?,
            R::FeatureLevel(r) => {
                Arc::make_mut(&mut self.features).set(&r.name, r.feature_level)?;
                note(Change::Feature(r.name.clone()));
            }
            R::ClientQuota(r) => self.apply_quota(r, note),
            R::ProducerIds(r) => {
                self.next_producer_id = r.next_producer_id;
                note(Change::ProducerIds);
            }
            R::AccessControlEntry(r) => {
                self.acls.insert(r.id, Arc::new(Acl::from_record(r)));
                note(Change::Acl(r.id));
            }
            R::RemoveAccessControlEntry(r) => {
                self.acls.remove(&r.id).ok_or(ApplyError::UnknownAcl(r.id))?;
                note(Change::Acl(r.id));
            }
            R::UserScramCredential(r) => self.apply_scram(r, note)?,
            R::RemoveUserScramCredential(r) => {
                let key = (mechanism(r.mechanism)?, Arc::from(r.name.as_str()));
                self.scram.remove(&key);
                note(Change::Scram(key.0, key.1));
            }
            R::DelegationToken(r) => {
                let id: Arc<str> = r.token_id.as_str().into();
                self.tokens.insert(id.clone(), Arc::new(DelegationToken::from_record(r)));
                note(Change::Token(id));
            }
            R::RemoveDelegationToken(r) => {
                let id: Arc<str> = r.token_id.as_str().into();
                self.tokens.remove(&id);
                note(Change::Token(id));
            }
            // Transactions are the reader's matter: it keeps what is inside until the end is read.
            R::BeginTransaction(_) | R::EndTransaction(_) | R::AbortTransaction(_) => {}
            // A filler, and a remnant of clusters that came from ZooKeeper: neither says anything of the cluster.
            R::NoOp(_) | R::ZkMigrationState(_) => {}
        }
        self.provenance = Provenance { offset, ..self.provenance };
        Ok(())
    }

    /// Sets the level of `kraft.version`, which the quorum keeps in records of its own.
    ///
    /// # Errors
    /// When there is no such level.
    pub fn set_kraft_version(&mut self, level: i16) -> Result<(), ApplyError> {
        if self.features.level(KRAFT) == level {
            return Ok(());
        }
        Arc::make_mut(&mut self.features).set(KRAFT, level)
    }

    fn broker_at(&self, id: i32, epoch: i64) -> Result<&Arc<BrokerRegistration>, ApplyError> {
        let broker = self.brokers.get(&id).filter(|b| b.epoch == epoch);
        broker.ok_or(ApplyError::UnknownBroker { id, epoch })
    }

    fn change_broker(
        &mut self,
        id: i32,
        epoch: i64,
        note: &mut dyn FnMut(Change),
        change: impl FnOnce(&mut BrokerRegistration),
    ) -> Done {
        self.broker_at(id, epoch)?;
        if let Some(broker) = self.brokers.get_mut(&id) {
            change(Arc::make_mut(broker));
        }
        note(Change::Broker(id));
        Ok(())
    }

    fn apply_registration_change(
        &mut self,
        r: &BrokerRegistrationChangeRecord,
        note: &mut dyn FnMut(Change),
    ) -> Done {
        let unknown = |what, code: i8| ApplyError::Code { what, code: code.into() };
        let fenced = match r.fenced {
            0 => None,
            1 => Some(true),
            -1 => Some(false),
            code => return Err(unknown("fenced", code)),
        };
        let shutting_down = match r.in_controlled_shutdown {
            0 => None,
            1 => Some(true),
            code => return Err(unknown("in controlled shutdown", code)),
        };
        self.change_broker(r.broker_id, r.broker_epoch, note, |broker| {
            broker.fenced = fenced.unwrap_or(broker.fenced);
            broker.in_controlled_shutdown = shutting_down.unwrap_or(broker.in_controlled_shutdown);
            if !r.log_dirs.is_empty() {
                broker.log_dirs.clone_from(&r.log_dirs);
                broker.log_dirs.sort_unstable();
            }
            if let Some(cordoned) = &r.cordoned_log_dirs {
                broker.cordoned_log_dirs.clone_from(cordoned);
                broker.cordoned_log_dirs.sort_unstable();
            }
        })
    }

    fn apply_topic(&mut self, r: &TopicRecord, note: &mut dyn FnMut(Change)) -> Done {
        if self.topics.contains_key(&r.topic_id) || self.topic_ids.contains_key(r.name.as_str()) {
            return Err(ApplyError::TopicExists { id: r.topic_id, name: r.name.clone() });
        }
        let topic = Topic::new(r.topic_id, &r.name);
        self.topic_ids.insert(topic.name.clone(), topic.id);
        self.topics.insert(topic.id, Arc::new(topic));
        note(Change::TopicCreated(r.topic_id));
        Ok(())
    }

    fn apply_remove_topic(&mut self, id: Uuid, note: &mut dyn FnMut(Change)) -> Done {
        let topic = self.topics.remove(&id).ok_or(ApplyError::UnknownTopic(id))?;
        self.topic_ids.remove(&topic.name);
        self.partition_count = self.partition_count.saturating_sub(topic.partitions.len());
        let resource = ConfigResource { kind: ResourceType::Topic, name: topic.name.clone() };
        if self.configs.remove(&resource).is_some() {
            note(Change::Config(resource));
        }
        note(Change::TopicDeleted(topic));
        Ok(())
    }

    fn apply_partition(&mut self, r: &PartitionRecord, note: &mut dyn FnMut(Change)) -> Done {
        if Recovery::from_code(r.leader_recovery_state).is_none() {
            return Err(recovery_code(r.leader_recovery_state));
        }
        let (topic_id, partition) = (r.topic_id, r.partition_id);
        let topic = self.topics.get_mut(&topic_id).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let next = topic.partitions.len();
        // A record for a partition that exists replaces it, as reading a log again from an earlier point may do.
        let exists = topic.partition(partition).is_some();
        if !exists && usize::try_from(partition) != Ok(next) {
            return Err(ApplyError::PartitionGap { topic: topic_id, partition, next });
        }
        let directories = if r.directories.is_empty() {
            self.directories.share(&vec![directory::MIGRATING; r.replicas.len()])
        } else {
            check_directories(topic_id, partition, r.replicas.len(), &r.directories)?;
            self.directories.share(&r.directories)
        };
        let new = Partition::from_record(r, directories);
        let topic = Arc::make_mut(topic);
        if exists {
            topic.partitions.replace(partition, new);
        } else if topic.partitions.push(new).is_some() {
            self.partition_count += 1;
        }
        note(Change::Partition(topic_id, partition));
        Ok(())
    }

    fn apply_partition_change(
        &mut self,
        r: &PartitionChangeRecord,
        note: &mut dyn FnMut(Change),
    ) -> Done {
        let (id, partition) = (r.topic_id, r.partition_id);
        let state = r.leader_recovery_state;
        if state != NO_RECOVERY_CHANGE && Recovery::from_code(state).is_none() {
            return Err(recovery_code(state));
        }
        let topic = self.topics.get_mut(&id).ok_or(ApplyError::UnknownTopic(id))?;
        let Some(old) = topic.partition(partition) else {
            return Err(ApplyError::UnknownPartition { topic: id, partition });
        };
        let directories = match &r.directories {
            Some(list) if !list.is_empty() => {
                let replicas = r.replicas.as_ref().map_or(old.replicas.len(), Vec::len);
                check_directories(id, partition, replicas, list)?;
                Some(self.directories.share(list))
            }
            _ => None,
        };
        let new = old.merged(r, directories);
        Arc::make_mut(topic).partitions.replace(partition, new);
        note(Change::Partition(id, partition));
        Ok(())
    }

    fn apply_clear_elr(&mut self, r: &ClearElrRecord, note: &mut dyn FnMut(Change)) -> Done {
        // No name means every topic.
        let ids: Vec<Uuid> = if r.topic_name.is_empty() {
            self.topics.keys().copied().collect()
        } else {
            let id = self.topic_ids.get(r.topic_name.as_str());
            vec![*id.ok_or_else(|| ApplyError::UnknownTopicName(r.topic_name.clone()))?]
        };
        for id in ids {
            let Some(topic) = self.topics.get(&id) else { continue };
            let all = topic.partitions.iter();
            let with = all.filter(|(_, p)| !p.elr().is_empty() || !p.last_known_elr().is_empty());
            let cleared: Vec<_> = with.map(|(n, p)| (n, p.without_elr())).collect();
            if cleared.is_empty() {
                continue;
            }
            let Some(topic) = self.topics.get_mut(&id) else { continue };
            let topic = Arc::make_mut(topic);
            for (partition, new) in cleared {
                topic.partitions.replace(partition, new);
                note(Change::Partition(id, partition));
            }
        }
        Ok(())
    }

    fn apply_config(&mut self, r: &ConfigRecord, note: &mut dyn FnMut(Change)) -> Done {
        let kind = ResourceType::from_code(r.resource_type)
            .ok_or(ApplyError::Code { what: "a resource type", code: r.resource_type.into() })?;
        let resource = ConfigResource::new(kind, &r.resource_name);
        match &r.value {
            Some(value) => {
                let values = self.configs.entry(resource.clone()).or_default();
                Arc::make_mut(values).insert(r.name.clone(), value.clone());
            }
            None => {
                if let Some(values) = self.configs.get_mut(&resource) {
                    let values = Arc::make_mut(values);
                    values.remove(&r.name);
                    if values.is_empty() {
                        self.configs.remove(&resource);
                    }
                }
            }
        }
        note(Change::Config(resource));
        Ok(())
    }

    fn apply_quota(&mut self, r: &ClientQuotaRecord, note: &mut dyn FnMut(Change)) {
        let parts = r.entity.iter().map(|e| (e.entity_type.clone(), e.entity_name.clone()));
        let entity = QuotaEntity(parts.collect());
        if !r.remove {
            let quotas = self.quotas.entry(entity.clone()).or_default();
            Arc::make_mut(quotas).insert(r.key.clone(), r.value);
        } else if let Some(quotas) = self.quotas.get_mut(&entity) {
            let quotas = Arc::make_mut(quotas);
            quotas.remove(&r.key);
            if quotas.is_empty() {
                self.quotas.remove(&entity);
            }
        }
        note(Change::Quota(entity));
    }

    fn apply_scram(&mut self, r: &UserScramCredentialRecord, note: &mut dyn FnMut(Change)) -> Done {
        let key: (_, Arc<str>) = (mechanism(r.mechanism)?, Arc::from(r.name.as_str()));
        self.scram.insert(key.clone(), Arc::new(ScramCredential::from_record(r)));
        note(Change::Scram(key.0, key.1));
        Ok(())
    }
}

fn mechanism(code: i8) -> Result<ScramMechanism, ApplyError> {
    let unknown = ApplyError::Code { what: "a SCRAM mechanism", code: code.into() };
    ScramMechanism::from_code(code).ok_or(unknown)
}

fn recovery_code(code: i8) -> ApplyError {
    ApplyError::Code { what: "a leader recovery state", code: code.into() }
}

fn check_directories(topic: Uuid, partition: i32, replicas: usize, list: &[Uuid]) -> Done {
    if list.len() == replicas {
        return Ok(());
    }
    Err(ApplyError::Directories { topic, partition, replicas, directories: list.len() })
}
