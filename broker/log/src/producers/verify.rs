//! Transactions that are about to begin in this log, while their coordinator is asked whether it
//! knows of that (KIP-890): a batch that comes late, behind the end of its transaction, must not
//! begin one that nobody ends.

use super::{Origin, Producers, Rules, Verified};
use crate::error::{LogError, Result};

/// Names one question to a coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guard(u64);

impl Guard {
    /// The one after this: no two that a log gives out are the same.
    pub(crate) fn advance(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// Which sequence number a producer that the log knows nothing of may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequences {
    /// Any: its earlier batches may have been deleted.
    Any,
    /// 0, as with version 2 of transactions, which begins anew with each transaction.
    FromZero,
}

/// A transaction that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number that its batch begins with; -1 for one without.
    pub sequence: i32,
    /// What sequence number it may begin with.
    pub sequences: Sequences,
}

/// What is known of a producer while the coordinator is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    guard: Guard,
    since_ms: i64,
    epoch: i16,
    sequences: Sequences,
    lowest_sequence: i32,
}

impl Pending {
    pub(super) fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= expiration_ms
    }

    /// Another batch of the producer waits too.
    fn join(&mut self, beginning: &Beginning) {
        if beginning.epoch > self.epoch {
            (self.epoch, self.lowest_sequence) = (beginning.epoch, beginning.sequence);
        } else if beginning.epoch == self.epoch {
            self.lowest_sequence = self.lowest_sequence.min(beginning.sequence);
        }
    }

    /// Whether the producer's first batch may begin with this sequence number. `is_new` says that
    /// the log has no batch of the producer.
    pub(super) fn allows(&self, sequence: i32, is_new: bool) -> bool {
        let begins = self.sequences == Sequences::Any || sequence == 0 || !is_new;
        // A batch must not overtake one that waits with it.
        begins && sequence <= self.lowest_sequence
    }
}

impl Producers {
    /// A transaction is about to begin: gives the guard that goes with its first batch once the
    /// coordinator has said that it knows of it: the one that other batches of the producer wait
    /// for, or a new one by `last`. `None` when the transaction is open here already.
    pub(crate) fn begin_verification(
        &mut self,
        beginning: &Beginning,
        last: &mut Guard,
        now_ms: i64,
    ) -> Option<Guard> {
        let id = beginning.producer_id;
        if self.has_ongoing_txn(id, beginning.epoch) {
            return None;
        }
        let pending = self.pending.entry(id).or_insert_with(|| Pending {
            guard: last.advance(),
            since_ms: now_ms,
            epoch: beginning.epoch,
            sequences: beginning.sequences,
            lowest_sequence: beginning.sequence,
        });
        pending.join(beginning);
        Some(pending.guard)
    }

    /// Whether a batch may begin a transaction.
    pub(super) fn check_verified(&self, producer_id: i64, rules: Rules) -> Result<()> {
        let Verified::By(guard) = rules.verified else { return Ok(()) };
        let pending = self.pending.get(&producer_id).map(|pending| pending.guard);
        if rules.origin == Origin::Replication || (guard.is_some() && guard == pending) {
            return Ok(());
        }
        Err(LogError::InvalidTxnState { producer_id })
    }
}
