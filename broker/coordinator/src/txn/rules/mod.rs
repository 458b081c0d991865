//! What each request makes of a transactional id: one function a request, from what it is to what
//! it becomes.

mod add;
mod end;
mod init;

use ottla_wire::ErrorCode;

use super::command::{Reply, Request};
use super::settings::TxnSettings;
use super::transaction::{NO_EPOCH, NO_ID, Partitions, Status, Txn};
use crate::group::{Producer, TxnOutcome};

pub(crate) use self::add::{add_answer, add_offsets_answer};
pub(crate) use self::end::end_answer;
pub(crate) use self::init::init_answer;

/// A transactional id with the one thing of it that no record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) txn: Txn,
    /// The epoch before the present one, if the same producer had it (KIP-360).
    pub(crate) last_epoch: i16,
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing changes.
    Answer(Reply),
    /// The id becomes something else, and the request is answered.
    Become(Live, Reply),
    /// Somebody else's transaction is in the way: it is aborted first.
    Fence,
    /// Markers are being written: the request waits, or is told to come again.
    Busy,
}

/// What the rules are told besides the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) settings: &'a TxnSettings,
    pub(crate) now_ms: i64,
    /// The version of the request.
    pub(crate) version: i16,
}

/// Judges a request about one transactional id. Requests of other kinds are answered `Done`.
pub(crate) fn judge(live: Option<&Live>, request: &Request, how: Circumstances<'_>) -> Verdict {
    match request {
        Request::InitProducerId { request, spare_id } => init::init(live, request, *spare_id, how),
        Request::AddPartitions(request) => add::add_partitions(live, request, how),
        Request::AddOffsets { request, partition } => {
            add::add_offsets(live, request, *partition, how)
        }
        Request::EndTxn { request, spare_id } => end::end(live, request, *spare_id, how),
        Request::Describe(_)
        | Request::List(_)
        | Request::MarkersWritten(_)
        | Request::Configure(_)
        | Request::Tick => Verdict::Answer(Reply::Done),
    }
}

/// The error of a fenced producer, as clients of the version know it.
pub(crate) fn fenced(version: i16, since: i16) -> ErrorCode {
    if version < since { ErrorCode::INVALID_PRODUCER_EPOCH } else { ErrorCode::PRODUCER_FENCED }
}

/// An open transaction that is aborted because its producer is fenced or out of time: nobody but
/// the coordinator knows the new epoch.
pub(crate) fn fence(live: &Live, how: Circumstances<'_>) -> Live {
    let mut txn = live.txn.clone();
    txn.producer.epoch = txn.producer.epoch.saturating_add(1);
    txn.status = Status::PrepareAbort;
    txn.updated_ms = how.now_ms;
    txn.version = if how.settings.version >= super::transaction::BUMPS_EPOCH {
        how.settings.version
    } else {
        0
    };
    let last_epoch = if txn.version >= super::transaction::BUMPS_EPOCH {
        live.txn.producer.epoch
    } else {
        NO_EPOCH
    };
    Live { txn, last_epoch }
}

/// A transaction whose markers are written.
pub(crate) fn complete(live: &Live, now_ms: i64) -> Live {
    let mut txn = live.txn.clone();
    txn.status = match txn.status {
        Status::PrepareCommit => Status::CompleteCommit,
        _ => Status::CompleteAbort,
    };
    txn.partitions = Partitions::new();
    txn.updated_ms = now_ms;
    let mut last_epoch = live.last_epoch;
    if txn.version >= super::transaction::BUMPS_EPOCH {
        txn.previous_id = txn.producer.id;
        if txn.next_id != NO_ID {
            last_epoch = txn.producer.epoch;
            txn.producer = Producer { id: txn.next_id, epoch: 0 };
            txn.next_id = NO_ID;
        }
    }
    Live { txn, last_epoch }
}

/// How a transaction in one of the prepared states ends.
pub(crate) fn outcome(status: Status) -> TxnOutcome {
    match status {
        Status::PrepareCommit => TxnOutcome::Commit,
        _ => TxnOutcome::Abort,
    }
}
