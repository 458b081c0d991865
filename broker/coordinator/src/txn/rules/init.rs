//! InitProducerId.

use ottla_wire::ErrorCode;
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Circumstances, Live, Verdict, fenced};
use crate::group::Producer;
use crate::txn::command::Reply;
use crate::txn::transaction::{NO_EPOCH, NO_ID, Partitions, Status, Txn, is_exhausted};

/// From this version on a fenced producer is told so.
const FENCED_SINCE: i16 = 4;

/// The answer that gives no producer.
pub(crate) fn init_answer(error_code: ErrorCode) -> Reply {
    Reply::InitProducerId(InitProducerIdResponse {
        error_code,
        producer_id: NO_ID,
        producer_epoch: NO_EPOCH,
        ..Default::default()
    })
}

pub(super) fn init(
    live: Option<&Live>,
    request: &InitProducerIdRequest,
    spare_id: Option<i64>,
    how: Circumstances<'_>,
) -> Verdict {
    let refuse = |error| Verdict::Answer(init_answer(error));
    let timeout_ms = request.transaction_timeout_ms;
    if request.transactional_id.as_deref().unwrap_or_default().is_empty() {
        return refuse(ErrorCode::INVALID_REQUEST);
    }
    if (request.producer_id == NO_ID) != (request.producer_epoch == NO_EPOCH) {
        return refuse(ErrorCode::INVALID_REQUEST);
    }
    if timeout_ms <= 0 || timeout_ms > how.settings.max_timeout_ms {
        return refuse(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    let expected = (request.producer_id != NO_ID)
        .then_some(Producer { id: request.producer_id, epoch: request.producer_epoch });
    let born;
    let live = match (live, spare_id) {
        (Some(live), _) => live,
        (None, None) => return Verdict::Answer(Reply::NeedsProducerId),
        (None, Some(id)) => {
            born = Live { txn: Txn::new(id, timeout_ms, how.now_ms), last_epoch: NO_EPOCH };
            &born
        }
    };
    if expected.is_some_and(|expected| live.txn.is_next(expected)) {
        return Verdict::Busy;
    }
    if expected.is_some_and(|expected| !is_of(&live.txn, expected)) {
        return refuse(fenced(how.version, FENCED_SINCE));
    }
    match live.txn.status {
        Status::PrepareCommit | Status::PrepareAbort => Verdict::Busy,
        Status::Ongoing => Verdict::Fence,
        Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {
            match next(live, expected, spare_id) {
                Next::Producer(producer, last_epoch) => {
                    become_empty(live, producer, last_epoch, timeout_ms, how)
                }
                Next::NeedsId => Verdict::Answer(Reply::NeedsProducerId),
                Next::Fenced => refuse(fenced(how.version, FENCED_SINCE)),
            }
        }
    }
}

/// Whether the producer a client says it is could be the one that is known.
fn is_of(txn: &Txn, expected: Producer) -> bool {
    txn.producer.epoch == NO_EPOCH
        || expected.id == txn.producer.id
        || (expected.id == txn.previous_id && is_exhausted(expected.epoch))
}

/// The producer that comes after the present one.
enum Next {
    Producer(Producer, i16),
    NeedsId,
    Fenced,
}

fn next(live: &Live, expected: Option<Producer>, spare_id: Option<i64>) -> Next {
    let Producer { id, epoch } = live.txn.producer;
    let goes_on = expected.is_none_or(|expected| expected.epoch == epoch);
    if is_exhausted(epoch) && goes_on {
        let last_epoch = if expected.is_some() { epoch } else { NO_EPOCH };
        return match spare_id {
            Some(id) => Next::Producer(Producer { id, epoch: 0 }, last_epoch),
            None => Next::NeedsId,
        };
    }
    let bumped = Producer { id, epoch: epoch.saturating_add(1) };
    match expected {
        None => Next::Producer(bumped, NO_EPOCH),
        Some(expected) if epoch == NO_EPOCH || expected.epoch == epoch => {
            Next::Producer(bumped, epoch)
        }
        // The answer to a bump was lost: it is given again.
        Some(expected) if expected.epoch == live.last_epoch => {
            Next::Producer(live.txn.producer, live.last_epoch)
        }
        Some(_) => Next::Fenced,
    }
}

fn become_empty(
    live: &Live,
    producer: Producer,
    last_epoch: i16,
    timeout_ms: i32,
    how: Circumstances<'_>,
) -> Verdict {
    let txn = Txn {
        producer,
        previous_id: live.txn.producer.id,
        next_id: NO_ID,
        timeout_ms,
        status: Status::Empty,
        partitions: Partitions::new(),
        started_ms: -1,
        updated_ms: how.now_ms,
        version: live.txn.version,
    };
    let reply = Reply::InitProducerId(InitProducerIdResponse {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..Default::default()
    });
    Verdict::Become(Live { txn, last_epoch }, reply)
}
