//! Produce requests: one for each leader, with the first batch of each of its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::api::ApiKey;
use ottla_wire::api::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::{ErrorCode, Records, Uuid, Versions};
use tokio::task::JoinSet;

use super::batches::Queue;
use super::{Acks, ProducerOptions};
use crate::{ApiError, Client, ClientError, Options, TopicMetadata, TopicPartition};

/// The last version that names topics by their names.
const LAST_BY_NAME: i16 = 12;

/// A request for a leader.
#[derive(Debug)]
pub(super) struct Addressed {
    leader: i32,
    acks: Acks,
    request: ProduceRequest,
    bytes: usize,
}

/// Partitions whose batch cannot be sent now, and why.
type Unsent = Vec<(TopicPartition, ClientError)>;

/// The requests that the first batches make. What does not fit into a request waits for the next.
pub(super) fn build<'a>(
    queues: impl Iterator<Item = (&'a TopicPartition, &'a Queue)>,
    topics: &BTreeMap<String, TopicMetadata>,
    options: &ProducerOptions,
    identity: (i64, i16),
    client: &Options,
) -> (Vec<Addressed>, Unsent) {
    let mut requests = BTreeMap::<i32, Addressed>::new();
    let mut unsent = Unsent::new();
    for (partition, queue) in queues.filter(|(_, q)| !q.is_empty()) {
        let topic = topics.get(&partition.topic);
        let leader = topic.and_then(|t| t.partition(partition.partition)).and_then(|p| p.leader);
        let (Some(topic), Some(leader)) = (topic, leader) else {
            unsent.push((partition.clone(), ClientError::NoLeader(partition.clone())));
            continue;
        };
        let addressed = requests.entry(leader).or_insert_with(|| Addressed {
            leader,
            acks: options.acks,
            request: ProduceRequest {
                transactional_id: None,
                acks: options.acks.code(),
                timeout_ms: i32::try_from(client.request_timeout.as_millis()).unwrap_or(i32::MAX),
                topic_data: Vec::new(),
            },
            bytes: 0,
        });
        let bytes = queue.first_bytes();
        if addressed.bytes > 0 && addressed.bytes + bytes > options.request_bytes {
            continue;
        }
        let batch = match queue.build_first(identity, options.compression) {
            Ok(Some(batch)) => batch,
            Ok(None) => continue,
            Err(error) => {
                unsent.push((partition.clone(), error.into()));
                continue;
            }
        };
        addressed.bytes += bytes;
        let data = PartitionProduceData {
            index: partition.partition,
            records: Some(Records::Bytes(batch.bytes)),
        };
        // Partitions come in the order of their topics.
        match addressed.request.topic_data.last_mut() {
            Some(last) if last.name == partition.topic => last.partition_data.push(data),
            _ => addressed.request.topic_data.push(TopicProduceData {
                name: partition.topic.clone(),
                topic_id: topic.id,
                partition_data: vec![data],
            }),
        }
    }
    let requests = requests.into_values().filter(|r| !r.request.topic_data.is_empty());
    (requests.collect(), unsent)
}

/// Sends the requests, all at once, and waits for all answers; what came of each partition's batch.
pub(super) async fn exchange(
    client: &Arc<Client>,
    requests: Vec<Addressed>,
) -> Vec<(TopicPartition, Result<(), ClientError>)> {
    let mut running = JoinSet::new();
    for addressed in requests {
        let client = Arc::clone(client);
        running.spawn(async move {
            let asked = partitions(&addressed.request);
            let answered = send(&client, &addressed).await;
            settle(asked, answered)
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

/// The partitions of a request, with the ids of their topics.
fn partitions(request: &ProduceRequest) -> Vec<(TopicPartition, Uuid)> {
    let topics = request.topic_data.iter();
    let each = topics.flat_map(|t| {
        let of =
            |p: &PartitionProduceData| (TopicPartition::new(t.name.clone(), p.index), t.topic_id);
        t.partition_data.iter().map(of)
    });
    each.collect()
}

/// What was answered about a partition, whose topic has a name or an id according to the version.
#[derive(Debug)]
struct Answer {
    topic: String,
    id: Uuid,
    partition: i32,
    result: Result<(), ApiError>,
}

/// `None` where no answer comes.
async fn send(client: &Client, addressed: &Addressed) -> Result<Option<Vec<Answer>>, ClientError> {
    let connection = client.broker(addressed.leader).await?;
    if addressed.acks == Acks::None {
        connection.post(&addressed.request).await?;
        return Ok(None);
    }
    let has_ids = addressed.request.topic_data.iter().all(|t| !t.topic_id.is_zero());
    let newest = if has_ids { i16::MAX } else { LAST_BY_NAME };
    let version = connection.version(ApiKey::Produce, Versions::new(0, newest))?;
    let response = connection.send_as(&addressed.request, version).await?;
    let answers = response.responses.into_iter().flat_map(|t| {
        let (topic, id) = (t.name, t.topic_id);
        t.partition_responses.into_iter().map(move |p| {
            let detail = p.record_errors.into_iter().find_map(|e| e.batch_index_error_message);
            let result = ApiError::check(p.error_code, p.error_message.or(detail));
            Answer { topic: topic.clone(), id, partition: p.index, result }
        })
    });
    Ok(Some(answers.collect()))
}

fn settle(
    asked: Vec<(TopicPartition, Uuid)>,
    answered: Result<Option<Vec<Answer>>, ClientError>,
) -> Vec<(TopicPartition, Result<(), ClientError>)> {
    let settled = asked.into_iter().map(|(partition, id)| {
        let result = match &answered {
            Ok(None) => Ok(()),
            Err(error) => Err(error.clone()),
            Ok(Some(answers)) => {
                let of_this = |a: &&Answer| {
                    a.partition == partition.partition
                        && (a.topic == partition.topic || (a.topic.is_empty() && a.id == id))
                };
                let silent = ApiError {
                    code: ErrorCode::UNKNOWN_SERVER_ERROR,
                    message: Some("the broker did not say what became of a batch".to_owned()),
                };
                let found = answers.iter().find(of_this);
                found.map_or(Err(silent), |a| a.result.clone()).map_err(ClientError::from)
            }
        };
        (partition, result)
    });
    settled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PartitionMetadata, ProducerRecord};

    fn topic(id: u128, leaders: &[Option<i32>]) -> TopicMetadata {
        let partitions = (0..).zip(leaders).map(|(partition, leader)| PartitionMetadata {
            partition,
            leader: *leader,
            leader_epoch: 0,
            replicas: Vec::new(),
            isr: Vec::new(),
        });
        TopicMetadata { id: Uuid::from_u128(id), internal: false, partitions: partitions.collect() }
    }

    #[test]
    fn each_leader_gets_its_partitions_and_no_more_than_fits() {
        let topics = BTreeMap::from([
            ("a".to_owned(), topic(1, &[Some(1), Some(2), None])),
            ("b".to_owned(), topic(2, &[Some(1)])),
        ]);
        let mut queues = BTreeMap::new();
        for (name, partition) in [("a", 0), ("a", 1), ("a", 2), ("b", 0)] {
            let record = ProducerRecord {
                topic: name.to_owned(),
                value: Some(bytes::Bytes::from_static(b"v")),
                ..Default::default()
            };
            let size = record.size();
            let mut queue = Queue::default();
            queue.push(record, size, 100);
            queues.insert(TopicPartition::new(name, partition), queue);
        }
        let client = Options::new("x:1", "c").unwrap();
        let options = ProducerOptions::default();
        let (requests, unsent) = build(queues.iter(), &topics, &options, (5, 0), &client);
        let shape = |requests: &[Addressed]| {
            let each = requests.iter().map(|r| (r.leader, partitions(&r.request)));
            let names =
                each.map(|(l, p)| (l, p.iter().map(|(p, _)| p.to_string()).collect::<Vec<_>>()));
            names.map(|(l, names)| format!("{l}: {}", names.join(" "))).collect::<Vec<_>>()
        };
        assert_eq!(shape(&requests), ["1: a-0 b-0", "2: a-1"]);
        assert!(
            matches!(unsent.as_slice(), [(p, ClientError::NoLeader(_))] if p.to_string() == "a-2")
        );
        let options = ProducerOptions { request_bytes: 30, ..options };
        let (requests, _) = build(queues.iter(), &topics, &options, (5, 0), &client);
        assert_eq!(shape(&requests), ["1: a-0", "2: a-1"]);
    }

    #[test]
    fn answers_meet_their_partitions_by_name_or_id() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let asked = vec![
            (TopicPartition::new("a", 0), one),
            (TopicPartition::new("b", 0), two),
            (TopicPartition::new("b", 1), two),
        ];
        let failed = Err(ApiError { code: ErrorCode::NOT_LEADER_OR_FOLLOWER, message: None });
        let answers = vec![
            Answer { topic: String::new(), id: two, partition: 0, result: failed },
            Answer { topic: "a".to_owned(), id: Uuid::default(), partition: 0, result: Ok(()) },
        ];
        let settled = settle(asked, Ok(Some(answers)));
        let codes: Vec<_> =
            settled.iter().map(|(_, r)| r.as_ref().err().and_then(ClientError::code)).collect();
        assert_eq!(
            codes,
            [None, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER), Some(ErrorCode::UNKNOWN_SERVER_ERROR)]
        );
    }
}
