//! The fetch sessions of this broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use ottla_machine::Mono;
use ottla_replica::EpochCheck;
use ottla_replica::session::{
    Answer, CacheSettings, FetchPartition, FetchSession, Key, Naming, News, Owner, SessionCache,
    SessionChange,
};
use ottla_wire::ErrorCode;
use parking_lot::{Mutex, MutexGuard};

use crate::core::Core;
use crate::fetch::{FetchItem, ParkedFetch, Superseded};
use crate::partition::{FollowerId, Partition, ReadAsk};
use crate::standing::{Standing, Watcher};

/// A session that requests of one connection work on.
///
/// A follower's requests look only at partitions that something may be said of. They begin with
/// [`asked`](Self::asked), read with [`fetch_within`](crate::fetch_within), and end with
/// [`told`](Self::told). Locks are taken in the order of the fields, and before those of partitions.
#[derive(Debug)]
pub struct Session {
    state: Mutex<FetchSession>,
    /// The request of it that is parked.
    parked: Mutex<Option<Arc<Superseded>>>,
    /// The partitions that tell this session what happens to them; those of followers do.
    watched: Mutex<BTreeMap<Key, Watched>>,
    /// Who asked last, and which brokers were in service then.
    last: Mutex<Option<(FollowerId, u64)>>,
    standing: Arc<Standing>,
}

/// A session, as those who work on it hold it.
pub type SharedSession = Arc<Session>;

/// A partition that tells a session what happens to it.
#[derive(Debug)]
struct Watched {
    partition: Weak<Partition>,
    watcher: Arc<Watcher>,
}

/// What a follower's request must look at.
#[derive(Debug)]
pub struct Stirred {
    /// In the order in which they are to be read, each with the high watermark told last, as
    /// [`FetchItem::told`] has it.
    pub partitions: Vec<(Key, FetchPartition, i64)>,
    /// How many partitions are in the session.
    pub size: usize,
}

/// What a request asks of a partition, as it stands in a session.
#[must_use]
pub fn read_ask(asked: &FetchPartition) -> ReadAsk {
    ReadAsk {
        offset: asked.fetch_offset,
        max_bytes: u32::try_from(asked.max_bytes).unwrap_or(0),
        epoch: EpochCheck::from_wire(asked.current_leader_epoch),
        last_fetched_epoch: asked.last_fetched_epoch,
    }
}

impl Session {
    fn new(state: FetchSession) -> Self {
        Self {
            state: Mutex::new(state),
            parked: Mutex::default(),
            watched: Mutex::default(),
            last: Mutex::default(),
            standing: Arc::default(),
        }
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

    /// A follower's next request came, with what it changes.
    ///
    /// # Errors
    /// Of [`FetchSession::update`].
    pub fn asked(
        &self,
        core: &Core,
        from: FollowerId,
        epoch: i32,
        change: SessionChange,
    ) -> Result<Stirred, ErrorCode> {
        let mut state = self.state.lock();
        let forgotten = change.forgotten.clone();
        state.update(epoch, Naming::Ids, change)?;
        {
            let mut watched = self.watched.lock();
            // Before the pulse, which is for those that are asked for.
            forgotten.iter().filter_map(|key| watched.remove(key)).for_each(|w| self.unwatch(&w));
        }
        for key in self.standing.take_stirred() {
            state.stir(&key);
        }
        // What a fetch says depends on who fetches, and on who is in service.
        let by = (from, core.cluster().brokers_changed());
        let before = self.last.lock().replace(by);
        if before != Some(by) {
            state.stir_all();
        }
        if before.is_some_and(|(before, _)| before != from) {
            let all = std::mem::take(&mut *self.watched.lock());
            all.values().for_each(|w| self.unwatch(w));
        }
        self.standing.pulse().beat(core.clock().mono());
        let told = |(key, asked, told): (&Key, &FetchPartition, i64)| (key.clone(), *asked, told);
        Ok(Stirred { partitions: state.stirred().map(told).collect(), size: state.len() })
    }

    /// What is said of these partitions is about to leave. Says of each whether the follower must
    /// hear of it, and lets those rest of which nothing more is to be said for now.
    pub fn told<'a>(&self, answers: impl Iterator<Item = (&'a Key, &'a Answer)>) -> Vec<News> {
        let mut state = self.state.lock();
        let watched = self.watched.lock();
        let last = *self.last.lock();
        let one = |(key, answer): (&Key, &Answer)| {
            let news = state.note(key, answer);
            if let Some((from, _)) = last
                && answer.is_quiet()
                && let Some((asked, _)) = state.get(key)
                && watched.get(key).is_some_and(|w| self.rests(w, asked, answer, from))
            {
                state.rest(key);
            }
            news
        };
        answers.map(one).collect()
    }

    fn rests(
        &self,
        watched: &Watched,
        asked: &FetchPartition,
        answer: &Answer,
        from: FollowerId,
    ) -> bool {
        let Some(partition) = watched.partition.upgrade() else { return false };
        let (ask, start, pulse) = (read_ask(asked), asked.log_start_offset, self.standing.pulse());
        let told = (answer.high_watermark, answer.log_start_offset);
        watched.watcher.rest_if(|| partition.rests(&ask, from, start, told, pulse))
    }

    /// Has a partition tell this session what happens to it.
    pub(crate) fn watch(&self, key: &Key, partition: &Arc<Partition>) {
        let mut watched = self.watched.lock();
        if let Some(known) = watched.get(key)
            && std::ptr::eq(known.partition.as_ptr(), Arc::as_ptr(partition))
        {
            return;
        }
        let watcher = Watcher::new(key.clone(), &self.standing);
        partition.waiters().watch(&watcher);
        let now = Watched { partition: Arc::downgrade(partition), watcher };
        if let Some(before) = watched.insert(key.clone(), now) {
            self.unwatch(&before);
        }
    }

    fn unwatch(&self, watched: &Watched) {
        if let Some(partition) = watched.partition.upgrade() {
            partition.waiters().unwatch(&watched.watcher);
            partition.end_rest(self.standing.pulse());
        }
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Those that were stirred while a request waits, and rested before.
    pub(crate) fn join(&self) -> Vec<(Key, FetchItem)> {
        let mut state = self.state.lock();
        let mut joined = Vec::new();
        for key in self.standing.take_stirred() {
            if !state.stir(&key) {
                continue;
            }
            let Some((asked, told)) = state.get(&key) else { continue };
            let (ask, log_start_offset) = (read_ask(asked), asked.log_start_offset);
            let partition = self.watched.lock().get(&key).and_then(|w| w.partition.upgrade());
            joined.push((key, FetchItem { partition, ask, log_start_offset, told }));
        }
        joined
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let watched = std::mem::take(&mut *self.watched.lock());
        watched.values().for_each(|watched| self.unwatch(watched));
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
        let random = || rand::random::<i32>();
        self.cache.lock().create(owner, size, now, random, || Arc::new(Session::new(session)))
    }

    /// Notes that a session was used and has `size` partitions now.
    pub fn touch(&self, id: i32, size: usize, now: Mono) {
        self.cache.lock().touch(id, size, now);
    }

    /// Ends a session.
    pub fn remove(&self, id: i32) {
        let gone = self.cache.lock().remove(id);
        // Not under the lock: it takes leave of its partitions.
        drop(gone);
    }

    /// Sessions, partitions in them, and sessions displaced so far.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, u64) {
        let cache = self.cache.lock();
        (cache.len(), cache.partitions(), cache.evictions())
    }
}

#[cfg(test)]
mod tests;
