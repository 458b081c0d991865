//! Directories of new logs, made when they have begun to serve.
//!
//! A topic is there for all who ask as soon as its replicas are known, and waits for no disk: the
//! first append to a log makes its directory, if the pool has not come by it before.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use ottla_log::Log;
use parking_lot::Mutex;
use tracing::error;

use crate::core::Core;
use crate::dirs::LogDir;
use crate::pool::Turn;

/// Directories that are made before other work of the pool gets its turn.
const A_TURN: usize = 64;

/// The logs that have no directory yet; at most as many as this node has replicas. One job of the
/// pool is at work on them while there are any.
#[derive(Default)]
pub(crate) struct Making(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    due: VecDeque<(Weak<Log>, Arc<LogDir>)>,
    under_way: bool,
}

impl Making {
    /// Has the directory of `log` made, which is in `dir`.
    pub(crate) fn add(self: &Arc<Self>, core: &Core, log: &Arc<Log>, dir: &Arc<LogDir>) {
        let mut queue = self.0.lock();
        queue.due.push_back((Arc::downgrade(log), Arc::clone(dir)));
        if !std::mem::replace(&mut queue.under_way, true) {
            drop(queue);
            let this = Arc::clone(self);
            core.disk().spawn_turns(move || this.turn());
        }
    }

    /// Makes some of them.
    fn turn(&self) -> Turn {
        let some: Vec<_> = {
            let due = &mut self.0.lock().due;
            let some = due.len().min(A_TURN);
            due.drain(..some).collect()
        };
        for (log, dir) in some {
            let Some(log) = log.upgrade().filter(|_| dir.is_online()) else { continue };
            if let Err(e) = log.make_dir()
                && log.is_open()
            {
                error!(log = %log.name(), error = %e, "cannot make the directory of a log");
                dir.judge_of(&log, &e);
            }
        }
        let mut queue = self.0.lock();
        queue.under_way = !queue.due.is_empty();
        if queue.under_way { Turn::More } else { Turn::Done }
    }
}
