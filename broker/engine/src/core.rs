//! What all parts of the engine share.

use std::io;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::env::Clock;
use crate::flush::Flusher;
use crate::pool::Pool;
use crate::timers::Timers;

/// Threads of the pool for what may wait for a disk.
const DISK_THREADS: usize = 4;

/// Clock, timers, threads, and the cluster as leaders see it.
pub struct Core {
    clock: Arc<dyn Clock>,
    timers: Timers,
    disk: Pool,
    flusher: Flusher,
    cluster: Arc<Cluster>,
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
    pub fn start(clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            timers: Timers::start(Arc::clone(&clock))?,
            disk: Pool::start("disk", DISK_THREADS)?,
            flusher: Flusher::start(Arc::clone(&clock))?,
            cluster: Cluster::new(Arc::clone(&clock)),
            clock,
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

    /// What this node knows of the other brokers, and what it asks the controller for as a leader.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }
}
