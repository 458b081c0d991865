//! Where connections live: one single-threaded runtime a thread. A connection stays where it was put, so that no work
//! moves between cores and waking a neighbour on the same thread costs no system call.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::stats::NetStats;

/// A place for connections, with its own counters.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Spawns tasks there.
    pub handle: Handle,
    /// Its counters.
    pub stats: Arc<NetStats>,
}

/// The threads that connections live on. They stop when this is dropped.
#[derive(Debug)]
pub struct Runtimes {
    workers: Vec<Worker>,
    next: AtomicUsize,
    /// Threads go on until it is dropped.
    alive: Option<watch::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Runtimes {
    /// Starts this many threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(threads: usize) -> io::Result<Self> {
        let mut this = Self {
            workers: Vec::new(),
            next: AtomicUsize::new(0),
            alive: Some(watch::channel(()).0),
            threads: Vec::new(),
        };
        for index in 0..threads.max(1) {
            this.start_thread(index)?;
        }
        Ok(this)
    }

    fn start_thread(&mut self, index: usize) -> io::Result<()> {
        let mut builder = Builder::new_current_thread();
        // A busy thread whose sockets are always ready never sleeps, and keeps its core until the scheduler's next tick,
        // milliseconds later; the peers that it would read from wait beside it meanwhile.
        builder.enable_all().on_thread_park(rustix::thread::sched_yield);
        let runtime = builder.build()?;
        self.workers.push(Worker { handle: runtime.handle().clone(), stats: Arc::default() });
        let alive = self.alive.as_ref().map(watch::Sender::subscribe);
        let run = move || {
            // It tells nothing but its end, however late this thread begins to wait for that.
            if let Some(mut alive) = alive {
                let _ = runtime.block_on(alive.changed());
            }
            runtime.shutdown_timeout(Duration::ZERO);
        };
        let thread = std::thread::Builder::new().name(format!("net-{index}")).spawn(run)?;
        self.threads.push(thread);
        Ok(())
    }

    /// The worker for the next connection, in turn.
    pub fn next(&self) -> &Worker {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        &self.workers[index]
    }

    /// All workers.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// Runs a task of the network's own (accepting, reaping).
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers[0].handle.spawn(task)
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        self.alive = None;
        let here = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|t| t.thread().id() != here) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads that have not begun to wait for their end when it comes end all the same.
    #[test]
    fn what_ends_as_it_begins_ends() {
        for _ in 0..200 {
            drop(Runtimes::start(4).unwrap());
        }
    }
}
