//! Counters of the network, for metrics and for tests that count system calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One worker's counters. Each runtime has its own, so that counting shares no cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct NetStats {
    /// Connections accepted since the start.
    pub accepted: AtomicU64,
    /// Connections turned away by a limit.
    pub refused: AtomicU64,
    /// Connections that ended.
    pub closed: AtomicU64,
    /// Connections closed because nothing came for `connections.max.idle.ms`.
    pub idle_killed: AtomicU64,
    /// Frames handed to services.
    pub frames: AtomicU64,
    /// Frames that could not be read.
    pub bad_frames: AtomicU64,
    /// Bytes read from sockets.
    pub bytes_in: AtomicU64,
    /// Bytes written to sockets, those by `sendfile` included.
    pub bytes_out: AtomicU64,
    /// Read calls that reached the system.
    pub reads: AtomicU64,
    /// Write calls that reached the system.
    pub writes: AtomicU64,
    /// `sendfile` calls that reached the system.
    pub sendfiles: AtomicU64,
    /// Times a connection's task was woken.
    pub wakes: AtomicU64,
}

/// The sum over all workers, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NetTotals {
    pub accepted: u64,
    pub refused: u64,
    pub closed: u64,
    pub idle_killed: u64,
    pub frames: u64,
    pub bad_frames: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub reads: u64,
    pub writes: u64,
    pub sendfiles: u64,
    pub wakes: u64,
}

impl NetStats {
    /// Adds one to a counter.
    pub(crate) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `n` to a counter.
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl NetTotals {
    /// Sums the counters of all workers.
    #[must_use]
    pub fn of(all: &[Arc<NetStats>]) -> Self {
        let sum = |f: fn(&NetStats) -> &AtomicU64| {
            all.iter().map(|s| f(s).load(Ordering::Relaxed)).sum::<u64>()
        };
        Self {
            accepted: sum(|s| &s.accepted),
            refused: sum(|s| &s.refused),
            closed: sum(|s| &s.closed),
            idle_killed: sum(|s| &s.idle_killed),
            frames: sum(|s| &s.frames),
            bad_frames: sum(|s| &s.bad_frames),
            bytes_in: sum(|s| &s.bytes_in),
            bytes_out: sum(|s| &s.bytes_out),
            reads: sum(|s| &s.reads),
            writes: sum(|s| &s.writes),
            sendfiles: sum(|s| &s.sendfiles),
            wakes: sum(|s| &s.wakes),
        }
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed)
    }
}
