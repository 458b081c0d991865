//! The group coordinator of this node: shards over `__consumer_offsets`.
use std::time::Duration;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_config::{BrokerConfig, keys};
use ottla_coordinator::group::{Producer, TxnMarker, TxnOutcome};
use ottla_coordinator::{
    Command, Effect, GroupMachine, GroupRecord, GroupSettings, GroupWaits, Request, hash,
};
use ottla_wire::ErrorCode;
use ottla_wire::record::{BatchHeader, Compression, EndTxnMarker, Record, TransactionResult};
use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::core::Core;
use crate::ids::PartitionId;
use crate::partition::{Partition, TxnEnd};
use crate::publish::RoleListener;
use crate::shard::{
    Belongs, Coordinator, KeyValue, Linger, Origin, Shard, Shards, Submitted, Transactional,
};

/// The topic that groups and their offsets live in.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Settings and counters of all shards of groups.
#[derive(Debug, Default)]
pub struct GroupShell {
    settings: RwLock<GroupSettings>,
    /// `offsets.topic.compression.codec`, which a restart alone changes.
    compression: Compression,
    /// `group.coordinator.append.linger.ms`, likewise.
    linger: Linger,
    /// `offsets.commit.timeout.ms`, likewise.
    patience: Duration,
    /// Rebalances that were completed.
    pub rebalances: AtomicU64,
    /// Offsets committed.
    pub commits: AtomicU64,
    /// Offsets that expired.
    pub expired: AtomicU64,
    /// Offsets deleted on request.
    pub deleted: AtomicU64,
}

impl Coordinator for GroupMachine {
    const NAME: &'static str = "group";
    type Shell = GroupShell;

    fn encode(record: &GroupRecord) -> Result<Option<KeyValue>, String> {
        record.encode().map_err(|e| e.to_string())
    }

    fn belongs(record: &GroupRecord) -> Belongs {
        match (record, record.producer()) {
            (GroupRecord::Marker(marker), _) => Belongs::End(*marker),
            (_, Some(producer)) => Belongs::Transaction(producer),
            (_, None) => Belongs::Plain,
        }
    }

    fn decode(header: &BatchHeader, record: Record) -> Result<Option<GroupRecord>, String> {
        let producer = (header.is_transactional())
            .then_some(Producer { id: header.producer_id, epoch: header.producer_epoch });
        let Some(key) = record.key else { return Ok(None) };
        if !header.is_control() {
            return GroupRecord::decode(producer, key, record.value)
                .map(Some)
                .map_err(|e| e.to_string());
        }
        let value = record.value.unwrap_or_default();
        let marker = EndTxnMarker::from_record(&key, &value).map_err(|e| e.to_string())?;
        Ok(producer.zip(marker).map(|(producer, marker)| {
            let outcome = match marker.result {
                TransactionResult::Commit => TxnOutcome::Commit,
                TransactionResult::Abort => TxnOutcome::Abort,
            };
            let coordinator_epoch = marker.coordinator_epoch;
            GroupRecord::Marker(TxnMarker { producer, coordinator_epoch, outcome })
        }))
    }

    fn greet(shell: &GroupShell) -> Vec<Command> {
        vec![Command::internal(Request::Configure(shell.settings.read().clone()))]
    }

    fn compression(shell: &GroupShell) -> Compression {
        shell.compression
    }

    fn set_max_batch_bytes(waits: &mut GroupWaits, bytes: usize) {
        waits.set_max_batch_bytes(bytes);
    }

    fn linger(shell: &GroupShell) -> Linger {
        shell.linger
    }

    fn patience(shell: &GroupShell) -> Duration {
        shell.patience
    }

    fn tick() -> Command {
        Command::internal(Request::Tick)
    }

    fn effect(shell: &GroupShell, _: Origin, effect: Effect) {
        let (counter, n) = match effect {
            Effect::RebalanceCompleted => (&shell.rebalances, 1),
            Effect::OffsetsCommitted(n) => (&shell.commits, n),
            Effect::OffsetsDeleted(n) => (&shell.deleted, n),
            Effect::OffsetsExpired(n) => (&shell.expired, n),
            Effect::ConsumerRebalance | Effect::GroupsExpired(_) => return,
        };
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// All groups whose coordinator this node is.
#[derive(Debug)]
pub struct Groups {
    shards: Arc<Shards<GroupMachine>>,
}

impl Groups {
    /// No group yet.
    #[must_use]
    pub fn new(config: &BrokerConfig, core: Arc<Core>, runtime: Handle) -> Arc<Self> {
        let codec = config.get(keys::OFFSETS_TOPIC_COMPRESSION_CODEC);
        let shell = GroupShell {
            settings: RwLock::new(settings(config)),
            linger: Linger::from_config(config.get(keys::GROUP_COORDINATOR_APPEND_LINGER_MS)),
            patience: Duration::from_millis(u64::from(
                config.get(keys::OFFSETS_COMMIT_TIMEOUT_MS).unsigned_abs(),
            )),
            // The catalog allows no number that is none.
            compression: u8::try_from(codec)
                .ok()
                .and_then(|id| Compression::from_id(id).ok())
                .unwrap_or_default(),
            ..Default::default()
        };
        Arc::new(Self { shards: Shards::new(Arc::new(shell), core, runtime) })
    }

    /// The shards, for whoever follows the leadership of their partitions.
    #[must_use]
    pub fn shards(&self) -> &Arc<Shards<GroupMachine>> {
        &self.shards
    }

    /// The shard of a group, of `partitions` partitions that the topic has.
    ///
    /// # Errors
    /// See [`Shards::get`].
    pub fn of(&self, group: &str, partitions: i32) -> Result<Arc<Shard<GroupMachine>>, ErrorCode> {
        if partitions == 0 {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        self.shards.get(hash::partition_for(group, partitions))
    }

    /// Ends a producer's transaction in a partition of the groups' topic, and so in its groups.
    ///
    /// # Errors
    /// See [`Shards::get`].
    pub fn end_transaction(
        &self,
        partition: i32,
        end: &TxnEnd,
    ) -> Result<Submitted<GroupMachine>, ErrorCode> {
        let marker = TxnMarker {
            producer: Producer { id: end.producer_id, epoch: end.producer_epoch },
            coordinator_epoch: end.coordinator_epoch,
            outcome: match end.result {
                TransactionResult::Commit => TxnOutcome::Commit,
                TransactionResult::Abort => TxnOutcome::Abort,
            },
        };
        let how = Transactional { version: end.transaction_version, ..Default::default() };
        let command = Command::internal(Request::CompleteTransaction(marker));
        Ok(self.shards.get(partition)?.submit_in(command, how))
    }

    /// Takes changed settings.
    pub fn configure(&self, config: &BrokerConfig) {
        let settings = settings(config);
        if *self.shards.shell().settings.read() == settings {
            return;
        }
        *self.shards.shell().settings.write() = settings.clone();
        for shard in self.shards.active() {
            drop(shard.submit(Command::internal(Request::Configure(settings.clone()))));
        }
    }
}

/// The settings of groups by the node's configuration.
fn settings(config: &BrokerConfig) -> GroupSettings {
    let ms = |value: i32| u64::try_from(value).unwrap_or(0);
    GroupSettings {
        min_session_timeout_ms: config.get(keys::GROUP_MIN_SESSION_TIMEOUT_MS),
        max_session_timeout_ms: config.get(keys::GROUP_MAX_SESSION_TIMEOUT_MS),
        max_size: usize::try_from(config.get(keys::GROUP_MAX_SIZE)).unwrap_or(usize::MAX),
        initial_rebalance_delay_ms: ms(config.get(keys::GROUP_INITIAL_REBALANCE_DELAY_MS)),
        offset_metadata_max_size: usize::try_from(config.get(keys::OFFSET_METADATA_MAX_BYTES))
            .unwrap_or(0),
        offsets_retention_ms: i64::from(config.get(keys::OFFSETS_RETENTION_MINUTES)) * 60_000,
        offsets_retention_check_interval_ms: u64::try_from(
            config.get(keys::OFFSETS_RETENTION_CHECK_INTERVAL_MS),
        )
        .unwrap_or(0),
        ..GroupSettings::default()
    }
}

impl RoleListener for Groups {
    fn leads(&self, partition: &Arc<Partition>, epoch: i32) {
        if **partition.topic() == *OFFSETS_TOPIC {
            self.shards.lead(partition.id().partition, Arc::clone(partition), epoch);
        }
    }

    fn resigns(&self, topic: &str, id: PartitionId) {
        if topic == OFFSETS_TOPIC {
            self.shards.resign(id.partition, i32::MAX);
        }
    }
}
