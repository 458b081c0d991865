//! An async client for the Kafka protocol, used by the tools.
//!
//! [`Client`] knows the cluster and reaches its brokers; what it offers is admin calls, [`Producer`] and [`Consumer`].
//! A [`Connection`] is one TCP connection, on which each request meets its answer by its correlation id.
//!
//! Invariant: nothing grows without a named bound: answers by [`connection::MAX_FRAME`], requests that wait by
//! [`connection::MAX_IN_FLIGHT`], records that wait by [`producer::MAX_BUFFERED`], and every call by a deadline.
//!
//! Start reading at [`Client`].

pub mod connection;
pub mod consumer;
pub mod producer;

mod admin;
mod client;
mod error;
mod metadata;
mod options;
mod partitioner;
mod retry;
#[cfg(test)]
mod testing;

pub use admin::{
    ClusterDescription, ConfigDetail, ConfigEntry, ControllerEndpoint, Effect, ElectionType,
    Entity, FactorChange, FeatureChange, FeaturesDescription, Fenced, LogDir, Match, NewPartitions,
    NewScram, NewTopic, NodeDescription, PartitionDescription, PerName, PerPartition,
    QuorumDescription, QuorumReplica, Reassignment, ReplicaInfo, ResourceKind, Source, Synonym,
    TopicDescription,
};
pub use client::Client;
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerOptions, Delivery, Isolation, OffsetReset, Start};
pub use error::{ApiError, ClientError};
pub use metadata::{AutoCreate, BrokerAddress, Metadata, PartitionMetadata, TopicMetadata};
pub use options::{Bootstrap, Options, parse_servers};
pub use partitioner::{murmur2, partition_of_key};
pub use producer::{Acks, Failure, Producer, ProducerOptions, ProducerRecord};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: String,
    /// Index of the partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
