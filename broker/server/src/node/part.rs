//! The node's part in the metadata quorum: a member of it, or one that follows.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use ottla_config::{BrokerConfig, keys};
use ottla_log::disk::Disk;
use ottla_quorum::directories::NodeDirectories;
use ottla_quorum::{
    AutoJoin, Endpoint, KraftVersions, Member, NodeKey, ObserverQuorum, Options, Pace, Quorum,
    RaftQuorum, Retention, SnapshotPolicy,
};

use super::{Bound, StartError, listeners, settings};
use crate::peers::{Links, Ways, members, metadata};

/// The node's part.
pub(super) struct Part {
    /// What every node has of it.
    pub(super) quorum: Arc<dyn Quorum>,
    /// What a member has.
    pub(super) raft: Option<Arc<RaftQuorum>>,
    /// Resolves when the part ends by itself, with the reason.
    pub(super) ended: Pin<Box<dyn Future<Output = String> + Send>>,
}

/// Takes part as the node's roles say. Controllers reach it from the moment this returns.
pub(super) async fn take(
    config: &Arc<BrokerConfig>,
    found: &NodeDirectories,
    disk: &Arc<dyn Disk>,
    bound: &[Bound],
) -> Result<Part, StartError> {
    let options = options(config, found, disk);
    if config.roles().is_controller() {
        let options = as_member(options, config, bound);
        let transport = members::Members::new(Arc::clone(config));
        let raft = Arc::new(RaftQuorum::join(options, transport).await?);
        let ended = Box::pin(raft.ended());
        return Ok(Part { quorum: raft.clone(), raft: Some(raft), ended });
    }
    // An answer may be kept open for a while before it is late.
    let patience = options.pace.fetch_within + metadata::KEPT_OPEN;
    let client_id = format!("broker-{}-metadata", config.node_id());
    let links = Links::new(Ways::new(config, client_id, patience));
    let puller = metadata::Controllers::new(links, Arc::clone(config));
    let observer = ObserverQuorum::start(options, puller).await?;
    let observer = Arc::new(observer);
    let ended = Box::pin(observer.ended());
    Ok(Part { quorum: observer, raft: None, ended })
}

fn snapshots(config: &BrokerConfig) -> SnapshotPolicy {
    let positive = |n: i64| u64::try_from(n).ok();
    SnapshotPolicy {
        max_bytes: positive(config.get(keys::METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS))
            .unwrap_or(u64::MAX),
        max_interval_ms: positive(config.get(keys::METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS))
            .unwrap_or(0),
    }
}

fn retention(config: &BrokerConfig) -> Retention {
    Retention {
        bytes: u64::try_from(config.get(keys::METADATA_MAX_RETENTION_BYTES)).ok(),
        ms: Some(config.get(keys::METADATA_MAX_RETENTION_MS)).filter(|ms| *ms >= 0),
    }
}

fn pace(config: &BrokerConfig) -> Pace {
    let bytes = |key| u32::try_from(config.get(key)).unwrap_or(1);
    Pace {
        answer_within: settings::ms(config.get(keys::CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS)),
        fetch_within: settings::ms(config.get(keys::CONTROLLER_QUORUM_FETCH_TIMEOUT_MS)),
        first_pause: settings::ms(config.get(keys::CONTROLLER_QUORUM_RETRY_BACKOFF_MS)),
        pull_bytes: bytes(keys::CONTROLLER_QUORUM_FETCH_MAX_BYTES),
        piece_bytes: bytes(keys::CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES),
    }
}

/// What both kinds of part are started with.
fn options(config: &BrokerConfig, found: &NodeDirectories, disk: &Arc<dyn Disk>) -> Options {
    let node = NodeKey::new(config.node_id(), found.metadata_directory);
    let metadata_dir = PathBuf::from(config.metadata_log_dir());
    Options {
        cluster_id: found.cluster_id.clone(),
        snapshots: snapshots(config),
        retention: retention(config),
        segment_bytes: u32::try_from(config.get(keys::METADATA_LOG_SEGMENT_BYTES))
            .unwrap_or(u32::MAX),
        segment_ms: config.get(keys::METADATA_LOG_SEGMENT_MS),
        pace: pace(config),
        ..Options::new(node, Arc::clone(disk), metadata_dir, settings::wall_ms)
    }
}

/// What only members say and do.
fn as_member(options: Options, config: &BrokerConfig, bound: &[Bound]) -> Options {
    let told = config.listeners().advertised_controller.iter().map(|listener| {
        let (host, port) = listeners::told(listener, bound);
        Endpoint { name: listener.name.as_str().to_owned(), host, port }
    });
    let name = config.listeners().controller.first().map_or("", |name| name.as_str());
    let bootstrap = config.bootstrap_controllers().iter().map(|server| Endpoint {
        name: name.to_owned(),
        host: server.host.clone(),
        port: server.port,
    });
    let joins = config.get(keys::CONTROLLER_QUORUM_AUTO_JOIN_ENABLE);
    Options {
        member: Member { endpoints: told.collect(), kraft_versions: KraftVersions::SUPPORTED },
        initial_voters: settings::voters(config, options.node),
        bootstrap: bootstrap.collect(),
        auto_join: if joins { AutoJoin::On } else { AutoJoin::Off },
        election_timeout_ms: u64::try_from(config.get(keys::CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS))
            .unwrap_or(1000),
        ..options
    }
}
