//! AddPartitionsToTxn and AddOffsetsToTxn.

use std::collections::BTreeSet;

use ottla_wire::ErrorCode;
use ottla_wire::api::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};

use super::{Circumstances, Live, Verdict, fenced};
use crate::group::Producer;
use crate::txn::command::Reply;
use crate::txn::transaction::{BUMPS_EPOCH, Partitions, Status};

/// From this version on a fenced producer is told so.
const FENCED_SINCE: i16 = 2;
/// From this version on AddPartitionsToTxn comes from brokers, for clients of version 2 of
/// transactions.
const BROKERS_ADD_SINCE: i16 = 4;
/// The topic of groups' offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The answer with one error for all partitions.
pub(crate) fn add_answer(request: &AddPartitionsToTxnTransaction, error: ErrorCode) -> Reply {
    add_answer_by(request, |_, _| error)
}

fn add_answer_by(
    request: &AddPartitionsToTxnTransaction,
    error: impl Fn(&str, i32) -> ErrorCode,
) -> Reply {
    let topic_results = request.topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|index| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: error(&topic.name, *index),
            })
            .collect(),
    });
    Reply::AddPartitions(AddPartitionsToTxnResult {
        transactional_id: request.transactional_id.clone(),
        topic_results: topic_results.collect(),
    })
}

/// The answer to AddOffsetsToTxn.
pub(crate) fn add_offsets_answer(error_code: ErrorCode) -> Reply {
    Reply::AddOffsets(AddOffsetsToTxnResponse { error_code, ..Default::default() })
}

pub(super) fn add_partitions(
    live: Option<&Live>,
    request: &AddPartitionsToTxnTransaction,
    how: Circumstances<'_>,
) -> Verdict {
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let answer = |error| add_answer(request, error);
    if live.is_some_and(|live| live.txn.is_next(producer)) {
        return Verdict::Busy;
    }
    let known = match check(live, &request.transactional_id, producer, how.version) {
        Ok(known) => known,
        Err(error) => return Verdict::Answer(answer(error)),
    };
    if known.txn.status.is_ending() {
        return Verdict::Busy;
    }
    if request.verify_only {
        return Verdict::Answer(add_answer_by(request, |topic, index| {
            let added = known.txn.partitions.get(topic).is_some_and(|all| all.contains(&index));
            if added { ErrorCode::NONE } else { ErrorCode::TRANSACTION_ABORTABLE }
        }));
    }
    let mut partitions = Partitions::new();
    for topic in &request.topics {
        let all = partitions.entry(topic.name.clone()).or_default();
        all.extend(topic.partitions.iter().copied());
    }
    let version = if how.version >= BROKERS_ADD_SINCE { BUMPS_EPOCH } else { 0 };
    add(known, partitions, version, answer(ErrorCode::NONE), how)
}

pub(super) fn add_offsets(
    live: Option<&Live>,
    request: &AddOffsetsToTxnRequest,
    partition: i32,
    how: Circumstances<'_>,
) -> Verdict {
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    if live.is_some_and(|live| live.txn.is_next(producer)) {
        return Verdict::Busy;
    }
    let known = match check(live, &request.transactional_id, producer, how.version) {
        Ok(known) => known,
        Err(error) => return Verdict::Answer(add_offsets_answer(error)),
    };
    if known.txn.status.is_ending() {
        return Verdict::Busy;
    }
    let partitions = Partitions::from([(OFFSETS_TOPIC.to_owned(), BTreeSet::from([partition]))]);
    add(known, partitions, 0, add_offsets_answer(ErrorCode::NONE), how)
}

fn check<'a>(
    live: Option<&'a Live>,
    id: &str,
    producer: Producer,
    version: i16,
) -> Result<&'a Live, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let known = live.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    if known.txn.producer.id != producer.id {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    if known.txn.producer.epoch != producer.epoch {
        return Err(fenced(version, FENCED_SINCE));
    }
    Ok(known)
}

fn add(
    live: &Live,
    partitions: Partitions,
    version: i16,
    reply: Reply,
    how: Circumstances<'_>,
) -> Verdict {
    if live.txn.status == Status::Ongoing && live.txn.has_all(&partitions) {
        return Verdict::Answer(reply);
    }
    let mut txn = live.txn.clone();
    if txn.status != Status::Ongoing {
        txn.started_ms = how.now_ms;
        txn.status = Status::Ongoing;
    }
    for (topic, added) in partitions {
        txn.partitions.entry(topic).or_default().extend(added);
    }
    txn.updated_ms = how.now_ms;
    txn.version = version;
    Verdict::Become(Live { txn, last_epoch: live.last_epoch }, reply)
}
