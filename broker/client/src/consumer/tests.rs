use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use ottla_wire::api::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_wire::api::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::api::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_wire::api::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::api::{ApiKey, Request};
use ottla_wire::record::BatchBuilder;
use ottla_wire::{Decoder, Encoder, Message, Records};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::Options;

/// A broker with topic `t` of two partitions, each of which has one record: `zero` and `one`.
#[derive(Default)]
struct Broker {
    port: u16,
    accepted: AtomicUsize,
    metadata: AtomicUsize,
    /// Whether partition 1 has a leader.
    led: AtomicBool,
    /// What a read of partition 1 fails with.
    failure: ErrorCode,
    /// How long each answer takes.
    delay: Duration,
}

impl Broker {
    async fn start(broker: Self) -> (Arc<Self>, Consumer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Arc::new(Self { port, ..broker });
        let serving = Arc::clone(&broker);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        let mut options = Options::new(&format!("127.0.0.1:{port}"), "test").unwrap();
        options.backoff = Duration::from_millis(5);
        options.max_backoff = Duration::from_millis(20);
        let max_wait = Duration::from_millis(20);
        let how = ConsumerOptions { max_wait, ..ConsumerOptions::default() };
        let mut consumer = Consumer::new(Arc::new(Client::new(options)), how);
        for partition in 0..2 {
            consumer.add(TopicPartition::new("t", partition), Start::Earliest);
        }
        (broker, consumer)
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        while let Ok(len) = stream.read_u32().await {
            let mut frame = vec![0; len as usize];
            stream.read_exact(&mut frame).await.unwrap();
            let mut d = Decoder::new(Bytes::from(frame));
            let (_, header) = RequestHeader::decode_at_start(&mut d).unwrap();
            tokio::time::sleep(self.delay).await;
            let answer = self.answer(&header, &mut d).await;
            let mut out = u32::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
            out.extend(answer);
            stream.write_all(&out).await.unwrap();
        }
    }

    async fn answer(&self, header: &RequestHeader, d: &mut Decoder) -> Bytes {
        let version = header.request_api_version;
        match header.request_api_key {
            key if key == ApiKey::Metadata as i16 => {
                encode(header, ApiKey::Metadata, &self.metadata())
            }
            key if key == ApiKey::ListOffsets as i16 => {
                let request = ListOffsetsRequest::decode(d, version).unwrap();
                encode(header, ListOffsetsRequest::KEY, &list_offsets(request))
            }
            key if key == ApiKey::Fetch as i16 => {
                let request = FetchRequest::decode(d, version).unwrap();
                let response = self.fetch(request).await;
                encode(header, ApiKey::Fetch, &response)
            }
            _ => encode(header, ApiKey::ApiVersions, &versions()),
        }
    }

    fn metadata(&self) -> MetadataResponse {
        self.metadata.fetch_add(1, Ordering::Relaxed);
        let led = self.led.load(Ordering::Relaxed);
        let partition = |partition_index, leader_id| MetadataResponsePartition {
            partition_index,
            leader_id,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 7,
                host: "127.0.0.1".to_owned(),
                port: i32::from(self.port),
                ..Default::default()
            }],
            topics: vec![MetadataResponseTopic {
                name: Some("t".to_owned()),
                partitions: vec![partition(0, 7), partition(1, if led { 7 } else { -1 })],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    async fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        let partitions: Vec<_> = asked
            .map(|asked| {
                let mut data =
                    PartitionData { partition_index: asked.partition, ..Default::default() };
                if asked.partition == 1 && self.failure.is_error() {
                    data.error_code = self.failure;
                } else if asked.fetch_offset == 0 {
                    let mut batch = BatchBuilder::new(0);
                    let value = if asked.partition == 0 { "zero" } else { "one" };
                    batch.append(0, None, Some(value.as_bytes()));
                    data.records = Some(Records::Bytes(batch.build().unwrap().bytes));
                }
                data
            })
            .collect();
        let silent = |data: &PartitionData| data.records.is_none() && data.error_code.is_none();
        if partitions.iter().all(silent) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let topic =
            FetchableTopicResponse { topic: "t".to_owned(), partitions, ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }
}

fn encode<M: Message>(header: &RequestHeader, key: ApiKey, body: &M) -> Bytes {
    let version = header.request_api_version;
    let mut e = Encoder::new();
    let response = ResponseHeader { correlation_id: header.correlation_id };
    response.encode(&mut e, key.spec().response_header(version)).unwrap();
    body.encode(&mut e, version).unwrap();
    e.into_bytes().unwrap()
}

fn versions() -> ApiVersionsResponse {
    let key = |api: ApiKey, min_version, max_version| ApiVersion {
        api_key: api as i16,
        min_version,
        max_version,
    };
    let api_keys = vec![
        key(ApiKey::ApiVersions, 0, 4),
        key(ApiKey::Metadata, 1, 9),
        key(ApiKey::ListOffsets, 1, 7),
        key(ApiKey::Fetch, 4, 12),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn list_offsets(request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|p| ListOffsetsPartitionResponse {
            partition_index: p.partition_index,
            offset: 0,
            ..Default::default()
        });
        ListOffsetsTopicResponse { name: topic.name, partitions: partitions.collect() }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

fn values(records: &[Delivery]) -> Vec<&str> {
    let values = records.iter().filter_map(|d| d.record.value.as_deref());
    values.map(|v| std::str::from_utf8(v).unwrap()).collect()
}

/// Polls for a record, in turns of `turn`.
async fn next(consumer: &mut Consumer, turn: Duration) -> Result<Vec<Delivery>, ClientError> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let records = consumer.poll(turn).await?;
        if !records.is_empty() {
            return Ok(records);
        }
    }
    panic!("no record in time");
}

const TURN: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_partition_without_leader_holds_up_no_other() {
    let (broker, mut consumer) = Broker::start(Broker::default()).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    broker.led.store(true, Ordering::Relaxed);
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["one"]);
    let looks = broker.metadata.load(Ordering::Relaxed);
    assert!(looks > 1, "its leader was looked for again");
    assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    assert_eq!(broker.metadata.load(Ordering::Relaxed), looks, "and no more once it was found");
}

#[tokio::test]
async fn short_polls_give_nothing_up_that_is_under_way() {
    let broker =
        Broker { delay: Duration::from_millis(30), led: true.into(), ..Default::default() };
    let (broker, mut consumer) = Broker::start(broker).await;
    let mut read = Vec::new();
    while read.len() < 2 {
        read.extend(next(&mut consumer, Duration::from_millis(1)).await.unwrap());
    }
    assert_eq!(values(&read), ["zero", "one"]);
    assert_eq!(broker.accepted.load(Ordering::Relaxed), 1, "one connection lasts");
}

#[tokio::test]
async fn a_partition_that_fails_for_now_is_tried_again_with_pauses() {
    let failure = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let broker = Broker { failure, led: true.into(), ..Default::default() };
    let (broker, mut consumer) = Broker::start(broker).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    assert!(consumer.poll(Duration::from_millis(200)).await.unwrap().is_empty());
    let looks = broker.metadata.load(Ordering::Relaxed);
    assert!((3..40).contains(&looks), "{looks} looks for its leader");
}

#[tokio::test]
async fn a_failure_for_good_is_told_after_the_records_beside_it() {
    let failure = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let broker = Broker { failure, led: true.into(), ..Default::default() };
    let (_, mut consumer) = Broker::start(broker).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    let error = next(&mut consumer, TURN).await.unwrap_err();
    assert_eq!(error.code(), Some(failure));
}
