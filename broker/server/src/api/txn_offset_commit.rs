//! TxnOffsetCommit: how far a group has read, as part of a transaction. It counts from the
//! transaction's end on.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_coordinator::{Command, Context as GroupContext, GroupMachine, Reply, Request};
use ottla_engine::{OFFSETS_TOPIC, Shard, Transactional, Verification};
use ottla_log::producers::{Beginning, Sequences, Verified};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::api::verify::{self, Knows};
use crate::call::Call;

/// Since this version clients know that a transaction may have to be aborted (KIP-1050).
const ABORTABLE_SINCE: i16 = 4;
/// Since this version the group's partition is added to the transaction by its coordinator.
const IMPLICIT_SINCE: i16 = 5;
/// How often a transaction's coordinator is asked again because the one before ended in between.
const ASKED_AGAIN: u32 = 3;

/// Answers TxnOffsetCommit.
pub fn handle(call: Call, mut request: TxnOffsetCommitRequest) -> Answer<TxnOffsetCommitResponse> {
    let image = call.context.image();
    let mut refused = Vec::new();
    request.topics = std::mem::take(&mut request.topics)
        .into_iter()
        .filter_map(|topic| known(&image, topic, &mut refused))
        .collect();
    if request.topics.is_empty() {
        return TxnOffsetCommitResponse { topics: refused, ..Default::default() }.into();
    }
    Answer::later(async move {
        let asked = request.topics.clone();
        let mut topics = match commit(&call, request).await {
            Ok(topics) => topics,
            Err(code) => {
                asked.into_iter().map(|topic| all_failed(topic, by_coordinator(code))).collect()
            }
        };
        merge(&mut topics, refused);
        TxnOffsetCommitResponse { topics, ..Default::default() }
    })
}

async fn commit(
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> Result<Vec<TxnOffsetCommitResponseTopic>, ErrorCode> {
    if !groups::is_valid(&request.group_id) {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let partitions = groups::offsets_partitions(&call.context.image());
    let shard = call.context.groups.of(&request.group_id, partitions)?;
    let verified = verified(call, &shard, &request).await?;
    let context = GroupContext {
        client_id: call.client_id.clone(),
        client_host: call.client_host(),
        version: call.version,
    };
    let command = Command { context, request: Request::TxnOffsetCommit(request) };
    let how = Transactional { verified, ..Default::default() };
    match shard.submit_in(command, how).await? {
        Reply::TxnOffsetCommit(response) => Ok(response.topics),
        // A reply of another kind than the request would be a fault of the machine.
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

/// Has the transaction's coordinator say that the group's partition belongs to it, unless offsets
/// of the transaction are there already.
async fn verified(
    call: &Call,
    shard: &Arc<Shard<GroupMachine>>,
    request: &TxnOffsetCommitRequest,
) -> Result<Verified, ErrorCode> {
    let knows = Knows::of(call.version, ABORTABLE_SINCE, IMPLICIT_SINCE);
    let is_required = verify::is_required(call);
    if !is_required && knows != Knows::ImplicitAdding {
        return Ok(Verified::Unasked);
    }
    let beginning = Beginning {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
        // Offsets carry no numbers of their producer's.
        sequence: -1,
        sequences: Sequences::Any,
    };
    let begin = || shard.partition().begin_verification(&beginning).map_err(|e| e.code());
    let mut guard = begin()?;
    for _ in 0..=ASKED_AGAIN {
        if guard.is_none() {
            break;
        }
        let said = verify::ask(call, asked(shard, request, knows)).await;
        let code = said.first().map_or(ErrorCode::INVALID_TXN_STATE, |(_, _, code)| *code);
        if code != ErrorCode::NONE {
            return Err(knows.translate(code));
        }
        // A marker that came since may be of the transaction before, and may be of this one.
        let before = guard;
        guard = begin()?;
        if guard == before {
            break;
        }
    }
    Ok(if is_required { Verified::By(guard) } else { Verified::Unasked })
}

fn asked(
    shard: &Shard<GroupMachine>,
    request: &TxnOffsetCommitRequest,
    knows: Knows,
) -> Verification {
    Verification {
        transactional_id: request.transactional_id.clone(),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        topics: vec![(OFFSETS_TOPIC.to_owned(), vec![shard.partition().id().partition])],
        adding: knows.adding(),
    }
}

/// What a coordinator of groups answers where the one of transactions, or the partition, said this.
fn by_coordinator(code: ErrorCode) -> ErrorCode {
    match code {
        // Clients that know nothing of verification try this again without looking for another.
        ErrorCode::NETWORK_EXCEPTION => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        other => other,
    }
}

/// The part of a topic that exists; the rest goes to `refused`.
fn known(
    image: &Image,
    mut topic: TxnOffsetCommitRequestTopic,
    refused: &mut Vec<TxnOffsetCommitResponseTopic>,
) -> Option<TxnOffsetCommitRequestTopic> {
    let found = image.topic_named(&topic.name);
    let is_there = |index: i32| found.is_some_and(|topic| topic.partition(index).is_some());
    let (there, absent): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition(|partition| is_there(partition.partition_index));
    if !absent.is_empty() {
        let absent = TxnOffsetCommitRequestTopic { partitions: absent, ..topic.clone() };
        refused.push(all_failed(absent, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
    topic.partitions = there;
    (!topic.partitions.is_empty()).then_some(topic)
}

fn all_failed(
    topic: TxnOffsetCommitRequestTopic,
    error_code: ErrorCode,
) -> TxnOffsetCommitResponseTopic {
    let row = |partition_index| TxnOffsetCommitResponsePartition { partition_index, error_code };
    TxnOffsetCommitResponseTopic {
        name: topic.name,
        partitions: topic.partitions.iter().map(|p| row(p.partition_index)).collect(),
    }
}

/// Puts refused partitions beside the others of their topic.
fn merge(
    topics: &mut Vec<TxnOffsetCommitResponseTopic>,
    refused: Vec<TxnOffsetCommitResponseTopic>,
) {
    if refused.is_empty() {
        return;
    }
    let mut places: BTreeMap<String, usize> =
        topics.iter().enumerate().map(|(place, topic)| (topic.name.clone(), place)).collect();
    for topic in refused {
        let there = places.get(&topic.name).and_then(|place| topics.get_mut(*place));
        if let Some(there) = there {
            there.partitions.extend(topic.partitions);
        } else {
            places.insert(topic.name.clone(), topics.len());
            topics.push(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_wire::Uuid;
    use ottla_wire::api::txn_offset_commit::TxnOffsetCommitRequestPartition;
    use ottla_wire::schema::metadata::{MetadataRecord, PartitionRecord, TopicRecord};

    use super::*;

    #[test]
    fn what_does_not_exist_is_refused_beside_the_rest() {
        let mut image = Image::default();
        let topic_id = Uuid::from_u128(7);
        let records: [MetadataRecord; 2] = [
            TopicRecord { name: "there".to_owned(), topic_id }.into(),
            PartitionRecord { topic_id, partition_id: 0, ..Default::default() }.into(),
        ];
        records.iter().for_each(|record| image.apply(record, 0).unwrap());
        let asked = |name: &str| TxnOffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions: [0, 1]
                .map(|partition_index| TxnOffsetCommitRequestPartition {
                    partition_index,
                    ..Default::default()
                })
                .to_vec(),
        };
        let mut refused = Vec::new();
        let there = known(&image, asked("there"), &mut refused).unwrap();
        assert_eq!(there.partitions.len(), 1);
        assert_eq!(known(&image, asked("gone"), &mut refused), None);
        let mut topics = vec![all_failed(there, ErrorCode::NONE)];
        merge(&mut topics, refused);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let codes = |topic: &TxnOffsetCommitResponseTopic| {
            topic.partitions.iter().map(|p| (p.partition_index, p.error_code)).collect::<Vec<_>>()
        };
        assert_eq!(codes(&topics[0]), [(0, ErrorCode::NONE), (1, unknown)]);
        assert_eq!(codes(&topics[1]), [(0, unknown), (1, unknown)]);
        assert_eq!(topics.len(), 2);
    }

    #[test]
    fn what_only_partitions_say_is_said_as_coordinators_do() {
        assert_eq!(
            by_coordinator(ErrorCode::NETWORK_EXCEPTION),
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        );
        let busy = ErrorCode::CONCURRENT_TRANSACTIONS;
        assert_eq!(by_coordinator(busy), busy);
        let gone = by_coordinator(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(gone, ErrorCode::NOT_COORDINATOR);
    }
}
