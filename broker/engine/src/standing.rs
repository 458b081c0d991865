//! What a follower's fetch session knows between its requests, so that partitions where nothing
//! happens cost nothing, neither when a request comes nor when it has waited in vain.
//!
//! Each partition of the session has a [`Watcher`], for as long as it is in it. Whatever happens
//! to the partition stirs its watcher, which tells the session which one it was, and the request
//! that waits, if there is one, that something came. A partition of which there is nothing to tell
//! is let rest: from then on a request looks at it only when it was stirred. That the follower goes
//! on asking for it is what the session's [`Pulse`] says; its leader reads it before its log grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use arc_swap::ArcSwapOption;
use ottla_machine::Mono;
use ottla_replica::session::Key;
use parking_lot::Mutex;

use crate::wait::{FetchWaiter, Moved};

/// When the requests of a session came last.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    pub(crate) fn beat(&self, now: Mono) {
        self.0.fetch_max(now.0, Ordering::AcqRel);
    }

    pub(crate) fn last(&self) -> Mono {
        Mono(self.0.load(Ordering::Acquire))
    }
}

/// The session's side: what was stirred, and which request waits.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pulse: Arc<Pulse>,
    stirred: Mutex<Vec<Key>>,
    waiting: ArcSwapOption<FetchWaiter>,
}

impl Standing {
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Those that were stirred since, each at most once unless it was let rest meanwhile.
    pub(crate) fn take_stirred(&self) -> Vec<Key> {
        std::mem::take(&mut *self.stirred.lock())
    }

    /// From here on `waiter` hears of what comes. What came before is not told to it: look again.
    pub(crate) fn wait(&self, waiter: &Arc<FetchWaiter>) {
        self.waiting.store(Some(Arc::clone(waiter)));
        // Pairs with the fence of those who stir: either they see the waiter, or we what moved.
        fence(Ordering::SeqCst);
    }

    /// It waits no more. Another one, that waits by now, stays.
    pub(crate) fn end_wait(&self, waiter: &Arc<FetchWaiter>) {
        self.waiting.compare_and_swap(&Some(Arc::clone(waiter)), None);
    }
}

/// One partition's side.
#[derive(Debug)]
pub(crate) struct Watcher {
    key: Key,
    /// Whether the session knows that it must look at the partition: its list of those that were
    /// stirred names it, or it has not let it rest.
    stirred: AtomicBool,
    standing: Arc<Standing>,
}

impl Watcher {
    /// One that is stirred.
    pub(crate) fn new(key: Key, standing: &Arc<Standing>) -> Arc<Self> {
        Arc::new(Self { key, stirred: AtomicBool::new(true), standing: Arc::clone(standing) })
    }

    /// Something happened that the next request must look at. Comes after what happened, and after
    /// a fence.
    pub(crate) fn stir(&self) {
        if self.stirred.load(Ordering::Acquire) {
            return;
        }
        let mut stirred = self.standing.stirred.lock();
        if !self.stirred.load(Ordering::Acquire) {
            stirred.push(self.key.clone());
            // Behind the push: who sees this and wakes the request has it find the partition.
            self.stirred.store(true, Ordering::Release);
        }
    }

    /// Something moved, and the log has `appended` more bytes.
    pub(crate) fn moved(&self, what: Moved, appended: i64) {
        self.stir();
        if let Some(waiter) = &*self.standing.waiting.load() {
            waiter.follow(what, appended);
        }
    }

    /// Something happened of which a request that waits must hear at once.
    pub(crate) fn wake(&self) {
        self.stir();
        if let Some(waiter) = &*self.standing.waiting.load() {
            waiter.fire();
        }
    }

    /// Lets the partition rest if `rests` says so, which looks whether anything happened since it
    /// was looked at last. What happens after that look stirs.
    pub(crate) fn rest_if(&self, rests: impl FnOnce() -> bool) -> bool {
        self.stirred.store(false, Ordering::Release);
        // Pairs with the fence of those who stir: either they see this, or `rests` what they did.
        fence(Ordering::SeqCst);
        let rests = rests();
        if !rests {
            self.stirred.store(true, Ordering::Release);
        }
        rests
    }
}

#[cfg(test)]
mod tests {
    use ottla_replica::session::Topic;

    use super::*;
    use crate::wait::{FetchWaiters, Reader};

    fn key(partition: i32) -> Key {
        Key { topic: Topic::Name("t".into()), partition }
    }

    #[test]
    fn what_rests_is_named_once_when_something_happens() {
        let (standing, waiters) = (Arc::new(Standing::default()), FetchWaiters::default());
        let watcher = Watcher::new(key(3), &standing);
        waiters.watch(&watcher);
        waiters.moved(Moved::End, 10, 0);
        assert_eq!(standing.take_stirred(), [], "it does not rest");
        assert!(!watcher.rest_if(|| false));
        waiters.moved(Moved::End, 10, 0);
        assert_eq!(standing.take_stirred(), []);
        assert!(watcher.rest_if(|| true));
        waiters.moved(Moved::End, 10, 0);
        waiters.wake_all();
        waiters.stir();
        assert_eq!(standing.take_stirred(), [key(3)]);
        assert!(watcher.rest_if(|| true));
        waiters.stir();
        assert_eq!(standing.take_stirred(), [key(3)]);
        waiters.unwatch(&watcher);
        assert!(watcher.rest_if(|| true));
        waiters.wake_all();
        assert_eq!(standing.take_stirred(), []);
    }

    #[test]
    fn the_request_that_waits_hears_of_all_partitions() {
        let standing = Arc::new(Standing::default());
        let partitions = [FetchWaiters::default(), FetchWaiters::default()];
        for (n, waiters) in (0..).zip(&partitions) {
            let watcher = Watcher::new(key(n), &standing);
            waiters.watch(&watcher);
            assert!(watcher.rest_if(|| true));
        }
        let waiter = FetchWaiter::new(Reader::Follower, 100);
        standing.wait(&waiter);
        partitions[0].moved(Moved::HighWatermark, 0, usize::MAX);
        assert!(waiter.nudged() && !waiter.fired());
        partitions[0].moved(Moved::End, 60, 0);
        assert!(!waiter.fired());
        partitions[1].moved(Moved::End, 60, 0);
        assert!(waiter.fired());
        assert_eq!(standing.take_stirred(), [key(0), key(1)]);
        // Another one waits: what the first does concerns it no more.
        let second = FetchWaiter::new(Reader::Follower, 1);
        standing.wait(&second);
        standing.end_wait(&waiter);
        partitions[1].wake_all();
        assert!(second.fired());
        standing.end_wait(&second);
        assert!(standing.waiting.load().is_none());
    }

    /// One thread lets a counter rest when it has seen all of it, another one counts: what is
    /// counted is seen.
    #[test]
    fn nothing_is_lost_between_looking_and_resting() {
        let (standing, waiters) = (Arc::new(Standing::default()), FetchWaiters::default());
        let watcher = Watcher::new(key(0), &standing);
        waiters.watch(&watcher);
        let count = AtomicU64::new(0);
        let last = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=last {
                    count.store(n, Ordering::Relaxed);
                    waiters.moved(Moved::End, 1, 0);
                }
            });
            let (mut seen, mut looks, mut rests) = (0, true, 0);
            let begun = std::time::Instant::now();
            while seen < last {
                if looks {
                    seen = count.load(Ordering::Relaxed);
                    looks = !watcher.rest_if(|| count.load(Ordering::Relaxed) == seen);
                    rests += u64::from(!looks);
                } else {
                    looks = !standing.take_stirred().is_empty();
                }
                assert!(begun.elapsed().as_secs() < 60, "seen {seen}, {rests} rests");
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), last);
    }
}
