//! Limits of replication, so that replicas that move leave room for others
//! (`leader.replication.throttled.rate`, `follower.replication.throttled.rate`).

use std::sync::atomic::{AtomicI64, Ordering};

use ottla_config::ThrottledReplicas;
use ottla_machine::Mono;
use parking_lot::Mutex;

/// No limit.
const UNLIMITED: i64 = i64::MAX;

/// Bytes that were sent or fetched faster than the rate allows.
#[derive(Debug, Default)]
struct Debt {
    bytes: f64,
    as_of: Mono,
}

/// One limit. While more was spent than the rate allows, replicas out of sync have to wait.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Bytes a second.
    rate: AtomicI64,
    debt: Mutex<Debt>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { rate: AtomicI64::new(UNLIMITED), debt: Mutex::default() }
    }
}

impl Throttle {
    pub(crate) fn set_rate(&self, rate: i64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Whether there is a limit.
    pub(crate) fn is_set(&self) -> bool {
        self.rate().is_some()
    }

    /// How long to wait, in milliseconds; `None` while nothing is owed.
    pub(crate) fn wait(&self, now: Mono) -> Option<u64> {
        let rate = self.rate()?;
        let mut debt = self.debt.lock();
        debt.pay(rate, now);
        (debt.bytes > 0.0).then(|| ((debt.bytes / rate * 1000.0) as u64).max(1))
    }

    /// Notes what was sent or fetched.
    pub(crate) fn spend(&self, bytes: u64, now: Mono) {
        let Some(rate) = self.rate() else { return };
        let mut debt = self.debt.lock();
        debt.pay(rate, now);
        debt.bytes += bytes as f64;
    }

    fn rate(&self) -> Option<f64> {
        let rate = self.rate.load(Ordering::Relaxed);
        (rate != UNLIMITED).then(|| (rate as f64).max(1.0))
    }
}

impl Debt {
    fn pay(&mut self, rate: f64, now: Mono) {
        let paid = now.since(self.as_of) as f64 / 1000.0 * rate;
        self.bytes = (self.bytes - paid).max(0.0);
        self.as_of = self.as_of.max(now);
    }
}

/// Whether a limit takes in a partition's replica on this broker.
pub(crate) fn takes_in(replicas: &ThrottledReplicas, partition: i32, broker: i32) -> bool {
    match replicas {
        ThrottledReplicas::All => true,
        ThrottledReplicas::Some(some) => some.contains(&(partition, broker)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_too_fast_is_waited_for() {
        let throttle = Throttle::default();
        throttle.spend(1 << 40, Mono(0));
        assert_eq!(throttle.wait(Mono(0)), None, "without a limit nothing is owed");
        throttle.set_rate(1000);
        throttle.spend(3000, Mono(1000));
        assert_eq!(throttle.wait(Mono(1000)), Some(3000));
        assert_eq!(throttle.wait(Mono(2500)), Some(1500));
        assert_eq!(throttle.wait(Mono(4000)), None);
        throttle.spend(500, Mono(9000));
        assert_eq!(throttle.wait(Mono(9000)), Some(500), "nothing was saved up");
    }

    #[test]
    fn a_limit_takes_in_what_is_named() {
        assert!(takes_in(&ThrottledReplicas::All, 7, 1));
        let some = ThrottledReplicas::Some(vec![(0, 1), (1, 2)]);
        assert!(takes_in(&some, 0, 1) && !takes_in(&some, 1, 1) && !takes_in(&some, 0, 2));
    }
}
