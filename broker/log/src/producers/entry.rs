//! One producer.

use super::verify::Pending;
use super::{MarkerRule, Origin};
use crate::batch::{Batch, Marker};
use crate::error::{LogError, Result};

/// How many of a producer's last batches are remembered: as many as a client may have in flight.
pub const KEPT_BATCHES: usize = 5;

/// A batch that a producer wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMeta {
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Last offset minus first offset.
    pub offset_delta: i32,
    /// Largest timestamp.
    pub timestamp: i64,
}

impl BatchMeta {
    /// Sequence number of the first record.
    #[must_use]
    pub fn first_sequence(&self) -> i32 {
        // Behind 2^31-1 comes 0: arithmetic on 31 bits.
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }

    /// Offset of the first record.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The producer's id.
    pub producer_id: i64,
    /// Its newest epoch, -1 when none was seen.
    pub epoch: i16,
    /// Epoch of the coordinator that wrote the last end marker, -1 when there was none.
    pub coordinator_epoch: i32,
    /// Timestamp of the last batch or marker.
    pub last_timestamp: i64,
    txn_first: Option<i64>,
    len: u8,
    batches: [BatchMeta; KEPT_BATCHES],
}

impl ProducerEntry {
    /// A producer that has written nothing.
    #[must_use]
    pub fn new(producer_id: i64) -> Self {
        Self {
            producer_id,
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            txn_first: None,
            len: 0,
            batches: [BatchMeta::default(); KEPT_BATCHES],
        }
    }

    /// As read from a snapshot, which keeps the last batch only.
    #[must_use]
    pub fn with_last(mut self, last: Option<BatchMeta>, txn_first: Option<i64>) -> Self {
        if let Some(last) = last {
            self.batches[0] = last;
            self.len = 1;
        }
        self.txn_first = txn_first;
        self
    }

    /// The remembered batches of the newest epoch, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[BatchMeta] {
        &self.batches[..usize::from(self.len).min(KEPT_BATCHES)]
    }

    /// The newest batch.
    #[must_use]
    pub fn last(&self) -> Option<BatchMeta> {
        self.batches().last().copied()
    }

    /// Sequence number of the last record, -1 when there is none.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.last().map_or(-1, |b| b.last_sequence)
    }

    /// Offset of the first record of the open transaction.
    #[must_use]
    pub fn txn_first_offset(&self) -> Option<i64> {
        self.txn_first
    }

    /// Whether a transaction of this epoch is open.
    #[must_use]
    pub fn has_open_txn(&self, epoch: i16) -> bool {
        self.epoch == epoch && self.txn_first.is_some()
    }

    /// Whether the producer may be forgotten.
    #[must_use]
    pub fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.txn_first.is_none() && now_ms.saturating_sub(self.last_timestamp) >= expiration_ms
    }

    /// The remembered batch with the same epoch and sequence numbers.
    #[must_use]
    pub fn find_duplicate(&self, batch: &Batch) -> Option<BatchMeta> {
        if batch.producer_epoch != self.epoch || batch.is_control() {
            return None;
        }
        let (first, last) = (batch.base_sequence, batch.last_sequence());
        self.batches()
            .iter()
            .find(|b| b.last_sequence == last && b.first_sequence() == first)
            .copied()
    }

    /// `known` says whether anything of the producer was in the log before this append: one that
    /// is new here, or was forgotten, may begin with any sequence number.
    /// `pending` is what waits for the coordinator's word, if anything does.
    pub(super) fn check_data(
        &self,
        batch: &Batch,
        origin: Origin,
        known: bool,
        pending: Option<&Pending>,
    ) -> Result<()> {
        if origin == Origin::Replication {
            return Ok(());
        }
        if batch.producer_epoch < self.epoch {
            return Err(self.old_epoch(batch));
        }
        if origin == Origin::Coordinator {
            return Ok(());
        }
        let (sequence, is_new) = (batch.base_sequence, self.batches().is_empty());
        let out_of_order = |last| LogError::OutOfOrderSequence {
            producer_id: self.producer_id,
            epoch: batch.producer_epoch,
            sequence,
            last,
        };
        if pending.is_some_and(|pending| !pending.allows(sequence, is_new)) {
            return Err(out_of_order(self.last_sequence()));
        }
        if !known {
            return Ok(());
        }
        let same_epoch = batch.producer_epoch == self.epoch;
        let last = if same_epoch { self.last_sequence() } else { -1 };
        let expected = if last == i32::MAX { 0 } else { last + 1 };
        if sequence == expected { Ok(()) } else { Err(out_of_order(last)) }
    }

    fn old_epoch(&self, batch: &Batch) -> LogError {
        LogError::InvalidProducerEpoch {
            producer_id: self.producer_id,
            epoch: batch.producer_epoch,
            current: self.epoch,
        }
    }

    pub(super) fn check_marker(
        &self,
        batch: &Batch,
        marker: Marker,
        origin: Origin,
        rule: MarkerRule,
    ) -> Result<()> {
        if origin == Origin::Replication {
            return Ok(());
        }
        // A marker sent again for a transaction that has ended is let through, as is one at the
        // last epoch there is.
        let again = batch.producer_epoch == self.epoch
            && (self.txn_first.is_none() || batch.producer_epoch == i16::MAX);
        let old = match rule {
            MarkerRule::SameOrLater => batch.producer_epoch < self.epoch,
            MarkerRule::Later => batch.producer_epoch <= self.epoch && !again,
        };
        if old {
            return Err(self.old_epoch(batch));
        }
        if self.coordinator_epoch > marker.coordinator_epoch {
            return Err(LogError::CoordinatorFenced {
                epoch: marker.coordinator_epoch,
                current: self.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.len = 0;
        }
    }

    pub(super) fn add_batch(&mut self, batch: &Batch) {
        self.set_epoch(batch.producer_epoch);
        if usize::from(self.len) >= KEPT_BATCHES {
            self.batches.copy_within(1.., 0);
            self.len = KEPT_BATCHES as u8 - 1;
        }
        self.batches[usize::from(self.len)] = BatchMeta {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset,
            offset_delta: (batch.last_offset - batch.base_offset) as i32,
            timestamp: batch.max_timestamp,
        };
        self.len += 1;
        self.last_timestamp = batch.max_timestamp;
    }

    pub(super) fn begin_txn(&mut self, first_offset: i64) {
        self.txn_first = Some(first_offset);
    }

    pub(super) fn end_txn(&mut self, epoch: i16, marker: Marker) {
        self.set_epoch(epoch);
        self.txn_first = None;
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = marker.timestamp;
    }
}
