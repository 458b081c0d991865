//! AllocateProducerIds.

use crate::brokers::check_epoch;
use crate::draft::Draft;
use crate::error::ApiError;
use ottla_wire::ErrorCode;
use ottla_wire::api::allocate_producer_ids::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse,
};
use ottla_wire::schema::metadata::ProducerIdsRecord;

/// The producer ids of one block.
pub const PRODUCER_ID_BLOCK: i32 = 1_000;

/// Gives a broker a block of producer ids that nobody else will get.
pub(crate) fn allocate_producer_ids(
    draft: &mut Draft<'_>,
    request: &AllocateProducerIdsRequest,
) -> Result<AllocateProducerIdsResponse, ApiError> {
    let (broker_id, broker_epoch) = (request.broker_id, request.broker_epoch);
    check_epoch(draft.image(), broker_id, broker_epoch)?;
    let start = draft.image().next_producer_id();
    let Some(next) = start.checked_add(PRODUCER_ID_BLOCK.into()) else {
        let text = "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit";
        return Err(ApiError::new(ErrorCode::UNKNOWN_SERVER_ERROR, text));
    };
    draft.push(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id: next });
    Ok(AllocateProducerIdsResponse {
        producer_id_start: start,
        producer_id_len: PRODUCER_ID_BLOCK,
        ..AllocateProducerIdsResponse::default()
    })
}
