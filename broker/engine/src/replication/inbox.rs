//! What a fetcher is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ids::PartitionId;
use crate::partition::Partition;

/// A change of what a fetcher follows.
#[derive(Debug)]
pub(super) enum Change {
    /// This partition, in this leader epoch; in place of what it was told of it before.
    Add(Arc<Partition>, i32),
    /// Not this one any more.
    Remove(PartitionId),
}

/// Changes in their order. Bounded by the metadata: the fetcher takes all at once.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    changes: Mutex<Vec<Change>>,
    stopped: AtomicBool,
    changed: Notify,
    ends: Notify,
}

impl Inbox {
    pub(super) fn push(&self, change: Change) {
        let mut changes = self.changes.lock();
        changes.push(change);
        let first = changes.len() == 1;
        drop(changes);
        if first {
            self.changed.notify_one();
        }
    }

    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.lock().is_empty()
    }

    /// Has the fetcher end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.changed.notify_one();
        self.ends.notify_one();
    }

    /// Resolves when the fetcher is told to end.
    pub(super) async fn until_stopped(&self) {
        if !self.is_stopped() {
            self.ends.notified().await;
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
