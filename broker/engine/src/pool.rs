//! Threads for what may wait for a disk: cold reads, flushes, deletions, cleaning, loading, ticks.
//!
//! In a simulation there are none: each job is a task, which waits as long as a disk may take.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use ottla_quorum::simulated;
use parking_lot::{Condvar, Mutex};
use tracing::error;

type Job = Box<dyn FnMut() -> Turn + Send>;

/// What a job says when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has more to do, when all that wait now had their turn.
    More,
    /// It is done.
    Done,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    stopped: bool,
}

struct Inner {
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// A fixed number of threads and one queue. The queue is bounded by what feeds it: each parked
/// fetch, shard and log has at most one job in it. Dropping it waits for the jobs that run and
/// drops those that do not.
pub struct Pool {
    inner: Arc<Inner>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads)", self.threads.len())
    }
}

impl Pool {
    /// Starts `threads` threads called `name`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let inner = Arc::new(Inner { queue: Mutex::default(), filled: Condvar::new() });
        let mut this = Self { inner, threads: Vec::new() };
        if simulated::is_on() {
            return Ok(this);
        }
        for index in 0..threads.max(1) {
            let inner = Arc::clone(&this.inner);
            let builder = std::thread::Builder::new().name(format!("{name}-{index}"));
            this.threads.push(builder.spawn(move || run(&inner))?);
        }
        Ok(this)
    }

    /// Queues a job.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let mut job = Some(job);
        self.spawn_turns(move || {
            if let Some(job) = job.take() {
                job();
            }
            Turn::Done
        });
    }

    /// Queues a job that gives way to others between its turns.
    pub fn spawn_turns(&self, job: impl FnMut() -> Turn + Send + 'static) {
        if self.threads.is_empty() {
            simulated::spawn(simulate(job));
            return;
        }
        self.inner.queue.lock().jobs.push_back(Box::new(job));
        self.inner.filled.notify_one();
    }

    /// Jobs that have not begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.queue.lock().jobs.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.inner.queue.lock();
        queue.stopped = true;
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        drop(jobs);
        self.inner.filled.notify_all();
        let here = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|t| t.thread().id() != here) {
            let _ = thread.join();
        }
    }
}

/// A job without a thread, in turns.
async fn simulate(mut job: impl FnMut() -> Turn + Send) {
    simulated::disk().await;
    while job() == Turn::More {
        simulated::disk().await;
    }
}

fn run(inner: &Inner) {
    loop {
        let mut queue = inner.queue.lock();
        let mut job = loop {
            if queue.stopped {
                return;
            }
            match queue.jobs.pop_front() {
                Some(job) => break job,
                None => inner.filled.wait(&mut queue),
            }
        };
        drop(queue);
        match catch_unwind(AssertUnwindSafe(&mut job)) {
            Ok(Turn::More) => {
                let mut queue = inner.queue.lock();
                if !queue.stopped {
                    queue.jobs.push_back(job);
                }
            }
            Ok(Turn::Done) => {}
            Err(_) => error!("a background job panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_run_and_a_panic_ends_only_its_own() {
        let pool = Pool::start("test", 2).unwrap();
        let (send, receive) = mpsc::channel();
        pool.spawn(|| panic!("on purpose"));
        for i in 0..10 {
            let send = send.clone();
            pool.spawn(move || send.send(i).unwrap());
        }
        let limit = Duration::from_secs(5);
        let mut got: Vec<_> = (0..10).map(|_| receive.recv_timeout(limit).unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_of_many_turns_gives_way_to_others() {
        let pool = Pool::start("test", 1).unwrap();
        let (send, receive) = mpsc::channel();
        let (begin, begun) = mpsc::channel::<()>();
        let told = send.clone();
        let mut turns = 0;
        pool.spawn_turns(move || {
            if turns == 0 {
                begun.recv().unwrap();
            }
            turns += 1;
            told.send(turns).unwrap();
            if turns < 3 { Turn::More } else { Turn::Done }
        });
        pool.spawn(move || send.send(100).unwrap());
        begin.send(()).unwrap();
        assert_eq!(receive.iter().collect::<Vec<_>>(), [1, 100, 2, 3]);
    }
}
