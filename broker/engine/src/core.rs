//! What all parts of the engine share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::env::Clock;
use crate::flush::Flusher;
use crate::pool::Pool;
use crate::timers::Timers;

/// Threads of the pool for what may wait for a disk.
const DISK_THREADS: usize = 4;

/// Clock, timers and threads.
pub struct Core {
    clock: Arc<dyn Clock>,
    timers: Timers,
    disk: Pool,
    flusher: Flusher,
    producer_expiration_ms: AtomicI64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl Core {
    /// Starts timers and threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(clock: Arc<dyn Clock>, producer_expiration_ms: i64) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            timers: Timers::start(Arc::clone(&clock))?,
            disk: Pool::start("disk", DISK_THREADS)?,
            flusher: Flusher::start(Arc::clone(&clock))?,
            clock,
            producer_expiration_ms: AtomicI64::new(producer_expiration_ms),
        }))
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Deadlines.
    #[must_use]
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Threads for what may wait for a disk.
    #[must_use]
    pub fn disk(&self) -> &Pool {
        &self.disk
    }

    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// `producer.id.expiration.ms`.
    #[must_use]
    pub fn producer_expiration_ms(&self) -> i64 {
        self.producer_expiration_ms.load(Ordering::Relaxed)
    }

    /// Changes `producer.id.expiration.ms`; logs take it with their next change of settings.
    pub fn set_producer_expiration_ms(&self, ms: i64) {
        self.producer_expiration_ms.store(ms, Ordering::Relaxed);
    }
}
