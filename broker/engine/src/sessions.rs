//! The fetch sessions of this broker.

use std::sync::Arc;

use ottla_machine::Mono;
use ottla_quorum::simulated;
use ottla_replica::session::{CacheSettings, FetchSession, Owner, SessionCache};
use parking_lot::{Mutex, MutexGuard};

use crate::fetch::{ParkedFetch, Superseded};

/// A session that requests of one connection work on.
#[derive(Debug)]
pub struct Session {
    state: Mutex<FetchSession>,
    /// The request of it that is parked.
    parked: Mutex<Option<Arc<Superseded>>>,
}

/// A session, as those who work on it hold it.
pub type SharedSession = Arc<Session>;

impl Session {
    fn new(state: FetchSession) -> Self {
        Self { state: Mutex::new(state), parked: Mutex::default() }
    }

    /// What was asked for and told.
    pub fn lock(&self) -> MutexGuard<'_, FetchSession> {
        self.state.lock()
    }

    /// Notes that a request of this session waits. When another one comes, it ends without an
    /// answer: a follower that has more to ask for does not wait for what it asked before.
    pub fn park(&self, fetch: &mut ParkedFetch) {
        *self.parked.lock() = Some(fetch.supersede_with());
    }

    /// Another request came: ends the one that waits.
    pub fn supersede(&self) {
        if let Some(parked) = self.parked.lock().take() {
            parked.set();
        }
    }
}

/// All fetch sessions, bounded. The lock is held for a look-up; a session is worked on under its
/// own.
#[derive(Debug)]
pub struct FetchSessions {
    cache: Mutex<SessionCache<SharedSession>>,
}

impl FetchSessions {
    /// None yet.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Self {
        Self { cache: Mutex::new(SessionCache::new(settings)) }
    }

    /// Finds a session, and notes that it is used.
    #[must_use]
    pub fn get(&self, id: i32) -> Option<SharedSession> {
        self.cache.lock().get(id)
    }

    /// Keeps a new session if there is a place for it. Returns its id.
    pub fn create(&self, owner: Owner, session: FetchSession, now: Mono) -> Option<i32> {
        let size = session.len();
        let random = || (simulated::chance() >> 32) as i32;
        self.cache.lock().create(owner, size, now, random, || Arc::new(Session::new(session)))
    }

    /// Notes that a session was used and has `size` partitions now.
    pub fn touch(&self, id: i32, size: usize, now: Mono) {
        self.cache.lock().touch(id, size, now);
    }

    /// Ends a session.
    pub fn remove(&self, id: i32) {
        self.cache.lock().remove(id);
    }

    /// Sessions, partitions in them, and sessions displaced so far.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, u64) {
        let cache = self.cache.lock();
        (cache.len(), cache.partitions(), cache.evictions())
    }
}
