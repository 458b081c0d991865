//! Calls about the cluster as a whole: its nodes, its quorum, its features.

use std::collections::BTreeMap;

use ottla_wire::api::add_raft_voter::{self, AddRaftVoterRequest};
use ottla_wire::api::api_versions::ApiVersionsRequest;
use ottla_wire::api::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ottla_wire::api::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestPartitionData, DescribeQuorumRequestTopicData,
    DescribeQuorumResponse, DescribeQuorumResponsePartitionData,
};
use ottla_wire::api::remove_raft_voter::RemoveRaftVoterRequest;
use ottla_wire::api::unregister_broker::UnregisterBrokerRequest;
use ottla_wire::api::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_wire::{ErrorCode, Uuid};

use super::PerName;
use crate::retry::retry;
use crate::{ApiError, Bootstrap, Client, ClientError, Connection};

/// The topic whose partition 0 is the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Whether brokers that are registered but out of service are told of too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// They are.
    Included,
    /// They are left out.
    Left,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    /// Its id.
    pub id: i32,
    /// The host it advertises.
    pub host: String,
    /// The port it advertises.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
    /// Whether it is a broker out of service.
    pub is_fenced: bool,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub id: String,
    /// The controller that clients are told of; of controllers the one that leads.
    pub controller: Option<i32>,
    /// Its brokers, or its controllers when one was asked.
    pub nodes: Vec<NodeDescription>,
}

/// A member of the metadata quorum and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its node id.
    pub id: i32,
    /// The id of its metadata directory; zero when the quorum's voters stand in configurations.
    pub directory: Uuid,
    /// The end of its log; -1 when it is not known.
    pub log_end_offset: i64,
    /// When it last fetched, in milliseconds since 1970; -1 when it is not known.
    pub last_fetch_ms: i64,
    /// When it last had all there was, in milliseconds since 1970; -1 when it is not known.
    pub last_caught_up_ms: i64,
}

/// Where a controller listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerEndpoint {
    /// The listener's name.
    pub listener: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// The node that leads it.
    pub leader: i32,
    /// The leader's epoch.
    pub epoch: i32,
    /// The offset up to which the metadata log is committed.
    pub high_watermark: i64,
    /// Its voters.
    pub voters: Vec<QuorumReplica>,
    /// Who reads along without a vote.
    pub observers: Vec<QuorumReplica>,
    /// Where controllers listen, by their ids.
    pub endpoints: BTreeMap<i32, Vec<ControllerEndpoint>>,
}

/// The levels of features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeaturesDescription {
    /// The levels that the node supports: lowest and highest.
    pub supported: BTreeMap<String, (i16, i16)>,
    /// The levels of the cluster.
    pub finalized: BTreeMap<String, i16>,
    /// The offset of metadata that the cluster's levels are as of; `None` when it is not known.
    pub epoch: Option<i64>,
}

/// Which way a feature may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureChange {
    /// Up.
    Upgrade = 1,
    /// Down, if no metadata is lost.
    SafeDowngrade = 2,
    /// Down, even if metadata is lost.
    UnsafeDowngrade = 3,
}

/// Whether something is done, or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is done.
    Real,
    /// It is checked, and nothing is changed.
    DryRun,
}

impl Client {
    /// The cluster and its nodes.
    pub async fn describe_cluster(
        &self,
        fenced: Fenced,
    ) -> Result<ClusterDescription, ClientError> {
        retry(self.options(), || async {
            let response = describe(&*self.any().await?, self.options().bootstrap, fenced).await?;
            let nodes = response.brokers.into_iter().map(|b| NodeDescription {
                id: b.broker_id,
                host: b.host,
                port: b.port,
                rack: b.rack,
                is_fenced: b.is_fenced,
            });
            Ok(ClusterDescription {
                id: response.cluster_id,
                controller: (response.controller_id >= 0).then_some(response.controller_id),
                nodes: nodes.collect(),
            })
        })
        .await
    }

    /// Has a broker forgotten that is gone for good.
    pub async fn unregister_broker(&self, broker_id: i32) -> Result<(), ClientError> {
        let response = self.send(&UnregisterBrokerRequest { broker_id }).await?;
        Ok(ApiError::check(response.error_code, response.error_message)?)
    }

    /// The metadata quorum, as its leader knows it.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, ClientError> {
        let request = DescribeQuorumRequest {
            topics: vec![DescribeQuorumRequestTopicData {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![DescribeQuorumRequestPartitionData { partition_index: 0 }],
            }],
        };
        retry(self.options(), || async {
            let connection = self.any().await?;
            let response = connection.send(&request).await?;
            ApiError::check(response.error_code, response.error_message.clone())?;
            let first = response.topics.first().and_then(|t| t.partitions.first());
            let partition = first.ok_or_else(|| ClientError::Protocol {
                address: connection.address().to_owned(),
                what: "a description of the quorum without it",
            })?;
            ApiError::check(partition.error_code, partition.error_message.clone())?;
            Ok(quorum(&response, partition))
        })
        .await
    }

    /// Makes a controller a voter of the metadata quorum (KIP-853).
    pub async fn add_voter(
        &self,
        id: i32,
        directory: Uuid,
        endpoints: &[ControllerEndpoint],
    ) -> Result<(), ClientError> {
        let listener = |e: &ControllerEndpoint| add_raft_voter::Listener {
            name: e.listener.clone(),
            host: e.host.clone(),
            port: e.port,
        };
        let request = AddRaftVoterRequest {
            timeout_ms: self.timeout_ms(),
            voter_id: id,
            voter_directory_id: directory,
            listeners: endpoints.iter().map(listener).collect(),
            ..AddRaftVoterRequest::default()
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            Ok(ApiError::check(response.error_code, response.error_message)?)
        })
        .await
    }

    /// Takes the vote from a controller (KIP-853).
    pub async fn remove_voter(&self, id: i32, directory: Uuid) -> Result<(), ClientError> {
        let request = RemoveRaftVoterRequest {
            cluster_id: None,
            voter_id: id,
            voter_directory_id: directory,
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            Ok(ApiError::check(response.error_code, response.error_message)?)
        })
        .await
    }

    /// The levels of features, as a broker tells them, or any when none is named.
    pub async fn features(&self, node: Option<i32>) -> Result<FeaturesDescription, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        retry(self.options(), || async {
            let response = self.node(node).await?.send(&request).await?;
            ApiError::check(response.error_code, None)?;
            let supported = response
                .supported_features
                .into_iter()
                .map(|f| (f.name, (f.min_version, f.max_version)));
            let finalized =
                response.finalized_features.into_iter().map(|f| (f.name, f.max_version_level));
            Ok(FeaturesDescription {
                supported: supported.collect(),
                finalized: finalized.collect(),
                epoch: (response.finalized_features_epoch >= 0)
                    .then_some(response.finalized_features_epoch),
            })
        })
        .await
    }

    /// Changes the levels of features; 0 takes a feature away.
    pub async fn update_features(
        &self,
        levels: &BTreeMap<String, i16>,
        change: FeatureChange,
        effect: Effect,
    ) -> Result<PerName<()>, ClientError> {
        let update = |(feature, level): (&String, &i16)| FeatureUpdateKey {
            feature: feature.clone(),
            max_version_level: *level,
            allow_downgrade: change != FeatureChange::Upgrade,
            upgrade_type: change as i8,
        };
        let request = UpdateFeaturesRequest {
            timeout_ms: self.timeout_ms(),
            feature_updates: levels.iter().map(update).collect(),
            validate_only: effect == Effect::DryRun,
        };
        retry(self.options(), || async {
            let connection = self.any().await?;
            let version = connection.version(
                ottla_wire::ApiKey::UpdateFeatures,
                ottla_wire::Versions::new(0, i16::MAX),
            )?;
            // What a version lacks is left at its default, or it could not be written.
            let mut request = request.clone();
            for update in &mut request.feature_updates {
                if version > 0 {
                    update.allow_downgrade = false;
                }
            }
            let response = connection.send_as(&request, version).await?;
            if response.error_code == ErrorCode::NOT_CONTROLLER {
                ApiError::check(response.error_code, response.error_message.clone())?;
            }
            let whole = ApiError::check(response.error_code, response.error_message);
            let mut results: PerName<()> =
                levels.keys().map(|name| (name.clone(), whole.clone())).collect();
            for one in response.results {
                let result = ApiError::check(one.error_code, one.error_message);
                if whole.is_ok() {
                    results.insert(one.feature, result);
                }
            }
            Ok(results)
        })
        .await
    }
}

/// Asks for the cluster by the newest version there is; a node of before KIP-919 knows no other kind than brokers.
pub(crate) async fn describe(
    connection: &Connection,
    kind: Bootstrap,
    fenced: Fenced,
) -> Result<DescribeClusterResponse, ClientError> {
    let request = DescribeClusterRequest {
        endpoint_type: match kind {
            Bootstrap::Brokers => 1,
            Bootstrap::Controllers => 2,
        },
        include_fenced_brokers: fenced == Fenced::Included,
        ..DescribeClusterRequest::default()
    };
    let response = connection.send(&request).await?;
    ApiError::check(response.error_code, response.error_message.clone())?;
    Ok(response)
}

fn quorum(
    response: &DescribeQuorumResponse,
    partition: &DescribeQuorumResponsePartitionData,
) -> QuorumDescription {
    let replica = |r: &ottla_wire::api::describe_quorum::ReplicaState| QuorumReplica {
        id: r.replica_id,
        directory: r.replica_directory_id,
        log_end_offset: r.log_end_offset,
        last_fetch_ms: r.last_fetch_timestamp,
        last_caught_up_ms: r.last_caught_up_timestamp,
    };
    let endpoints = response.nodes.iter().map(|n| {
        let listeners = n.listeners.iter().map(|l| ControllerEndpoint {
            listener: l.name.clone(),
            host: l.host.clone(),
            port: l.port,
        });
        (n.node_id, listeners.collect())
    });
    QuorumDescription {
        leader: partition.leader_id,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: partition.current_voters.iter().map(replica).collect(),
        observers: partition.observers.iter().map(replica).collect(),
        endpoints: endpoints.collect(),
    }
}
