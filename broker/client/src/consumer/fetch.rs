//! One fetch from one leader, and the records in its answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_wire::api::ApiKey;
use ottla_wire::api::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use ottla_wire::record::{Batches, ControlType, CrcCheck, RecordError};
use ottla_wire::{ErrorCode, Uuid, Versions};

use super::{ConsumerOptions, Delivery, Isolation, MAX_DECOMPRESSED};
use crate::{ApiError, Client, ClientError, TopicPartition};

/// The last version that names topics by their names.
const LAST_BY_NAME: i16 = 12;

/// A partition in a fetch.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: Uuid,
    pub(super) leader_epoch: i32,
    pub(super) offset: i64,
}

/// What was answered about each partition.
type Answers = Vec<(Asked, Result<PartitionData, ClientError>)>;

/// What came of a fetch.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) leader: i32,
    pub(super) partitions: Answers,
}

/// Asks a leader for records of its partitions.
pub(super) async fn fetch(
    client: Arc<Client>,
    leader: i32,
    asked: Vec<Asked>,
    options: ConsumerOptions,
) -> Fetched {
    let partitions = match ask(&client, leader, &asked, &options).await {
        Ok(response) => answers(asked, response),
        // Each partition has failed.
        Err(error) => asked.into_iter().map(|asked| (asked, Err(error.clone()))).collect(),
    };
    Fetched { leader, partitions }
}

async fn ask(
    client: &Client,
    leader: i32,
    asked: &[Asked],
    options: &ConsumerOptions,
) -> Result<FetchResponse, ClientError> {
    let connection = client.broker(leader).await?;
    let has_ids = asked.iter().all(|a| !a.topic_id.is_zero());
    let newest = if has_ids { i16::MAX } else { LAST_BY_NAME };
    let version = connection.version(ApiKey::Fetch, Versions::new(0, newest))?;
    let response = connection.send_as(&request(asked, options), version).await?;
    ApiError::check(response.error_code, None)?;
    Ok(response)
}

/// The answer to each question.
fn answers(asked: Vec<Asked>, response: FetchResponse) -> Answers {
    let mut answers = Answers::with_capacity(asked.len());
    let mut asked = asked;
    for topic in response.responses {
        for data in topic.partitions {
            let of_this = |a: &Asked| {
                let named = a.partition.topic == topic.topic;
                a.partition.partition == data.partition_index
                    && (named || (topic.topic.is_empty() && a.topic_id == topic.topic_id))
            };
            let Some(at) = asked.iter().position(of_this) else { continue };
            let asked = asked.swap_remove(at);
            let checked = ApiError::check(data.error_code, None).map_err(ClientError::from);
            answers.push((asked, checked.map(|()| data)));
        }
    }
    // What is not answered is asked again, after a pause.
    let silent = ApiError { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message: None };
    answers.extend(asked.into_iter().map(|asked| (asked, Err(silent.clone().into()))));
    answers
}

fn request(asked: &[Asked], options: &ConsumerOptions) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for a in asked {
        let partition = FetchPartition {
            partition: a.partition.partition,
            current_leader_epoch: a.leader_epoch,
            fetch_offset: a.offset,
            partition_max_bytes: options.partition_bytes,
            ..Default::default()
        };
        match topics.last_mut() {
            Some(last) if last.topic == a.partition.topic => last.partitions.push(partition),
            _ => topics.push(FetchTopic {
                topic: a.partition.topic.clone(),
                topic_id: a.topic_id,
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        max_bytes: options.max_bytes,
        isolation_level: options.isolation.code(),
        topics,
        ..Default::default()
    }
}

/// The records of an answer from the asked offset on, and the offset behind them.
pub(super) fn read(
    asked: &Asked,
    data: PartitionData,
    isolation: Isolation,
) -> Result<(i64, Vec<Delivery>), ClientError> {
    let broken = |source: RecordError| ClientError::Records {
        partition: asked.partition.clone(),
        offset: asked.offset,
        source,
    };
    let mut aborted = match isolation {
        Isolation::ReadCommitted => Aborted::new(data.aborted_transactions.unwrap_or_default()),
        Isolation::ReadUncommitted => Aborted::default(),
    };
    let bytes = data.records.as_ref().and_then(|r| r.bytes()).cloned().unwrap_or_default();
    let mut next = asked.offset;
    let mut records = Vec::new();
    for batch in Batches::new(bytes, CrcCheck::Verify) {
        let batch = match batch {
            Ok(batch) => batch,
            // A broker may cut the last batch off; the next fetch brings it whole.
            Err(RecordError::Truncated { .. }) if next > asked.offset => break,
            Err(source) => return Err(broken(source)),
        };
        let header = &batch.header;
        aborted.advance(header.last_offset());
        if header.is_control() {
            if aborted.is_open(header.producer_id) {
                let marker = batch.decode(MAX_DECOMPRESSED).map_err(broken)?;
                let key = marker.first().and_then(|r| r.key.as_deref()).unwrap_or_default();
                if ControlType::from_key(key).map_err(broken)? == ControlType::Abort {
                    aborted.close(header.producer_id);
                }
            }
        } else if !(header.is_transactional() && aborted.is_open(header.producer_id)) {
            let decoded = batch.decode(MAX_DECOMPRESSED).map_err(broken)?;
            let wanted = decoded.into_iter().filter(|r| r.offset >= asked.offset);
            records.extend(wanted.map(|record| Delivery {
                partition: asked.partition.clone(),
                leader_epoch: Some(header.partition_leader_epoch).filter(|e| *e >= 0),
                timestamp_type: header.timestamp_type(),
                record,
            }));
        }
        next = next.max(header.next_offset());
    }
    Ok((next, records))
}

/// Transactions of an answer that were aborted: which of them are open at the offset being read.
#[derive(Debug, Default)]
struct Aborted {
    /// By first offset, the last first.
    to_come: Vec<AbortedTransaction>,
    open: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut transactions: Vec<AbortedTransaction>) -> Self {
        transactions.sort_by_key(|t| std::cmp::Reverse(t.first_offset));
        Self { to_come: transactions, open: BTreeSet::new() }
    }

    /// Opens what begins up to an offset.
    fn advance(&mut self, offset: i64) {
        while let Some(next) = self.to_come.pop_if(|t| t.first_offset <= offset) {
            self.open.insert(next.producer_id);
        }
    }

    fn is_open(&self, producer: i64) -> bool {
        self.open.contains(&producer)
    }

    fn close(&mut self, producer: i64) {
        self.open.remove(&producer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ottla_wire::Records;
    use ottla_wire::record::{BatchBuilder, EndTxnMarker, TransactionResult};

    fn asked(offset: i64) -> Asked {
        Asked {
            partition: TopicPartition::new("t", 0),
            topic_id: Uuid::from_u128(9),
            leader_epoch: 0,
            offset,
        }
    }

    fn plain(base: i64, values: &[&str]) -> BatchBuilder {
        let mut builder = BatchBuilder::new(base).leader_epoch(3);
        values.iter().for_each(|v| builder.append(5, None, Some(v.as_bytes())));
        builder
    }

    fn data(batches: Vec<BatchBuilder>, cut: usize, aborted: &[(i64, i64)]) -> PartitionData {
        let bytes = batches.into_iter().flat_map(|b| b.build().unwrap().bytes.to_vec());
        let mut bytes: Vec<u8> = bytes.collect();
        bytes.truncate(bytes.len() - cut);
        let aborted = aborted.iter().map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
        });
        PartitionData {
            records: Some(Records::Bytes(Bytes::from(bytes))),
            aborted_transactions: Some(aborted.collect()),
            ..Default::default()
        }
    }

    fn values(read: Result<(i64, Vec<Delivery>), ClientError>) -> (i64, Vec<String>) {
        let (next, records) = read.unwrap();
        let values = records.iter().filter_map(|r| r.record.value.as_deref());
        (next, values.map(|v| String::from_utf8_lossy(v).into_owned()).collect())
    }

    #[test]
    fn reading_begins_within_a_batch_and_leaves_a_torn_one() {
        let both = || vec![plain(10, &["a", "b", "c"]), plain(13, &["d"])];
        let read_at =
            |offset, cut| read(&asked(offset), data(both(), cut, &[]), Isolation::ReadUncommitted);
        assert_eq!(values(read_at(11, 0)), (14, vec!["b".into(), "c".into(), "d".into()]));
        assert_eq!(values(read_at(11, 3)), (13, vec!["b".into(), "c".into()]));
        let only_torn = data(vec![plain(10, &["a"])], 3, &[]);
        assert!(read(&asked(10), only_torn, Isolation::ReadUncommitted).is_err());
        let none = data(Vec::new(), 0, &[]);
        assert_eq!(values(read(&asked(4), none, Isolation::ReadUncommitted)), (4, Vec::new()));
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let mut changed = data(vec![plain(0, &["value"])], 0, &[]);
        let mut bytes = changed.records.unwrap().bytes().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        // The length of the last value is followed by a count of headers; the checksum covers both.
        changed.records = Some(Records::Bytes(Bytes::from(bytes)));
        let read = read(&asked(0), changed, Isolation::ReadUncommitted);
        assert!(matches!(
            read,
            Err(ClientError::Records { source: RecordError::WrongCrc { .. }, .. })
        ));
    }

    #[test]
    fn aborted_transactions_are_left_out_when_committed_is_wanted() {
        let transaction =
            |base, id, value| plain(base, &[value]).producer(id, 0, 0).transactional();
        let end = |base, id, result| {
            BatchBuilder::end_transaction(
                base,
                (id, 0),
                5,
                EndTxnMarker { result, coordinator_epoch: 0 },
            )
        };
        let batches = || {
            vec![
                transaction(0, 1, "lost"),
                transaction(1, 2, "kept"),
                plain(2, &["plain"]),
                end(3, 1, TransactionResult::Abort),
                end(4, 2, TransactionResult::Commit),
                transaction(5, 1, "again"),
                end(6, 1, TransactionResult::Commit),
            ]
        };
        let committed = read(&asked(0), data(batches(), 0, &[(1, 0)]), Isolation::ReadCommitted);
        assert_eq!(values(committed), (7, vec!["kept".into(), "plain".into(), "again".into()]));
        let all = read(&asked(0), data(batches(), 0, &[(1, 0)]), Isolation::ReadUncommitted);
        assert_eq!(values(all).1.len(), 4);
    }
}
