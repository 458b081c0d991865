//! What the leaders on this node know of the cluster around them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use ottla_config::entity_keys::throttle::{
    FOLLOWER_REPLICATION_THROTTLED_RATE, LEADER_REPLICATION_THROTTLED_RATE,
};
use ottla_config::{BrokerConfig, keys};
use ottla_machine::Mono;
use ottla_replica::{ActiveBrokers, World};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::env::Clock;
use crate::ids::{IdBuildHasher, PartitionId};
use crate::isr::IsrChanges;
use crate::partition::Partition;
use crate::throttle::{Throttle, takes_in};

/// `replica.lag.time.max.ms` unless it is set.
const LAG_MS: u64 = 30_000;

/// The brokers in service, the partitions led here that others follow, and the changes of in-sync
/// replicas that the controller is asked for.
pub struct Cluster {
    clock: Arc<dyn Clock>,
    me: AtomicI32,
    /// Of what is sent to followers, and of what is fetched from leaders.
    pub(crate) sending: Throttle,
    pub(crate) fetching: Throttle,
    brokers: ArcSwap<ActiveBrokers>,
    lag_ms: AtomicU64,
    changes: IsrChanges,
    watched: Mutex<HashMap<PartitionId, Weak<Partition>, IdBuildHasher>>,
    begun: Notify,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({} followed partitions)", self.watched.lock().len())
    }
}

impl Cluster {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            me: AtomicI32::new(-1),
            sending: Throttle::default(),
            fetching: Throttle::default(),
            brokers: ArcSwap::default(),
            lag_ms: AtomicU64::new(LAG_MS),
            changes: IsrChanges::default(),
            watched: Mutex::default(),
            begun: Notify::new(),
        })
    }

    /// Takes this node's settings.
    pub(crate) fn configure(&self, config: &BrokerConfig) {
        self.me.store(config.node_id(), Ordering::Relaxed);
        let lag_ms = u64::try_from(config.get(keys::REPLICA_LAG_TIME_MAX_MS)).unwrap_or(0);
        self.lag_ms.store(lag_ms, Ordering::Relaxed);
        self.sending.set_rate(config.get(LEADER_REPLICATION_THROTTLED_RATE));
        self.fetching.set_rate(config.get(FOLLOWER_REPLICATION_THROTTLED_RATE));
    }

    /// Whether what a partition's followers are sent counts for the limit.
    pub(crate) fn limits_sending(&self, partition: &Partition) -> bool {
        let me = self.me.load(Ordering::Relaxed);
        takes_in(&partition.config().leader_throttled, partition.id().partition, me)
    }

    /// Whether what is fetched for a partition counts for the limit.
    pub(crate) fn limits_fetching(&self, partition: &Partition) -> bool {
        let me = self.me.load(Ordering::Relaxed);
        takes_in(&partition.config().follower_throttled, partition.id().partition, me)
    }

    /// The brokers in service, as of the metadata that were published last.
    #[must_use]
    pub fn brokers(&self) -> Arc<ActiveBrokers> {
        self.brokers.load_full()
    }

    pub(crate) fn set_brokers(&self, brokers: ActiveBrokers) {
        self.brokers.store(Arc::new(brokers));
    }

    pub(crate) fn changes(&self) -> &IsrChanges {
        &self.changes
    }

    /// Has the in-sync replicas of a partition checked from time to time.
    pub(crate) fn watch(&self, partition: &Arc<Partition>) {
        let mut watched = self.watched.lock();
        watched.insert(partition.id(), Arc::downgrade(partition));
        if watched.len() == 1 {
            self.begun.notify_one();
        }
    }

    pub(crate) fn unwatch(&self, id: PartitionId) {
        self.watched.lock().remove(&id);
    }

    /// The partitions led here that others follow.
    pub(crate) fn watched(&self) -> Vec<Arc<Partition>> {
        self.watched.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Waits until this node leads a partition that others follow.
    pub(crate) async fn until_watched(&self) {
        loop {
            let begun = self.begun.notified();
            if !self.watched.lock().is_empty() {
                return;
            }
            begun.await;
        }
    }
}

impl World for Cluster {
    fn now(&self) -> Mono {
        self.clock.mono()
    }

    fn lag_ms(&self) -> u64 {
        self.lag_ms.load(Ordering::Relaxed)
    }

    fn epoch_of(&self, broker: i32) -> Option<i64> {
        self.brokers.load().epoch(broker)
    }

    fn may_join(&self, broker: i32, fetched_with: Option<i64>) -> bool {
        self.brokers.load().may_join(broker, fetched_with)
    }
}
