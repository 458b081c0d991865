//! The thread that flushes the metadata log: appends that wait together share one flush.

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
use crate::types::TypeConfig;

/// Most appends that wait for one flush.
const MAX_WAITING: usize = 1024;

/// How long it may take until a loss of power cannot take what was noted of a flush.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// The flushing thread. It ends when this is dropped and all appends are answered.
pub(crate) struct Flusher {
    queue: Mutex<Option<SyncSender<IOFlushed<TypeConfig>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let (queue, waiting) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("quorum-flush".to_owned())
            .spawn(move || run(&log, &reached, &waiting, clock))
            .map_err(|e| QuorumError::Stopped(format!("no thread for flushing: {e}")))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Answers when everything appended so far is durable.
    pub(crate) fn flush(&self, done: IOFlushed<TypeConfig>) {
        let refused = match &*self.queue.lock() {
            None => Some(done),
            Some(queue) => queue.send(done).err().map(|e| e.0),
        };
        if let Some(done) = refused {
            done.io_completed(Err(std::io::Error::other("the metadata log is closed")));
        }
    }

    /// Answers what waits and ends the thread.
    pub(crate) fn stop(&self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that flushes the metadata log panicked");
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(log: &Log, reached: &Reached, waiting: &Receiver<IOFlushed<TypeConfig>>, clock: Clock) {
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
                let flushed = log
                    .flush(i64::MAX, clock())
                    .map_err(QuorumError::from)
                    .and_then(|_| reached.note(|| log.recovery_point()));
                for done in batch {
                    let result = match &flushed {
                        Ok(()) => Ok(()),
                        Err(e) => Err(std::io::Error::other(e.to_string())),
                    };
                    done.io_completed(result);
                }
                unsettled.get_or_insert_with(Instant::now);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if unsettled.is_some_and(|since| since.elapsed() >= SETTLE) {
            unsettled = None;
            if let Err(e) = reached.settle() {
                tracing::error!("how far the metadata log was flushed is not known for sure: {e}");
            }
        }
    }
}
