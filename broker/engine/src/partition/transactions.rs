//! What transactions do to a partition: they are verified before they begin, and markers end them.

use ottla_log::LogError;
use ottla_log::log::AppendBatch;
use ottla_log::producers::{Beginning, Guard, MarkerRule, Origin, Rules};
use ottla_replica::{Acks, EpochCheck};
use ottla_wire::record::{BatchBuilder, EndTxnMarker, TransactionResult};

use super::{AppendHow, Appended, Partition};
use crate::error::EngineError;

/// The end of a producer's transaction, as its coordinator has it written to each of its
/// partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnEnd {
    /// The producer.
    pub producer_id: i64,
    /// The epoch that the marker carries: that of the transaction's batches, or the one behind it
    /// with version 2 of transactions.
    pub producer_epoch: i16,
    /// How it ended.
    pub result: TransactionResult,
    /// Epoch of the coordinator's partition, which fences older coordinators.
    pub coordinator_epoch: i32,
    /// The version of transactions.
    pub transaction_version: i8,
}

impl TxnEnd {
    /// What the log checks of the marker.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let marker = match self.transaction_version {
            2.. => MarkerRule::Later,
            _ => MarkerRule::SameOrLater,
        };
        Rules { marker, ..Rules::of(Origin::Coordinator) }
    }

    /// The batch with the marker.
    ///
    /// # Errors
    /// None that can come about: a marker has a form.
    pub(crate) fn batch(&self, now_ms: i64) -> Result<AppendBatch, LogError> {
        let Self { result, coordinator_epoch, .. } = *self;
        let producer = (self.producer_id, self.producer_epoch);
        let marker = EndTxnMarker { result, coordinator_epoch };
        let batch = BatchBuilder::end_transaction(0, producer, now_ms, marker).build();
        let batch = batch.map_err(|_| LogError::InvalidBatch("a marker without a form"))?;
        AppendBatch::split(&batch.bytes)
    }
}

impl Partition {
    /// A transaction is about to begin here: gives what goes with its first batch once its
    /// coordinator has said that it knows of it; `None` when it is open already.
    ///
    /// # Errors
    /// That this node does not lead.
    pub fn begin_verification(&self, beginning: &Beginning) -> Result<Option<Guard>, EngineError> {
        self.check_leader(EpochCheck::Any)?;
        let here = self.here.load();
        let guard = here.log.begin_verification(beginning, self.core.clock().wall_ms());
        guard.map_err(|e| here.judge(e))
    }

    /// Ends a producer's transaction. All in-sync replicas must have the marker before the
    /// coordinator is told.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_marker(&self, end: &TxnEnd) -> Result<Appended, EngineError> {
        let batch = end.batch(self.core.clock().wall_ms())?;
        let how = AppendHow { acks: Acks::All, rules: end.rules(), epoch: EpochCheck::Any };
        self.append(&[batch], how)
    }
}
