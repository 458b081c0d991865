//! Files that are no longer part of a log and are removed a while later, so that readers which
//! found them just before can finish.

use std::collections::VecDeque;
use std::fmt::Debug;

use parking_lot::Mutex;

use crate::error::Result;

/// Something whose files are to be removed.
pub(crate) trait Remains: Send + Sync + Debug {
    /// Removes the files; those that are gone already are skipped.
    fn remove(&self) -> Result<()>;
}

/// What waits to be removed, shared by the logs of a directory.
#[derive(Debug, Default)]
pub struct Graveyard {
    waiting: Mutex<VecDeque<(i64, Box<dyn Remains>)>>,
}

impl Graveyard {
    /// Adds files to be removed at `due_ms`.
    pub(crate) fn bury(&self, due_ms: i64, remains: impl Remains + 'static) {
        self.waiting.lock().push_back((due_ms, Box::new(remains)));
    }

    /// Number of things that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next removal is due, milliseconds since 1970.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.waiting.lock().iter().map(|(due, _)| *due).min()
    }

    /// Removes what is due, at most `limit` things; returns how many. Blocks on the disk.
    pub fn purge(&self, now_ms: i64, limit: usize) -> Result<usize> {
        let mut due = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            for _ in 0..waiting.len() {
                let Some(item) = waiting.pop_front() else { break };
                if item.0 <= now_ms && due.len() < limit {
                    due.push(item);
                } else {
                    waiting.push_back(item);
                }
            }
        }
        let count = due.len();
        let mut due = due.into_iter();
        while let Some(item) = due.next() {
            if let Err(e) = item.1.remove() {
                // They are tried again.
                self.waiting.lock().extend(std::iter::once(item).chain(due));
                return Err(e);
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::LogError;

    #[derive(Debug)]
    struct Stubborn(Arc<AtomicUsize>);

    impl Remains for Stubborn {
        fn remove(&self) -> Result<()> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err(LogError::Closed),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn what_cannot_be_removed_is_tried_again() {
        let (graveyard, tries) = (Graveyard::default(), Arc::default());
        (0..3).for_each(|_| graveyard.bury(5, Stubborn(Arc::clone(&tries))));
        assert!(graveyard.purge(5, 10).is_err());
        assert_eq!(graveyard.len(), 3);
        assert_eq!(graveyard.purge(5, 10).expect("purge"), 3);
        assert!(graveyard.is_empty());
    }
}
