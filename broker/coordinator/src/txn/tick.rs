//! What time brings: the first command after a replay, transactions that take too long, and ids
//! that nobody uses any more.

use std::ops::Bound;
use std::sync::Arc;

use ottla_machine::{Decision, Mono, Time};

use super::TxnMachine;
use super::rules::Live;
use super::settings::TxnSettings;
use super::state::TxnState;
use super::transaction::{NO_EPOCH, Status, Txn};
use super::waits::{TxnWaits, markers};

/// The most transactions one decision aborts.
const MAX_ABORTS: usize = 1_000;
/// The most transactional ids one decision of the search for expired ones looks at.
const MAX_SEEN: usize = 10_000;
/// The most it deletes.
const MAX_EXPIRED: usize = 1_000;

impl TxnWaits {
    /// Takes new settings; what would now be looked for sooner, is.
    pub(super) fn configure(&mut self, settings: TxnSettings, time: Time) {
        let abort_due = time.mono.plus_ms(settings.abort_interval_ms);
        let expire_due = time.mono.plus_ms(settings.expiration_interval_ms);
        self.abort_due = self.abort_due.min(abort_due);
        self.expire_due = self.expire_due.min(expire_due);
        self.settings = settings;
    }

    /// Takes up what the log says, at the first command after a replay: markers that may not have
    /// been written are written again.
    pub(super) fn wake(
        &mut self,
        state: &TxnState,
        time: Time,
        decision: &mut Decision<TxnMachine>,
    ) {
        if self.awake {
            return;
        }
        self.awake = true;
        self.abort_due = time.mono.plus_ms(self.settings.abort_interval_ms);
        self.expire_due = time.mono.plus_ms(self.settings.expiration_interval_ms);
        for (id, txn) in &state.txns {
            if let Some(deadline_ms) = txn.deadline_ms() {
                self.open_ends.insert((deadline_ms, Arc::clone(id)));
            }
            if txn.status.is_ending() {
                let live = Live { txn: txn.clone(), last_epoch: NO_EPOCH };
                decision.effects.push(markers(id, &live));
            }
        }
    }

    /// Sees to the deadlines that passed.
    pub(super) fn tick(
        &mut self,
        state: &TxnState,
        time: Time,
        decision: &mut Decision<TxnMachine>,
    ) {
        self.end_parking(time.mono, decision);
        if self.abort_due <= time.mono {
            self.abort_due = time.mono.plus_ms(self.settings.abort_interval_ms.max(1));
            self.abort_late(state, time, decision);
        }
        if self.expire_due <= time.mono {
            self.expire(state, time, decision);
        }
    }

    /// When the next tick should come.
    pub(super) fn next_wake(&self) -> Mono {
        let due = self.abort_due.min(self.expire_due);
        self.next_park_end().map_or(due, |end| end.min(due))
    }

    fn abort_late(&mut self, state: &TxnState, time: Time, decision: &mut Decision<TxnMachine>) {
        for _ in 0..MAX_ABORTS {
            match self.open_ends.first() {
                Some((deadline_ms, _)) if *deadline_ms < time.wall_ms => {}
                _ => return,
            }
            let Some((_, id)) = self.open_ends.pop_first() else { return };
            self.time_out(state, time, &id, decision);
        }
        // There may be more: they are seen to at once.
        self.abort_due = time.mono;
    }

    /// Goes on with the search for ids that were not used for long, or begins one.
    fn expire(&mut self, state: &TxnState, time: Time, decision: &mut Decision<TxnMachine>) {
        let from = self.expire_next.take().map_or(Bound::Unbounded, Bound::Included);
        let mut expired = 0;
        let all = state.txns.range::<Arc<str>, _>((from, Bound::Unbounded));
        for (seen, (id, txn)) in all.enumerate() {
            if seen >= MAX_SEEN || expired >= MAX_EXPIRED {
                self.expire_next = Some(Arc::clone(id));
                break;
            }
            if is_expired(txn, time.wall_ms, &self.settings) {
                decision.records.push(self.record(id, None));
                self.forget(id);
                expired += 1;
            }
        }
        if self.expire_next.is_none() {
            self.expire_due = time.mono.plus_ms(self.settings.expiration_interval_ms.max(1));
        }
    }
}

fn is_expired(txn: &Txn, now_ms: i64, settings: &TxnSettings) -> bool {
    match txn.status {
        Status::Ongoing | Status::PrepareCommit | Status::PrepareAbort => false,
        Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {
            now_ms.saturating_sub(txn.updated_ms) >= settings.expiration_ms
        }
    }
}
