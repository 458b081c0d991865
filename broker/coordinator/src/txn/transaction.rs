//! One transactional id, and the transaction it is in.

use std::collections::{BTreeMap, BTreeSet};

use ottla_wire::schema::txn::{PartitionsSchema, TransactionLogValue};

use crate::group::Producer;

/// No producer id.
pub(crate) const NO_ID: i64 = -1;
/// No epoch.
pub(crate) const NO_EPOCH: i16 = -1;
/// From this epoch on a producer id is used up: the last one is kept to fence.
const EXHAUSTED_EPOCH: i16 = i16::MAX - 1;
/// The version of transactions that bumps the epoch at each end (KIP-890).
pub(crate) const BUMPS_EPOCH: i16 = 2;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// Where a transaction is in its life; the number is the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Empty = 0,
    Ongoing = 1,
    PrepareCommit = 2,
    PrepareAbort = 3,
    CompleteCommit = 4,
    CompleteAbort = 5,
}

impl Status {
    const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether markers are being written.
    pub(crate) fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    fn of(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as i8 == id)
    }
}

/// Whether an epoch is the last that a producer id gives out.
pub(crate) fn is_exhausted(epoch: i16) -> bool {
    epoch >= EXHAUSTED_EPOCH
}

/// A transactional id: its producer and its present or last transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Txn {
    pub(crate) producer: Producer,
    pub(crate) previous_id: i64,
    /// The id that takes over when the markers are written, if the epoch ran out.
    pub(crate) next_id: i64,
    pub(crate) timeout_ms: i32,
    pub(crate) status: Status,
    pub(crate) partitions: Partitions,
    pub(crate) started_ms: i64,
    pub(crate) updated_ms: i64,
    /// The version of transactions its client speaks, as of its last step.
    pub(crate) version: i16,
}

impl Txn {
    /// One that was never used, of a producer id that is new.
    pub(crate) fn new(id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: Producer { id, epoch: NO_EPOCH },
            previous_id: NO_ID,
            next_id: NO_ID,
            timeout_ms,
            status: Status::Empty,
            partitions: Partitions::new(),
            started_ms: -1,
            updated_ms: now_ms,
            version: 0,
        }
    }

    /// The wall clock's time at which the transaction, if one is open, takes too long.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        let open = self.status == Status::Ongoing;
        open.then(|| self.started_ms.saturating_add(i64::from(self.timeout_ms)))
    }

    /// Whether a producer takes over when the markers are written; its client knows it already.
    pub(crate) fn is_next(&self, producer: Producer) -> bool {
        let next = Producer { id: self.next_id, epoch: 0 };
        self.status.is_ending() && self.next_id != NO_ID && producer == next
    }

    pub(crate) fn has_all(&self, partitions: &Partitions) -> bool {
        partitions.iter().all(|(topic, wanted)| {
            self.partitions.get(topic).is_some_and(|known| wanted.is_subset(known))
        })
    }

    /// The record's value.
    pub(crate) fn value(&self) -> TransactionLogValue {
        let topics = self.partitions.iter().map(|(topic, partitions)| PartitionsSchema {
            topic: topic.clone(),
            partition_ids: partitions.iter().copied().collect(),
        });
        TransactionLogValue {
            producer_id: self.producer.id,
            previous_producer_id: self.previous_id,
            next_producer_id: self.next_id,
            producer_epoch: self.producer.epoch,
            next_producer_epoch: NO_EPOCH,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.status as i8,
            transaction_partitions: (self.status != Status::Empty).then(|| topics.collect()),
            transaction_last_update_timestamp_ms: self.updated_ms,
            transaction_start_timestamp_ms: self.started_ms,
            client_transaction_version: self.version,
        }
    }

    /// What the record's value says; `None` for a status that no record should have.
    pub(crate) fn from_value(value: &TransactionLogValue) -> Option<Self> {
        let mut partitions = Partitions::new();
        for topic in value.transaction_partitions.iter().flatten() {
            let known = partitions.entry(topic.topic.clone()).or_default();
            known.extend(topic.partition_ids.iter().copied());
        }
        Some(Self {
            producer: Producer { id: value.producer_id, epoch: value.producer_epoch },
            previous_id: value.previous_producer_id,
            next_id: value.next_producer_id,
            timeout_ms: value.transaction_timeout_ms,
            status: Status::of(value.transaction_status)?,
            partitions,
            started_ms: value.transaction_start_timestamp_ms,
            updated_ms: value.transaction_last_update_timestamp_ms,
            version: value.client_transaction_version,
        })
    }
}
