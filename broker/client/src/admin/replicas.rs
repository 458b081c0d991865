//! Calls about replicas: where they are, where they shall go, which of them leads.

use std::collections::BTreeMap;

use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_wire::api::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_wire::api::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use ottla_wire::api::elect_leaders::{ElectLeadersRequest, TopicPartitions};

use crate::retry::retry;
use crate::{ApiError, Client, ClientError, TopicPartition};

/// What is answered for each partition.
pub type PerPartition<T> = BTreeMap<TopicPartition, Result<T, ApiError>>;

/// Which leaders an election may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionType {
    /// The preferred ones.
    Preferred = 0,
    /// Any replica that is alive, where no replica in sync is.
    Unclean = 1,
}

/// Whether a reassignment may change how many replicas a partition has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorChange {
    /// It may.
    Allowed,
    /// It is refused.
    Refused,
}

/// A replica in a log directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Its bytes.
    pub size: i64,
    /// How many records it lags behind the partition, or behind the replica it will take the place of.
    pub offset_lag: i64,
    /// Whether it is on its way into this directory.
    pub is_future: bool,
}

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    /// Its path.
    pub path: String,
    /// What is wrong with it, if something is.
    pub error: Option<ApiError>,
    /// The bytes of its volume; -1 when they are not known.
    pub total_bytes: i64,
    /// Those of them that are free; -1 when they are not known.
    pub usable_bytes: i64,
    /// Whether it takes no new replicas (KIP-1066).
    pub is_cordoned: bool,
    /// The replicas in it, in the broker's order.
    pub replicas: Vec<(TopicPartition, ReplicaInfo)>,
}

impl Client {
    /// Has leaders elected; `None` is every partition. Without partitions named, only those are answered for which
    /// there was something to do.
    pub async fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<PerPartition<()>, ClientError> {
        let request = ElectLeadersRequest {
            election_type: election as i8,
            topic_partitions: partitions.map(|all| {
                let topics = by_topic(all.iter().map(|p| (p, p.partition)));
                let topics = topics.into_iter();
                topics.map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
            }),
            timeout_ms: self.timeout_ms(),
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, None)?;
            let results = response.replica_election_results.into_iter().flat_map(|t| {
                let topic = t.topic;
                t.partition_result.into_iter().map(move |p| {
                    let partition = TopicPartition::new(topic.clone(), p.partition_id);
                    (partition, ApiError::check(p.error_code, p.error_message))
                })
            });
            Ok(results.collect())
        })
        .await
    }

    /// Begins reassignments of partitions to brokers, and cancels those to `None`.
    pub async fn reassign(
        &self,
        targets: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
        factor: FactorChange,
    ) -> Result<PerPartition<()>, ClientError> {
        let wanted = targets.iter().map(|(p, replicas)| {
            let (partition_index, replicas) = (p.partition, replicas.clone());
            (p, ReassignablePartition { partition_index, replicas })
        });
        let topics = by_topic(wanted).into_iter();
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.timeout_ms(),
            allow_replication_factor_change: factor == FactorChange::Allowed,
            topics: topics
                .map(|(name, partitions)| ReassignableTopic { name, partitions })
                .collect(),
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, response.error_message)?;
            let results = response.responses.into_iter().flat_map(|t| {
                let topic = t.name;
                t.partitions.into_iter().map(move |p| {
                    let partition = TopicPartition::new(topic.clone(), p.partition_index);
                    (partition, ApiError::check(p.error_code, p.error_message))
                })
            });
            Ok(results.collect())
        })
        .await
    }

    /// The log directories of a broker with the replicas of these partitions, or with all.
    pub async fn log_dirs(
        &self,
        broker: i32,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<LogDir>, ClientError> {
        let request = DescribeLogDirsRequest {
            topics: partitions.map(|all| {
                let topics = by_topic(all.iter().map(|p| (p, p.partition))).into_iter();
                topics
                    .map(|(topic, partitions)| DescribableLogDirTopic { topic, partitions })
                    .collect()
            }),
        };
        retry(self.options(), || async {
            let response = self.node(Some(broker)).await?.send(&request).await?;
            ApiError::check(response.error_code, None)?;
            Ok(log_dirs(response))
        })
        .await
    }

    /// Has replicas of a broker moved into the directories with these paths. A replica that the broker does not have
    /// yet will begin there.
    pub async fn move_log_dirs(
        &self,
        broker: i32,
        paths: &BTreeMap<TopicPartition, String>,
    ) -> Result<PerPartition<()>, ClientError> {
        let mut by_path: BTreeMap<&String, Vec<&TopicPartition>> = BTreeMap::new();
        for (partition, path) in paths {
            by_path.entry(path).or_default().push(partition);
        }
        let dirs = by_path.into_iter().map(|(path, partitions)| {
            let topics = by_topic(partitions.into_iter().map(|p| (p, p.partition))).into_iter();
            let topics =
                topics.map(|(name, partitions)| AlterReplicaLogDirTopic { name, partitions });
            AlterReplicaLogDir { path: path.clone(), topics: topics.collect() }
        });
        let request = AlterReplicaLogDirsRequest { dirs: dirs.collect() };
        retry(self.options(), || async {
            let response = self.node(Some(broker)).await?.send(&request).await?;
            let results = response.results.into_iter().flat_map(|t| {
                let topic = t.topic_name;
                t.partitions.into_iter().map(move |p| {
                    let partition = TopicPartition::new(topic.clone(), p.partition_index);
                    (partition, ApiError::check(p.error_code, None))
                })
            });
            Ok(results.collect())
        })
        .await
    }
}

/// What belongs to partitions, by their topics.
fn by_topic<'a, T>(all: impl Iterator<Item = (&'a TopicPartition, T)>) -> BTreeMap<String, Vec<T>> {
    let mut topics: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (partition, item) in all {
        topics.entry(partition.topic.clone()).or_default().push(item);
    }
    topics
}

fn log_dirs(response: DescribeLogDirsResponse) -> Vec<LogDir> {
    let dirs = response.results.into_iter().map(|r| {
        let replicas = r.topics.into_iter().flat_map(|t| {
            let topic = t.name;
            t.partitions.into_iter().map(move |p| {
                let info = ReplicaInfo {
                    size: p.partition_size,
                    offset_lag: p.offset_lag,
                    is_future: p.is_future_key,
                };
                (TopicPartition::new(topic.clone(), p.partition_index), info)
            })
        });
        LogDir {
            path: r.log_dir,
            error: ApiError::check(r.error_code, None).err(),
            total_bytes: r.total_bytes,
            usable_bytes: r.usable_bytes,
            is_cordoned: r.is_cordoned,
            replicas: replicas.collect(),
        }
    });
    dirs.collect()
}
