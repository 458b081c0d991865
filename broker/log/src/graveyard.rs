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
        for (_, remains) in due {
            remains.remove()?;
        }
        Ok(count)
    }
}
