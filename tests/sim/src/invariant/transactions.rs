//! Who reads committed records sees the records of transactions that were committed, all of them and
//! each once, and none of others; and who was fenced by the end of its transaction writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use ottla_wire::record::TransactionResult;

use crate::{Verdict, violated};

const NAME: &str = "transactions";

/// A transaction: its producer, and the epoch of its records.
pub type Txn = (i64, i16);

/// What stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A record of a transaction.
    Data {
        /// Whose.
        producer: i64,
        /// At which epoch.
        epoch: i16,
        /// Which of those that the transaction wrote to the partition.
        sequence: i32,
    },
    /// The end of one.
    End {
        /// Whose.
        producer: i64,
        /// The epoch that the next one has.
        epoch: i16,
        /// How it ended.
        result: TransactionResult,
    },
    /// Of no transaction.
    Other,
}

/// What a reader was given, and did not leave out.
#[derive(Debug)]
pub struct Read {
    /// The partition.
    pub partition: i32,
    /// Whether records were deleted that it had not read.
    pub skipped: bool,
    /// With their offsets.
    pub records: Vec<(i64, Known)>,
}

/// What one who writes transactions did.
#[derive(Debug)]
pub enum Learned {
    /// It began one.
    Began(i64, i16),
    /// These of its records are in a partition.
    Wrote(Txn, i32, Vec<i32>),
    /// It decided how one ends, before anybody was told.
    Decided(i64, i16, TransactionResult),
}

/// What was written, and what was read.
#[derive(Debug, Default)]
pub struct Transactions {
    fates: BTreeMap<Txn, Option<TransactionResult>>,
    written: BTreeMap<(Txn, i32), BTreeSet<i32>>,
    seen: BTreeMap<(usize, Txn, i32), BTreeSet<i32>>,
    /// The latest end that a reader saw of a producer in a partition.
    ended: BTreeMap<(usize, i64, i32), i16>,
    /// Readers and partitions of which records were deleted unread.
    skipped: BTreeSet<(usize, i32)>,
}

impl Transactions {
    /// One who writes did something.
    pub fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Began(producer, epoch) => drop(self.fates.insert((producer, epoch), None)),
            Learned::Wrote(txn, partition, sequences) => {
                self.written.entry((txn, partition)).or_default().extend(sequences);
            }
            Learned::Decided(producer, epoch, result) => {
                self.fates.insert((producer, epoch), Some(result));
            }
        }
    }

    /// How many were committed.
    #[must_use]
    pub fn committed(&self) -> usize {
        let committed = |fate: &&Option<_>| **fate == Some(TransactionResult::Commit);
        self.fates.values().filter(committed).count()
    }

    /// A reader was given something.
    pub fn read(&mut self, who: usize, read: &Read) -> Verdict {
        let partition = read.partition;
        if read.skipped {
            self.skipped.insert((who, partition));
        }
        for (offset, what) in &read.records {
            let place = format!("reader {who} at {partition}/{offset}");
            match *what {
                Known::Data { producer, epoch, sequence } => {
                    let fate = self.fates.get(&(producer, epoch)).copied().flatten();
                    if fate != Some(TransactionResult::Commit) {
                        let text = format!("{place}: {what:?} of a transaction that is {fate:?}");
                        return Err(violated(NAME, text));
                    }
                    let ended = self.ended.get(&(who, producer, partition));
                    if ended.is_some_and(|ended| *ended > epoch) {
                        let text = format!("{place}: {what:?} behind the end {ended:?}");
                        return Err(violated(NAME, text));
                    }
                    let seen = self.seen.entry((who, (producer, epoch), partition)).or_default();
                    if !seen.insert(sequence) {
                        return Err(violated(NAME, format!("{place}: {what:?} once more")));
                    }
                }
                Known::End { producer, epoch, .. } => {
                    self.ended.insert((who, producer, partition), epoch);
                }
                Known::Other => {}
            }
        }
        Ok(())
    }

    /// What `readers`, all at the end, have not seen.
    #[must_use]
    pub fn missing(&self, readers: usize) -> Option<String> {
        let committed = self.written.iter().filter(|((txn, _), _)| {
            self.fates.get(txn).copied().flatten() == Some(TransactionResult::Commit)
        });
        for ((txn, partition), written) in committed {
            for who in (0..readers).filter(|who| !self.skipped.contains(&(*who, *partition))) {
                let seen = self.seen.get(&(who, *txn, *partition));
                if seen != Some(written) {
                    return Some(format!(
                        "reader {who} saw {seen:?} of {written:?}, which {txn:?} wrote to {partition}"
                    ));
                }
            }
        }
        None
    }
}
