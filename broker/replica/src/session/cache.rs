//! All fetch sessions of a broker, bounded, and who has to go when there is no place.

use std::collections::{BTreeMap, BTreeSet};

use ottla_machine::Mono;

use super::NO_SESSION;

/// Whose session it is. Followers' sessions may displace consumers'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A consumer.
    Consumer,
    /// A follower.
    Follower,
}

/// Bounds of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// `max.incremental.fetch.session.cache.slots`.
    pub slots: usize,
    /// For how long a session is safe from larger ones, and after which idle time anyone may take
    /// its place, in milliseconds.
    pub eviction_ms: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { slots: 1000, eviction_ms: 120_000 }
    }
}

/// How easily a session is displaced: consumers before followers, small before large.
type Weight = (Owner, usize, i32);

#[derive(Clone, Debug)]
struct Slot<S> {
    session: S,
    owner: Owner,
    size: usize,
    created: Mono,
    used: Mono,
}

impl<S> Slot<S> {
    fn weight(&self, id: i32) -> Weight {
        (self.owner, self.size, id)
    }
}

/// The sessions of a broker by id. `S` is how the caller holds one, so that it can be worked on
/// while the cache serves others.
#[derive(Clone, Debug)]
pub struct SessionCache<S> {
    settings: CacheSettings,
    slots: BTreeMap<i32, Slot<S>>,
    by_use: BTreeSet<(Mono, i32)>,
    weights: BTreeSet<Weight>,
    partitions: usize,
    evictions: u64,
}

impl<S> SessionCache<S>
where
    S: Clone,
{
    /// An empty cache.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Self {
        Self {
            settings,
            slots: BTreeMap::new(),
            by_use: BTreeSet::new(),
            weights: BTreeSet::new(),
            partitions: 0,
            evictions: 0,
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Partitions in all sessions together.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// How many sessions were displaced so far.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Finds a session.
    #[must_use]
    pub fn get(&self, id: i32) -> Option<S> {
        self.slots.get(&id).map(|slot| slot.session.clone())
    }

    /// Adds a session of `size` partitions if there is a place for it, and returns its id.
    /// `random` proposes ids; those not positive or taken are passed over.
    pub fn create(
        &mut self,
        owner: Owner,
        size: usize,
        now: Mono,
        mut random: impl FnMut() -> i32,
        session: impl FnOnce() -> S,
    ) -> Option<i32> {
        if size == 0 || (self.slots.len() >= self.settings.slots && !self.evict(owner, size, now)) {
            return None;
        }
        let id = loop {
            let id = random();
            if id > NO_SESSION && !self.slots.contains_key(&id) {
                break id;
            }
        };
        let slot = Slot { session: session(), owner, size, created: now, used: now };
        self.by_use.insert((now, id));
        self.weights.insert(slot.weight(id));
        self.partitions += size;
        self.slots.insert(id, slot);
        Some(id)
    }

    /// Notes that a session was used and has `size` partitions now.
    pub fn touch(&mut self, id: i32, size: usize, now: Mono) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        self.by_use.remove(&(slot.used, id));
        self.by_use.insert((now, id));
        slot.used = now;
        if slot.size != size {
            self.weights.remove(&slot.weight(id));
            self.partitions = self.partitions - slot.size + size;
            slot.size = size;
            self.weights.insert(slot.weight(id));
        }
    }

    /// Ends a session.
    pub fn remove(&mut self, id: i32) -> Option<S> {
        let slot = self.slots.remove(&id)?;
        self.by_use.remove(&(slot.used, id));
        self.weights.remove(&slot.weight(id));
        self.partitions -= slot.size;
        Some(slot.session)
    }

    /// Makes a place by displacing one session, if one may be displaced: the longest unused once
    /// its time is over; else the one of least weight, if it weighs less than the new one and is
    /// either past its time, or a consumer's while the new one is a follower's.
    fn evict(&mut self, owner: Owner, size: usize, now: Mono) -> bool {
        let over = |since: Mono| now.since(since) > self.settings.eviction_ms;
        let idle = self.by_use.first().filter(|(used, _)| over(*used)).map(|(_, id)| *id);
        let id = idle.or_else(|| {
            let lighter = self.weights.range(..(owner, size, i32::MIN));
            let may = |id: &i32| {
                self.slots.get(id).is_some_and(|slot| {
                    over(slot.created)
                        || (owner == Owner::Follower && slot.owner == Owner::Consumer)
                })
            };
            lighter.map(|(_, _, id)| *id).find(may)
        });
        match id {
            Some(id) => {
                self.remove(id);
                self.evictions += 1;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rig {
        cache: SessionCache<&'static str>,
        next: i32,
    }

    impl Rig {
        fn new(slots: usize) -> Self {
            let settings = CacheSettings { slots, eviction_ms: 100 };
            Self { cache: SessionCache::new(settings), next: 0 }
        }

        fn create(&mut self, owner: Owner, size: usize, at: u64) -> Option<i32> {
            let next = &mut self.next;
            let random = || {
                *next += 1;
                *next
            };
            self.cache.create(owner, size, Mono(at), random, || "session")
        }
    }

    #[test]
    fn a_full_cache_refuses_until_one_is_idle_too_long() {
        let mut rig = Rig::new(2);
        let a = rig.create(Owner::Consumer, 5, 0).unwrap();
        let b = rig.create(Owner::Consumer, 5, 0).unwrap();
        assert_eq!(rig.create(Owner::Consumer, 500, 50), None, "both are young");
        rig.cache.touch(a, 7, Mono(60));
        assert_eq!(rig.cache.partitions(), 12);
        let c = rig.create(Owner::Consumer, 1, 101).unwrap();
        assert!(rig.cache.get(a).is_some() && rig.cache.get(c).is_some());
        assert_eq!(rig.cache.get(b), None, "the longest unused went");
        assert_eq!((rig.cache.len(), rig.cache.evictions()), (2, 1));
    }

    #[test]
    fn larger_ones_displace_smaller_ones_past_their_time() {
        let mut rig = Rig::new(2);
        let small = rig.create(Owner::Consumer, 2, 0).unwrap();
        let large = rig.create(Owner::Consumer, 9, 0).unwrap();
        rig.cache.touch(small, 2, Mono(150));
        rig.cache.touch(large, 9, Mono(150));
        assert_eq!(rig.create(Owner::Consumer, 2, 160), None, "not larger");
        assert!(rig.create(Owner::Consumer, 3, 160).is_some());
        assert_eq!(rig.cache.get(small), None);
    }

    #[test]
    fn followers_displace_consumers_and_not_the_other_way() {
        let mut rig = Rig::new(2);
        let consumer = rig.create(Owner::Consumer, 50, 0).unwrap();
        let follower = rig.create(Owner::Follower, 1, 0).unwrap();
        let second = rig.create(Owner::Follower, 1, 1).unwrap();
        assert_eq!(rig.cache.get(consumer), None);
        rig.cache.touch(follower, 1, Mono(150));
        rig.cache.touch(second, 1, Mono(150));
        assert_eq!(rig.create(Owner::Consumer, 99, 160), None);
        assert!(rig.cache.remove(follower).is_some());
        assert_eq!(rig.cache.partitions(), 1);
        assert_eq!(rig.create(Owner::Consumer, 0, 160), None, "an empty session is none");
    }
}
