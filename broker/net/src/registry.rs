//! What a connection shares with the rest of the process, and the list of all connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Names a connection as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A coarse clock that costs a load: milliseconds since it was made, moved on by the reaper.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    now_ms: AtomicU64,
}

impl Clock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), now_ms: AtomicU64::new(0) })
    }

    /// The last tick, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Reads the real clock.
    pub fn tick(&self) -> u64 {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now_ms.store(now, Ordering::Relaxed);
        now
    }
}

const RUN: u8 = 0;
const DRAIN: u8 = 1;

/// Why a connection is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// Nothing came or went for `connections.max.idle.ms`.
    Idle = 2,
    /// A large frame stopped arriving, or trickles, while others wait for its memory.
    Stalled,
    /// Its waiting requests hold more than any other's, and memory for those is short.
    HoldsMost,
    /// A connection between brokers took its place.
    Displaced,
    /// The process ends at once.
    Shutdown,
}

impl Why {
    const ALL: [Self; 5] =
        [Self::Idle, Self::Stalled, Self::HoldsMost, Self::Displaced, Self::Shutdown];

    /// What a log line says.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Idle => "closed as idle",
            Self::Stalled => "a large request stopped arriving while memory for requests is short",
            Self::HoldsMost => {
                "its waiting requests hold the most while memory for waiting requests is short"
            }
            Self::Displaced => "closed to make room: there are more connections than allowed",
            Self::Shutdown => "closed at shutdown",
        }
    }
}

/// What a connection tells of itself after each turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Requests wait for their answers: it is not idle.
    pub(crate) waits: bool,
    /// This end does not read it now, so that nothing can arrive.
    pub(crate) unread: bool,
    /// A large frame under way, which has its memory.
    pub(crate) arriving: Option<Arriving>,
    /// Bytes that its waiting requests hold.
    pub(crate) held: u64,
}

/// A large frame under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// Tells it from the ones before it.
    pub(crate) frame: u64,
    /// Bytes of it that have come.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Seen {
    state: State,
    /// When the large frame under way began.
    since_ms: u64,
}

/// What others may ask of a connection and see of it.
#[derive(Debug)]
pub struct Shared {
    /// Its name.
    pub id: ConnectionId,
    /// The listener that it came by.
    pub listener: Arc<str>,
    clock: Arc<Clock>,
    last_active_ms: AtomicU64,
    wish: AtomicU8,
    seen: Mutex<Seen>,
    waker: Mutex<Option<Waker>>,
}

/// The least speed of a large frame while others wait for its memory, in bytes a millisecond.
const LEAST_SPEED: u64 = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The state of a connection that opens now.
    #[must_use]
    pub fn new(id: ConnectionId, listener: &Arc<str>, clock: Arc<Clock>) -> Arc<Self> {
        Arc::new(Self {
            id,
            listener: Arc::clone(listener),
            last_active_ms: AtomicU64::new(clock.now_ms()),
            clock,
            wish: AtomicU8::new(RUN),
            seen: Mutex::default(),
            waker: Mutex::new(None),
        })
    }

    /// Asks the connection to finish what is in flight and close.
    pub fn drain(&self) {
        self.wish.fetch_max(DRAIN, Ordering::SeqCst);
        self.wake();
    }

    /// Asks the connection to close at once.
    pub fn kill(&self, why: Why) {
        self.wish.fetch_max(why as u8, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn drains(&self) -> bool {
        self.wish.load(Ordering::SeqCst) == DRAIN
    }

    pub(crate) fn killed(&self) -> Option<Why> {
        let wish = self.wish.load(Ordering::SeqCst);
        Why::ALL.into_iter().find(|why| *why as u8 == wish)
    }

    pub(crate) fn touch(&self) {
        self.last_active_ms.store(self.clock.now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, state: State) {
        let mut seen = lock(&self.seen);
        // What a connection may not send it is not to be blamed for.
        if seen.state.unread && !state.unread {
            self.touch();
        }
        let frame = |state: State| state.arriving.map(|a| a.frame);
        if frame(seen.state) != frame(state) {
            seen.since_ms = self.clock.now_ms();
        }
        seen.state = state;
    }

    /// Milliseconds without a byte either way.
    #[must_use]
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_active_ms.load(Ordering::Relaxed))
    }

    /// Why it is to be ended now, if it is.
    fn lapsed(&self, now_ms: u64, limits: ReapLimits) -> Option<Why> {
        let seen = lock(&self.seen);
        let state = seen.state;
        if state.unread {
            return None;
        }
        let idle = self.idle_ms(now_ms);
        if let (Some(arriving), Some(stalled)) = (state.arriving, limits.stalled_ms) {
            let age = now_ms.saturating_sub(seen.since_ms);
            let slow = arriving.bytes < age.saturating_sub(stalled) * LEAST_SPEED;
            if idle >= stalled || slow {
                return Some(Why::Stalled);
            }
        }
        let idle = limits.idle_ms.is_some_and(|most| idle >= most);
        (idle && !state.waits).then_some(Why::Idle)
    }

    fn held(&self) -> u64 {
        lock(&self.seen).state.held
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        if !slot.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }
}

/// When connections are ended for doing nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReapLimits {
    /// `connections.max.idle.ms`.
    pub idle_ms: Option<u64>,
    /// For how long a large frame may stop; given while others wait for its memory.
    pub stalled_ms: Option<u64>,
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Registry {
    next: AtomicU64,
    open: Mutex<BTreeMap<ConnectionId, Arc<Shared>>>,
}

impl Registry {
    /// A registry without connections.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a connection.
    pub fn open(&self, listener: &Arc<str>, clock: &Arc<Clock>) -> Arc<Shared> {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let shared = Shared::new(id, listener, Arc::clone(clock));
        self.lock().insert(id, Arc::clone(&shared));
        shared
    }

    /// Removes a connection that ended.
    pub fn close(&self, id: ConnectionId) {
        self.lock().remove(&id);
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Asks all to finish and close.
    pub fn drain_all(&self) {
        self.lock().values().for_each(|c| c.drain());
    }

    /// Asks those of one listener to finish and close.
    pub fn drain(&self, listener: &str) {
        self.lock().values().filter(|c| *c.listener == *listener).for_each(|c| c.drain());
    }

    /// Asks all to close at once.
    pub fn kill_all(&self) {
        self.lock().values().for_each(|c| c.kill(Why::Shutdown));
    }

    /// Kills connections that have done nothing for too long. A connection that this end does not
    /// read has no chance to do anything, and one whose requests wait is not idle. Returns how many.
    pub fn reap(&self, now_ms: u64, limits: ReapLimits) -> usize {
        let mut killed = 0;
        for connection in self.lock().values().filter(|c| c.killed().is_none()) {
            if let Some(why) = connection.lapsed(now_ms, limits) {
                connection.kill(why);
                killed += 1;
            }
        }
        killed
    }

    /// Kills the connection whose waiting requests hold the most, if any hold more than `share`.
    pub fn relieve(&self, share: u64) {
        let open = self.lock();
        let hold = open.values().filter(|c| c.killed().is_none()).map(|c| (c.held(), c));
        if let Some((held, most)) = hold.max_by_key(|(held, _)| *held)
            && held > share
        {
            most.kill(Why::HoldsMost);
        }
    }

    /// Brings the connections of the listeners that `may_go` names down by `excess`: those that
    /// were silent longest go first, and those that go already count.
    pub fn displace(&self, excess: usize, may_go: impl Fn(&str) -> bool) {
        let open = self.lock();
        let all: Vec<_> = open.values().filter(|c| may_go(&c.listener)).collect();
        let going = all.iter().filter(|c| c.killed().is_some()).count();
        let mut rest: Vec<_> = all.into_iter().filter(|c| c.killed().is_none()).collect();
        rest.sort_by_key(|c| (c.last_active_ms.load(Ordering::Relaxed), c.id));
        let more = excess.saturating_sub(going);
        rest.into_iter().take(more).for_each(|c| c.kill(Why::Displaced));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Arc<Shared>>> {
        lock(&self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ReapLimits = ReapLimits { idle_ms: Some(60_000), stalled_ms: Some(10_000) };

    fn rig() -> (Arc<Registry>, impl Fn(&str) -> Arc<Shared>) {
        let (registry, clock) = (Registry::new(), Clock::new());
        let theirs = Arc::clone(&registry);
        (registry, move |listener: &str| theirs.open(&Arc::from(listener), &clock))
    }

    #[test]
    fn idle_connections_are_reaped_and_waiting_or_unread_ones_are_not() {
        let (registry, open) = rig();
        let (idle, waits, unread) = (open("A"), open("A"), open("A"));
        waits.tell(State { waits: true, ..State::default() });
        unread.tell(State { unread: true, ..State::default() });
        assert_eq!(registry.reap(59_999, LIMITS), 0);
        assert_eq!(registry.reap(60_000, LIMITS), 1);
        assert_eq!(idle.killed(), Some(Why::Idle));
        assert_eq!((waits.killed(), unread.killed()), (None, None));
    }

    #[test]
    fn a_large_frame_must_arrive_while_memory_is_short_and_only_then() {
        let (registry, open) = rig();
        let (stops, trickles, flows) = (open("A"), open("A"), open("A"));
        let arriving = |bytes| {
            let arriving = Some(Arriving { frame: 1, bytes });
            State { arriving, ..State::default() }
        };
        for connection in [&stops, &trickles, &flows] {
            connection.tell(arriving(0));
        }
        assert_eq!(registry.reap(20_000, ReapLimits { stalled_ms: None, ..LIMITS }), 0);
        assert_eq!(registry.reap(9_999, LIMITS), 0);
        // Both were heard of a moment ago.
        trickles.last_active_ms.store(19_000, Ordering::Relaxed);
        flows.last_active_ms.store(19_000, Ordering::Relaxed);
        trickles.tell(arriving(1_000));
        flows.tell(arriving(10_000 * LEAST_SPEED));
        assert_eq!(registry.reap(20_000, LIMITS), 2);
        assert_eq!(stops.killed(), Some(Why::Stalled));
        assert_eq!(trickles.killed(), Some(Why::Stalled));
        assert_eq!(flows.killed(), None);
    }

    #[test]
    fn who_holds_the_most_goes_if_it_is_more_than_its_share() {
        let (registry, open) = rig();
        let (little, much) = (open("A"), open("A"));
        little.tell(State { held: 10, ..State::default() });
        much.tell(State { held: 1000, ..State::default() });
        registry.relieve(1000);
        assert_eq!(much.killed(), None);
        registry.relieve(505);
        assert_eq!((little.killed(), much.killed()), (None, Some(Why::HoldsMost)));
    }

    #[test]
    fn the_longest_silent_of_other_listeners_make_room() {
        let (registry, open) = rig();
        let (new, old, inner) = (open("CLIENTS"), open("CLIENTS"), open("INNER"));
        new.last_active_ms.store(50, Ordering::Relaxed);
        old.last_active_ms.store(20, Ordering::Relaxed);
        for _ in 0..2 {
            registry.displace(1, |listener| listener != "INNER");
            assert_eq!(old.killed(), Some(Why::Displaced));
            assert_eq!((new.killed(), inner.killed()), (None, None), "one is enough");
        }
        registry.displace(5, |listener| listener != "INNER");
        assert_eq!((new.killed(), inner.killed()), (Some(Why::Displaced), None));
    }
}
