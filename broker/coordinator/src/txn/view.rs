//! How transactional ids look from outside.

use ottla_wire::ErrorCode;
use ottla_wire::api::describe_transactions::{TopicData, TransactionState};
use ottla_wire::api::list_transactions::{self, ListTransactionsRequest, ListTransactionsResponse};

use super::state::TxnState;
use super::transaction::{Status, Txn};

/// The names a filter may name; the last two are of states that no record has.
const STATES: [&str; 8] = [
    Status::Empty.name(),
    Status::Ongoing.name(),
    Status::PrepareCommit.name(),
    Status::PrepareAbort.name(),
    Status::CompleteCommit.name(),
    Status::CompleteAbort.name(),
    "Dead",
    "PrepareEpochFence",
];

pub(crate) fn describe(state: &TxnState, id: &str) -> TransactionState {
    let refuse = |error_code| TransactionState {
        error_code,
        transactional_id: id.to_owned(),
        ..Default::default()
    };
    if id.is_empty() {
        return refuse(ErrorCode::INVALID_REQUEST);
    }
    let Some(txn) = state.txns.get(id) else {
        return refuse(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    };
    let topics = txn.partitions.iter().map(|(topic, partitions)| TopicData {
        topic: topic.clone(),
        partitions: partitions.iter().copied().collect(),
    });
    TransactionState {
        error_code: ErrorCode::NONE,
        transactional_id: id.to_owned(),
        transaction_state: txn.status.name().to_owned(),
        transaction_timeout_ms: txn.timeout_ms,
        transaction_start_time_ms: txn.started_ms,
        producer_id: txn.producer.id,
        producer_epoch: txn.producer.epoch,
        topics: topics.collect(),
    }
}

/// The states that a request names and nobody is ever in.
#[must_use]
pub fn unknown_states(request: &ListTransactionsRequest) -> Vec<String> {
    let unknown = request.state_filters.iter().filter(|name| !STATES.contains(&name.as_str()));
    unknown.cloned().collect()
}

pub(crate) fn list(
    state: &TxnState,
    now_ms: i64,
    request: &ListTransactionsRequest,
) -> ListTransactionsResponse {
    let passes = |txn: &Txn| {
        let states = &request.state_filters;
        let ids = &request.producer_id_filters;
        let long = now_ms.saturating_sub(txn.started_ms);
        (states.is_empty() || states.iter().any(|name| name == txn.status.name()))
            && (ids.is_empty() || ids.contains(&txn.producer.id))
            && (request.duration_filter < 0 || long > request.duration_filter)
    };
    let listed = state.txns.iter().filter(|(_, txn)| passes(txn)).map(|(id, txn)| {
        list_transactions::TransactionState {
            transactional_id: id.to_string(),
            producer_id: txn.producer.id,
            transaction_state: txn.status.name().to_owned(),
        }
    });
    ListTransactionsResponse {
        unknown_state_filters: unknown_states(request),
        transaction_states: listed.collect(),
        ..Default::default()
    }
}
