//! Which transactions the batches belong to that a cleaning walks over, and which markers have
//! outlived their transaction's records.

use std::collections::{BTreeMap, BTreeSet};

use crate::batch::{Batch, Marker, Outcome};
use crate::index::txn::AbortedTxn;

/// Transactions as seen while walking over a log in order.
#[derive(Debug, Default)]
pub(crate) struct CleanedTxns {
    /// Aborted ones that have not begun yet, by first offset.
    coming: BTreeSet<(i64, i64, i64, i64)>,
    /// Aborted ones that have begun, by producer, and whether any of their batches was seen.
    aborted: BTreeMap<i64, (AbortedTxn, Seen)>,
    /// Producers with committed transactions of which a batch was seen.
    committed: BTreeSet<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    No,
    Yes,
}

/// What is to become of a batch by its transaction alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Keep,
    /// An aborted transaction's records, or a marker whose transaction has no records any more.
    Discard,
}

impl CleanedTxns {
    /// Adds the aborted transactions of what is walked over next.
    pub(crate) fn add(&mut self, aborted: &[AbortedTxn]) {
        let key =
            |t: &AbortedTxn| (t.first_offset, t.producer_id, t.last_offset, t.last_stable_offset);
        self.coming.extend(aborted.iter().map(key));
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(&(first_offset, producer_id, last_offset, last_stable_offset)) =
            self.coming.first().filter(|t| t.0 <= offset)
        {
            self.coming.pop_first();
            let txn = AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset };
            self.aborted.entry(producer_id).or_insert((txn, Seen::No));
        }
    }

    /// A client's batch comes by.
    pub(crate) fn data(&mut self, batch: &Batch) -> Verdict {
        self.begin_up_to(batch.last_offset);
        if !batch.is_transactional() {
            return Verdict::Keep;
        }
        if let Some((_, seen)) = self.aborted.get_mut(&batch.producer_id) {
            *seen = Seen::Yes;
            return Verdict::Discard;
        }
        self.committed.insert(batch.producer_id);
        Verdict::Keep
    }

    /// A control batch comes by; `None` when cleaning has emptied it before. Also returns the
    /// aborted transaction whose marker must stay in the index of them.
    pub(crate) fn control(
        &mut self,
        batch: &Batch,
        marker: Option<Marker>,
    ) -> (Verdict, Option<AbortedTxn>) {
        self.begin_up_to(batch.last_offset);
        match marker.map(|m| m.outcome) {
            Some(Outcome::Abort) => match self.aborted.remove(&batch.producer_id) {
                Some((txn, Seen::Yes)) => (Verdict::Keep, Some(txn)),
                _ => (Verdict::Discard, None),
            },
            Some(Outcome::Commit) if self.committed.remove(&batch.producer_id) => {
                (Verdict::Keep, None)
            }
            Some(Outcome::Commit) => (Verdict::Discard, None),
            None if batch.count == 0 => (Verdict::Discard, None),
            None => (Verdict::Keep, None),
        }
    }
}
