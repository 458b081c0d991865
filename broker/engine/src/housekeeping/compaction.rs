//! Compaction: which log next, and how fast.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_config::{BrokerConfig, keys};
use ottla_log::clean::{Cleaner, Go, Governor};
use ottla_log::plan::clean::Dirt;
use parking_lot::Mutex;
use tracing::{error, info};

use super::{House, Stop};
use crate::flush::Target;
use crate::ids::PartitionId;
use crate::partition::Partition;

/// The logs that cannot be compacted.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<Marks>);

#[derive(Debug, Default)]
struct Marks {
    /// Those where it failed; they are left alone until a restart, as Kafka does.
    failed: BTreeSet<PartitionId>,
}

/// What one cleaner is given of the memory for keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    bytes: usize,
    load_factor: f64,
}

impl Share {
    pub(super) fn of(config: &BrokerConfig) -> Self {
        let bytes = usize::try_from(config.get(keys::LOG_CLEANER_DEDUPE_BUFFER_SIZE));
        Self {
            bytes: bytes.unwrap_or(usize::MAX) / cleaners(config).max(1),
            load_factor: config.get(keys::LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        }
    }

    pub(super) fn cleaner(self) -> Cleaner {
        Cleaner::new(self.bytes, self.load_factor)
    }
}

/// How many threads compaction is to have.
fn cleaners(config: &BrokerConfig) -> usize {
    if config.get(keys::LOG_CLEANER_ENABLE) {
        usize::try_from(config.get(keys::LOG_CLEANER_THREADS)).unwrap_or(1)
    } else {
        0
    }
}

impl House {
    /// Starts the threads that are wanted and do not run. Those that are too many end by themselves.
    pub(super) fn keep_cleaners(self: &Arc<Self>) -> io::Result<()> {
        let wanted = cleaners(&self.config.load());
        let mut running = self.cleaners.lock();
        running.retain(|_, thread| !thread.is_finished());
        for number in 0..wanted {
            if let Entry::Vacant(place) = running.entry(number) {
                let house = Arc::clone(self);
                let builder = std::thread::Builder::new().name(format!("cleaner-{number}"));
                place.insert(builder.spawn(move || house.compact_for_ever(number))?);
            }
        }
        Ok(())
    }

    fn compact_for_ever(&self, number: usize) {
        let mut share = Share::of(&self.config.load());
        let mut cleaner = share.cleaner();
        loop {
            let config = self.config.load();
            if number >= cleaners(&config) || self.stop.is_set() {
                return;
            }
            if Share::of(&config) != share {
                share = Share::of(&config);
                cleaner = share.cleaner();
            }
            if self.compact_one(&mut cleaner) {
                continue;
            }
            let rest = config.get(keys::LOG_CLEANER_BACKOFF_MS);
            let rest = Duration::from_millis(u64::try_from(rest).unwrap_or(0).max(1));
            if self.stop.sleep(rest) {
                return;
            }
        }
    }

    /// Compacts the log that needs it most. False if none needs it.
    pub(super) fn compact_one(&self, cleaner: &mut Cleaner) -> bool {
        let Some((partition, dirt)) = self.dirtiest() else { return false };
        self.compact(cleaner, &partition, &dirt);
        partition.end_compaction();
        true
    }

    /// The log with the largest dirty share among those that are due; marked as busy.
    fn dirtiest(&self) -> Option<(Arc<Partition>, Dirt)> {
        let now = self.core.clock().wall_ms();
        let marks = self.compacting.0.lock();
        let mut best: Option<(Arc<Partition>, Dirt)> = None;
        for partition in self.replicas.all() {
            let Target { log, dir } = partition.flush_target();
            let id = partition.id();
            let settings = log.settings();
            let can = partition.can_compact() && !marks.failed.contains(&id);
            if !settings.cleanup.compacts() || !can {
                continue;
            }
            let point = dir.files().cleaner_point(log.name());
            let dirt = match log.dirt(point, now) {
                Ok(dirt) => dirt,
                Err(e) => {
                    dir.judge_of(&log, &e);
                    continue;
                }
            };
            let better = best.as_ref().is_none_or(|(_, b)| dirt.ratio() > b.ratio());
            if dirt.is_due(&settings) && better {
                best = Some((partition, dirt));
            }
        }
        best.filter(|(partition, _)| partition.begin_compaction())
    }

    fn compact(&self, cleaner: &mut Cleaner, partition: &Arc<Partition>, dirt: &Dirt) {
        let Target { log, dir } = partition.flush_target();
        let rate = self.config.load().get(keys::LOG_CLEANER_IO_MAX_BYTES_PER_SECOND);
        let mut throttle = Throttle::new(rate, &self.stop);
        let now = self.core.clock().wall_ms();
        if dir.files().cleaner_point(log.name()).is_none()
            && let Err(e) = dir.files().set_cleaner_point(&log, dirt.first_dirty)
        {
            // Without it recovery would take the gaps that come now for losses.
            return dir.judge(&e);
        }
        match cleaner.clean(&log, dirt, now, &mut throttle) {
            Ok(Some(report)) => {
                info!(
                    log = %log.name(),
                    up_to = report.end_offset,
                    bytes_before = report.bytes_before,
                    bytes_after = report.bytes_after,
                    "log compacted"
                );
                if let Err(e) = dir.files().set_cleaner_point(&log, report.end_offset) {
                    dir.judge(&e);
                }
            }
            Err(e) if e.is_out_of_resources() => {
                dir.judge_of(&log, &e);
                self.stop.sleep(Duration::from_millis(100));
            }
            // Stopped, or the log changed meanwhile: it is looked at again.
            Ok(None) => {
                self.stop.sleep(Duration::from_millis(10));
            }
            Err(e) => {
                error!(log = %log.name(), error = %e, "cannot compact: left alone from here on");
                dir.judge_of(&log, &e);
                self.compacting.0.lock().failed.insert(partition.id());
            }
        }
    }
}

/// Keeps to `log.cleaner.io.max.bytes.per.second`, and ends a compaction at shutdown.
#[derive(Debug)]
struct Throttle<'a> {
    rate: f64,
    begin: Instant,
    spent: f64,
    stop: &'a Stop,
}

impl<'a> Throttle<'a> {
    fn new(rate: f64, stop: &'a Stop) -> Self {
        Self { rate, begin: Instant::now(), spent: 0.0, stop }
    }
}

impl Governor for Throttle<'_> {
    fn spent(&mut self, bytes: u64) -> Go {
        let bytes = bytes as f64;
        self.spent += bytes;
        let ahead = self.spent / self.rate - self.begin.elapsed().as_secs_f64();
        let stopped = match Duration::try_from_secs_f64(ahead) {
            Ok(ahead) if ahead > Duration::from_millis(1) => self.stop.sleep(ahead),
            _ => self.stop.is_set(),
        };
        if stopped { Go::Stop } else { Go::On }
    }
}
