//! Calls that look at topics and change them.
//!
//! Any broker takes them and hands them to the controller where that must decide (KIP-590).

mod cluster;
mod configs;
mod replicas;

pub(crate) use cluster::describe as describe_nodes;
pub use cluster::{
    ClusterDescription, ControllerEndpoint, Effect, FeatureChange, FeaturesDescription, Fenced,
    NodeDescription, QuorumDescription, QuorumReplica,
};
pub use configs::{ConfigDetail, Entity, Match, NewScram, ResourceKind, Source, Synonym};
pub use replicas::{ElectionType, FactorChange, LogDir, PerPartition, ReplicaInfo};

use std::collections::{BTreeMap, BTreeSet};

use ottla_wire::api::ApiKey;
use ottla_wire::api::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_wire::api::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::api::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_wire::api::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsRequestCursor,
    DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::api::list_partition_reassignments::ListPartitionReassignmentsRequest;
use ottla_wire::{ErrorCode, Uuid, Versions};

use crate::retry::retry;
use crate::{ApiError, AutoCreate, Client, ClientError, TopicPartition};

/// What a broker answers for each name of a request.
pub type PerName<T> = BTreeMap<String, Result<T, ApiError>>;

/// The number of a topic among kinds of resources that have configs.
const TOPIC_RESOURCE: i8 = 2;

/// The operation of IncrementalAlterConfigs that sets a value.
const SET: i8 = 0;
/// The operation of IncrementalAlterConfigs that takes a value away.
const DELETE: i8 = 1;

/// The source of a config that nobody set.
const DEFAULT_SOURCE: i8 = 5;

/// Answers that one description of topics may take; each holds at least one partition.
const MAX_PAGES: usize = 1_000_000;

/// A topic to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the cluster's default if `None`.
    pub partitions: Option<i32>,
    /// How many replicas each; the cluster's default if `None`.
    pub replication_factor: Option<i16>,
    /// The brokers of each partition from 0 on. If there are any, the two numbers above are `None`.
    pub assignment: Vec<Vec<i32>>,
    /// Configs and their values.
    pub configs: BTreeMap<String, String>,
}

/// More partitions for a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: String,
    /// How many it shall have in all.
    pub total: i32,
    /// The brokers of each new partition, if they are not for the cluster to choose.
    pub assignment: Option<Vec<Vec<i32>>>,
}

/// A partition in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its index.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those that may lead though they are not in sync (KIP-966); `None` if the broker does not tell.
    pub eligible_leaders: Option<Vec<i32>>,
    /// Those that may have led last; `None` if the broker does not tell.
    pub last_known_eligible: Option<Vec<i32>>,
}

/// A topic in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// Whether it is one of the brokers' own.
    pub internal: bool,
    /// Its partitions in ascending order.
    pub partitions: Vec<PartitionDescription>,
}

/// A config of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` if it may not be shown.
    pub value: Option<String>,
    /// Whether nobody set it.
    pub is_default: bool,
}

/// Replicas of a partition that are being moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// All replicas.
    pub replicas: Vec<i32>,
    /// Those on the way in.
    pub adding: Vec<i32>,
    /// Those on the way out.
    pub removing: Vec<i32>,
}

impl Client {
    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.options().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Makes topics; each one's id.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<PerName<Uuid>, ClientError> {
        let topics = topics.iter().map(|t| CreatableTopic {
            name: t.name.clone(),
            num_partitions: t.partitions.unwrap_or(-1),
            replication_factor: t.replication_factor.unwrap_or(-1),
            assignments: (0..)
                .zip(&t.assignment)
                .map(|(partition_index, brokers)| CreatableReplicaAssignment {
                    partition_index,
                    broker_ids: brokers.clone(),
                })
                .collect(),
            configs: (t.configs.iter())
                .map(|(name, value)| CreatableTopicConfig {
                    name: name.clone(),
                    value: Some(value.clone()),
                })
                .collect(),
        });
        let request = CreateTopicsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        self.per_name(|| async {
            let response = self.any().await?.send(&request).await?;
            let results = response.topics.into_iter().map(|t| {
                let result = ApiError::check(t.error_code, t.error_message);
                (t.name, result.map(|()| t.topic_id))
            });
            Ok(results.collect())
        })
        .await
    }

    /// Deletes topics.
    pub async fn delete_topics(&self, names: &[String]) -> Result<PerName<()>, ClientError> {
        let state =
            |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let by_state = DeleteTopicsRequest {
            topics: names.iter().map(state).collect(),
            topic_names: Vec::new(),
            timeout_ms: self.timeout_ms(),
        };
        let by_name = DeleteTopicsRequest {
            topics: Vec::new(),
            topic_names: names.to_vec(),
            timeout_ms: self.timeout_ms(),
        };
        self.per_name(|| async {
            let connection = self.any().await?;
            let version = connection.version(ApiKey::DeleteTopics, Versions::new(0, i16::MAX))?;
            let request = if version >= 6 { &by_state } else { &by_name };
            let response = connection.send_as(request, version).await?;
            let results = response
                .responses
                .into_iter()
                .filter_map(|t| Some((t.name?, ApiError::check(t.error_code, t.error_message))));
            Ok(results.collect())
        })
        .await
    }

    /// Adds partitions to topics.
    pub async fn create_partitions(
        &self,
        topics: &[NewPartitions],
    ) -> Result<PerName<()>, ClientError> {
        let assigned =
            |brokers: &Vec<i32>| CreatePartitionsAssignment { broker_ids: brokers.clone() };
        let topics = topics.iter().map(|t| CreatePartitionsTopic {
            name: t.topic.clone(),
            count: t.total,
            assignments: t.assignment.as_ref().map(|a| a.iter().map(assigned).collect()),
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        self.per_name(|| async {
            let response = self.any().await?.send(&request).await?;
            let results = response.results.into_iter();
            Ok(results.map(|t| (t.name, ApiError::check(t.error_code, t.error_message))).collect())
        })
        .await
    }

    /// Sets configs of a topic, and takes away those whose value is `None`.
    pub async fn alter_topic_configs(
        &self,
        topic: &str,
        configs: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ClientError> {
        let configs = configs.iter().map(|(name, value)| AlterableConfig {
            name: name.clone(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.clone(),
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC_RESOURCE,
                resource_name: topic.to_owned(),
                configs: configs.collect(),
            }],
            validate_only: false,
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            for result in response.responses {
                ApiError::check(result.error_code, result.error_message)?;
            }
            Ok(())
        })
        .await
    }

    /// The names of all topics, and which of them are the brokers' own.
    pub async fn list_topics(&self) -> Result<BTreeMap<String, bool>, ClientError> {
        let metadata = self.metadata(None, AutoCreate::Refused).await?;
        let topics = metadata.topics.into_iter();
        Ok(topics.map(|(name, t)| (name, t.is_ok_and(|t| t.internal))).collect())
    }

    /// Topics in detail. `page` is the most partitions that one answer may hold.
    pub async fn describe_topics(
        &self,
        names: &[String],
        page: i32,
    ) -> Result<PerName<TopicDescription>, ClientError> {
        retry(self.options(), || async {
            match self.describe_paged(names, page).await {
                Err(ClientError::Unsupported { .. }) => self.describe_by_metadata(names).await,
                result => result,
            }
        })
        .await
    }

    async fn describe_paged(
        &self,
        names: &[String],
        page: i32,
    ) -> Result<PerName<TopicDescription>, ClientError> {
        let connection = self.any().await?;
        let mut found = PerName::<TopicDescription>::new();
        if names.is_empty() {
            return Ok(found);
        }
        let mut request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: name.clone() }).collect(),
            response_partition_limit: page,
            cursor: None,
        };
        for _ in 0..MAX_PAGES {
            let response = connection.send(&request).await?;
            for topic in response.topics {
                let Some(name) = topic.name.clone() else { continue };
                match (found.get_mut(&name), describe(topic)) {
                    // The rest of a topic that the answer before began.
                    (Some(Ok(before)), Ok(more)) => before.partitions.extend(more.partitions),
                    (_, described) => {
                        found.insert(name, described);
                    }
                }
            }
            let Some(cursor) = response.next_cursor else {
                return Ok(found);
            };
            request.topics.retain(|t| t.name >= cursor.topic_name);
            request.cursor = Some(DescribeTopicPartitionsRequestCursor {
                topic_name: cursor.topic_name,
                partition_index: cursor.partition_index,
            });
        }
        Err(ClientError::Protocol {
            address: connection.address().to_owned(),
            what: "a description of topics without an end",
        })
    }

    async fn describe_by_metadata(
        &self,
        names: &[String],
    ) -> Result<PerName<TopicDescription>, ClientError> {
        let metadata = self.metadata_once(Some(names), AutoCreate::Refused).await?;
        let topics = metadata.topics.into_iter().map(|(name, topic)| {
            let described = topic.map(|t| TopicDescription {
                name: name.clone(),
                id: t.id,
                internal: t.internal,
                partitions: (t.partitions.into_iter())
                    .map(|p| PartitionDescription {
                        partition: p.partition,
                        leader: p.leader,
                        replicas: p.replicas,
                        isr: p.isr,
                        eligible_leaders: None,
                        last_known_eligible: None,
                    })
                    .collect(),
            });
            (name, described)
        });
        Ok(topics.collect())
    }

    /// The configs of topics, in the broker's order.
    pub async fn topic_configs(
        &self,
        names: &[String],
    ) -> Result<PerName<Vec<ConfigEntry>>, ClientError> {
        let resource = |name: &String| DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: name.clone(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest {
            resources: names.iter().map(resource).collect(),
            include_synonyms: false,
            include_documentation: false,
        };
        self.per_name(|| async {
            let response = self.any().await?.send(&request).await?;
            let results = response.results.into_iter().map(|r| {
                let entries = r.configs.into_iter().map(|c| ConfigEntry {
                    name: c.name,
                    value: c.value,
                    is_default: c.config_source == DEFAULT_SOURCE,
                });
                let checked = ApiError::check(r.error_code, r.error_message);
                (r.resource_name, checked.map(|()| entries.collect()))
            });
            Ok(results.collect())
        })
        .await
    }

    /// The partitions whose replicas are being moved.
    pub async fn reassignments(
        &self,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, ClientError> {
        let request =
            ListPartitionReassignmentsRequest { timeout_ms: self.timeout_ms(), topics: None };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, response.error_message)?;
            let moved = response.topics.into_iter().flat_map(|t| {
                let name = t.name;
                t.partitions.into_iter().map(move |p| {
                    let moving = Reassignment {
                        replicas: p.replicas,
                        adding: p.adding_replicas,
                        removing: p.removing_replicas,
                    };
                    (TopicPartition::new(name.clone(), p.partition_index), moving)
                })
            });
            Ok(moved.collect())
        })
        .await
    }

    /// Calls again while every name failed with an error that may pass. Where one name succeeded the answer stands: to
    /// ask for it twice would be another question.
    async fn per_name<T, F>(&self, mut call: impl FnMut() -> F) -> Result<PerName<T>, ClientError>
    where
        F: Future<Output = Result<PerName<T>, ClientError>>,
    {
        retry(self.options(), || {
            let called = call();
            async move {
                let results = called.await?;
                let codes: BTreeSet<_> =
                    results.values().map(|r| r.as_ref().err().map(|e| e.code)).collect();
                let passing = |code: &Option<ErrorCode>| code.is_some_and(may_pass);
                match results.values().find_map(|r| r.as_ref().err()) {
                    Some(error) if codes.iter().all(passing) => Err(error.clone().into()),
                    _ => Ok(results),
                }
            }
        })
        .await
    }
}

/// Codes of admin calls that say "later". A topic that is not known is retriable by Kafka's table, but who deletes or
/// describes it wants to hear of it.
fn may_pass(code: ErrorCode) -> bool {
    code.is_retriable()
        && code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        && code != ErrorCode::UNKNOWN_TOPIC_ID
}

fn describe(topic: DescribeTopicPartitionsResponseTopic) -> Result<TopicDescription, ApiError> {
    ApiError::check(topic.error_code, None)?;
    let partitions = topic.partitions.into_iter().map(|p| PartitionDescription {
        partition: p.partition_index,
        leader: (p.leader_id >= 0).then_some(p.leader_id),
        replicas: p.replica_nodes,
        isr: p.isr_nodes,
        eligible_leaders: p.eligible_leader_replicas,
        last_known_eligible: p.last_known_elr,
    });
    Ok(TopicDescription {
        name: topic.name.unwrap_or_default(),
        id: topic.topic_id,
        internal: topic.is_internal,
        partitions: partitions.collect(),
    })
}
