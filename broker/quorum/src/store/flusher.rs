//! The thread that flushes the metadata log: appends that wait together share one flush. In a simulation there is no
//! thread, and tasks do it.

mod tasks;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use ottla_log::Log;
use parking_lot::Mutex;

use super::Reached;
use crate::Clock;
use crate::error::QuorumError;
use crate::simulated;
use crate::types::TypeConfig;
use tasks::Tasks;

/// Most appends that wait for one flush.
const MAX_WAITING: usize = 1024;

/// How long it may take until a loss of power cannot take what was noted of a flush.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// Who flushes. It ends when this is dropped and all appends are answered.
pub(crate) struct Flusher(By);

enum By {
    Thread {
        queue: Mutex<Option<SyncSender<IOFlushed<TypeConfig>>>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    Tasks(Arc<Tasks>),
}

impl std::fmt::Debug for Flusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flusher")
    }
}

impl Flusher {
    pub(crate) fn start(
        log: Arc<Log>,
        reached: Arc<Reached>,
        clock: Clock,
    ) -> Result<Self, QuorumError> {
        let work = Work { log, reached, clock };
        if simulated::is_on() {
            return Ok(Self(By::Tasks(Tasks::new(work))));
        }
        let (queue, waiting) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("quorum-flush".to_owned())
            .spawn(move || run(&work, &waiting))
            .map_err(|e| QuorumError::Stopped(format!("no thread for flushing: {e}")))?;
        let (queue, thread) = (Mutex::new(Some(queue)), Mutex::new(Some(thread)));
        Ok(Self(By::Thread { queue, thread }))
    }

    /// Answers when everything appended so far is durable.
    pub(crate) fn flush(&self, done: IOFlushed<TypeConfig>) {
        let refused = match &self.0 {
            By::Thread { queue, .. } => match &*queue.lock() {
                None => Some(done),
                Some(queue) => queue.send(done).err().map(|e| e.0),
            },
            By::Tasks(tasks) => tasks.flush(done),
        };
        if let Some(done) = refused {
            done.io_completed(Err(std::io::Error::other("the metadata log is closed")));
        }
    }

    /// Answers what waits and ends the thread.
    pub(crate) fn stop(&self) {
        match &self.0 {
            By::Thread { queue, thread } => {
                drop(queue.lock().take());
                if let Some(thread) = thread.lock().take()
                    && thread.join().is_err()
                {
                    tracing::error!("the thread that flushes the metadata log panicked");
                }
            }
            By::Tasks(tasks) => tasks.stop(),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What there is to flush.
struct Work {
    log: Arc<Log>,
    reached: Arc<Reached>,
    clock: Clock,
}

impl Work {
    /// Flushes the log, and answers those who waited for it.
    fn flush(&self, waiting: Vec<IOFlushed<TypeConfig>>) {
        let flushed = self
            .log
            .flush(i64::MAX, (self.clock)())
            .map_err(QuorumError::from)
            .and_then(|_| self.reached.note(|| self.log.recovery_point()));
        for done in waiting {
            let result = match &flushed {
                Ok(()) => Ok(()),
                Err(e) => Err(std::io::Error::other(e.to_string())),
            };
            done.io_completed(result);
        }
    }

    /// Makes what was noted of flushes outlast a loss of power.
    fn settle(&self) {
        if let Err(e) = self.reached.settle() {
            tracing::error!("how far the metadata log was flushed is not known for sure: {e}");
        }
    }
}

fn run(work: &Work, waiting: &Receiver<IOFlushed<TypeConfig>>) {
    // Since when there is something noted that a loss of power could take.
    let mut unsettled: Option<Instant> = None;
    loop {
        let first = match unsettled {
            None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => waiting.recv_timeout(SETTLE.saturating_sub(since.elapsed())),
        };
        match first {
            Ok(first) => {
                let mut batch = vec![first];
                batch.extend(waiting.try_iter().take(MAX_WAITING));
                work.flush(batch);
                unsettled.get_or_insert_with(Instant::now);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if unsettled.is_some_and(|since| since.elapsed() >= SETTLE) {
            unsettled = None;
            work.settle();
        }
    }
}
