//! DeleteRecords: everything below an offset goes (KIP-107), on all replicas before it is answered.

use std::sync::Arc;
use std::time::Duration;

use ottla_engine::{Ack, EngineError, Partition};
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
    let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    Answer::later(async move {
        let theirs = call.clone();
        let work = move || delete_all(&theirs, &image, request);
        let mut response = partitions::on_disk(&call, work).await.unwrap_or_default();
        let deadline = tokio::time::Instant::now() + patience;
        let image = call.context.image();
        for topic in &mut response.topics {
            for result in &mut topic.partitions {
                if result.error_code != ErrorCode::NONE {
                    continue;
                }
                let found = partitions::find(&call, &image, &topic.name, result.partition_index);
                let settled = match found {
                    Ok(found) => everywhere(&found, result.low_watermark, deadline).await,
                    Err(error) => Err(error),
                };
                result.low_watermark = settled.unwrap_or(-1);
                result.error_code = settled.err().unwrap_or(ErrorCode::NONE);
            }
        }
        response
    })
}

/// Waits until all replicas on brokers in service begin at `start` or later. Returns where they
/// begin.
async fn everywhere(
    partition: &Partition,
    start: i64,
    deadline: tokio::time::Instant,
) -> Result<i64, ErrorCode> {
    let code = |e: EngineError| e.code();
    if let Ack::Wait(wait) = partition.wait_deleted(start).map_err(code)? {
        let waited = tokio::time::timeout_at(deadline, wait).await;
        waited.unwrap_or(Err(ErrorCode::REQUEST_TIMED_OUT))?;
    }
    partition.low_watermark().map_err(code)
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
