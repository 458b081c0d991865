//! AddPartitionsToTxn: partitions are added to transactions, or it is asked whether they were
//! (KIP-890). Before version 4 it comes from clients and is about one transaction, since then from
//! brokers and about several.

use std::sync::Arc;

use ottla_coordinator::txn::{Reply, Request};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};

use crate::answer::Answer;
use crate::api::{groups, topics, txns};
use crate::call::Call;
use crate::context::Context;

/// Since this version the request comes from brokers.
const OF_BROKERS_SINCE: i16 = 4;

/// Answers AddPartitionsToTxn.
pub fn handle(
    call: Call,
    request: AddPartitionsToTxnRequest,
) -> Answer<AddPartitionsToTxnResponse> {
    if call.version >= OF_BROKERS_SINCE {
        // All are begun before the first is waited for.
        let all = request.transactions.into_iter();
        let all: Vec<_> = all.map(|one| judge(&call.context, call.version, one)).collect();
        return Answer::later(async move {
            let results_by_transaction = groups::all(all).await;
            AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
        });
    }
    let one = AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let judged = judge(&call.context, call.version, one);
    Answer::later(async move {
        let results_by_topic_v3_and_below = judged.await.topic_results;
        AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() }
    })
}

/// What becomes of one transaction. What must be ordered has happened when this returns.
pub(crate) fn judge(
    context: &Arc<Context>,
    version: i16,
    one: AddPartitionsToTxnTransaction,
) -> impl Future<Output = AddPartitionsToTxnResult> + Send + use<> {
    let image = context.image();
    let refuses = |topic: &str, partition| refusal(&image, version, topic, partition);
    let refused = one.topics.iter().any(|topic| {
        topic.partitions.iter().any(|partition| refuses(&topic.name, *partition).is_some())
    });
    let submitted = if refused {
        // All or nothing: those that could be added are told that nobody tried.
        Err(answer(&one, |topic, partition| {
            refuses(topic, partition).unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED)
        }))
    } else {
        let id = one.transactional_id.clone();
        txns::submit(context, &id, version, Request::AddPartitions(one.clone()))
            .map_err(|error| answer(&one, |_, _| error))
    };
    async move {
        let pending = match submitted {
            Ok(pending) => pending,
            Err(refused) => return refused,
        };
        match pending.await {
            Ok(Reply::AddPartitions(result)) => result,
            Ok(_) => answer(&one, |_, _| ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => answer(&one, |_, _| error),
        }
    }
}

/// Why a partition cannot be added, if so.
fn refusal(image: &Image, version: i16, topic: &str, partition: i32) -> Option<ErrorCode> {
    if version < OF_BROKERS_SINCE && topics::is_internal(topic) {
        return Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let there = image.topic_named(topic).and_then(|topic| topic.partition(partition)).is_some();
    (!there).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

/// An answer with a code for each partition.
fn answer(
    one: &AddPartitionsToTxnTransaction,
    code: impl Fn(&str, i32) -> ErrorCode,
) -> AddPartitionsToTxnResult {
    let topic_results = one.topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|partition| AddPartitionsToTxnPartitionResult {
                partition_index: *partition,
                partition_error_code: code(&topic.name, *partition),
            })
            .collect(),
    });
    AddPartitionsToTxnResult {
        transactional_id: one.transactional_id.clone(),
        topic_results: topic_results.collect(),
    }
}
