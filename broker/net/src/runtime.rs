//! Where connections live: the one place that decides it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

use crate::stats::NetStats;

/// How connections are spread over threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeKind {
    /// One single-threaded runtime a thread; a connection stays where it was put. No work moves
    /// between cores, and waking a neighbour on the same thread costs no system call.
    PerThread {
        /// How many.
        threads: usize,
    },
    /// One runtime whose threads steal work from each other.
    Stealing {
        /// How many threads.
        threads: usize,
    },
}

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
    stop: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
    stealing: Option<Runtime>,
}

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(kind: RuntimeKind) -> io::Result<Self> {
        let mut this = Self {
            workers: Vec::new(),
            next: AtomicUsize::new(0),
            stop: Arc::new(Notify::new()),
            threads: Vec::new(),
            stealing: None,
        };
        match kind {
            RuntimeKind::PerThread { threads } => {
                for index in 0..threads.max(1) {
                    this.start_thread(index)?;
                }
            }
            RuntimeKind::Stealing { threads } => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(threads.max(1)).thread_name("net").enable_all();
                let runtime = builder.build()?;
                this.add(runtime.handle().clone());
                this.stealing = Some(runtime);
            }
        }
        Ok(this)
    }

    fn add(&mut self, handle: Handle) {
        self.workers.push(Worker { handle, stats: Arc::default() });
    }

    fn start_thread(&mut self, index: usize) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        self.add(runtime.handle().clone());
        let stop = Arc::clone(&self.stop);
        let run = move || {
            runtime.block_on(stop.notified());
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
        // A permit each, so that one that is not waiting yet finds it.
        for _ in &self.threads {
            self.stop.notify_one();
        }
        let here = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|t| t.thread().id() != here) {
            let _ = thread.join();
        }
        if let Some(runtime) = self.stealing.take() {
            runtime.shutdown_background();
        }
    }
}
