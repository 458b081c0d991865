//! The fetch sessions of this broker.

use std::sync::Arc;

use ottla_machine::Mono;
use ottla_replica::session::{CacheSettings, FetchSession, Owner, SessionCache};
use parking_lot::Mutex;

/// A session that requests of one connection work on.
pub type SharedSession = Arc<Mutex<FetchSession>>;

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
        let random = || rand::random::<i32>();
        self.cache.lock().create(owner, size, now, random, || Arc::new(Mutex::new(session)))
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
