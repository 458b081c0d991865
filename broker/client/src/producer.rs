//! Sending records.

mod batches;
mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::init_producer_id::InitProducerIdRequest;
use ottla_wire::record::{Compressor, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, RecordHeader};

use crate::partitioner::Sticky;
use crate::retry::{Retry, retry};
use crate::{
    ApiError, AutoCreate, Client, ClientError, TopicMetadata, TopicPartition, partition_of_key,
};
use batches::{Queue, Split};

/// Bytes of records that wait in a producer, by their own size; when there are more they are sent before
/// [`Producer::send`] returns.
pub const MAX_BUFFERED: usize = 16 << 20;

/// Whose word makes a record sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nobody's.
    None,
    /// The leader's.
    Leader,
    /// That of all replicas in sync.
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a producer behaves.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Whose word is waited for.
    pub acks: Acks,
    /// How batches are compressed.
    pub compression: Compressor,
    /// The size at which a batch is full, in bytes before compression.
    pub batch_bytes: usize,
    /// The size at which a request is full, in bytes before compression.
    pub request_bytes: usize,
    /// How long to try to get a record to its broker.
    pub delivery_timeout: Duration,
    /// How long to wait for a topic to be there.
    pub metadata_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            compression: Compressor::NONE,
            batch_bytes: 16 << 10,
            request_bytes: 1 << 20,
            delivery_timeout: Duration::from_secs(120),
            metadata_timeout: Duration::from_secs(60),
        }
    }
}

/// A record to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Where to.
    pub topic: String,
    /// The partition, if it is not for the key to choose.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; a record without one deletes its key from a compacted topic.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<RecordHeader>,
    /// Milliseconds since 1970; now, if `None`.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    /// About what the record takes in a batch, in bytes.
    fn size(&self) -> usize {
        const FIELDS: usize = 24;
        let len = |b: &Option<Bytes>| b.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|h| h.key.len() + len(&h.value) + 10);
        FIELDS + len(&self.key) + len(&self.value) + headers.sum::<usize>()
    }
}

/// Records that were not sent.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where they should have gone.
    pub partition: TopicPartition,
    /// How many there are.
    pub records: usize,
    /// Why.
    pub error: ClientError,
}

/// Sends records: they wait until a flush, and go in batches, one of a partition at a time, so that they stay in order.
///
/// With [`Acks::All`] the producer is idempotent where the cluster lets it: what is sent again after a lost answer is
/// written once.
#[derive(Debug)]
pub struct Producer {
    client: Arc<Client>,
    options: ProducerOptions,
    topics: BTreeMap<String, TopicMetadata>,
    sticky: BTreeMap<String, Sticky>,
    queues: BTreeMap<TopicPartition, Queue>,
    buffered: usize,
    identity: Identity,
    failures: Vec<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// To be asked for before the next batch.
    Wanted,
    /// Not wanted, or not to be had.
    None,
    Is {
        id: i64,
        epoch: i16,
    },
}

impl Identity {
    fn parts(self) -> (i64, i16) {
        match self {
            Self::Is { id, epoch } => (id, epoch),
            Self::Wanted | Self::None => (NO_PRODUCER_ID, NO_PRODUCER_EPOCH),
        }
    }
}

/// What came of one batch.
enum Fate {
    Written,
    Split,
    Lost(ClientError),
    Again(ClientError),
}

impl Producer {
    /// A producer that has sent nothing.
    pub fn new(client: Arc<Client>, options: ProducerOptions) -> Self {
        let identity = if options.acks == Acks::All { Identity::Wanted } else { Identity::None };
        Self {
            client,
            options,
            topics: BTreeMap::new(),
            sticky: BTreeMap::new(),
            queues: BTreeMap::new(),
            buffered: 0,
            identity,
            failures: Vec::new(),
        }
    }

    /// Takes a record. It is sent by the next [flush](Self::flush) at the latest. An error concerns this record alone.
    pub async fn send(&mut self, mut record: ProducerRecord) -> Result<(), ClientError> {
        let partition = self.place(&record).await?;
        record.timestamp.get_or_insert_with(now_ms);
        let size = record.size();
        let queue =
            self.queues.entry(TopicPartition::new(record.topic.clone(), partition)).or_default();
        queue.push(record, size, self.options.batch_bytes);
        self.buffered = self.buffered.saturating_add(size);
        if self.buffered >= MAX_BUFFERED {
            self.send_all().await;
        }
        Ok(())
    }

    /// The number of bytes that wait.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Sends all that waits; what could not be sent since the last flush.
    pub async fn flush(&mut self) -> Vec<Failure> {
        self.send_all().await;
        std::mem::take(&mut self.failures)
    }

    async fn place(&mut self, record: &ProducerRecord) -> Result<i32, ClientError> {
        if !self.topics.contains_key(&record.topic) {
            self.look_up(&record.topic).await?;
        }
        let unknown = || {
            ClientError::Api(ApiError {
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                message: None,
            })
        };
        let topic = self.topics.get(&record.topic).ok_or_else(unknown)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        match (record.partition, &record.key) {
            (Some(partition), _) if topic.partition(partition).is_some() => Ok(partition),
            (Some(_), _) => Err(unknown()),
            (None, Some(key)) => Ok(partition_of_key(key, count)),
            (None, None) => {
                let led = topic.partitions.iter().filter(|p| p.leader.is_some());
                let mut candidates: Vec<_> = led.map(|p| p.partition).collect();
                if candidates.is_empty() {
                    candidates = topic.partitions.iter().map(|p| p.partition).collect();
                }
                let sticky = self.sticky.entry(record.topic.clone()).or_insert_with(Sticky::new);
                sticky
                    .choose(&candidates, record.size(), self.options.batch_bytes)
                    .ok_or_else(unknown)
            }
        }
    }

    /// Waits until a topic is known to have partitions.
    async fn look_up(&mut self, topic: &str) -> Result<(), ClientError> {
        let mut retry = Retry::within(self.client.options(), self.options.metadata_timeout);
        let names = [topic.to_owned()];
        loop {
            let metadata = self.client.metadata_once(Some(&names), AutoCreate::Allowed).await;
            match metadata.and_then(|m| m.topic(topic).cloned()) {
                Ok(found) => {
                    self.topics.insert(topic.to_owned(), found);
                    return Ok(());
                }
                Err(error) => retry.pause(error).await?,
            }
        }
    }

    /// Looks again where the leaders are.
    async fn refresh(&mut self) -> Result<(), ClientError> {
        let names: Vec<_> = self.topics.keys().cloned().collect();
        let metadata = self.client.metadata_once(Some(&names), AutoCreate::Refused).await?;
        for (name, topic) in metadata.topics {
            // A topic that is not told of keeps its partitions: it may come back.
            if let Ok(topic) = topic {
                self.topics.insert(name, topic);
            }
        }
        Ok(())
    }

    async fn identify(&mut self) -> Result<(), ClientError> {
        if self.identity != Identity::Wanted {
            return Ok(());
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            ..Default::default()
        };
        let asked = retry(self.client.options(), || async {
            let response = self.client.any().await?.send(&request).await?;
            ApiError::check(response.error_code, None)?;
            Ok(Identity::Is { id: response.producer_id, epoch: response.producer_epoch })
        });
        self.identity = match asked.await {
            Ok(identity) => identity,
            Err(ClientError::Unsupported { .. }) => Identity::None,
            Err(error) if error.code() == Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
                Identity::None
            }
            Err(error) => return Err(error),
        };
        self.queues.values_mut().for_each(Queue::restart_sequence);
        Ok(())
    }

    async fn send_all(&mut self) {
        let mut retry = Retry::within(self.client.options(), self.options.delivery_timeout);
        // Partitions that could not be written, and why the last could not. The others go first.
        let (mut held, mut failure) = (BTreeSet::new(), None);
        while self.queues.values().any(|q| !q.is_empty()) {
            let (progress, again) = match self.identify().await {
                Ok(()) => self.send_once(&mut held).await,
                Err(error) => (false, Some(error)),
            };
            failure = again.or(failure);
            if progress {
                retry = Retry::within(self.client.options(), self.options.delivery_timeout);
                if self.queues.iter().any(|(p, q)| !q.is_empty() && !held.contains(p)) {
                    continue;
                }
            }
            let Some(error) = failure.take() else { continue };
            if let Err(error) = retry.pause(error).await {
                self.give_up(&error);
                break;
            }
            held.clear();
            if let Err(error) = self.refresh().await {
                tracing::debug!("{error}");
            }
        }
        self.queues.values_mut().for_each(Queue::shrink);
        self.buffered = 0;
    }

    /// Sends the first batch of each partition that is not held; whether any of them is done with, and why others,
    /// which are held from here on, are not.
    async fn send_once(
        &mut self,
        held: &mut BTreeSet<TopicPartition>,
    ) -> (bool, Option<ClientError>) {
        let (mut progress, mut again) = (false, None);
        let (requests, leaderless) = request::build(
            self.queues.iter().filter(|(partition, _)| !held.contains(*partition)),
            &self.topics,
            &self.options,
            self.identity.parts(),
            self.client.options(),
        );
        let mut fates: Vec<(TopicPartition, Fate)> = Vec::new();
        for (partition, error) in leaderless {
            fates.push((
                partition,
                if error.is_retriable() { Fate::Again(error) } else { Fate::Lost(error) },
            ));
        }
        for (partition, result) in request::exchange(&self.client, requests).await {
            let splits = self.queues.get(&partition).is_some_and(Queue::can_split);
            fates.push((partition, fate(result, splits)));
        }
        for (partition, fate) in fates {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            match fate {
                Fate::Written => {
                    queue.written();
                    progress = true;
                }
                Fate::Split => {
                    progress |= queue.split_first() == Split::Done;
                }
                Fate::Again(error) => {
                    again = Some(error);
                    held.insert(partition);
                }
                Fate::Lost(error) => {
                    let records = queue.drop_first();
                    progress = true;
                    if matches!(
                        error.code(),
                        Some(
                            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                                | ErrorCode::UNKNOWN_PRODUCER_ID
                                | ErrorCode::INVALID_PRODUCER_EPOCH
                        )
                    ) && self.identity != Identity::None
                    {
                        self.identity = Identity::Wanted;
                    }
                    self.failures.push(Failure { partition, records, error });
                }
            }
        }
        (progress, again)
    }

    fn give_up(&mut self, error: &ClientError) {
        for (partition, queue) in &mut self.queues {
            let records = queue.clear();
            if records > 0 {
                let failure =
                    Failure { partition: partition.clone(), records, error: error.clone() };
                self.failures.push(failure);
            }
        }
        // What was sent may be written or not, so nobody knows the next sequence number.
        if self.identity != Identity::None {
            self.identity = Identity::Wanted;
        }
    }
}

/// What an answer about a batch means. `splits`: the batch has more than one record.
fn fate(result: Result<(), ClientError>, splits: bool) -> Fate {
    let error = match result {
        Ok(()) => return Fate::Written,
        Err(error) => error,
    };
    match error.code() {
        // It was written before, and the answer got lost.
        Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER) => Fate::Written,
        Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE) if splits => {
            Fate::Split
        }
        _ if error.is_retriable() => Fate::Again(error),
        _ => Fate::Lost(error),
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode) -> Result<(), ClientError> {
        Err(ClientError::Api(ApiError { code, message: None }))
    }

    #[test]
    fn answers_and_what_becomes_of_a_batch() {
        assert!(matches!(fate(Ok(()), true), Fate::Written));
        assert!(matches!(fate(error(ErrorCode::DUPLICATE_SEQUENCE_NUMBER), true), Fate::Written));
        assert!(matches!(fate(error(ErrorCode::MESSAGE_TOO_LARGE), true), Fate::Split));
        assert!(matches!(fate(error(ErrorCode::MESSAGE_TOO_LARGE), false), Fate::Lost(_)));
        assert!(matches!(fate(error(ErrorCode::NOT_LEADER_OR_FOLLOWER), true), Fate::Again(_)));
        assert!(matches!(fate(error(ErrorCode::TOPIC_AUTHORIZATION_FAILED), true), Fate::Lost(_)));
    }

    /// Each batch of the others had waited for a pause of the one without leader.
    #[tokio::test]
    async fn a_partition_without_leader_slows_no_other_down() {
        let (broker, client) = crate::testing::Broker::start(Default::default()).await;
        let mut slow = client.options().clone();
        (slow.backoff, slow.max_backoff) = (Duration::from_millis(300), Duration::from_millis(300));
        let options = ProducerOptions {
            batch_bytes: 1,
            delivery_timeout: Duration::from_secs(1),
            ..Default::default()
        };
        let mut producer = Producer::new(Arc::new(Client::new(slow)), options);
        let record = |partition| ProducerRecord {
            topic: "t".to_owned(),
            partition: Some(partition),
            value: Some(Bytes::from_static(b"value")),
            ..Default::default()
        };
        for partition in (0..50).map(|n| i32::from(n == 7)) {
            producer.send(record(partition)).await.unwrap();
        }
        let begun = tokio::time::Instant::now();
        let failures = producer.flush().await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(broker.written.load(std::sync::atomic::Ordering::Relaxed), 49);
        let failed: Vec<_> = failures.iter().map(|f| (f.partition.partition, f.records)).collect();
        assert_eq!(failed, [(1, 1)]);
    }
}
