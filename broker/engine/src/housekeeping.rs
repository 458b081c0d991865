//! What a broker does without being asked: retention, flushes, checkpoints, expiry, compaction.
//!
//! One thread does what is short, in turn; compaction has threads of its own. All sleep until
//! something is due.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, keys};
use ottla_log::LogError;
use ottla_machine::Mono;
use ottla_wire::Uuid;
use parking_lot::{Condvar, Mutex};
use tracing::{debug, error, info};

use crate::core::Core;
use crate::dirs::{LogDir, LogDirs};
use crate::flush::Target;
use crate::replicas::Replicas;

mod compaction;

/// How often files whose time is over are looked for.
const PURGE_INTERVAL_MS: u64 = 2_000;

/// How many files are removed in one go before other tasks get their turn.
const PURGE_BATCH: usize = 4_096;

/// The longest sleep, so that changed intervals take effect.
const LONGEST_SLEEP_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Retention,
    Flush,
    RecoveryPoints,
    LogStarts,
    HighWatermarks,
    Purge,
    ProducerExpiry,
}

impl Task {
    const ALL: [Self; 7] = [
        Self::Retention,
        Self::Flush,
        Self::RecoveryPoints,
        Self::LogStarts,
        Self::HighWatermarks,
        Self::Purge,
        Self::ProducerExpiry,
    ];

    fn interval_ms(self, config: &BrokerConfig) -> u64 {
        let ms = match self {
            Self::Retention => config.get(keys::LOG_RETENTION_CHECK_INTERVAL_MS),
            Self::Flush => config.get(keys::LOG_FLUSH_SCHEDULER_INTERVAL_MS),
            Self::RecoveryPoints => {
                i64::from(config.get(keys::LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS))
            }
            Self::LogStarts => {
                i64::from(config.get(keys::LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS))
            }
            Self::HighWatermarks => config.get(keys::REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS),
            Self::Purge => return PURGE_INTERVAL_MS,
            Self::ProducerExpiry => {
                i64::from(config.get(keys::PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS))
            }
        };
        u64::try_from(ms).unwrap_or(0).max(1)
    }
}

/// A flag that sleeping threads see at once.
#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *self.stopped.lock()
    }

    /// Sleeps; true if it is time to stop.
    fn sleep(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

/// What all tasks work on.
struct House {
    core: Arc<Core>,
    replicas: Arc<Replicas>,
    dirs: LogDirs,
    config: Arc<ArcSwap<BrokerConfig>>,
    stop: Stop,
    /// Sums of what was written into each directory's high watermarks last.
    written: Mutex<BTreeMap<Uuid, u64>>,
    compacting: compaction::Register,
    /// The threads of compaction, by their number.
    cleaners: Mutex<BTreeMap<usize, JoinHandle<()>>>,
}

/// The threads; they stop when it is dropped.
pub struct Housekeeping {
    house: Arc<House>,
    keeper: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Housekeeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Housekeeping({} cleaners)", self.house.cleaners.lock().len())
    }
}

impl Housekeeping {
    /// Starts the threads. Intervals are read from `config` anew for each round.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        core: Arc<Core>,
        replicas: Arc<Replicas>,
        dirs: LogDirs,
        config: Arc<ArcSwap<BrokerConfig>>,
    ) -> io::Result<Self> {
        let house = Arc::new(House {
            core,
            replicas,
            dirs,
            config,
            stop: Stop::default(),
            written: Mutex::default(),
            compacting: compaction::Register::default(),
            cleaners: Mutex::default(),
        });
        house.keep_cleaners()?;
        let keeper = Arc::clone(&house);
        let builder = std::thread::Builder::new().name("housekeeping".into());
        let keeper = builder.spawn(move || keeper.run())?;
        Ok(Self { house, keeper: Some(keeper) })
    }

    /// Does one round of everything but compaction at once, as a test or an operator may want.
    pub fn round(&self) {
        Task::ALL.into_iter().for_each(|task| self.house.perform(task));
    }

    /// Compacts every log that is due, on the calling thread. Returns how many.
    pub fn compact_all(&self) -> usize {
        let mut cleaner = compaction::Share::of(&self.house.config.load()).cleaner();
        std::iter::from_fn(|| self.house.compact_one(&mut cleaner).then_some(())).count()
    }

    /// Stops the threads, then flushes and closes all logs and leaves the marker of a clean
    /// shutdown in each directory. Nothing may be appended any more.
    pub fn shut_down(mut self, broker_epoch: i64) {
        self.stop();
        let now = self.house.core.clock().wall_ms();
        let online: Vec<_> = self.house.dirs.online().cloned().collect();
        std::thread::scope(|scope| {
            for dir in &online {
                scope.spawn(move || match dir.files().close(broker_epoch, now) {
                    Ok(()) => info!(dir = %dir.path().display(), "log directory closed"),
                    Err(e) => {
                        error!(dir = %dir.path().display(), error = %e, "cannot close cleanly");
                    }
                });
            }
        });
    }

    fn stop(&mut self) {
        self.house.stop.stop();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        // Nobody starts another one now.
        let cleaners = std::mem::take(&mut *self.house.cleaners.lock());
        for cleaner in cleaners.into_values() {
            let _ = cleaner.join();
        }
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop();
    }
}

impl House {
    fn run(self: &Arc<Self>) {
        let mut due = BTreeMap::new();
        let start = self.core.clock().mono();
        // The first round of each task comes after this at the latest.
        let delay = self.config.load().get(keys::LOG_INITIAL_TASK_DELAY_MS);
        let delay = u64::try_from(delay).unwrap_or(0);
        for task in Task::ALL {
            let first = task.interval_ms(&self.config.load()).min(delay);
            due.insert(task, start.plus_ms(first));
        }
        loop {
            let now = self.core.clock().mono();
            let next = due.values().copied().min().unwrap_or(Mono(u64::MAX));
            let sleep = next.since(now).min(LONGEST_SLEEP_MS);
            if self.stop.sleep(Duration::from_millis(sleep)) {
                return;
            }
            for (task, at) in &mut due {
                if *at <= self.core.clock().mono() {
                    self.perform(*task);
                    let interval = task.interval_ms(&self.config.load());
                    *at = self.core.clock().mono().plus_ms(interval);
                }
            }
            if let Err(e) = self.keep_cleaners() {
                error!(error = %e, "cannot start a thread of compaction: tried again later");
            }
        }
    }

    fn perform(&self, task: Task) {
        let now = self.core.clock().wall_ms();
        match task {
            Task::Retention => self.remove_old(now),
            Task::Flush => self.flush(now),
            Task::RecoveryPoints => self.each_dir(|dir| dir.files().write_recovery_points()),
            Task::LogStarts => self.each_dir(|dir| dir.files().write_log_starts()),
            Task::HighWatermarks => self.each_dir(|dir| self.write_high_watermarks(dir)),
            Task::Purge => {
                self.each_dir(|dir| dir.files().graveyard().purge(now, PURGE_BATCH).map(drop))
            }
            Task::ProducerExpiry => self.expire_producers(now),
        }
    }

    fn each_dir(&self, act: impl Fn(&Arc<LogDir>) -> Result<(), LogError>) {
        for dir in self.dirs.online() {
            if let Err(e) = act(dir) {
                error!(dir = %dir.path().display(), error = %e, "housekeeping failed");
                dir.judge(&e);
            }
        }
    }

    fn remove_old(&self, now_ms: i64) {
        for partition in self.replicas.all() {
            if self.stop.is_set() {
                return;
            }
            let Target { log, dir } = partition.flush_target();
            match log.delete_old_segments(now_ms) {
                Ok(_) | Err(LogError::Closed) => {}
                Err(e) => {
                    error!(log = %log.name(), error = %e, "cannot remove old segments");
                    dir.judge_of(&log, &e);
                }
            }
        }
    }

    fn flush(&self, now_ms: i64) {
        for partition in self.replicas.all() {
            let target = partition.flush_target();
            if target.log.flush_due(now_ms).is_some() {
                let end = target.log.end_offset();
                self.core.flusher().flush_later(target, end);
            }
        }
    }

    /// Writes the high watermarks of a directory if any moved since.
    fn write_high_watermarks(&self, dir: &Arc<LogDir>) -> Result<(), LogError> {
        let logs = dir.files().logs();
        let mix = |sum: u64, log: &Arc<ottla_log::Log>| {
            sum.rotate_left(5).wrapping_add(log.high_watermark().unsigned_abs())
        };
        let sum = logs.iter().fold(logs.len() as u64, mix);
        if self.written.lock().get(&dir.id()) == Some(&sum) {
            return Ok(());
        }
        dir.files().write_high_watermarks()?;
        self.written.lock().insert(dir.id(), sum);
        Ok(())
    }

    fn expire_producers(&self, now_ms: i64) {
        let all = self.replicas.all();
        let gone: usize = all.iter().map(|p| p.log().remove_expired_producers(now_ms)).sum();
        if gone > 0 {
            debug!(producers = gone, "producers expired");
        }
    }
}

#[cfg(test)]
mod tests;
