//! Flushes, so that those who wait for one share it.

use std::io;
use std::sync::Arc;

use ottla_log::Log;
use ottla_wire::ErrorCode;
use parking_lot::Mutex;
use tracing::error;

use crate::dirs::LogDir;
use crate::env::Clock;
use crate::pool::Pool;
use crate::wait::AckWaiter;

/// Threads that flush. Two, so that one slow directory does not hold up another for long.
const THREADS: usize = 2;

/// A log, and the directory that failed if a flush does.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) log: Arc<Log>,
    pub(crate) dir: Arc<LogDir>,
}

struct Wanted {
    target: Target,
    up_to: i64,
    waiters: Vec<AckWaiter>,
}

/// Collects what is to be flushed; each round takes all that came during the one before.
pub(crate) struct Flusher {
    pool: Pool,
    wanted: Arc<Mutex<Vec<Wanted>>>,
    clock: Arc<dyn Clock>,
}

impl Flusher {
    pub(crate) fn start(clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self { pool: Pool::start("flush", THREADS)?, wanted: Arc::default(), clock })
    }

    /// Flushes a log up to `up_to` and tells `waiter`.
    pub(crate) fn add(&self, target: Target, up_to: i64, waiter: AckWaiter) {
        self.push(target, up_to, Some(waiter));
    }

    /// Flushes a log up to `up_to` when convenient.
    pub(crate) fn flush_later(&self, target: Target, up_to: i64) {
        self.push(target, up_to, None);
    }

    fn push(&self, target: Target, up_to: i64, waiter: Option<AckWaiter>) {
        let mut wanted = self.wanted.lock();
        if let Some(same) = wanted.iter_mut().find(|w| Arc::ptr_eq(&w.target.log, &target.log)) {
            same.up_to = same.up_to.max(up_to);
            same.waiters.extend(waiter);
            return;
        }
        wanted.push(Wanted { target, up_to, waiters: waiter.into_iter().collect() });
        drop(wanted);
        let (wanted, clock) = (Arc::clone(&self.wanted), Arc::clone(&self.clock));
        self.pool.spawn(move || round(&wanted, &*clock));
    }
}

fn round(wanted: &Mutex<Vec<Wanted>>, clock: &dyn Clock) {
    let all = std::mem::take(&mut *wanted.lock());
    for Wanted { target: Target { log, dir }, up_to, waiters } in all {
        let result = log.flush(up_to, clock.wall_ms());
        if let Err(e) = &result {
            error!(log = %log.name(), error = %e, "cannot flush");
            dir.judge_of(&log, e);
        }
        let told = result.map(drop).map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR);
        waiters.iter().for_each(|waiter| waiter.finish(told));
    }
}
