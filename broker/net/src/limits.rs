//! How many connections there may be, in all, by listener and by address, and how fast they come.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What `max.connections`, `max.connections.per.ip` and their like say.
#[derive(Clone, Debug)]
pub struct QuotaSettings {
    /// `max.connections`: over all listeners. More wait to be accepted.
    pub max: u32,
    /// `max.connections.per.ip`. More are closed at once.
    pub per_ip: u32,
    /// `max.connections.per.ip.overrides`, with names resolved.
    pub ip_overrides: BTreeMap<IpAddr, u32>,
    /// `listener.name.X.max.connections`. More wait to be accepted.
    pub listeners: BTreeMap<String, u32>,
    /// `max.connection.creation.rate`: a second, over all listeners.
    pub creation_rate: u32,
    /// `listener.name.X.max.connection.creation.rate`.
    pub listener_rates: BTreeMap<String, u32>,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            max: u32::MAX,
            per_ip: u32::MAX,
            ip_overrides: BTreeMap::new(),
            listeners: BTreeMap::new(),
            creation_rate: u32::MAX,
            listener_rates: BTreeMap::new(),
        }
    }
}

/// Why a connection is not let in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The broker or the listener is full: wait.
    Full,
    /// Connections come too fast: wait so long.
    TooFast(Duration),
    /// This address has too many already: close.
    TooManyFromAddress {
        /// How many it may have.
        max: u32,
    },
}

/// Connections made in the present second.
#[derive(Debug, Default)]
struct Rate {
    started: Option<Instant>,
    count: u32,
}

impl Rate {
    /// How long to wait before another may come.
    fn wait(&mut self, now: Instant, limit: u32) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let age = self.started.map(|s| now.saturating_duration_since(s));
        match age {
            Some(age) if age < SECOND => (self.count >= limit).then(|| SECOND - age),
            _ => {
                *self = Self { started: Some(now), count: 0 };
                None
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    settings: QuotaSettings,
    all: u32,
    listeners: BTreeMap<Arc<str>, u32>,
    addresses: BTreeMap<IpAddr, u32>,
    rate: Rate,
    rates: BTreeMap<Arc<str>, Rate>,
}

/// Counts connections against their limits.
#[derive(Debug, Default)]
pub struct ConnectionQuota {
    counts: Mutex<Counts>,
    freed: Notify,
}

impl ConnectionQuota {
    /// A quota by `settings`.
    #[must_use]
    pub fn new(settings: QuotaSettings) -> Arc<Self> {
        let counts = Mutex::new(Counts { settings, ..Counts::default() });
        Arc::new(Self { counts, freed: Notify::new() })
    }

    /// Changes the limits; connections that are open stay.
    pub fn set(&self, settings: QuotaSettings) {
        self.lock().settings = settings;
        self.freed.notify_waiters();
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// [`Refusal`] says whether to wait or to close.
    pub fn admit(
        self: &Arc<Self>,
        listener: &Arc<str>,
        address: IpAddr,
        now: Instant,
    ) -> Result<Admission, Refusal> {
        let mut guard = self.lock();
        let counts = &mut *guard;
        let settings = &counts.settings;
        let here = counts.addresses.get(&address).copied().unwrap_or(0);
        let max = settings.ip_overrides.get(&address).copied().unwrap_or(settings.per_ip);
        if here >= max {
            return Err(Refusal::TooManyFromAddress { max });
        }
        let on_listener = counts.listeners.get(listener).copied().unwrap_or(0);
        let listener_max = settings.listeners.get(&**listener).copied().unwrap_or(u32::MAX);
        if counts.all >= settings.max || on_listener >= listener_max {
            return Err(Refusal::Full);
        }
        let limit = settings.listener_rates.get(&**listener).copied().unwrap_or(u32::MAX);
        let rate = counts.rates.entry(Arc::clone(listener)).or_default();
        let wait = counts.rate.wait(now, settings.creation_rate).max(rate.wait(now, limit));
        if let Some(wait) = wait {
            return Err(Refusal::TooFast(wait));
        }
        counts.rate.count += 1;
        rate.count += 1;
        counts.all += 1;
        *counts.listeners.entry(Arc::clone(listener)).or_default() += 1;
        *counts.addresses.entry(address).or_default() += 1;
        Ok(Admission { quota: Arc::clone(self), listener: Arc::clone(listener), address })
    }

    /// Resolves when a place may have become free; create it before asking [`admit`](Self::admit).
    pub fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }

    /// Connections counted now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    quota: Arc<ConnectionQuota>,
    listener: Arc<str>,
    address: IpAddr,
}

fn less<K>(map: &mut BTreeMap<K, u32>, key: &K)
where
    K: Ord,
{
    if let Some(count) = map.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            map.remove(key);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.quota.lock();
        counts.all -= 1;
        less(&mut counts.listeners, &self.listener);
        less(&mut counts.addresses, &self.address);
        drop(counts);
        self.quota.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn each_limit_has_its_own_refusal() {
        let mut settings = QuotaSettings { max: 3, per_ip: 2, ..QuotaSettings::default() };
        settings.ip_overrides.insert(address(9), 0);
        settings.listeners.insert("B".into(), 1);
        let quota = ConnectionQuota::new(settings);
        let (a, b): (Arc<str>, Arc<str>) = ("A".into(), "B".into());
        let now = Instant::now();
        let admit = |l: &Arc<str>, n| quota.admit(l, address(n), now);
        let one = admit(&a, 1).unwrap();
        let _two = admit(&a, 1).unwrap();
        assert_eq!(admit(&a, 1).unwrap_err(), Refusal::TooManyFromAddress { max: 2 });
        assert_eq!(admit(&a, 9).unwrap_err(), Refusal::TooManyFromAddress { max: 0 });
        let _three = admit(&b, 2).unwrap();
        assert_eq!(admit(&b, 3).unwrap_err(), Refusal::Full);
        drop(one);
        assert_eq!(admit(&b, 3).unwrap_err(), Refusal::Full, "listener B is still full");
        let _four = admit(&a, 3).unwrap();
        assert_eq!(quota.count(), 3);
    }

    #[test]
    fn the_rate_makes_wait_until_the_second_is_over() {
        let settings = QuotaSettings { creation_rate: 2, ..QuotaSettings::default() };
        let quota = ConnectionQuota::new(settings);
        let a: Arc<str> = "A".into();
        let start = Instant::now();
        let at = |ms| quota.admit(&a, address(1), start + Duration::from_millis(ms));
        drop(at(0).unwrap());
        drop(at(100).unwrap());
        let wait = Duration::from_millis(600);
        assert_eq!(at(400).unwrap_err(), Refusal::TooFast(wait));
        assert!(at(1000).is_ok());
    }
}
