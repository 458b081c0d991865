//! Moves of partitions between the log directories of this node (AlterReplicaLogDirs).
//!
//! Threads copy, each move in its turn a piece; there are none while nothing moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::entity_keys::throttle::REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND;
use ottla_config::{BrokerConfig, keys};
use ottla_log::LogError;
use parking_lot::{Condvar, Mutex};
use tracing::{error, warn};

use crate::assignments::Assignments;
use crate::dirs::{LogDir, LogDirs};
use crate::error::EngineError;
use crate::partition::{Begun, Copied, Future, Partition};
use crate::publish::Assignment;
use crate::replicas::Replicas;

/// Bytes copied at once; fewer when a slower rate is set, more for a larger batch.
const PIECE: u32 = 1 << 20;

/// The fewest bytes copied at once, however slow.
const SMALLEST_PIECE: u32 = 4 << 10;

/// How long a throttled thread sleeps at most before it looks at the rate again.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// The rest while a log is being compacted.
const BUSY: Duration = Duration::from_millis(20);

struct Move {
    partition: Arc<Partition>,
    future: Arc<Future>,
}

#[derive(Default)]
struct State {
    /// What can be copied from; each move is here, with a thread, or waits for the controller.
    ready: VecDeque<Move>,
    threads: usize,
    stopped: bool,
    debt: Debt,
}

/// Bytes copied faster than the rate allows.
struct Debt {
    bytes: f64,
    as_of: Instant,
}

impl Default for Debt {
    fn default() -> Self {
        Self { bytes: 0.0, as_of: Instant::now() }
    }
}

impl Debt {
    /// How long to wait at `rate` bytes a second before the next piece.
    fn rest(&mut self, rate: f64, now: Instant) -> Option<Duration> {
        let paid = now.saturating_duration_since(self.as_of).as_secs_f64() * rate;
        self.bytes = (self.bytes - paid).max(0.0);
        self.as_of = now;
        let rest = Duration::try_from_secs_f64(self.bytes / rate).unwrap_or(LONGEST_REST);
        (rest > Duration::from_millis(1)).then_some(rest.min(LONGEST_REST))
    }
}

struct Inner {
    dirs: LogDirs,
    config: Arc<ArcSwap<BrokerConfig>>,
    assignments: Arc<Assignments>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The moves of a node.
pub struct Moves {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Moves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Moves({} threads)", self.inner.state.lock().threads)
    }
}

impl Moves {
    /// No moves yet. The rate is read from `config` for each piece.
    #[must_use]
    pub fn new(
        dirs: LogDirs,
        config: Arc<ArcSwap<BrokerConfig>>,
        assignments: Arc<Assignments>,
    ) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { inner: Arc::new(Inner { dirs, config, assignments, state, changed }) })
    }

    /// Begins to move a partition to another of this node's directories. A move of it to elsewhere
    /// is given up; asked for the directory it is in, or moves to, nothing else happens. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// That the partition or the directory is offline.
    pub fn alter(&self, partition: &Arc<Partition>, dir: &Arc<LogDir>) -> Result<(), EngineError> {
        match partition.begin_move(dir, rand::random())? {
            Begun::Yes => self.take_up(partition),
            Begun::Recall => self.inner.recall(partition),
            Begun::No => {}
        }
        Ok(())
    }

    /// Goes on with the moves that a restart interrupted.
    pub fn resume(&self, replicas: &Replicas) {
        replicas.all().iter().for_each(|partition| self.take_up(partition));
    }

    fn take_up(&self, partition: &Arc<Partition>) {
        if let Some(future) = partition.future() {
            self.inner.add(Move { partition: Arc::clone(partition), future });
        }
    }

    /// Lets the threads end, and waits for them. Moves stay as they are on the disk.
    pub fn stop(&self) {
        let mut state = self.inner.state.lock();
        state.stopped = true;
        state.ready.clear();
        self.inner.changed.notify_all();
        while state.threads > 0 {
            self.inner.changed.wait(&mut state);
        }
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn most_threads(&self) -> usize {
        let set = self.config.load().get(keys::NUM_REPLICA_ALTER_LOG_DIRS_THREADS);
        let set = set.and_then(|n| usize::try_from(n).ok());
        set.unwrap_or_else(|| self.dirs.all().len()).max(1)
    }

    fn add(self: &Arc<Self>, one: Move) {
        let mut state = self.state.lock();
        if state.stopped {
            return;
        }
        state.ready.push_back(one);
        if state.threads >= self.most_threads() {
            return;
        }
        let inner = Arc::clone(self);
        let thread = std::thread::Builder::new().name("move".into());
        match thread.spawn(move || inner.work()) {
            Ok(_) => state.threads += 1,
            Err(e) => error!(error = %e, "cannot start a thread for moves"),
        }
    }

    fn work(self: &Arc<Self>) {
        while let Some(one) = self.next() {
            self.step(one);
        }
        self.changed.notify_all();
    }

    /// The next move whose turn it is; `None` ends the thread.
    fn next(&self) -> Option<Move> {
        let mut state = self.state.lock();
        loop {
            if state.stopped || state.ready.is_empty() {
                state.threads -= 1;
                return None;
            }
            let Some(rest) = state.debt.rest(self.rate(), Instant::now()) else {
                return state.ready.pop_front();
            };
            self.changed.wait_for(&mut state, rest);
        }
    }

    fn rate(&self) -> f64 {
        let rate = self.config.load().get(REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND);
        (rate as f64).max(1.0)
    }

    fn piece(&self) -> u32 {
        // Exact up to 2^24, and bounded.
        (self.rate() as u32).clamp(SMALLEST_PIECE, PIECE)
    }

    fn step(self: &Arc<Self>, one: Move) {
        let Move { partition, future } = &one;
        let mut copied = partition.copy_step(future, self.piece());
        if let Ok(Copied::All(bytes)) = copied {
            self.state.lock().debt.bytes += bytes as f64;
            if !future.was_told() {
                self.tell(one);
                return;
            }
            copied = partition.finish_move(future);
        }
        match copied {
            Ok(Copied::Over) => {}
            Ok(Copied::Some(bytes)) => {
                let mut state = self.state.lock();
                state.debt.bytes += bytes as f64;
                self.again(&mut state, one);
            }
            Err(EngineError::Log(LogError::OffsetOutOfRange { .. })) | Ok(Copied::All(_)) => {
                self.again(&mut self.state.lock(), one);
            }
            Ok(Copied::NotYet) => {
                let mut state = self.state.lock();
                self.changed.wait_for(&mut state, BUSY);
                self.again(&mut state, one);
            }
            Err(e) => {
                let (topic, number) = (partition.topic(), partition.id().partition);
                warn!(%topic, partition = number, error = %e, "cannot move a partition");
                if partition.cancel_move(future.dir()) {
                    self.recall(partition);
                }
            }
        }
    }

    fn again(&self, state: &mut State, one: Move) {
        if !state.stopped {
            state.ready.push_back(one);
        }
    }

    /// Tells the controller of the directory; the move goes on when the metadata say so.
    fn tell(self: &Arc<Self>, one: Move) {
        let assignment = Assignment { id: one.partition.id(), dir: one.future.dir().id() };
        let inner = Arc::downgrade(self);
        let assignments = Arc::clone(&self.assignments);
        assignments.tell_then(assignment, move || {
            one.future.set_told();
            if let Some(inner) = inner.upgrade() {
                inner.add(one);
            }
        });
    }

    /// Tells the controller that a partition stays where it is.
    fn recall(&self, partition: &Partition) {
        let dir = partition.dir().id();
        self.assignments.tell(Assignment { id: partition.id(), dir });
    }
}
