//! An image as the records that make it again.

use crate::features;
use crate::image::Image;
use crate::version::MetadataVersion;
use ottla_wire::schema::metadata::{
    ClientQuotaRecord, ConfigRecord, EntityData, FeatureLevelRecord, MetadataRecord,
    ProducerIdsRecord, TopicRecord,
};

/// The version in which a record is written at a metadata version. A registration's change takes the least version
/// that can say it.
#[must_use]
pub fn record_version(record: &MetadataRecord, version: MetadataVersion) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => version.register_broker_version(),
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => {
            version.partition_version()
        }
        MetadataRecord::BrokerRegistrationChange(r) => {
            if r.cordoned_log_dirs.is_some() {
                3
            } else if !r.log_dirs.is_empty() {
                2
            } else {
                i16::from(r.in_controlled_shutdown != 0)
            }
        }
        _ => 0,
    }
}

impl Image {
    /// The records that make this image again, in the order of a snapshot: features, nodes, topics with their
    /// partitions, configurations, quotas, producer ids, access rules, credentials, tokens. They come one at a time,
    /// so that a large image is never doubled in memory.
    pub fn snapshot(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        self.feature_records()
            .chain(self.node_records())
            .chain(self.topic_records())
            .chain(self.config_records())
            .chain(self.security_records())
    }

    fn feature_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let version = self.features().recorded_version();
        let version = version.map(|v| (MetadataVersion::FEATURE, v.level()));
        // The quorum keeps the level of its own feature in records of its own.
        let others =
            self.features().finalized().iter().filter(|(name, _)| *name != features::KRAFT);
        let all = version.into_iter().chain(others.map(|(name, level)| (name.as_str(), *level)));
        all.map(|(name, feature_level)| {
            FeatureLevelRecord { name: name.to_owned(), feature_level }.into()
        })
    }

    fn node_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let version = self.features().version();
        let brokers = self.brokers().map(move |b| b.to_record(version).into());
        let kept = version.has_controller_registrations();
        let controllers = self.controllers().filter(move |_| kept);
        brokers.chain(controllers.map(|c| c.to_record().into()))
    }

    fn topic_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let version = self.features().version().partition_version();
        self.topics_by_id().flat_map(move |topic| {
            let record = TopicRecord { name: topic.name.to_string(), topic_id: topic.id };
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(move |(n, p)| p.to_record(topic.id, n, version).into());
            std::iter::once(record.into()).chain(partitions)
        })
    }

    fn config_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let configs = self.config_resources().flat_map(|(resource, values)| {
            values.iter().map(|(name, value)| {
                ConfigRecord {
                    resource_type: resource.kind.code(),
                    resource_name: resource.name.to_string(),
                    name: name.clone(),
                    value: Some(value.clone()),
                }
                .into()
            })
        });
        let quotas = self.quota_entities().flat_map(|(entity, quotas)| {
            quotas.iter().map(|(key, value)| {
                let parts = entity.0.iter().map(|(entity_type, entity_name)| EntityData {
                    entity_type: entity_type.clone(),
                    entity_name: entity_name.clone(),
                });
                let entity = parts.collect();
                ClientQuotaRecord { entity, key: key.clone(), value: *value, remove: false }.into()
            })
        });
        let next_producer_id = self.next_producer_id();
        let ids = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
        let ids = (next_producer_id > 0).then_some(ids.into());
        configs.chain(quotas).chain(ids)
    }

    fn security_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let version = self.features().version();
        let acls = self.acls().map(|(id, acl)| acl.to_record(id).into());
        let scram = self.scram_credentials().filter(move |_| version.has_scram());
        let scram = scram.map(|(mechanism, user, c)| c.to_record(user, mechanism).into());
        let tokens = self.tokens().filter(move |_| version.has_delegation_tokens());
        acls.chain(scram).chain(tokens.map(|(id, token)| token.to_record(id).into()))
    }

    /// The image that records of a snapshot make. `offset` is the last offset the snapshot contains.
    pub fn from_snapshot<'a>(
        records: impl IntoIterator<Item = &'a MetadataRecord>,
        offset: i64,
    ) -> Result<Self, crate::ApplyError> {
        let mut image = Self::default();
        for record in records {
            image.apply(record, offset)?;
        }
        Ok(image)
    }
}
