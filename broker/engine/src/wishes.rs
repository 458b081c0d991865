//! What the controller is to be told of this node's replicas.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ids::PartitionId;

/// Wishes that wait to be told: at most one a replica, the latest.
#[derive(Debug)]
pub(crate) struct Wishes<W> {
    all: Mutex<BTreeMap<PartitionId, W>>,
    added: Notify,
}

impl<W> Default for Wishes<W> {
    fn default() -> Self {
        Self { all: Mutex::default(), added: Notify::new() }
    }
}

impl<W> Wishes<W> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Adds one, in place of what was wished of this replica before.
    pub(crate) fn put(&self, id: PartitionId, wish: W) {
        self.all.lock().insert(id, wish);
        self.added.notify_one();
    }

    /// Takes the first `most`, which may be none.
    pub(crate) fn take(&self, most: usize) -> BTreeMap<PartitionId, W> {
        let mut all = self.all.lock();
        let rest = all.keys().nth(most).copied();
        let rest = rest.map(|first| all.split_off(&first)).unwrap_or_default();
        std::mem::replace(&mut *all, rest)
    }

    /// Takes the first `most` as soon as there is any.
    pub(crate) async fn next(&self, most: usize) -> BTreeMap<PartitionId, W> {
        loop {
            let some = self.take(most);
            if !some.is_empty() {
                return some;
            }
            self.added.notified().await;
        }
    }

    /// Wishes again what was not told, unless something newer is wished of the replica.
    pub(crate) fn put_back(&self, some: BTreeMap<PartitionId, W>) {
        let mut all = self.all.lock();
        for (id, wish) in some {
            all.entry(id).or_insert(wish);
        }
    }
}
