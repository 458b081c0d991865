//! The bound on memory held by requests that wait for their answers, over all connections.
//!
//! A request that waits (a long poll, a join) has given its frame back, and what it keeps of it is
//! counted here instead of against the memory that reading needs, so that those who wait do not
//! stop those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a waiting request costs besides what it says it holds, in bytes.
const OVERHEAD: u64 = 512;

/// Counts bytes of waiting requests. While there is room, anyone may wait; when there is none,
/// only those whose own requests hold no more than an equal share. So the bound is exceeded by one
/// bound at most.
#[derive(Debug)]
pub struct WaitingRoom {
    limit: AtomicU64,
    used: AtomicU64,
    /// Connections that hold anything.
    guests: AtomicU64,
}

/// There is no room, and the connection holds more than its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its waiting requests would hold {held} bytes, more than its share of {share}, and memory for \
     waiting requests is short"
)]
pub struct NoRoom {
    /// What the connection would hold, in bytes.
    pub held: u64,
    /// What it may hold now, in bytes.
    pub share: u64,
}

impl WaitingRoom {
    /// A room of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        let (used, guests) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { limit: AtomicU64::new(limit), used, guests })
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used() >= self.limit.load(Ordering::Relaxed)
    }

    /// An equal share of the room, in bytes.
    #[must_use]
    pub fn share(&self) -> u64 {
        self.limit.load(Ordering::Relaxed) / self.guests.load(Ordering::Relaxed).max(1)
    }

    /// The place of one connection, which holds nothing yet.
    #[must_use]
    pub fn seat(self: &Arc<Self>) -> Seat {
        Seat { room: Arc::clone(self), held: 0 }
    }
}

/// What the waiting requests of one connection hold; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    room: Arc<WaitingRoom>,
    held: u64,
}

impl Seat {
    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Another request waits that holds so many bytes. Returns what to give back when it is done.
    ///
    /// # Errors
    /// [`NoRoom`] if it may not wait.
    pub fn take(&mut self, bytes: usize) -> Result<u64, NoRoom> {
        let bytes = (bytes as u64).saturating_add(OVERHEAD);
        if self.held == 0 {
            self.room.guests.fetch_add(1, Ordering::Relaxed);
        }
        self.held += bytes;
        let used = self.room.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let no_room = NoRoom { held: self.held, share: self.room.share() };
        if used > self.room.limit.load(Ordering::Relaxed) && no_room.held > no_room.share {
            self.give(bytes);
            return Err(no_room);
        }
        Ok(bytes)
    }

    /// Gives back what [`take`](Self::take) returned.
    pub fn give(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        if bytes == 0 {
            return;
        }
        self.held -= bytes;
        self.room.used.fetch_sub(bytes, Ordering::Relaxed);
        if self.held == 0 {
            self.room.guests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_takes_those_who_hold_little() {
        let room = WaitingRoom::new(1_000_000);
        let (mut hog, mut small, mut late) = (room.seat(), room.seat(), room.seat());
        let one = small.take(1000).unwrap();
        hog.take(900_000).unwrap();
        let refused = hog.take(200_000).unwrap_err();
        assert_eq!(refused.share, 500_000);
        assert_eq!(room.used(), 902_024, "what was refused is not held");
        late.take(100_000).unwrap();
        assert!(room.is_full());
        small.take(1000).unwrap();
        small.give(one);
        assert!(hog.take(0).is_err(), "whoever holds most may hold no more");
        drop(hog);
        assert!(!room.is_full());
        assert_eq!(room.share(), 500_000);
        drop((small, late));
        assert_eq!(room.used(), 0);
    }

    #[test]
    fn the_bound_is_exceeded_by_one_bound_at_most() {
        let room = WaitingRoom::new(1_000_000);
        let mut seats: Vec<_> = (0..50).map(|_| room.seat()).collect();
        for round in 0..1000_usize {
            for seat in &mut seats {
                let _ = seat.take(round * 7 % 50_000);
            }
        }
        assert!(room.used() <= 2_000_000, "{}", room.used());
    }
}
