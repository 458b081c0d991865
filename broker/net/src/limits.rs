//! How many connections there may be, in all, by listener and by address, and how fast they come.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What `max.connections`, `max.connections.per.ip` and their like say.
#[derive(Clone, Debug)]
pub struct QuotaSettings {
    /// `max.connections`: over all listeners for brokers and clients, and once more over those that
    /// are `apart`. More wait to be accepted.
    pub max: u32,
    /// What the process has file descriptors for, over all listeners. More wait to be accepted.
    pub most: u32,
    /// The listener that brokers use among themselves, if clients have another: its connections
    /// may go over `max`, and others are closed for them (KIP-402).
    pub protected: Option<String>,
    /// Listeners that are counted by themselves: the controllers'.
    pub apart: BTreeSet<String>,
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
            most: u32::MAX,
            protected: None,
            apart: BTreeSet::new(),
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
    /// There is no place: wait.
    Full(Full),
    /// Connections come too fast: wait so long.
    TooFast(Duration),
    /// This address has too many already: close.
    TooManyFromAddress {
        /// How many it may have.
        max: u32,
    },
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The listener.
    Listener,
    /// All listeners together.
    Broker,
    /// The process's table of open files.
    Files,
}

impl Full {
    /// The limit to raise, for a log line.
    #[must_use]
    pub fn limit(self) -> &'static str {
        match self {
            Self::Listener => "max.connections of the listener",
            Self::Broker => "max.connections",
            Self::Files => "the share of open files (ulimit -n)",
        }
    }
}

/// By how much connections of the protected listener may exceed [`QuotaSettings::most`] while those
/// that make room for them have not ended yet.
const PROTECTED_OVER_MOST: u32 = 16;

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
    /// On listeners that are not apart.
    together: u32,
    /// On listeners that are.
    apart: u32,
    listeners: BTreeMap<Arc<str>, u32>,
    addresses: BTreeMap<IpAddr, u32>,
    rate: Rate,
    rates: BTreeMap<Arc<str>, Rate>,
}

impl Counts {
    fn all(&self) -> u32 {
        self.together + self.apart
    }

    fn is_apart(&self, listener: &str) -> bool {
        self.settings.apart.contains(listener)
    }

    fn is_protected(&self, listener: &str) -> bool {
        self.settings.protected.as_deref() == Some(listener)
    }

    /// What leaves no place for another connection of a listener.
    fn full(&self, listener: &str) -> Option<Full> {
        let settings = &self.settings;
        let here = self.listeners.get(listener).copied().unwrap_or(0);
        let here_max = settings.listeners.get(listener).copied().unwrap_or(u32::MAX);
        if here >= here_max {
            return Some(Full::Listener);
        }
        let protected = self.is_protected(listener);
        let beside = if self.is_apart(listener) { self.apart } else { self.together };
        if beside >= settings.max && !protected {
            return Some(Full::Broker);
        }
        // Someone else's place, if there is anyone else.
        let over = if protected && self.together > here { PROTECTED_OVER_MOST } else { 0 };
        (self.all() >= settings.most.saturating_add(over)).then_some(Full::Files)
    }

    fn excess(&self) -> u32 {
        let over_max = self.together.saturating_sub(self.settings.max);
        over_max.max(self.all().saturating_sub(self.settings.most))
    }
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
        if let Some(full) = counts.full(listener) {
            return Err(Refusal::Full(full));
        }
        let limit = settings.listener_rates.get(&**listener).copied().unwrap_or(u32::MAX);
        let rate = counts.rates.entry(Arc::clone(listener)).or_default();
        let wait = counts.rate.wait(now, settings.creation_rate).max(rate.wait(now, limit));
        if let Some(wait) = wait {
            return Err(Refusal::TooFast(wait));
        }
        counts.rate.count += 1;
        rate.count += 1;
        let apart = counts.is_apart(listener);
        *(if apart { &mut counts.apart } else { &mut counts.together }) += 1;
        *counts.listeners.entry(Arc::clone(listener)).or_default() += 1;
        *counts.addresses.entry(address).or_default() += 1;
        Ok(Admission { quota: Arc::clone(self), listener: Arc::clone(listener), address, apart })
    }

    /// Resolves when a place may have become free; create it before asking [`admit`](Self::admit).
    pub fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }

    /// Connections counted now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.lock().all()
    }

    /// How many connections there are too many: the protected listener went over the limits, or
    /// they were lowered.
    #[must_use]
    pub fn excess(&self) -> u32 {
        self.lock().excess()
    }

    /// The listeners whose connections do not make room for others.
    #[must_use]
    pub fn kept(&self) -> BTreeSet<String> {
        let counts = self.lock();
        counts.settings.apart.iter().chain(&counts.settings.protected).cloned().collect()
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
    apart: bool,
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
        *(if self.apart { &mut counts.apart } else { &mut counts.together }) -= 1;
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
        assert_eq!(admit(&b, 3).unwrap_err(), Refusal::Full(Full::Listener));
        assert_eq!(admit(&a, 3).unwrap_err(), Refusal::Full(Full::Broker));
        drop(one);
        let full = Refusal::Full(Full::Listener);
        assert_eq!(admit(&b, 3).unwrap_err(), full, "listener B is still full");
        let _four = admit(&a, 3).unwrap();
        assert_eq!(quota.count(), 3);
    }

    #[test]
    fn brokers_go_over_the_limit_and_controllers_are_apart() {
        let settings = QuotaSettings {
            max: 2,
            most: 6,
            protected: Some("INNER".into()),
            apart: BTreeSet::from(["CONTROLLER".into()]),
            ..QuotaSettings::default()
        };
        let quota = ConnectionQuota::new(settings.clone());
        let admit = |listener: &str| quota.admit(&Arc::from(listener), address(1), Instant::now());
        let _clients = [admit("CLIENTS").unwrap(), admit("CLIENTS").unwrap()];
        assert_eq!(admit("CLIENTS").unwrap_err(), Refusal::Full(Full::Broker));
        assert_eq!(quota.excess(), 0);
        let _inner = [admit("INNER").unwrap(), admit("INNER").unwrap()];
        assert_eq!(quota.excess(), 2, "both clients' places are wanted");
        let _apart = [admit("CONTROLLER").unwrap(), admit("CONTROLLER").unwrap()];
        assert_eq!(admit("CONTROLLER").unwrap_err(), Refusal::Full(Full::Broker));
        let over: Vec<_> = (0..16).map(|_| admit("INNER").unwrap()).collect();
        assert_eq!(admit("INNER").unwrap_err(), Refusal::Full(Full::Files));
        drop(over);
        quota.set(QuotaSettings { max: 100, ..settings });
        assert_eq!(quota.excess(), 0);
        assert_eq!(admit("CLIENTS").unwrap_err(), Refusal::Full(Full::Files));
        let none = QuotaSettings { max: 0, most: 2, ..QuotaSettings::default() };
        quota.set(QuotaSettings { protected: Some("ALONE".into()), ..none });
        assert_eq!(quota.excess(), 6 - 2);
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
