//! What the controller must know of its node's configuration.

use ottla_config::{BrokerConfig, NoSurroundings, keys};
use std::sync::Arc;

/// The controller's settings. A change at run time makes new ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The cluster's id, which registering brokers must name.
    pub cluster_id: String,
    /// This node's id.
    pub node_id: i32,
    /// Partitions of a topic that asks for the default (`num.partitions`).
    pub default_partitions: i32,
    /// Replicas of a topic that asks for the default (`default.replication.factor`).
    pub default_replication: i16,
    /// How long a broker may be silent before it is fenced, in milliseconds (`broker.session.timeout.ms`).
    pub session_timeout_ms: u64,
    /// How often leadership goes back to preferred replicas, in milliseconds; `None` is never
    /// (`auto.leader.rebalance.enable`, `leader.imbalance.check.interval.seconds`).
    pub rebalance_every_ms: Option<u64>,
    /// How often partitions without a leader get one that may lack records, where their topics allow it, in
    /// milliseconds (`unclean.leader.election.interval.ms`).
    pub unclean_every_ms: u64,
    /// Whether topics can be deleted (`delete.topic.enable`).
    pub delete_topics: DeleteTopics,
    /// The whole configuration of the node, under the dynamic settings of now: what topics inherit, and what
    /// changes of configurations are checked against.
    pub broker: Arc<BrokerConfig>,
}

/// Whether topics can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteTopics {
    /// They can.
    Allowed,
    /// They cannot.
    Refused,
}

impl Default for Settings {
    /// Those of a node that was given no file, and no cluster id.
    fn default() -> Self {
        let parsed = ottla_config::parse(None, &[], &NoSurroundings);
        Self::from_broker(&parsed.expect("the embedded configuration is valid").config, "")
    }
}

impl Settings {
    /// The settings of a node of a cluster.
    #[must_use]
    pub fn from_broker(config: &BrokerConfig, cluster_id: &str) -> Self {
        let rebalance = config.get(keys::AUTO_LEADER_REBALANCE_ENABLE).then(|| {
            let seconds = config.get(keys::LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS);
            u64::try_from(seconds).unwrap_or(0).max(1).saturating_mul(1000)
        });
        let unclean = config.get(keys::UNCLEAN_LEADER_ELECTION_INTERVAL_MS);
        let delete = config.get(keys::DELETE_TOPIC_ENABLE);
        let replication = config.get(keys::DEFAULT_REPLICATION_FACTOR);
        let timeout = config.get(keys::BROKER_SESSION_TIMEOUT_MS);
        Self {
            cluster_id: cluster_id.to_owned(),
            node_id: config.node_id(),
            default_partitions: config.get(keys::NUM_PARTITIONS),
            default_replication: i16::try_from(replication).unwrap_or(i16::MAX),
            session_timeout_ms: u64::try_from(timeout).unwrap_or(0),
            rebalance_every_ms: rebalance,
            unclean_every_ms: u64::try_from(unclean).unwrap_or(0).max(1),
            delete_topics: if delete { DeleteTopics::Allowed } else { DeleteTopics::Refused },
            broker: Arc::new(config.clone()),
        }
    }
}
