//! What a connection shares with the rest of the process, and the list of all connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
const KILL: u8 = 2;

/// What others may ask of a connection and see of it.
#[derive(Debug)]
pub struct Shared {
    /// Its name.
    pub id: ConnectionId,
    clock: Arc<Clock>,
    last_active_ms: AtomicU64,
    wish: AtomicU8,
    /// Requests in flight, and whether part of a frame has arrived (in the top bit).
    busy: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

const PARTIAL: u64 = 1 << 63;

impl Shared {
    /// The state of a connection that opens now.
    #[must_use]
    pub fn new(id: ConnectionId, clock: Arc<Clock>) -> Arc<Self> {
        let last_active_ms = AtomicU64::new(clock.now_ms());
        let (wish, busy) = (AtomicU8::new(RUN), AtomicU64::new(0));
        Arc::new(Self { id, clock, last_active_ms, wish, busy, waker: Mutex::new(None) })
    }

    /// Asks the connection to finish what is in flight and close.
    pub fn drain(&self) {
        self.wish.fetch_max(DRAIN, Ordering::SeqCst);
        self.wake();
    }

    /// Asks the connection to close at once.
    pub fn kill(&self) {
        self.wish.fetch_max(KILL, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn drains(&self) -> bool {
        self.wish.load(Ordering::SeqCst) == DRAIN
    }

    pub(crate) fn killed(&self) -> bool {
        self.wish.load(Ordering::SeqCst) == KILL
    }

    pub(crate) fn touch(&self) {
        self.last_active_ms.store(self.clock.now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn set_busy(&self, in_flight: usize, partial: Partial) {
        let partial = if partial == Partial::Some { PARTIAL } else { 0 };
        self.busy.store(in_flight as u64 | partial, Ordering::Relaxed);
    }

    /// Milliseconds without a byte either way.
    #[must_use]
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_active_ms.load(Ordering::Relaxed))
    }

    /// Whether requests wait for their answers: such a connection is not idle.
    #[must_use]
    pub fn waits_for_answer(&self) -> bool {
        self.busy.load(Ordering::Relaxed) & !PARTIAL > 0
    }

    /// Whether part of a frame has arrived and the rest has not.
    #[must_use]
    pub fn in_frame(&self) -> bool {
        self.busy.load(Ordering::Relaxed) & PARTIAL > 0
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }
}

/// Whether part of a frame lies in the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partial {
    None,
    Some,
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
    pub fn open(&self, clock: &Arc<Clock>) -> Arc<Shared> {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let shared = Shared::new(id, Arc::clone(clock));
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

    /// Asks all to close at once.
    pub fn kill_all(&self) {
        self.lock().values().for_each(|c| c.kill());
    }

    /// Kills connections that have been idle for `idle_ms`, and those that stopped in the middle
    /// of a frame for `stalled_ms` (given when memory for requests is short). Returns how many.
    pub fn reap(&self, now_ms: u64, idle_ms: Option<u64>, stalled_ms: Option<u64>) -> usize {
        let over = |c: &Shared, limit: Option<u64>| limit.is_some_and(|l| c.idle_ms(now_ms) >= l);
        let lapsed = |c: &Shared| {
            !c.waits_for_answer() && (over(c, idle_ms) || (c.in_frame() && over(c, stalled_ms)))
        };
        let mut killed = 0;
        for connection in self.lock().values().filter(|c| lapsed(c) && !c.killed()) {
            connection.kill();
            killed += 1;
        }
        killed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConnectionId, Arc<Shared>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
