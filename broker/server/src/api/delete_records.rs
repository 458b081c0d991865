//! DeleteRecords: everything below an offset goes (KIP-107).

use std::sync::Arc;

use ottla_engine::EngineError;
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use crate::answer::Answer;
use crate::api::{partitions, topics};
use crate::call::Call;

/// Answers DeleteRecords.
pub fn handle(call: Call, request: DeleteRecordsRequest) -> Answer<DeleteRecordsResponse> {
    let image = call.context.image();
    Answer::later(async move {
        let theirs = call.clone();
        let work = move || delete_all(&theirs, &image, request);
        partitions::on_disk(&call, work).await.unwrap_or_default()
    })
}

fn delete_all(
    call: &Call,
    image: &Arc<Image>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|t| DeleteRecordsTopicResult {
            partitions: t.partitions.iter().map(|p| one(call, image, &t.name, p)).collect(),
            name: t.name,
        })
        .collect();
    DeleteRecordsResponse { topics, ..Default::default() }
}

fn one(
    call: &Call,
    image: &Image,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let partition_index = asked.partition_index;
    let result = |low_watermark: Result<i64, ErrorCode>| DeleteRecordsPartitionResult {
        partition_index,
        low_watermark: low_watermark.unwrap_or(-1),
        error_code: low_watermark.err().unwrap_or(ErrorCode::NONE),
    };
    if topics::is_internal(topic) {
        return result(Err(ErrorCode::INVALID_TOPIC_EXCEPTION));
    }
    let found = match partitions::find(call, image, topic, partition_index) {
        Ok(found) => found,
        Err(error) => return result(Err(error)),
    };
    // Where nothing is deleted but by compaction, a hole at the start would be a lie.
    if !found.config().cleanup_policy.delete {
        return result(Err(ErrorCode::POLICY_VIOLATION));
    }
    result(found.delete_records(asked.offset).map_err(|e| EngineError::code(&e)))
}
