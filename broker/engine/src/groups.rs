//! The group coordinator of this node: shards over `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_config::{BrokerConfig, keys};
use ottla_coordinator::group::{
    Assignor, Bounded, ConsumerSettings, GroupOverrides, MigrationPolicy, Producer, TxnMarker,
    TxnOutcome,
};
use ottla_coordinator::{
    Command, Effect, GroupMachine, GroupRecord, GroupSettings, GroupWaits, Request, hash,
};
use ottla_metadata::{Delta, Image};
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

mod feed;

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
    /// The topics that groups are told of; none before the first image.
    image: RwLock<Option<Arc<Image>>>,
    /// What is set on single groups.
    overrides: RwLock<BTreeMap<Arc<str>, GroupOverrides>>,
    /// Rebalances of classic groups that were completed.
    pub rebalances: AtomicU64,
    /// New epochs of consumer groups, towards which their members go.
    pub consumer_rebalances: AtomicU64,
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

    fn greet_shard(shell: &GroupShell, partition: i32) -> Vec<Command> {
        let mut commands = Self::greet(shell);
        let image = shell.image.read().clone();
        let Some(image) = image else { return commands };
        let partitions = feed::partitions(&image);
        let overrides = shell.overrides.read();
        let own = overrides
            .iter()
            .filter(|(group, _)| hash::partition_for(group, partitions) == partition)
            .map(|(group, overrides)| feed::configure_group(group, *overrides));
        commands.extend(own);
        commands.push(Command::internal(Request::Metadata(image)));
        commands
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
            Effect::ConsumerRebalance => (&shell.consumer_rebalances, 1),
            Effect::GroupsExpired(_) => return,
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

    /// Takes the first image: its topics, and what it says of single groups.
    pub fn load(&self, image: Image) {
        let shell = self.shards.shell();
        *shell.overrides.write() = feed::all_overrides(&image);
        let image = Arc::new(image);
        *shell.image.write() = Some(Arc::clone(&image));
        self.tell(&image);
    }

    /// Takes a later image. Groups hear of it when it says other things of their topics than the
    /// one before, which most images do not.
    pub fn publish(&self, image: &Image, delta: &Delta) {
        let shell = self.shards.shell();
        for (group, overrides) in feed::changed_overrides(image, delta) {
            if overrides == GroupOverrides::default() {
                shell.overrides.write().remove(&group);
            } else {
                shell.overrides.write().insert(Arc::clone(&group), overrides);
            }
            if let Ok(shard) = self.of(&group, feed::partitions(image)) {
                drop(shard.submit(feed::configure_group(&group, overrides)));
            }
        }
        let before = shell.image.read().clone();
        if before.is_some_and(|before| !feed::concerns_groups(&before, image, delta)) {
            return;
        }
        let image = Arc::new(image.clone());
        *shell.image.write() = Some(Arc::clone(&image));
        self.tell(&image);
    }

    /// Tells all shards of the topics. Those that are being read now hear of them then.
    fn tell(&self, image: &Arc<Image>) {
        for shard in self.shards.active() {
            drop(shard.submit(Command::internal(Request::Metadata(Arc::clone(image)))));
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
        consumer: consumer_settings(config),
        ..GroupSettings::default()
    }
}

/// Those of groups of the consumer protocol.
fn consumer_settings(config: &BrokerConfig) -> ConsumerSettings {
    // The catalog allows no other names of assignors and policies.
    let assignors = config.get(keys::GROUP_CONSUMER_ASSIGNORS);
    let assignors = assignors.iter().filter_map(|name| Assignor::named(name)).collect();
    let policy = MigrationPolicy::named(config.get(keys::GROUP_CONSUMER_MIGRATION_POLICY));
    ConsumerSettings {
        session_timeout_ms: Bounded {
            value: config.get(keys::GROUP_CONSUMER_SESSION_TIMEOUT_MS),
            min: config.get(keys::GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS),
            max: config.get(keys::GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS),
        },
        heartbeat_interval_ms: Bounded {
            value: config.get(keys::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS),
            min: config.get(keys::GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS),
            max: config.get(keys::GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS),
        },
        assignment_interval_ms: Bounded {
            value: config.get(keys::GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS),
            min: config.get(keys::GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS),
            max: config.get(keys::GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS),
        },
        max_size: usize::try_from(config.get(keys::GROUP_CONSUMER_MAX_SIZE)).unwrap_or(usize::MAX),
        assignors,
        migration: policy.unwrap_or(MigrationPolicy::Bidirectional),
        regex_refresh_interval_ms: u64::try_from(
            config.get(keys::GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS),
        )
        .unwrap_or(u64::MAX),
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
