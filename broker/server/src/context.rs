//! Whom handlers ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, keys};
use ottla_controller::{Command, Reply};
use ottla_coordinator::group::DeletedTopic;
use ottla_coordinator::{Command as GroupCommand, Request};
use ottla_engine::{
    Asker, ControllerChannel, Core, FetchSessions, Groups, Lifecycle, LogDirs, Moves,
    OFFSETS_TOPIC, PartitionId, Replicas, TRANSACTIONS_TOPIC, Txns, Verifier,
};
use ottla_metadata::{Delta, Image};
use ottla_quorum::{Quorum, RaftQuorum};
use ottla_wire::api::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_wire::schema::principal::DefaultPrincipalData;
use ottla_wire::{ErrorCode, Uuid};
use tokio::sync::watch;
use tracing::{debug, error, warn};

use crate::loggers::Loggers;
use crate::peers::Controllers;

/// How long a request waits until this node has the topics that it had made.
const VISIBLE: std::time::Duration = std::time::Duration::from_secs(5);

/// Handles to all that a handler may ask; one a node.
pub struct Context {
    /// This node's id.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// The principal of those who do not say who they are.
    pub anonymous: Arc<DefaultPrincipalData>,
    /// The node's settings as its file gave them.
    pub initial: Arc<BrokerConfig>,
    /// The node's settings as they are now; see [`config`](Self::config).
    pub current: Arc<ArcSwap<BrokerConfig>>,
    /// The metadata that this node last published; see [`image`](Self::image).
    pub published: ArcSwap<Image>,
    /// Clock, timers and threads.
    pub core: Arc<Core>,
    /// The partitions that this node has a replica of.
    pub replicas: Arc<Replicas>,
    /// The directories they live in.
    pub dirs: LogDirs,
    /// Moves of replicas between them.
    pub moves: Arc<Moves>,
    /// Fetch sessions.
    pub sessions: FetchSessions,
    /// The groups that this node coordinates.
    pub groups: Arc<Groups>,
    /// The transactions that this node coordinates.
    pub txns: Arc<Txns>,
    /// The way to the coordinators of transactions; set when the node begins, and never on one that
    /// is no broker.
    pub verifier: OnceLock<Arc<dyn Verifier>>,
    /// The way to the controller.
    pub controller: ControllerChannel,
    /// The metadata log.
    pub quorum: Arc<dyn Quorum>,
    /// The same as a member of the quorum has it; none on a node that only follows.
    pub raft: Option<Arc<RaftQuorum>>,
    /// The controllers on other nodes.
    pub controllers: Arc<Controllers>,
    /// The runtime of what is no client's connection.
    pub control: tokio::runtime::Handle,
    /// Producer ids that the controller gave to this broker.
    pub producer_ids: crate::producer_ids::ProducerIds,
    /// The loggers of the process.
    pub loggers: Arc<Loggers>,
    /// What clients say of themselves (KIP-714).
    pub telemetry: crate::telemetry::ClientTelemetry,
    /// The offset of the metadata log up to which this node has published.
    pub applied: watch::Receiver<i64>,
    /// This broker's life; set when it begins, and never on a node that is no broker.
    pub lifecycle: OnceLock<Arc<Lifecycle>>,
    /// The turn to make an answer that can be very long.
    pub long_answers: tokio::sync::Mutex<()>,
    /// Whether the listeners for clients accept connections.
    pub accepting: AtomicBool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context of node {}", self.node_id)
    }
}

impl Context {
    /// The metadata that this node serves from: what was last published.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.published.load_full()
    }

    /// The node's settings as of now, dynamic ones included.
    #[must_use]
    pub fn config(&self) -> Arc<BrokerConfig> {
        self.current.load_full()
    }

    /// The broker epoch; -1 before the first registration.
    #[must_use]
    pub fn broker_epoch(&self) -> i64 {
        self.lifecycle.get().map_or(-1, |life| life.epoch())
    }

    /// Whether this node serves: connections are accepted, and metadata knows of this life of the
    /// broker, if it is one, and that it may serve.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
            && self.lifecycle.get().is_none_or(|l| l.is_active_in(&self.image(), self.node_id))
    }

    /// Whether this node still takes in what the quorum commits.
    #[must_use]
    pub fn publishes(&self) -> bool {
        self.applied.has_changed().is_ok()
    }

    /// 128 bits that no one can guess.
    #[must_use]
    pub fn random(&self) -> u128 {
        rand::random()
    }

    /// The controller that clients are told of. They may send what only a controller does to any
    /// broker, which forwards it; so brokers name an active broker, this one if it is (KIP-590).
    #[must_use]
    pub fn controller_for_clients(&self, image: &Image, kind: ottla_wire::api::Listener) -> i32 {
        match kind {
            ottla_wire::api::Listener::Controller => self.node_id,
            ottla_wire::api::Listener::Broker if image.is_active(self.node_id) => self.node_id,
            ottla_wire::api::Listener::Broker => {
                image.brokers().find(|b| b.is_active()).map_or(-1, |b| b.id)
            }
        }
    }

    /// Makes topics that clients use and that are not there, with the broker's defaults, and waits
    /// until this node has them. What cannot be made stays missing; the log says why.
    pub async fn create_missing(&self, asker: Asker, names: Vec<String>) {
        let config = self.config();
        let topics = names.iter().map(|name| missing_topic(&config, name)).collect();
        let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
        match self.controller.submit_for(Some(asker), Command::CreateTopics(request)).await {
            Ok(Reply::CreateTopics(response)) => tell_failures(&response),
            Ok(other) => debug!(?other, "topics are not created"),
            Err(error) => debug!(%error, "topics are not created: no controller"),
        }
        self.caught_up().await;
    }

    /// Waits a while until this node serves from all that its quorum has committed so far. Answers
    /// to changes wait for it, so that a client which asks the same broker next sees what it did.
    pub async fn caught_up(&self) {
        let committed = self.quorum.updates().image().provenance().offset;
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|offset| *offset >= committed);
        if tokio::time::timeout(VISIBLE, reached).await.is_err() {
            warn!("this node lags behind its own metadata log");
        }
    }

    /// Tells the groups that partitions are gone, so that they forget their offsets.
    pub(crate) fn offsets_gone(&self, delta: &Delta) {
        if delta.deleted.is_empty() {
            return;
        }
        let gone: Vec<DeletedTopic> = delta
            .deleted
            .values()
            .filter(|t| *t.name != *OFFSETS_TOPIC)
            .map(|t| DeletedTopic {
                name: t.name.to_string(),
                partitions: t.partitions.iter().map(|(id, _)| id).collect(),
            })
            .collect();
        for shard in self.groups.shards().active() {
            drop(shard.submit(GroupCommand::internal(Request::PartitionsDeleted(gone.clone()))));
        }
    }

    /// A log directory failed.
    pub(crate) fn directory_failed(&self, dir: Uuid, partitions: &[PartitionId]) {
        error!(%dir, partitions = partitions.len(), "a log directory is out of service");
        if self.dirs.online().next().is_none() {
            error!("no log directory is left: the node ends");
            std::process::exit(1);
        }
        // The controller gives their leaderships to others.
        if let Some(life) = self.lifecycle.get() {
            life.hurry();
        }
    }
}

/// A topic as it is made when it is first used.
fn missing_topic(config: &BrokerConfig, name: &str) -> CreatableTopic {
    let mut topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    if name == OFFSETS_TOPIC {
        let set = |name: &str, value: String| CreatableTopicConfig {
            name: name.to_owned(),
            value: Some(value),
        };
        topic.num_partitions = config.get(keys::OFFSETS_TOPIC_NUM_PARTITIONS);
        topic.replication_factor = config.get(keys::OFFSETS_TOPIC_REPLICATION_FACTOR);
        topic.configs = vec![
            set("cleanup.policy", "compact".into()),
            set("compression.type", "producer".into()),
            set("segment.bytes", config.get(keys::OFFSETS_TOPIC_SEGMENT_BYTES).to_string()),
        ];
    }
    if name == TRANSACTIONS_TOPIC {
        let set = |name: &str, value: String| CreatableTopicConfig {
            name: name.to_owned(),
            value: Some(value),
        };
        topic.num_partitions = config.get(keys::TRANSACTION_STATE_LOG_NUM_PARTITIONS);
        topic.replication_factor = config.get(keys::TRANSACTION_STATE_LOG_REPLICATION_FACTOR);
        topic.configs = vec![
            set("unclean.leader.election.enable", "false".into()),
            set("compression.type", "uncompressed".into()),
            set("cleanup.policy", "compact".into()),
            set("min.insync.replicas", config.get(keys::TRANSACTION_STATE_LOG_MIN_ISR).to_string()),
            set("segment.bytes", config.get(keys::TRANSACTION_STATE_LOG_SEGMENT_BYTES).to_string()),
        ];
    }
    topic
}

/// Says why topics could not be made.
fn tell_failures(response: &CreateTopicsResponse) {
    let fine = [ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS];
    for topic in response.topics.iter().filter(|t| !fine.contains(&t.error_code)) {
        let why = topic.error_message.as_deref().unwrap_or_default();
        warn!(topic = topic.name, error = %topic.error_code, why, "topic was not created");
    }
}
