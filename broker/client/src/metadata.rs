//! What a client knows of the cluster.

use std::collections::BTreeMap;

use ottla_wire::api::metadata::MetadataResponse;
use ottla_wire::{ErrorCode, Uuid};

use crate::{ApiError, ClientError, TopicPartition};

/// Whether asking for a topic may make it, if the broker is configured so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCreate {
    /// The topic may come into being.
    Allowed,
    /// Only look.
    Refused,
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its id.
    pub id: i32,
    /// `host:port`, as it advertises it on the listener that was asked.
    pub address: String,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its index.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The epoch of that leader; -1 if the broker is too old to tell.
    pub leader_epoch: i32,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id; zero if the broker is too old to tell.
    pub id: Uuid,
    /// Whether it is one of the brokers' own.
    pub internal: bool,
    /// Its partitions, in ascending order.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// A partition by its index.
    pub fn partition(&self, index: i32) -> Option<&PartitionMetadata> {
        let at = self.partitions.binary_search_by_key(&index, |p| p.partition).ok()?;
        self.partitions.get(at)
    }
}

/// An answer to a request for metadata.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// The id of the cluster.
    pub cluster_id: Option<String>,
    /// The brokers by their ids.
    pub brokers: BTreeMap<i32, BrokerAddress>,
    /// The topics by their names; an error for one that cannot be told of.
    pub topics: BTreeMap<String, Result<TopicMetadata, ApiError>>,
}

impl Metadata {
    /// Translates an answer.
    pub(crate) fn new(response: MetadataResponse) -> Self {
        let brokers = response.brokers.into_iter().map(|b| {
            let host = if b.host.contains(':') { format!("[{}]", b.host) } else { b.host };
            let address = format!("{host}:{}", b.port);
            (b.node_id, BrokerAddress { id: b.node_id, address, rack: b.rack })
        });
        let topics = response.topics.into_iter().filter_map(|t| {
            let name = t.name?;
            if t.error_code.is_error() {
                return Some((name, Err(ApiError { code: t.error_code, message: None })));
            }
            let mut partitions: Vec<_> = t
                .partitions
                .into_iter()
                .map(|p| PartitionMetadata {
                    partition: p.partition_index,
                    leader: (p.leader_id >= 0).then_some(p.leader_id),
                    leader_epoch: p.leader_epoch,
                    replicas: p.replica_nodes,
                    isr: p.isr_nodes,
                })
                .collect();
            partitions.sort_by_key(|p| p.partition);
            Some((name, Ok(TopicMetadata { id: t.topic_id, internal: t.is_internal, partitions })))
        });
        Self {
            cluster_id: response.cluster_id,
            brokers: brokers.collect(),
            topics: topics.collect(),
        }
    }

    /// A topic that was asked for.
    pub fn topic(&self, name: &str) -> Result<&TopicMetadata, ClientError> {
        match self.topics.get(name) {
            Some(Ok(topic)) => Ok(topic),
            Some(Err(error)) => Err(error.clone().into()),
            None => {
                Err(ApiError { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message: None }.into())
            }
        }
    }

    /// The leader of a partition.
    pub fn leader(&self, partition: &TopicPartition) -> Result<i32, ClientError> {
        let topic = self.topic(&partition.topic)?;
        let found = topic
            .partition(partition.partition)
            .ok_or(ApiError { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message: None })?;
        found.leader.ok_or_else(|| ClientError::NoLeader(partition.clone()))
    }
}
