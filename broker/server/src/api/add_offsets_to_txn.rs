//! AddOffsetsToTxn: a transaction is about to commit offsets of a group.

use ottla_coordinator::hash;
use ottla_coordinator::txn::{Reply, Request};
use ottla_engine::OFFSETS_TOPIC;
use ottla_wire::ErrorCode;
use ottla_wire::api::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::answer::Answer;
use crate::api::{groups, txns};
use crate::call::Call;

/// Answers AddOffsetsToTxn. The topic of offsets is made when it is not there: its partitions say
/// which one has the group.
pub fn handle(call: Call, request: AddOffsetsToTxnRequest) -> Answer<AddOffsetsToTxnResponse> {
    Answer::later(async move {
        if groups::offsets_partitions(&call.context.image()) == 0 {
            call.context.create_missing(call.asker(), vec![OFFSETS_TOPIC.to_owned()]).await;
        }
        match add(&call, request).await {
            Ok(response) => response,
            Err(error_code) => AddOffsetsToTxnResponse { error_code, ..Default::default() },
        }
    })
}

async fn add(
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> Result<AddOffsetsToTxnResponse, ErrorCode> {
    let partitions = groups::offsets_partitions(&call.context.image());
    if partitions == 0 {
        return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    }
    let partition = hash::partition_for(&request.group_id, partitions);
    let id = request.transactional_id.clone();
    let ask = Request::AddOffsets { request, partition };
    match txns::submit(&call.context, &id, call.version, ask)?.await? {
        Reply::AddOffsets(response) => Ok(response),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
