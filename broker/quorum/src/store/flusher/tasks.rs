//! Flushing without a thread, for a simulation.

use std::sync::Arc;

use openraft::storage::IOFlushed;
use parking_lot::Mutex;

use super::{MAX_WAITING, SETTLE, Work};
use crate::simulated;
use crate::types::TypeConfig;

/// What waits, and the tasks under way.
pub(super) struct Tasks {
    work: Work,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<IOFlushed<TypeConfig>>,
    is_closed: bool,
    flushes: bool,
    settles: bool,
}

impl Tasks {
    pub(super) fn new(work: Work) -> Arc<Self> {
        Arc::new(Self { work, state: Mutex::default() })
    }

    /// Answers when everything appended so far is durable; gives back what is not taken.
    pub(super) fn flush(
        self: &Arc<Self>,
        done: IOFlushed<TypeConfig>,
    ) -> Option<IOFlushed<TypeConfig>> {
        let mut state = self.state.lock();
        if state.is_closed || state.waiting.len() >= MAX_WAITING {
            return Some(done);
        }
        state.waiting.push(done);
        if !std::mem::replace(&mut state.flushes, true) {
            let this = self.clone();
            simulated::spawn(async move {
                simulated::disk().await;
                this.round();
            });
        }
        None
    }

    fn round(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.flushes = false;
        let waiting = std::mem::take(&mut state.waiting);
        if state.is_closed {
            return;
        }
        let settles = std::mem::replace(&mut state.settles, true);
        drop(state);
        self.work.flush(waiting);
        if !settles {
            let this = self.clone();
            simulated::spawn(async move {
                tokio::time::sleep(SETTLE).await;
                this.settle();
            });
        }
    }

    fn settle(&self) {
        let mut state = self.state.lock();
        state.settles = false;
        let is_closed = state.is_closed;
        drop(state);
        if !is_closed {
            self.work.settle();
        }
    }

    /// Answers what waits, and takes no more.
    pub(super) fn stop(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.waiting)
        };
        if !waiting.is_empty() {
            self.work.flush(waiting);
        }
    }
}
