//! The bound on memory held by requests in flight, over all connections (`queued.max.request.bytes`
//! in Kafka's words, KIP-72).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Waker};

use std::sync::Mutex;

/// Counts bytes of requests in flight. Like Kafka's it is not strict: a request may start while
/// anything is left, so that the bound is exceeded by at most one request a connection under way.
#[derive(Debug)]
pub struct MemoryPool {
    limit: AtomicI64,
    used: AtomicI64,
    waiting: Mutex<BTreeMap<u64, Waker>>,
}

impl MemoryPool {
    /// A pool of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        let limit = AtomicI64::new(i64::try_from(limit).unwrap_or(i64::MAX));
        Arc::new(Self { limit, used: AtomicI64::new(0), waiting: Mutex::new(BTreeMap::new()) })
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        u64::try_from(self.used.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Changes the limit; requests under way keep what they have.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(i64::try_from(limit).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.wake();
    }

    /// Whether another request may start.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used.load(Ordering::SeqCst) < self.limit.load(Ordering::Relaxed)
    }

    /// Whether another request may start; if not, the task of `id` is woken when one may.
    pub fn poll_room(&self, id: u64, cx: &Context<'_>) -> bool {
        if self.has_room() {
            return true;
        }
        self.lock().insert(id, cx.waker().clone());
        // Someone may have given back between the test and the insertion.
        self.has_room()
    }

    /// Forgets a waiting connection that is gone.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// Takes `bytes`, beyond the limit if need be: for what was read already.
    #[must_use]
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.used.fetch_add(bytes, Ordering::SeqCst);
        Charge { pool: Arc::clone(self), bytes }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        for waker in waiting.into_values() {
            waker.wake();
        }
    }
}

/// Bytes taken from a [`MemoryPool`], given back when dropped.
#[derive(Debug)]
pub struct Charge {
    pool: Arc<MemoryPool>,
    bytes: i64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.pool.used.fetch_sub(self.bytes, Ordering::SeqCst);
        let limit = self.pool.limit.load(Ordering::Relaxed);
        if before >= limit && before - self.bytes < limit {
            self.pool.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_full_pool_makes_wait_and_wakes_once_there_is_room() {
        let pool = MemoryPool::new(100);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let a = pool.charge(60);
        assert!(pool.poll_room(1, &cx));
        let b = pool.charge(60);
        assert!(!pool.poll_room(1, &cx));
        assert!(!pool.poll_room(1, &cx));
        let c = pool.charge(60);
        drop(a);
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "still full");
        drop(b);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        drop(c);
        assert_eq!(pool.used(), 0);
    }
}
