//! InitProducerId: an id for an idempotent producer.

use ottla_wire::ErrorCode;
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::answer::Answer;
use crate::call::Call;

/// Answers InitProducerId.
pub fn handle(call: Call, request: InitProducerIdRequest) -> Answer<InitProducerIdResponse> {
    let failed = |error_code: ErrorCode| InitProducerIdResponse {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    // Transactions have no coordinator here yet.
    if request.transactional_id.is_some() {
        return failed(ErrorCode::COORDINATOR_NOT_AVAILABLE).into();
    }
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
