//! EndTxn.

use ottla_wire::ErrorCode;
use ottla_wire::api::end_txn::{EndTxnRequest, EndTxnResponse};

use super::{Circumstances, Live, Verdict, fenced};
use crate::group::Producer;
use crate::txn::command::Reply;
use crate::txn::transaction::{BUMPS_EPOCH, NO_EPOCH, NO_ID, Status, Txn, is_exhausted};

/// From this version on a fenced producer is told so.
const FENCED_SINCE: i16 = 2;
/// From this version on clients take the epoch that each end bumps (KIP-890).
const BUMPS_SINCE: i16 = 5;

/// The answer that says only what went wrong.
pub(crate) fn end_answer(error_code: ErrorCode) -> Reply {
    Reply::EndTxn(EndTxnResponse {
        error_code,
        producer_id: NO_ID,
        producer_epoch: NO_EPOCH,
        ..Default::default()
    })
}

/// The answer with the producer for the next transaction.
fn ended(producer: Producer) -> Reply {
    Reply::EndTxn(EndTxnResponse {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..Default::default()
    })
}

pub(super) fn end(
    live: Option<&Live>,
    request: &EndTxnRequest,
    spare_id: Option<i64>,
    how: Circumstances<'_>,
) -> Verdict {
    let refuse = |error| Verdict::Answer(end_answer(error));
    if request.transactional_id.is_empty() {
        return refuse(ErrorCode::INVALID_REQUEST);
    }
    let Some(live) = live else { return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING) };
    if how.version >= BUMPS_SINCE {
        end_bumping(live, request, spare_id, how)
    } else {
        end_keeping(live, request, how)
    }
}

fn asked(request: &EndTxnRequest) -> Status {
    if request.committed { Status::PrepareCommit } else { Status::PrepareAbort }
}

/// The end of a transaction whose client keeps its epoch.
fn end_keeping(live: &Live, request: &EndTxnRequest, how: Circumstances<'_>) -> Verdict {
    let refuse = |error| Verdict::Answer(end_answer(error));
    let txn = &live.txn;
    if txn.producer.id != request.producer_id {
        return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    if txn.producer.epoch != request.producer_epoch {
        return refuse(fenced(how.version, FENCED_SINCE));
    }
    match (txn.status, request.committed) {
        (Status::Ongoing, _) => {
            let mut txn = txn.clone();
            txn.status = asked(request);
            txn.updated_ms = how.now_ms;
            txn.version = 0;
            let reply = ended(txn.producer);
            Verdict::Become(Live { txn, last_epoch: live.last_epoch }, reply)
        }
        (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => {
            Verdict::Answer(ended(txn.producer))
        }
        (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => Verdict::Busy,
        _ => refuse(ErrorCode::INVALID_TXN_STATE),
    }
}

/// The end of a transaction whose client takes a new epoch with it. The epoch asked with tells a
/// retry from the next end: a retry names the epoch before the bump.
fn end_bumping(
    live: &Live,
    request: &EndTxnRequest,
    spare_id: Option<i64>,
    how: Circumstances<'_>,
) -> Verdict {
    let refuse = |error| Verdict::Answer(end_answer(error));
    let txn = &live.txn;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let rotated = txn.previous_id == producer.id
        && is_exhausted(producer.epoch)
        && txn.producer.id != producer.id
        && txn.producer.epoch == 0;
    let bumped =
        txn.version >= BUMPS_EPOCH && Some(txn.producer.epoch) == producer.epoch.checked_add(1);
    let again = bumped || rotated;
    let same = producer.epoch == txn.producer.epoch;
    let valid = match txn.status {
        Status::Empty | Status::Ongoing => same,
        // One that is asked again, or that of the next transaction.
        Status::PrepareCommit | Status::PrepareAbort => bumped || same,
        Status::CompleteCommit | Status::CompleteAbort => again || same,
    };
    if txn.is_next(producer) {
        return Verdict::Busy;
    }
    if txn.producer.id != producer.id && !rotated {
        return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    if !valid {
        return refuse(fenced(how.version, FENCED_SINCE));
    }
    match (txn.status, request.committed) {
        (Status::Ongoing, _) => bump(live, asked(request), spare_id, how),
        (Status::CompleteCommit, true) | (Status::CompleteAbort, false) if again => {
            Verdict::Answer(ended(txn.producer))
        }
        // A client may abort what it never began; the bump makes late writes void.
        (Status::Empty, false) => bump(live, Status::PrepareAbort, spare_id, how),
        (Status::CompleteCommit | Status::CompleteAbort, false) if !again => {
            bump(live, Status::PrepareAbort, spare_id, how)
        }
        (Status::PrepareCommit | Status::PrepareAbort, _) if same => Verdict::Busy,
        (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => Verdict::Busy,
        _ => refuse(ErrorCode::INVALID_TXN_STATE),
    }
}

fn bump(live: &Live, status: Status, spare_id: Option<i64>, how: Circumstances<'_>) -> Verdict {
    let old = live.txn.producer;
    let next_id = match (is_exhausted(old.epoch), spare_id) {
        (false, _) => NO_ID,
        (true, Some(id)) => id,
        (true, None) => return Verdict::Answer(Reply::NeedsProducerId),
    };
    let producer = Producer { id: old.id, epoch: old.epoch.saturating_add(1) };
    let began = live.txn.status == Status::Ongoing;
    let txn = Txn {
        producer,
        next_id,
        status,
        started_ms: if began { live.txn.started_ms } else { how.now_ms },
        updated_ms: how.now_ms,
        version: BUMPS_EPOCH,
        ..live.txn.clone()
    };
    let reply = ended(if next_id == NO_ID { producer } else { Producer { id: next_id, epoch: 0 } });
    Verdict::Become(Live { txn, last_epoch: old.epoch }, reply)
}
