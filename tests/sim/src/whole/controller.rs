//! A controller on a member of the quorum, as a node runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_config::{BrokerConfig, NoSurroundings};
use ottla_controller::{Settings, bootstrap_records};
use ottla_engine::{ControllerHandle, ControllerStart};
use ottla_metadata::MetadataVersion;
use ottla_quorum::RaftQuorum;

use super::clock::Clocks;
use super::plan::{Flushes, Plan};
use crate::CLUSTER;

/// The settings of a node. Everything comes sooner than in Kafka's defaults, as a run is short; but for what a clock that jumps
/// may make forget.
///
/// # Errors
/// When they are no settings.
pub fn settings(id: i32, plan: &Plan) -> Result<Arc<BrokerConfig>, String> {
    let mut texts = vec![
        format!("node.id={id}"),
        format!("log.dirs={}", super::host::LOGS),
        "broker.session.timeout.ms=2000".to_owned(),
        "broker.heartbeat.interval.ms=300".to_owned(),
        "replica.lag.time.max.ms=1500".to_owned(),
        "replica.fetch.wait.max.ms=200".to_owned(),
        "replica.socket.timeout.ms=1500".to_owned(),
        "leader.imbalance.check.interval.seconds=2".to_owned(),
        "num.recovery.threads.per.data.dir=1".to_owned(),
        "num.replica.fetchers=1".to_owned(),
        // Old records go by request only: a clock that jumps would take them all.
        "log.retention.ms=-1".to_owned(),
        "log.roll.ms=1500".to_owned(),
        "log.segment.delete.delay.ms=500".to_owned(),
        "producer.id.expiration.ms=2147483647".to_owned(),
        "group.min.session.timeout.ms=100".to_owned(),
        "group.initial.rebalance.delay.ms=300".to_owned(),
        "offsets.retention.minutes=200000".to_owned(),
    ];
    if plan.flushes == Flushes::Always {
        texts.push("log.flush.interval.messages=1".to_owned());
    }
    let parsed = ottla_config::parse(None, &texts, &NoSurroundings);
    parsed.map(|parsed| Arc::new(parsed.config)).map_err(|e| e.to_string())
}

/// Starts the controller of a node, on the tasks of the life that runs now.
///
/// # Errors
/// When there is nothing to begin with.
pub fn start(
    id: i32,
    quorum: &Arc<RaftQuorum>,
    config: &BrokerConfig,
) -> Result<ControllerHandle, String> {
    let bootstrap = bootstrap_records(MetadataVersion::LATEST, &BTreeMap::new());
    let (_, settings) = tokio::sync::watch::channel(Settings::from_broker(config, CLUSTER));
    Ok(ControllerHandle::start(ControllerStart {
        quorum: quorum.clone(),
        clock: Arc::new(Clocks(id)),
        settings,
        bootstrap: bootstrap.map_err(|e| e.to_string())?,
    }))
}
