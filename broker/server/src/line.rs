//! Keeps what one connection has appended in the order of its requests, where some have to wait
//! before they may append: a batch that overtakes another of its producer is out of order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The requests of one connection that wait to append. When nobody waits it costs a load.
#[derive(Debug, Default)]
pub struct Line {
    waiting: AtomicUsize,
    /// Tells when the last of those who wait is done.
    last: Mutex<Option<oneshot::Receiver<()>>>,
}

/// A place in the line; the next one comes when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    line: Arc<Line>,
    before: Option<oneshot::Receiver<()>>,
    /// Dropped with the place.
    _next: oneshot::Sender<()>,
}

impl Line {
    /// Whether nobody waits. Requests of a connection begin one after the other, so that it stays
    /// so until this one joins.
    pub(crate) fn is_free(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Joins the line behind all who wait.
    pub(crate) fn join(self: &Arc<Self>) -> Place {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let (next, done) = oneshot::channel();
        let before = self.last.lock().replace(done);
        Place { line: Arc::clone(self), before, _next: next }
    }
}

impl Place {
    /// Resolves when all who came before are done.
    pub(crate) async fn turn(&mut self) {
        if let Some(before) = self.before.take() {
            // It is never sent anything, only dropped.
            let _ = before.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_of_joining() {
        let line = Arc::new(Line::default());
        assert!(line.is_free());
        let mut places: Vec<_> = (0..3).map(|_| line.join()).collect();
        assert!(!line.is_free());
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        // The last begins to wait first.
        for (number, mut place) in (0..3).zip(places.drain(..)).rev() {
            let done = Arc::clone(&done);
            tasks.push(tokio::spawn(async move {
                place.turn().await;
                done.lock().push(number);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*done.lock(), [0, 1, 2]);
        assert!(line.is_free());
        line.join().turn().await;
    }
}
