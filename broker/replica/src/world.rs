//! What a leader must know of the cluster around it.

use std::collections::BTreeMap;

use ottla_machine::Mono;

/// The broker epoch in requests of versions that carry none.
pub const NO_BROKER_EPOCH: i64 = -1;

/// The brokers in service, neither fenced nor about to stop, by the epochs of their registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveBrokers(BTreeMap<i32, i64>);

impl ActiveBrokers {
    /// These brokers, with their epochs.
    #[must_use]
    pub fn new(brokers: impl IntoIterator<Item = (i32, i64)>) -> Self {
        Self(brokers.into_iter().collect())
    }

    /// The epoch of a broker in service.
    #[must_use]
    pub fn epoch(&self, broker: i32) -> Option<i64> {
        self.0.get(&broker).copied()
    }

    /// Whether a follower that fetched with this epoch may become an in-sync replica: it is in
    /// service, and the process that fetched is the one that is registered (KIP-903).
    #[must_use]
    pub fn may_join(&self, broker: i32, fetched_with: Option<i64>) -> bool {
        let (Some(registered), Some(fetched)) = (self.epoch(broker), fetched_with) else {
            return false;
        };
        fetched == NO_BROKER_EPOCH || fetched == registered
    }
}

/// What a leader asks of its surroundings while it decides. Asked only where an answer is needed,
/// so that a partition with one replica pays for nothing.
pub trait World {
    /// Now.
    fn now(&self) -> Mono;

    /// `replica.lag.time.max.ms`.
    fn lag_ms(&self) -> u64;

    /// The epoch of a broker in service.
    fn epoch_of(&self, broker: i32) -> Option<i64>;

    /// As [`ActiveBrokers::may_join`].
    fn may_join(&self, broker: i32, fetched_with: Option<i64>) -> bool;
}

/// Surroundings that do not change, as tests and simulations have them.
#[derive(Clone, Debug, Default)]
pub struct StillWorld {
    /// Now.
    pub now: Mono,
    /// `replica.lag.time.max.ms`.
    pub lag_ms: u64,
    /// The brokers in service.
    pub brokers: ActiveBrokers,
}

impl World for StillWorld {
    fn now(&self) -> Mono {
        self.now
    }

    fn lag_ms(&self) -> u64 {
        self.lag_ms
    }

    fn epoch_of(&self, broker: i32) -> Option<i64> {
        self.brokers.epoch(broker)
    }

    fn may_join(&self, broker: i32, fetched_with: Option<i64>) -> bool {
        self.brokers.may_join(broker, fetched_with)
    }
}
