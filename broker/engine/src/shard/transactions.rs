//! Records of a coordinator that belong to a producer's transaction, and the markers that end it:
//! each decision's stand in batches of their own.
//!
//! The log may refuse them, where the producer was fenced or the transaction is over. So they are
//! appended first and applied then, and a refusal is the command's error and nothing more.

use ottla_coordinator::group::{Producer, TxnMarker, TxnOutcome};
use ottla_log::LogError;
use ottla_log::log::AppendBatch;
use ottla_log::producers::{Rules, Verified};
use ottla_replica::ReplicaError;
use ottla_wire::ErrorCode;
use ottla_wire::record::{BatchBuilder, TransactionResult};
use tracing::{error, info, warn};

use super::batch::Due;
use super::{Coordinator, Inner, Shard, coordinator_code};
use crate::error::EngineError;
use crate::partition::{Ack, AppendHow, TxnEnd};

/// Which batch a record stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// One of no transaction, with those of other decisions.
    Plain,
    /// One of this producer's transaction.
    Transaction(Producer),
    /// It is the marker that ends a transaction.
    End(TxnMarker),
}

/// What is known of the transaction that a command's records belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transactional {
    /// Whether the coordinator of the transaction knows that it begins here.
    pub verified: Verified,
    /// The version of transactions that a marker is of.
    pub version: i8,
}

/// Why a decision's records were not taken in.
pub(super) enum Failure {
    /// Those of a transaction are not to be: the command fails, and no other.
    Refused(ErrorCode),
    /// The log does not take any more: the machine is dropped.
    Lost(ErrorCode),
}

/// What a command led to.
pub(super) struct Decided<M: Coordinator> {
    pub(super) due: Due<M>,
    /// When what was appended for it is committed; none where its records are in the open batch.
    pub(super) ack: Option<Ack>,
    /// The log refused its records.
    pub(super) refused: Option<ErrorCode>,
}

impl<M: Coordinator> Default for Decided<M> {
    fn default() -> Self {
        Self { due: Due::default(), ack: None, refused: None }
    }
}

impl<M: Coordinator> Shard<M> {
    /// Appends records of a transaction, behind all that was decided before, and applies them.
    pub(super) fn append_apart(
        &self,
        inner: &mut Inner<M>,
        records: &[M::Record],
        belongs: Belongs,
        how: Transactional,
    ) -> Result<Ack, Failure> {
        if let Some(open) = inner.open.take() {
            let (ack, due) = self.write(inner, open).map_err(Failure::Lost)?;
            self.settle(inner, due, ack);
        }
        let (batch, rules) = self.batch_apart(records, belongs, how).map_err(Failure::Refused)?;
        let append = AppendHow { rules, ..AppendHow::coordinator(self.epoch) };
        let appended = self.partition.append(&[batch], append).map_err(|e| self.failure(&e))?;
        inner.appended = appended.last_offset;
        records.iter().for_each(|record| M::apply(&mut inner.state, record));
        Ok(appended.ack)
    }

    fn batch_apart(
        &self,
        records: &[M::Record],
        belongs: Belongs,
        how: Transactional,
    ) -> Result<(AppendBatch, Rules), ErrorCode> {
        let no_form = |why: String| {
            error!(shard = ?self, why, "a decision has no form in the log");
            ErrorCode::UNKNOWN_SERVER_ERROR
        };
        let now_ms = self.core.clock().wall_ms();
        let origin = AppendHow::coordinator(self.epoch).rules;
        match belongs {
            Belongs::End(marker) => {
                let end = txn_end(&marker, how.version);
                let batch = end.batch(now_ms).map_err(|e| no_form(e.to_string()))?;
                Ok((batch, end.rules()))
            }
            Belongs::Transaction(Producer { id, epoch }) => {
                let mut batch = BatchBuilder::new(0)
                    .compression(M::compression(&self.shell))
                    .producer(id, epoch, 0)
                    .transactional();
                for (key, value) in self.encode(records)? {
                    batch.append(now_ms, Some(&key), value.as_deref());
                }
                let batch = batch.build().map_err(|e| no_form(e.to_string()))?;
                let batch = AppendBatch::split(&batch.bytes).map_err(|e| no_form(e.to_string()))?;
                Ok((batch, Rules { verified: how.verified, ..origin }))
            }
            Belongs::Plain => Err(no_form("a record of no transaction".to_owned())),
        }
    }

    fn failure(&self, error: &EngineError) -> Failure {
        let code = error.code();
        match error {
            EngineError::Log(
                LogError::InvalidProducerEpoch { .. }
                | LogError::InvalidTxnState { .. }
                | LogError::CoordinatorFenced { .. },
            ) => {
                info!(shard = ?self, %error, "records of a transaction are refused");
                Failure::Refused(code)
            }
            EngineError::Replica(ReplicaError::NotEnoughReplicas { .. }) => {
                warn!(shard = ?self, %error, "the coordinator's log refused an append");
                Failure::Refused(coordinator_code(code))
            }
            _ => {
                warn!(shard = ?self, %error, "the coordinator's log refused an append");
                Failure::Lost(coordinator_code(code))
            }
        }
    }
}

/// A group's marker as partitions know it.
fn txn_end(marker: &TxnMarker, transaction_version: i8) -> TxnEnd {
    let TxnMarker { producer, coordinator_epoch, outcome } = *marker;
    TxnEnd {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        result: match outcome {
            TxnOutcome::Commit => TransactionResult::Commit,
            TxnOutcome::Abort => TransactionResult::Abort,
        },
        coordinator_epoch,
        transaction_version,
    }
}
