//! InitProducerId: an id for an idempotent producer, or for the producer of a transactional id, which
//! fences the one before.

use ottla_coordinator::txn::{Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::answer::Answer;
use crate::api::txns;
use crate::call::Call;

/// Answers InitProducerId.
pub fn handle(call: Call, request: InitProducerIdRequest) -> Answer<InitProducerIdResponse> {
    match request.transactional_id.clone() {
        Some(id) => transactional(call, id, request),
        None => idempotent(call, &request),
    }
}

fn failed(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
}

fn idempotent(call: Call, request: &InitProducerIdRequest) -> Answer<InitProducerIdResponse> {
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return failed(ErrorCode::INVALID_REQUEST).into();
    }
    Answer::later(async move {
        match call.context.producer_ids.next(&call.context).await {
            Ok(producer_id) => {
                InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() }
            }
            Err(error) => failed(error),
        }
    })
}

fn transactional(
    call: Call,
    id: String,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    // Transactions that outlive their producers (KIP-939) are not offered.
    if request.enable2_pc {
        return failed(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED).into();
    }
    if request.keep_prepared_txn {
        return failed(ErrorCode::UNSUPPORTED_VERSION).into();
    }
    let ask = move |spare_id| Request::InitProducerId { request: request.clone(), spare_id };
    let first = match txns::submit(&call.context, &id, call.version, ask(None)) {
        Ok(first) => first,
        Err(error) => return failed(error).into(),
    };
    Answer::later(async move {
        match txns::decide(&call.context, call.version, first, &id, ask).await {
            Ok(Reply::InitProducerId(response)) => response,
            Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => failed(error),
        }
    })
}
