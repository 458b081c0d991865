//! WriteTxnMarkers: the coordinator of a transaction has its end written to the partitions that are
//! led here. Told when all in-sync replicas have it, and, of the groups' topic, when the offsets are
//! committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::keys;
use ottla_coordinator::GroupMachine;
use ottla_engine::{Ack, AckWait, OFFSETS_TOPIC, Submitted, TxnEnd};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use ottla_wire::record::TransactionResult;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::answer::Answer;
use crate::api::partitions;
use crate::call::Call;
use crate::context::Context;

/// One partition's marker under way.
enum Marked {
    Done(ErrorCode),
    Replicating(AckWait),
    Completing(Submitted<GroupMachine>),
}

/// What became of markers, by producer, topic and partition.
type Results = BTreeMap<i64, BTreeMap<String, BTreeMap<i32, ErrorCode>>>;

/// Answers WriteTxnMarkers. The markers of one request are appended in its order.
pub fn handle(call: Call, request: WriteTxnMarkersRequest) -> Answer<WriteTxnMarkersResponse> {
    Answer::later(write(&call.context, request))
}

/// Writes markers to partitions that are led here. They are appended when this returns.
pub(crate) fn write(
    context: &Arc<Context>,
    request: WriteTxnMarkersRequest,
) -> impl Future<Output = WriteTxnMarkersResponse> + Send + use<> {
    let image = context.image();
    let mut under_way = Vec::new();
    for marker in request.markers {
        let end = end_of(&marker);
        for topic in marker.topics {
            for partition in topic.partition_indexes {
                let marked = mark(context, &image, &topic.name, partition, &end);
                under_way.push((end.producer_id, topic.name.clone(), partition, marked));
            }
        }
    }
    let patience = context.config().get(keys::REQUEST_TIMEOUT_MS);
    let patience = Duration::from_millis(u64::try_from(patience).unwrap_or(0));
    async move {
        let deadline = Instant::now() + patience;
        let mut results = Results::new();
        for (producer, topic, partition, marked) in under_way {
            let code = marked.settle(deadline).await;
            if code != ErrorCode::NONE {
                info!(producer, topic, partition, %code, "a transaction's end is not written");
            }
            let topics = results.entry(producer).or_default();
            topics.entry(topic).or_default().insert(partition, code);
        }
        response(results)
    }
}

fn end_of(marker: &WritableTxnMarker) -> TxnEnd {
    TxnEnd {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        result: match marker.transaction_result {
            true => TransactionResult::Commit,
            false => TransactionResult::Abort,
        },
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: marker.transaction_version,
    }
}

fn mark(context: &Context, image: &Image, topic: &str, partition: i32, end: &TxnEnd) -> Marked {
    let Ok(found) = partitions::find_in(context, image, topic, partition) else {
        // Whoever asked looks anew where it is.
        return Marked::Done(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    if topic == OFFSETS_TOPIC {
        return match context.groups.end_transaction(partition, end) {
            Ok(submitted) => Marked::Completing(submitted),
            Err(code) => Marked::Done(as_of_partition(code)),
        };
    }
    match found.append_marker(end) {
        Ok(appended) => match appended.ack {
            Ack::Now => Marked::Done(ErrorCode::NONE),
            Ack::Wait(wait) => Marked::Replicating(wait),
        },
        Err(error) => Marked::Done(error.code()),
    }
}

impl Marked {
    async fn settle(self, deadline: Instant) -> ErrorCode {
        let late = Err(ErrorCode::REQUEST_TIMED_OUT);
        let settled = match self {
            Self::Done(code) => return code,
            Self::Replicating(wait) => timeout_at(deadline, wait).await.unwrap_or(late),
            Self::Completing(submitted) => match timeout_at(deadline, submitted).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(code)) => Err(as_of_partition(code)),
                Err(_) => late,
            },
        };
        settled.err().unwrap_or(ErrorCode::NONE)
    }
}

/// What a coordinator of groups says, as a partition would: those who write markers know no groups.
fn as_of_partition(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::NOT_COORDINATOR => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        other => other,
    }
}

fn response(results: Results) -> WriteTxnMarkersResponse {
    let partition = |(partition_index, error_code)| WritableTxnMarkerPartitionResult {
        partition_index,
        error_code,
    };
    let topic = |(name, partitions): (String, BTreeMap<i32, ErrorCode>)| {
        let partitions = partitions.into_iter().map(partition).collect();
        WritableTxnMarkerTopicResult { name, partitions }
    };
    let marker = |(producer_id, topics): (i64, BTreeMap<String, BTreeMap<i32, ErrorCode>>)| {
        let topics = topics.into_iter().map(topic).collect();
        WritableTxnMarkerResult { producer_id, topics }
    };
    WriteTxnMarkersResponse { markers: results.into_iter().map(marker).collect() }
}
