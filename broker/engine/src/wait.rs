//! Parked requests and what wakes them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering, fence};
use std::task::{Context, Poll, Waker};

use ottla_wire::ErrorCode;
use parking_lot::Mutex;

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A follower: to the end of the log.
    Follower,
    /// A consumer that reads uncommitted transactions: to the high watermark.
    Uncommitted,
    /// A consumer that reads committed transactions only: to the last stable offset.
    Committed,
}

/// One parked fetch. It is woken once, when as many bytes came as it lacks, or something happened
/// that it must hear of at once.
#[derive(Debug)]
pub(crate) struct FetchWaiter {
    reader: Reader,
    missing: AtomicI64,
    fired: AtomicBool,
    /// For a follower: the high watermark moved since it was parked.
    nudged: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl FetchWaiter {
    pub(crate) fn new(reader: Reader, missing: usize) -> Arc<Self> {
        let missing = AtomicI64::new(i64::try_from(missing).unwrap_or(i64::MAX));
        let (fired, nudged) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { reader, missing, fired, nudged, waker: Mutex::new(None) })
    }

    /// Whether the high watermark moved, of which a follower is to hear soon, but not at once: most
    /// often records come next, and it hears with them.
    pub(crate) fn nudged(&self) -> bool {
        self.nudged.load(Ordering::Acquire)
    }

    fn nudge(&self) {
        if !self.nudged.swap(true, Ordering::AcqRel)
            && let Some(waker) = &*self.waker.lock()
        {
            waker.wake_by_ref();
        }
    }

    /// Whether it was woken.
    pub(crate) fn fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Registers the task; true if it was woken before that.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        drop(slot);
        self.fired()
    }

    fn credit(&self, bytes: i64) -> bool {
        let before = self.missing.fetch_sub(bytes, Ordering::AcqRel);
        before > bytes || {
            self.fire();
            false
        }
    }

    pub(crate) fn fire(&self) {
        if !self.fired.swap(true, Ordering::AcqRel)
            && let Some(waker) = self.waker.lock().take()
        {
            waker.wake();
        }
    }
}

/// What moved in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The end of the log; the high watermark did not.
    End,
    /// The high watermark, and perhaps the end. The last stable offset did not.
    HighWatermark,
    /// All three, the last stable offset as far as the high watermark.
    Stable,
    /// All three, the last stable offset by what nobody counted: a transaction ended.
    Released,
}

impl Moved {
    fn concerns(self, reader: Reader) -> bool {
        match reader {
            Reader::Follower => true,
            Reader::Uncommitted => self != Self::End,
            Reader::Committed => matches!(self, Self::Stable | Self::Released),
        }
    }
}

/// The fetches parked on one partition. When there are none, an append pays one load.
#[derive(Debug, Default)]
pub(crate) struct FetchWaiters {
    count: AtomicUsize,
    list: Mutex<Vec<Arc<FetchWaiter>>>,
}

impl FetchWaiters {
    /// Adds a waiter. What moved before is not told to it: read again after this.
    pub(crate) fn add(&self, waiter: &Arc<FetchWaiter>) {
        let mut list = self.list.lock();
        list.push(Arc::clone(waiter));
        self.count.store(list.len(), Ordering::SeqCst);
        drop(list);
        // Pairs with the fence in `moved`: either the mover sees the count, or we see the move.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, waiter: &Arc<FetchWaiter>) {
        let mut list = self.list.lock();
        list.retain(|w| !Arc::ptr_eq(w, waiter));
        self.count.store(list.len(), Ordering::SeqCst);
    }

    /// Wakes those who have enough now that the log has `appended` more bytes, of which and of what
    /// was there before `visible` may be read by consumers.
    pub(crate) fn moved(&self, what: Moved, appended: usize, visible: usize) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let bytes = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (appended, visible) = (bytes(appended), bytes(visible));
        let mut list = self.list.lock();
        list.retain(|waiter| {
            if waiter.fired() {
                return false;
            }
            if waiter.reader == Reader::Follower {
                if what != Moved::End {
                    waiter.nudge();
                }
                return appended == 0 || waiter.credit(appended);
            }
            let all = what == Moved::Released && waiter.reader == Reader::Committed;
            !what.concerns(waiter.reader) || waiter.credit(if all { i64::MAX } else { visible })
        });
        self.count.store(list.len(), Ordering::SeqCst);
    }

    /// Wakes all, if there are any.
    pub(crate) fn wake_any(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            self.wake_all();
        }
    }

    /// Wakes all: the partition has a new leader, is gone, or its log was cut.
    pub(crate) fn wake_all(&self) {
        fence(Ordering::SeqCst);
        let mut list = self.list.lock();
        list.drain(..).for_each(|waiter| waiter.fire());
        self.count.store(0, Ordering::SeqCst);
    }
}

/// What became of a wait for acknowledgement.
pub type AckResult = Result<(), ErrorCode>;

#[derive(Debug)]
struct AckState {
    /// Conditions that are not met yet.
    open: u8,
    result: Option<AckResult>,
    waker: Option<Waker>,
}

/// The side of a wait for acknowledgement that answers it.
#[derive(Clone, Debug)]
pub(crate) struct AckWaiter(Arc<Mutex<AckState>>);

impl AckWaiter {
    /// A wait for `conditions` to be met: a high watermark, a flush.
    pub(crate) fn new(conditions: u8) -> Self {
        let state = AckState { open: conditions, result: None, waker: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// One condition is met, or cannot be met any more, which ends the wait.
    pub(crate) fn finish(&self, result: AckResult) {
        let mut state = self.0.lock();
        state.open = state.open.saturating_sub(1);
        if state.result.is_some() || (result.is_ok() && state.open > 0) {
            return;
        }
        state.result = Some(result);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn wait(&self) -> AckWait {
        AckWait(self.clone())
    }
}

/// Resolves when the high watermark has passed an append, or cannot any more because leadership
/// is lost. It knows no time limit: the caller has one for the whole request.
#[derive(Debug)]
pub struct AckWait(AckWaiter);

impl Future for AckWait {
    type Output = AckResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AckResult> {
        let mut state = self.0.0.lock();
        match state.result {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counting() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn a_fetch_wakes_once_when_it_has_enough_of_what_it_may_see() {
        let waiters = FetchWaiters::default();
        let (count, waker) = counting();
        let waiter = FetchWaiter::new(Reader::Uncommitted, 100);
        waiters.add(&waiter);
        assert!(!waiter.register(&waker));
        waiters.moved(Moved::End, 1000, 0);
        waiters.moved(Moved::HighWatermark, 60, 60);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        waiters.moved(Moved::Stable, 40, 40);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(waiter.fired());
        waiters.moved(Moved::Stable, 1000, 1000);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(waiters.list.lock().is_empty());
    }

    #[test]
    fn each_reader_hears_of_its_own_bound() {
        for (reader, heard) in [
            (Reader::Follower, [true, true, true]),
            (Reader::Uncommitted, [false, true, true]),
            (Reader::Committed, [false, false, true]),
        ] {
            for (moved, heard) in
                [Moved::End, Moved::HighWatermark, Moved::Stable].into_iter().zip(heard)
            {
                let waiters = FetchWaiters::default();
                let waiter = FetchWaiter::new(reader, 1);
                waiters.add(&waiter);
                waiters.moved(moved, 1, 1);
                assert_eq!(waiter.fired(), heard, "{reader:?} {moved:?}");
                waiters.wake_all();
                assert!(waiter.fired());
            }
        }
    }

    #[test]
    fn the_end_of_a_transaction_wakes_readers_of_committed_records_for_all_of_it() {
        for (reader, heard) in [(Reader::Uncommitted, false), (Reader::Committed, true)] {
            let waiters = FetchWaiters::default();
            let waiter = FetchWaiter::new(reader, 1000);
            waiters.add(&waiter);
            waiters.moved(Moved::HighWatermark, 900, 900);
            // The marker has few bytes; the records before it are as new to the one reader.
            waiters.moved(Moved::Released, 78, 78);
            assert_eq!(waiter.fired(), heard, "{reader:?}");
        }
    }

    #[test]
    fn a_follower_is_nudged_once_when_the_high_watermark_moves() {
        let waiters = FetchWaiters::default();
        let (count, waker) = counting();
        let waiter = FetchWaiter::new(Reader::Follower, 1);
        waiters.add(&waiter);
        assert!(!waiter.register(&waker));
        waiters.moved(Moved::HighWatermark, 0, usize::MAX);
        waiters.moved(Moved::Stable, 0, usize::MAX);
        assert!(waiter.nudged() && !waiter.fired());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        waiters.moved(Moved::End, 1, 0);
        assert!(waiter.fired());
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_acknowledgement_is_not_lost_whichever_comes_first() {
        let (count, waker) = counting();
        let mut cx = Context::from_waker(&waker);
        let waiter = AckWaiter::new(2);
        waiter.finish(Ok(()));
        let mut wait = waiter.wait();
        assert!(Pin::new(&mut wait).poll(&mut cx).is_pending());
        waiter.finish(Ok(()));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut wait).poll(&mut cx), Poll::Ready(Ok(())));
    }
}
