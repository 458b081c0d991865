//! What can be wrong with a record that is to be applied.

use crate::features::VersionRange;
use ottla_wire::Uuid;
use thiserror::Error;

/// A record that does not fit the metadata it is applied to. Nothing of it was applied. Such a record was written by
/// a fault, or read from a damaged log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// There is no such topic.
    #[error("no topic has the id {0}")]
    UnknownTopic(Uuid),
    /// There is no topic of this name.
    #[error("no topic has the name {0}")]
    UnknownTopicName(String),
    /// A topic with this id or name exists.
    #[error("topic {name} with id {id} exists already, or its name does")]
    TopicExists {
        /// The id in the record.
        id: Uuid,
        /// The name in the record.
        name: String,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic's id.
        topic: Uuid,
        /// The partition's number.
        partition: i32,
    },
    /// The record would leave a gap in the numbers of partitions.
    #[error("partition {partition} of topic {topic} comes before partition {next}")]
    PartitionGap {
        /// The topic's id.
        topic: Uuid,
        /// The number in the record.
        partition: i32,
        /// The number that would be next.
        next: usize,
    },
    /// As many directories as replicas are needed.
    #[error(
        "partition {partition} of topic {topic} has {replicas} replicas and {directories} directories"
    )]
    Directories {
        /// The topic's id.
        topic: Uuid,
        /// The partition's number.
        partition: i32,
        /// How many replicas it has.
        replicas: usize,
        /// How many directories the record names.
        directories: usize,
    },
    /// There is no such broker, or not with this epoch.
    #[error("no broker {id} with epoch {epoch} is registered")]
    UnknownBroker {
        /// The broker's id.
        id: i32,
        /// The epoch in the record.
        epoch: i64,
    },
    /// A number that stands for nothing known here.
    #[error("{what} cannot be {code}")]
    Code {
        /// What the number is.
        what: &'static str,
        /// The number.
        code: i64,
    },
    /// The feature cannot have this level here: a newer software wrote the record.
    #[error("{name} is at level {level}, and {}", known_levels(*known))]
    Feature {
        /// The feature.
        name: String,
        /// The level in the record.
        level: i16,
        /// The levels that this software knows; only 0 of a feature that it does not know.
        known: VersionRange,
    },
    /// There is no access rule with this id.
    #[error("no acl has the id {0}")]
    UnknownAcl(Uuid),
    /// A transaction's begin, end or abort where there cannot be one.
    #[error("{0} record where there cannot be one")]
    Transaction(&'static str),
}

fn known_levels(known: VersionRange) -> String {
    if known.max == 0 {
        return "no level is known".to_owned();
    }
    format!("levels {known} are known")
}
