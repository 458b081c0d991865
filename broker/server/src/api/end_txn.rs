//! EndTxn: a transaction is committed or aborted.

use ottla_coordinator::txn::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::end_txn::{EndTxnRequest, EndTxnResponse};

use crate::answer::Answer;
use crate::api::txns;
use crate::call::Call;

/// Answers EndTxn.
pub fn handle(call: Call, request: EndTxnRequest) -> Answer<EndTxnResponse> {
    let failed = |error_code: ErrorCode| EndTxnResponse {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let id = request.transactional_id.clone();
    let ask = move |spare_id| Request::EndTxn { request: request.clone(), spare_id };
    let first = match txns::submit(&call.context, &id, call.version, ask(None)) {
        Ok(first) => first,
        Err(error) => return failed(error).into(),
    };
    Answer::later(async move {
        match txns::decide(&call.context, call.version, first, &id, ask).await {
            Ok(Reply::EndTxn(response)) => response,
            Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => failed(error),
        }
    })
}
