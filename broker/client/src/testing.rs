//! A broker for tests of what the client makes of answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ottla_wire::api::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_wire::api::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::api::init_producer_id::InitProducerIdResponse;
use ottla_wire::api::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_wire::api::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::api::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use ottla_wire::api::{ApiKey, Request};
use ottla_wire::record::BatchBuilder;
use ottla_wire::{Decoder, Encoder, ErrorCode, Message, Records};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Client, Options};

/// A broker with topic `t` of two partitions, each of which has one record: `zero` and `one`.
#[derive(Default)]
pub(crate) struct Broker {
    pub(crate) port: u16,
    pub(crate) accepted: AtomicUsize,
    pub(crate) metadata: AtomicUsize,
    /// Whether partition 1 has a leader.
    pub(crate) led: AtomicBool,
    /// What a read of partition 1 fails with.
    pub(crate) failure: ErrorCode,
    /// How long each answer takes.
    pub(crate) delay: Duration,
    /// Batches written to partition 0.
    pub(crate) written: AtomicUsize,
}

impl Broker {
    /// Starts it, and gives a client of it.
    pub(crate) async fn start(broker: Self) -> (Arc<Self>, Arc<Client>) {
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
        (broker, Arc::new(Client::new(options)))
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
            key if key == ApiKey::Produce as i16 => {
                let request = ProduceRequest::decode(d, version).unwrap();
                encode(header, ApiKey::Produce, &self.produce(request))
            }
            key if key == ApiKey::InitProducerId as i16 => {
                let response = InitProducerIdResponse { producer_id: 5, ..Default::default() };
                encode(header, ApiKey::InitProducerId, &response)
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

    fn produce(&self, request: ProduceRequest) -> ProduceResponse {
        let topics = request.topic_data.into_iter().map(|topic| {
            let partitions = topic.partition_data.into_iter().map(|data| {
                self.written.fetch_add(usize::from(data.index == 0), Ordering::Relaxed);
                PartitionProduceResponse { index: data.index, ..Default::default() }
            });
            TopicProduceResponse {
                name: topic.name,
                partition_responses: partitions.collect(),
                ..Default::default()
            }
        });
        ProduceResponse { responses: topics.collect(), ..Default::default() }
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
        key(ApiKey::Produce, 3, 9),
        key(ApiKey::InitProducerId, 0, 4),
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
