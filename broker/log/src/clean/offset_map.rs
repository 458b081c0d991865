//! The newest offset of each key, in bounded memory.
//!
//! Keys are kept as hashes of 128 bits under a random secret, so that two keys are taken for one
//! only by an accident that is not expected to happen. An entry takes 24 bytes.

use std::hash::{BuildHasher, RandomState};

/// Bytes of an entry.
const ENTRY: usize = 24;
/// Slots that a map has at first.
const FIRST_SLOTS: usize = 1024;

/// The newest offset of each key.
#[derive(Debug)]
pub struct OffsetMap {
    slots: Vec<Slot>,
    len: usize,
    max_len: usize,
    max_slots: usize,
    latest: i64,
    secrets: (RandomState, RandomState),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset plus one; 0 in an empty slot.
    offset: u64,
}

/// Whether there was room for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the map now.
    Done,
    /// It is not, and no new key will be.
    Full,
}

impl OffsetMap {
    /// A map that takes at most `memory` bytes, of whose slots at most `load` (0 to 1) are used.
    /// Memory is taken as it is needed.
    #[must_use]
    pub fn new(memory: usize, load: f64) -> Self {
        let max_slots = (memory / ENTRY).max(2);
        let max_len = ((max_slots as f64 * load.clamp(0.0, 0.95)) as usize).max(1);
        let secrets = (RandomState::new(), RandomState::new());
        Self { slots: Vec::new(), len: 0, max_len, max_slots, latest: -1, secrets }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Up to this offset every record was looked at; -1 when none was.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// Says that every record up to this offset was looked at.
    pub fn set_latest(&mut self, offset: i64) {
        self.latest = self.latest.max(offset);
    }

    /// Forgets everything, and gives back memory.
    pub fn clear(&mut self) {
        (self.slots, self.len, self.latest) = (Vec::new(), 0, -1);
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [self.secrets.0.hash_one(key), self.secrets.1.hash_one(key)]
    }

    /// The slot of a hash: the one that holds it, or the empty one where it belongs.
    fn find(slots: &[Slot], hash: [u64; 2]) -> Option<usize> {
        let start = (hash[0] % slots.len().max(1) as u64) as usize;
        let order = (start..slots.len()).chain(0..start);
        for at in order {
            let slot = slots.get(at)?;
            if slot.offset == 0 || slot.hash == hash {
                return Some(at);
            }
        }
        None
    }

    /// Notes that `key` is at `offset`, which must not be lower than what was noted before.
    pub fn put(&mut self, key: &[u8], offset: i64) -> Put {
        let hash = self.hash(key);
        let value = offset as u64 + 1;
        if let Some(at) = Self::find(&self.slots, hash)
            && let Some(slot) = self.slots.get_mut(at)
            && slot.offset != 0
        {
            slot.offset = value;
            return Put::Done;
        }
        if self.len >= self.max_len {
            return Put::Full;
        }
        if self.len + 1 > self.slots.len() / 4 * 3 && self.slots.len() < self.max_slots {
            self.grow();
        }
        let Some(at) = Self::find(&self.slots, hash) else { return Put::Full };
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash, offset: value };
            self.len += 1;
        }
        Put::Done
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(FIRST_SLOTS).min(self.max_slots);
        let mut slots = vec![Slot::default(); size];
        for slot in self.slots.iter().filter(|s| s.offset != 0) {
            if let Some(at) = Self::find(&slots, slot.hash)
                && let Some(place) = slots.get_mut(at)
            {
                *place = *slot;
            }
        }
        self.slots = slots;
    }

    /// The newest offset of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slots.get(Self::find(&self.slots, self.hash(key))?)?;
        (slot.offset != 0).then(|| slot.offset as i64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let mut map = OffsetMap::new(1 << 20, 0.9);
        for i in 0..20_000i64 {
            assert_eq!(map.put(&(i % 5000).to_be_bytes(), i), Put::Done);
        }
        assert_eq!(map.len(), 5000);
        for i in 0..5000i64 {
            assert_eq!(map.get(&i.to_be_bytes()), Some(15_000 + i));
        }
        assert_eq!(map.get(b"other"), None);
        map.clear();
        assert_eq!((map.len(), map.get(&0i64.to_be_bytes())), (0, None));
    }

    #[test]
    fn is_bounded() {
        let mut map = OffsetMap::new(24 * 100, 0.5);
        let taken = (0..1000i64).filter(|i| map.put(&i.to_be_bytes(), *i) == Put::Done).count();
        assert_eq!(taken, 50);
        assert_eq!(map.put(&7i64.to_be_bytes(), 2000), Put::Done, "a known key needs no room");
        assert_eq!(map.get(&7i64.to_be_bytes()), Some(2000));
        assert!(map.slots.len() <= 100);
    }
}
