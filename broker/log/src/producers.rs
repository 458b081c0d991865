//! What a log remembers of the producers that wrote to it: enough to recognise a batch sent
//! twice or out of order, and to know which transactions are open.
//!
//! A batch is first [staged](Producers::stage), which checks it and changes nothing, then
//! written, then [committed](Producers::commit).

use std::collections::{BTreeMap, HashMap};

use crate::batch::{Batch, Marker, Outcome};
use crate::error::{LogError, Result};

mod entry;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod verify;

pub use entry::{BatchMeta, KEPT_BATCHES, ProducerEntry};
pub use verify::{Beginning, Guard, Sequences};

use verify::Pending;

/// Who appends, which says what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's Produce request: epochs, sequences and duplicates are checked.
    Client,
    /// A coordinator of this broker: only epochs are checked.
    Coordinator,
    /// A copy of what a leader has checked: nothing is refused.
    Replication,
}

/// Which rule the epoch of a transaction's end marker must follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkerRule {
    /// The epoch of the transaction's batches or a later one.
    #[default]
    SameOrLater,
    /// A later one, as transactions of version 2 (KIP-890) bump it with each end.
    Later,
}

/// What must be known of a transaction before its first batch is appended (KIP-890).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// Nothing: batches begin transactions as they come.
    #[default]
    Unasked,
    /// The coordinator knows that the partition belongs to the transaction, if the guard was given
    /// out for it and neither its first batch nor a marker came since. Without a guard, only open
    /// transactions go on.
    By(Option<Guard>),
}

/// What is checked of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who appends.
    pub origin: Origin,
    /// The rule for the epochs of markers.
    pub marker: MarkerRule,
    /// What is known of transactions that begin.
    pub verified: Verified,
}

impl Rules {
    /// Those of a copy of what a leader has checked.
    pub const REPLICATION: Self = Self::of(Origin::Replication);

    /// Those of an append by `origin` which begins no transaction that needs verification.
    #[must_use]
    pub const fn of(origin: Origin) -> Self {
        Self { origin, marker: MarkerRule::SameOrLater, verified: Verified::Unasked }
    }
}

/// A transaction with no end marker yet, or one whose marker is not below the high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Txn {
    producer_id: i64,
    /// Offset of the marker, once it is there.
    last_offset: Option<i64>,
}

/// A transaction that a marker just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// The producer.
    pub producer_id: i64,
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the marker.
    pub last_offset: i64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Checked changes, not yet made.
#[derive(Debug, Default)]
pub struct Staged {
    entries: Vec<ProducerEntry>,
    started: Vec<(i64, i64)>,
    completed: Vec<CompletedTxn>,
    /// Producers of which a transaction began, went on or ended.
    transactional: Vec<i64>,
}

impl Staged {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The state of all producers of a log, as of its [end offset](Self::end_offset).
#[derive(Clone, Debug, Default)]
pub struct Producers {
    entries: HashMap<i64, ProducerEntry>,
    ongoing: BTreeMap<i64, Txn>,
    unreplicated: BTreeMap<i64, Txn>,
    /// Producers whose transactions are about to begin here; in memory only.
    pending: HashMap<i64, Pending>,
    end_offset: i64,
}

impl Producers {
    /// No producers, at `end_offset`.
    #[must_use]
    pub fn at(end_offset: i64) -> Self {
        Self { end_offset, ..Self::default() }
    }

    /// The producers of a snapshot taken at `end_offset`, without those expired at `now_ms`.
    #[must_use]
    pub fn from_snapshot(
        end_offset: i64,
        entries: Vec<ProducerEntry>,
        now_ms: i64,
        expiration_ms: i64,
    ) -> Self {
        let mut producers = Self::at(end_offset);
        for entry in entries.into_iter().filter(|e| !e.is_expired(now_ms, expiration_ms)) {
            if let Some(first) = entry.txn_first_offset() {
                let txn = Txn { producer_id: entry.producer_id, last_offset: None };
                producers.ongoing.insert(first, txn);
            }
            producers.entries.insert(entry.producer_id, entry);
        }
        producers
    }

    /// Everything below this offset is in the state.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Says that the batches up to `end_offset` are in the state.
    pub fn set_end_offset(&mut self, end_offset: i64) {
        self.end_offset = end_offset;
    }

    /// Number of producers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is neither a producer nor an unfinished transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unreplicated.is_empty()
    }

    /// The producers, by id; DescribeProducers and snapshots list them.
    #[must_use]
    pub fn list(&self) -> Vec<ProducerEntry> {
        let mut all: Vec<_> = self.entries.values().copied().collect();
        all.sort_unstable_by_key(|e| e.producer_id);
        all
    }

    /// What is known of one producer.
    #[must_use]
    pub fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id)
    }

    /// Checks a batch, on top of what is staged before it, and stages its changes. `marker` is
    /// the content of a control batch.
    ///
    /// Returns the earlier copy when the batch is a duplicate: nothing is staged for it then.
    pub fn stage(
        &self,
        staged: &mut Staged,
        batch: &Batch,
        marker: Option<Marker>,
        rules: Rules,
    ) -> Result<Option<BatchMeta>> {
        let (id, origin) = (batch.producer_id, rules.origin);
        if id < 0 {
            return Ok(None);
        }
        if batch.is_control() && marker.is_none() {
            // Cleaning emptied it, or it is none of a transaction.
            return Ok(None);
        }
        let known = self.entries.get(&id);
        if origin == Origin::Client
            && let Some(earlier) = known.and_then(|e| e.find_duplicate(batch))
        {
            return Ok(Some(earlier));
        }
        let place = staged.entries.iter().position(|e| e.producer_id == id);
        let mut entry = match place {
            Some(place) => staged.entries[place],
            None => known.copied().unwrap_or_else(|| ProducerEntry::new(id)),
        };
        match marker {
            Some(marker) => {
                entry.check_marker(batch, marker, origin, rules.marker)?;
                if let Some(first_offset) = entry.txn_first_offset() {
                    staged.completed.push(CompletedTxn {
                        producer_id: id,
                        first_offset,
                        last_offset: batch.last_offset,
                        outcome: marker.outcome,
                    });
                }
                entry.end_txn(batch.producer_epoch, marker);
            }
            None => {
                if batch.is_transactional() && !entry.has_open_txn(batch.producer_epoch) {
                    self.check_verified(id, rules)?;
                }
                entry.check_data(batch, origin, known.is_some(), self.pending.get(&id))?;
                entry.add_batch(batch);
                if batch.is_transactional() {
                    if entry.txn_first_offset().is_none() {
                        entry.begin_txn(batch.base_offset);
                        staged.started.push((batch.base_offset, id));
                    }
                } else if entry.txn_first_offset().is_some() && origin != Origin::Replication {
                    return Err(LogError::InvalidTxnState { producer_id: id });
                }
            }
        }
        if batch.is_transactional() {
            staged.transactional.push(id);
        }
        match place {
            Some(place) => staged.entries[place] = entry,
            None => staged.entries.push(entry),
        }
        Ok(None)
    }

    /// Makes staged changes; the log now ends at `end_offset`. Returns the transactions that
    /// ended, each with the last stable offset as of its end.
    pub fn commit(&mut self, staged: Staged, end_offset: i64) -> Vec<(CompletedTxn, i64)> {
        for entry in staged.entries {
            self.entries.insert(entry.producer_id, entry);
        }
        for id in staged.transactional {
            // It has begun, which the entry says, or is over: then what the coordinator said
            // before says nothing of the next one.
            self.pending.remove(&id);
        }
        for (first, producer_id) in staged.started {
            self.ongoing.insert(first, Txn { producer_id, last_offset: None });
        }
        self.end_offset = end_offset;
        let ended = staged.completed.into_iter();
        ended.map(|txn| (txn, self.end_txn(&txn))).collect()
    }

    fn end_txn(&mut self, txn: &CompletedTxn) -> i64 {
        // One that began behind the marker, and came with it, says nothing of what was stable then.
        let before = self.ongoing.range(..txn.last_offset);
        let others = before.into_iter().find(|(_, t)| t.producer_id != txn.producer_id);
        let stable = others.map_or(txn.last_offset + 1, |(first, _)| *first);
        if let Some(mut open) = self.ongoing.remove(&txn.first_offset) {
            open.last_offset = Some(txn.last_offset);
            self.unreplicated.insert(txn.first_offset, open);
        }
        stable
    }

    /// First offset of the oldest transaction that is open, or whose end is not replicated.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let first = |txns: &BTreeMap<i64, Txn>| txns.first_key_value().map(|(first, _)| *first);
        match (first(&self.ongoing), first(&self.unreplicated)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// First offset of the oldest transaction without an end marker; compaction stops there.
    #[must_use]
    pub fn first_undecided_offset(&self) -> Option<i64> {
        self.ongoing.first_key_value().map(|(first, _)| *first)
    }

    /// Whether ended transactions wait for the high watermark to pass them.
    #[must_use]
    pub fn awaits_high_watermark(&self) -> bool {
        !self.unreplicated.is_empty()
    }

    /// Forgets ended transactions whose end marker lies below `offset`.
    pub fn forget_replicated(&mut self, offset: i64) {
        self.unreplicated.retain(|_, txn| txn.last_offset.is_none_or(|last| last >= offset));
    }

    /// The producers whose transaction has been open since before `now_ms - longest_ms`.
    #[must_use]
    pub fn has_late_txn(&self, now_ms: i64, longest_ms: i64) -> bool {
        self.ongoing.values().any(|txn| {
            self.entries
                .get(&txn.producer_id)
                .is_some_and(|e| e.last_timestamp > 0 && now_ms - e.last_timestamp > longest_ms)
        })
    }

    /// Forgets producers with no open transaction that have not written for `expiration_ms`.
    pub fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, e| !e.is_expired(now_ms, expiration_ms));
        self.pending.retain(|_, p| !p.is_expired(now_ms, expiration_ms));
        if self.entries.is_empty() {
            self.entries = HashMap::new();
        }
        before - self.entries.len()
    }

    /// Whether the producer's epoch is this one and its transaction is open.
    #[must_use]
    pub fn has_ongoing_txn(&self, producer_id: i64, epoch: i16) -> bool {
        self.entries.get(&producer_id).is_some_and(|e| e.has_open_txn(epoch))
    }
}
