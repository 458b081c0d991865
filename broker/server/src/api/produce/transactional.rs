//! Produce of batches that belong to transactions (KIP-890).
//!
//! The first batch of a transaction in a partition waits until its coordinator has said that it
//! knows of the partition, or was told of it. What the connection sends meanwhile waits behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ottla_config::keys;
use ottla_engine::Verification;
use ottla_log::producers::{Beginning, Guard, Sequences, Verified};
use ottla_replica::Acks;
use ottla_wire::api::produce::{
    NodeEndpoint, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ottla_wire::record::MAGIC_OFFSET;
use ottla_wire::{ErrorCode, Records, Uuid};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{Job, Judged, Waiting, acknowledge, failed, finish, timeout_of};
use crate::answer::{Answer, Holds};
use crate::api::verify::{self, Knows};
use crate::call::Call;

/// Since this version producers know that a transaction may have to be aborted (KIP-1050).
const ABORTABLE_SINCE: i16 = 11;
/// Since this version the broker adds partitions to transactions (version 2 of them).
const IMPLICIT_SINCE: i16 = 12;
/// Where a batch has its attributes, of which this bit says that it belongs to a transaction.
const ATTRIBUTES: usize = 22;
const TRANSACTIONAL: u8 = 1 << 4;
/// How often a coordinator is asked again because the transaction before ended in between.
const ASKED_AGAIN: u32 = 3;

/// Whether any batch belongs to a transaction, by its fixed part.
pub(super) fn is_any(request: &ProduceRequest) -> bool {
    let mut partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions.any(|partition| match &partition.records {
        Some(Records::Bytes(bytes)) => {
            bytes.get(MAGIC_OFFSET) == Some(&2)
                && bytes.get(ATTRIBUTES).is_some_and(|bits| bits & TRANSACTIONAL != 0)
        }
        _ => false,
    })
}

/// What is to become of one partition of a request.
enum Slot {
    /// It is answered.
    Done(PartitionProduceResponse),
    /// It has a batch, which goes with this guard.
    Batch(i32, Judged, Option<Guard>),
}

/// One topic of a request.
struct Topic {
    name: String,
    id: Uuid,
    slots: Vec<Slot>,
}

/// What the coordinator said of partitions, by topic and number.
type Said = BTreeMap<(String, i32), ErrorCode>;

/// A request that is judged, and not appended yet.
struct Held {
    call: Call,
    acks: Acks,
    timeout: Duration,
    knows: Knows,
    /// Whether no transaction begins without its coordinator's word.
    is_required: bool,
    transactional_id: String,
    topics: Vec<Topic>,
    endpoints: Vec<NodeEndpoint>,
}

/// Answers a request with batches of transactions, or one that comes behind such a request.
pub(super) fn handle(call: Call, request: ProduceRequest, acks: Acks) -> Answer<ProduceResponse> {
    let mut held = Held::judge(call, request, acks);
    if held.producers().len() > 1 {
        return held.refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING).into();
    }
    let is_free = held.call.session.line.is_free();
    if is_free {
        held.begin();
    }
    if is_free && held.asked().is_none() {
        let timeout = held.timeout;
        let (response, waiting) = held.append(&Said::new());
        return finish(acks, response, waiting, timeout);
    }
    if acks == Acks::None {
        return Answer::Close("a transaction's first records came with acks=0".to_owned());
    }
    let mut place = held.call.session.line.join();
    held.keep();
    Answer::later_holding(Holds::Frame, async move {
        place.turn().await;
        let said = held.verify().await;
        let timeout = held.timeout;
        let (response, waiting) = held.append(&said);
        drop(place);
        acknowledge(response, waiting, timeout).await
    })
}

impl Held {
    fn judge(call: Call, request: ProduceRequest, acks: Acks) -> Self {
        let timeout = timeout_of(&request);
        let mut job = Job::new(&call, acks);
        let topics = request.topic_data.into_iter().map(|t| judge(&mut job, t)).collect();
        let endpoints = std::mem::take(&mut job.endpoints);
        Self {
            knows: Knows::of(call.version, ABORTABLE_SINCE, IMPLICIT_SINCE),
            is_required: verify::is_required(&call),
            transactional_id: request.transactional_id.unwrap_or_default(),
            call,
            acks,
            timeout,
            topics,
            endpoints,
        }
    }

    /// The producers of transactional batches, by id and epoch.
    fn producers(&self) -> BTreeSet<(i64, i16)> {
        let slots = self.topics.iter().flat_map(|topic| &topic.slots);
        let begun = slots.filter_map(|slot| match slot {
            Slot::Batch(_, judged, _) => judged.transaction,
            Slot::Done(_) => None,
        });
        begun.map(|transaction| (transaction.producer_id, transaction.epoch)).collect()
    }

    /// Gives each batch that begins a transaction here its guard, as of now.
    fn begin(&mut self) {
        let implicit = self.knows == Knows::ImplicitAdding;
        if !self.is_required && !implicit {
            return;
        }
        let sequences = if implicit { Sequences::FromZero } else { Sequences::Any };
        let mut job = Job::new(&self.call, self.acks);
        job.endpoints = std::mem::take(&mut self.endpoints);
        for slot in self.topics.iter_mut().flat_map(|topic| &mut topic.slots) {
            let Slot::Batch(index, judged, guard) = slot else { continue };
            let Some(transaction) = judged.transaction else { continue };
            let beginning = Beginning { sequences, ..transaction };
            match judged.partition.begin_verification(&beginning) {
                Ok(given) => *guard = given,
                Err(error) => {
                    *slot = Slot::Done(job.append_failed(&judged.partition, *index, &error));
                }
            }
        }
        self.endpoints = job.endpoints;
    }

    /// What the coordinator is to be asked; `None` if nothing.
    fn asked(&self) -> Option<Verification> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for slot in self.topics.iter().flat_map(|topic| &topic.slots) {
            if let Slot::Batch(index, judged, Some(_)) = slot {
                topics.entry(&**judged.partition.topic()).or_default().push(*index);
            }
        }
        let (producer_id, producer_epoch) = self.producers().pop_first()?;
        (!topics.is_empty()).then(|| Verification {
            transactional_id: self.transactional_id.clone(),
            producer_id,
            producer_epoch,
            topics: topics.into_iter().map(|(name, all)| (name.to_owned(), all)).collect(),
            adding: self.knows.adding(),
        })
    }

    fn guards(&self) -> Vec<Option<Guard>> {
        let slots = self.topics.iter().flat_map(|topic| &topic.slots);
        let guard = |slot: &Slot| match slot {
            Slot::Batch(_, _, guard) => *guard,
            Slot::Done(_) => None,
        };
        slots.map(guard).collect()
    }

    /// Asks the coordinator until what it says holds for the guards as they are, or time is up.
    /// Where it is to add partitions, it is asked again for a short time while the transaction
    /// before is ending: that the client sends its records again costs much more.
    async fn verify(&mut self) -> Said {
        let config = self.call.context.config();
        let ms = |n: i32| Duration::from_millis(u64::try_from(n).unwrap_or(0));
        let longest = config
            .get(keys::ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS)
            .min(config.get(keys::REQUEST_TIMEOUT_MS));
        let rest = ms(config.get(keys::ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS));
        let end = Instant::now() + ms(longest);
        let mut left = ASKED_AGAIN;
        self.begin();
        loop {
            let Some(asked) = self.asked() else { return Said::new() };
            let guards = self.guards();
            let said: Said = verify::ask(&self.call, asked)
                .await
                .into_iter()
                .map(|(topic, partition, code)| ((topic, partition), code))
                .collect();
            let is_ending = self.knows == Knows::ImplicitAdding
                && said.values().any(|code| *code == ErrorCode::CONCURRENT_TRANSACTIONS);
            if is_ending && Instant::now() < end {
                sleep(rest).await;
                self.begin();
                continue;
            }
            // A marker that came since may be of the transaction before, and may be of this one.
            self.begin();
            if left == 0 || self.guards() == guards {
                return said;
            }
            left -= 1;
        }
    }

    /// Appends what may be, and says why the rest may not.
    fn append(self, said: &Said) -> (ProduceResponse, Vec<Waiting>) {
        let mut job = Job::new(&self.call, self.acks);
        job.endpoints = self.endpoints;
        let mut responses = Vec::with_capacity(self.topics.len());
        for (place, topic) in self.topics.into_iter().enumerate() {
            let mut partition_responses = Vec::with_capacity(topic.slots.len());
            for (at, slot) in topic.slots.into_iter().enumerate() {
                let answer = match slot {
                    Slot::Done(answer) => answer,
                    Slot::Batch(index, judged, guard) => {
                        match refusal(said, &judged, index, guard) {
                            Some(code) => refused(&self.call, self.knows, &judged, index, code),
                            None if self.is_required => {
                                job.append((place, at), index, judged, Verified::By(guard))
                            }
                            None => job.append((place, at), index, judged, Verified::Unasked),
                        }
                    }
                };
                partition_responses.push(answer);
            }
            let (name, topic_id) = (topic.name, topic.id);
            responses.push(TopicProduceResponse { name, topic_id, partition_responses });
        }
        let node_endpoints = job.endpoints;
        (ProduceResponse { responses, node_endpoints, ..Default::default() }, job.waiting)
    }

    /// Answers the same error for every partition.
    fn refuse(self, error: ErrorCode) -> ProduceResponse {
        let index = |slot: &Slot| match slot {
            Slot::Done(answer) => answer.index,
            Slot::Batch(index, ..) => *index,
        };
        let topic = |topic: Topic| TopicProduceResponse {
            partition_responses: topic
                .slots
                .iter()
                .map(|slot| failed(index(slot), error, None))
                .collect(),
            name: topic.name,
            topic_id: topic.id,
        };
        let responses = self.topics.into_iter().map(topic).collect();
        ProduceResponse { responses, ..Default::default() }
    }

    /// Makes it keep no slice of the request's frame, whose buffer goes on.
    fn keep(&mut self) {
        for slot in self.topics.iter_mut().flat_map(|topic| &mut topic.slots) {
            if let Slot::Batch(_, judged, _) = slot {
                judged.body = Bytes::copy_from_slice(&judged.body);
            }
        }
    }
}

fn judge(job: &mut Job<'_>, topic: TopicProduceData) -> Topic {
    let TopicProduceData { name, topic_id: id, partition_data } = topic;
    let mut slots = Vec::with_capacity(partition_data.len());
    for partition in partition_data {
        let index = partition.index;
        slots.push(match job.judge(&name, id, partition) {
            Ok(judged) => Slot::Batch(index, judged, None),
            Err(answer) => Slot::Done(answer),
        });
    }
    Topic { name, id, slots }
}

/// What the coordinator has against a batch that is not to be appended without its word.
fn refusal(said: &Said, judged: &Judged, index: i32, guard: Option<Guard>) -> Option<ErrorCode> {
    guard?;
    let code = said.get(&(judged.partition.topic().to_string(), index)).copied();
    // A partition of which it said nothing is one that it does not know.
    let code = code.unwrap_or(ErrorCode::INVALID_TXN_STATE);
    (code != ErrorCode::NONE).then_some(code)
}

fn refused(
    call: &Call,
    knows: Knows,
    judged: &Judged,
    index: i32,
    said: ErrorCode,
) -> PartitionProduceResponse {
    let (code, message) = tell(knows, said);
    let topic = judged.partition.topic();
    debug!(peer = %call.session.remote, client = call.client_id, %topic, index, %said, "not in the transaction");
    failed(index, code, message)
}

/// What a producer is told of what its coordinator said.
fn tell(knows: Knows, said: ErrorCode) -> (ErrorCode, Option<String>) {
    let later = |code: ErrorCode| {
        // Every client sends records again for this one, and asks for no metadata.
        let why = "Unable to verify the partition has been added to the transaction. \
                   Underlying error: ";
        (ErrorCode::NOT_ENOUGH_REPLICAS, Some(format!("{why}{code}")))
    };
    match knows.translate(said) {
        ErrorCode::INVALID_TXN_STATE => (
            ErrorCode::INVALID_TXN_STATE,
            Some("Partition was not added to the transaction".to_owned()),
        ),
        code @ (ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR) => later(code),
        code @ ErrorCode::CONCURRENT_TRANSACTIONS if knows != Knows::ImplicitAdding => later(code),
        code => (code, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_old_clients_cannot_do_anything_about_is_to_be_tried_again() {
        for code in [
            ErrorCode::NETWORK_EXCEPTION,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
        ] {
            for knows in [Knows::Nothing, Knows::Abortable, Knows::ImplicitAdding] {
                assert_eq!(tell(knows, code).0, ErrorCode::NOT_ENOUGH_REPLICAS);
            }
        }
        let busy = ErrorCode::CONCURRENT_TRANSACTIONS;
        assert_eq!(tell(Knows::Abortable, busy).0, ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(tell(Knows::ImplicitAdding, busy), (busy, None));
        let fenced = tell(Knows::ImplicitAdding, ErrorCode::PRODUCER_FENCED);
        assert_eq!(fenced, (ErrorCode::INVALID_PRODUCER_EPOCH, None));
        let unknown = tell(Knows::Nothing, ErrorCode::TRANSACTION_ABORTABLE);
        assert_eq!(unknown.0, ErrorCode::INVALID_TXN_STATE);
        assert!(unknown.1.is_some());
    }
}
