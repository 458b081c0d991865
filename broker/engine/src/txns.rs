//! The transaction coordinator of this node: shards over `__transaction_state`, and the markers that
//! end their transactions.

mod ledger;
mod markers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_config::{BrokerConfig, keys};
use ottla_coordinator::hash;
use ottla_coordinator::txn::{
    Command, Effect, Request, TxnMachine, TxnRecord, TxnSettings, TxnWaits,
};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::record::{BatchHeader, Compression, Record};
use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::core::Core;
use crate::ids::PartitionId;
use crate::partition::Partition;
use crate::publish::RoleListener;
use crate::shard::{Coordinator, KeyValue, Linger, Origin, Shard, Shards};

use ledger::Job;
use markers::Markers;

pub use markers::{Leader, MarkerPeers};

/// The topic that transactions live in.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// The feature whose level says how transactions end.
const FEATURE: &str = "transaction.version";

/// How long a reply may wait for its records to be committed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings and counters of all shards of transactions.
#[derive(Debug)]
pub struct TxnShell {
    settings: RwLock<TxnSettings>,
    markers: Arc<Markers>,
    /// Transactions whose outcome was decided.
    pub ended: AtomicU64,
}

impl Coordinator for TxnMachine {
    const NAME: &'static str = "transaction";
    type Shell = TxnShell;

    fn encode(record: &TxnRecord) -> Result<Option<KeyValue>, String> {
        record.encode().map_err(|e| e.to_string())
    }

    fn decode(header: &BatchHeader, record: Record) -> Result<Option<TxnRecord>, String> {
        match record.key {
            Some(key) if !header.is_control() => {
                TxnRecord::decode(key, record.value).map(Some).map_err(|e| e.to_string())
            }
            _ => Ok(None),
        }
    }

    fn greet(shell: &TxnShell) -> Vec<Command> {
        vec![Command::internal(Request::Configure(shell.settings.read().clone()))]
    }

    fn tick() -> Command {
        Command::internal(Request::Tick)
    }

    // A decision about one id is small. Ticks have bounds of their own.
    fn set_max_batch_bytes(_: &mut TxnWaits, _: usize) {}

    fn compression(_: &TxnShell) -> Compression {
        Compression::None
    }

    fn linger(_: &TxnShell) -> Linger {
        Linger::Adaptive
    }

    fn patience(_: &TxnShell) -> Duration {
        PATIENCE
    }

    fn effect(shell: &TxnShell, from: Origin, effect: Effect) {
        let Effect::WriteMarkers { ending, outcome, partitions, transaction_version } = effect;
        shell.ended.fetch_add(1, Ordering::Relaxed);
        let version = i8::try_from(transaction_version).unwrap_or(i8::MAX);
        shell.markers.write(Job { from, ending, outcome, version, partitions });
    }
}

/// All transactions whose coordinator this node is.
#[derive(Debug)]
pub struct Txns {
    shards: Arc<Shards<TxnMachine>>,
    markers: Arc<Markers>,
}

impl Txns {
    /// No transaction yet. Markers are sent on `runtime`, as soon as there are
    /// [peers](Self::send_by).
    #[must_use]
    pub fn new(config: &BrokerConfig, core: Arc<Core>, runtime: Handle) -> Arc<Self> {
        let markers = Markers::new(runtime.clone());
        let shell = TxnShell {
            settings: RwLock::new(settings(config, TxnSettings::default().version)),
            markers: Arc::clone(&markers),
            ended: AtomicU64::new(0),
        };
        let shards = Shards::new(Arc::new(shell), core, runtime);
        markers.tell(&shards);
        Arc::new(Self { shards, markers })
    }

    /// Says how markers reach the leaders of partitions. Counts once.
    pub fn send_by(&self, peers: Arc<dyn MarkerPeers>) {
        self.markers.send_by(peers);
    }

    /// The shards, for whoever follows the leadership of their partitions.
    #[must_use]
    pub fn shards(&self) -> &Arc<Shards<TxnMachine>> {
        &self.shards
    }

    /// The shard of a transactional id, of `partitions` partitions that the topic has.
    ///
    /// # Errors
    /// See [`Shards::get`]; `NOT_COORDINATOR` while there is no topic.
    pub fn of(&self, id: &str, partitions: i32) -> Result<Arc<Shard<TxnMachine>>, ErrorCode> {
        if partitions == 0 {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        self.shards.get(hash::partition_for(id, partitions))
    }

    /// Takes changed settings, and the level of transactions that the cluster has.
    pub fn configure(&self, config: &BrokerConfig, image: &Image) {
        let settings = settings(config, image.features().level(FEATURE));
        if *self.shards.shell().settings.read() == settings {
            return;
        }
        *self.shards.shell().settings.write() = settings.clone();
        for shard in self.shards.active() {
            drop(shard.submit(Command::internal(Request::Configure(settings.clone()))));
        }
    }

    /// The level of transactions that the cluster has.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.shards.shell().settings.read().version
    }

    /// The metadata changed: what had no leader may have one now.
    pub fn follow_leaders(&self) {
        self.markers.seek_leaders();
    }

    /// Ends all shards, and sends no marker any more.
    pub fn stop(&self) {
        self.shards.stop();
        self.markers.stop();
    }
}

/// The settings of transactions by the node's configuration.
fn settings(config: &BrokerConfig, version: i16) -> TxnSettings {
    let ms = |value: i32| u64::try_from(value).unwrap_or(0);
    TxnSettings {
        max_timeout_ms: config.get(keys::TRANSACTION_MAX_TIMEOUT_MS),
        abort_interval_ms: ms(
            config.get(keys::TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS)
        ),
        expiration_ms: i64::from(config.get(keys::TRANSACTIONAL_ID_EXPIRATION_MS)),
        expiration_interval_ms: ms(
            config.get(keys::TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS)
        ),
        version,
        ..TxnSettings::default()
    }
}

impl RoleListener for Txns {
    fn leads(&self, partition: &Arc<Partition>, epoch: i32) {
        if **partition.topic() == *TRANSACTIONS_TOPIC {
            let number = partition.id().partition;
            // Those of an epoch before are asked for again after the replay.
            self.markers.drop_of(number);
            self.shards.lead(number, Arc::clone(partition), epoch);
        }
    }

    fn resigns(&self, topic: &str, id: PartitionId) {
        if topic == TRANSACTIONS_TOPIC {
            self.shards.resign(id.partition, i32::MAX);
            self.markers.drop_of(id.partition);
        }
    }
}

#[cfg(test)]
mod tests;
