//! Produce: batches are judged, appended on this thread, and acknowledged when that may be. Those
//! that begin transactions wait first until the coordinator knows of it; see `transactional`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_config::{Compression as Configured, LogConfig, TimestampType as Clocked};
use ottla_engine::{Ack, AppendHow, EngineError, Partition, PartitionId};
use ottla_log::log::{AppendBatch, Outcome};
use ottla_log::producers::{Beginning, Sequences, Verified};
use ottla_metadata::{Image, Topic};
use ottla_replica::Acks;
use ottla_wire::api::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ottla_wire::record::{
    AppendRules, BATCH_HEADER_SIZE, BatchHeader, CompressedRecords, Compression, Compressor, Keys,
    RejectedRecord, Rejection, TargetCompression, TimestampType, Workspace, validate_in,
};
use ottla_wire::{ErrorCode, Records, Uuid};
use tracing::debug;

use crate::answer::{Answer, Holds};
use crate::api::topics;
use crate::call::Call;

mod transactional;

/// Since this version topics are named by id.
const IDS_SINCE: i16 = 13;
/// Since this version the answer may name the leaders' addresses.
const ENDPOINTS_SINCE: i16 = 10;

thread_local! {
    /// What decompression needs, kept by each thread that judges batches.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// An append that is not to be told yet: where its answer stands, and what it waits for.
struct Waiting {
    topic: usize,
    partition: usize,
    ack: ottla_engine::AckWait,
}

/// Answers Produce.
pub fn handle(call: Call, request: ProduceRequest) -> Answer<ProduceResponse> {
    let Some(acks) = Acks::from_wire(request.acks) else {
        return refuse_all(request, ErrorCode::INVALID_REQUIRED_ACKS).into();
    };
    let begins = transactional::is_any(&request);
    if begins && request.transactional_id.is_none() {
        return refuse_all(request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED).into();
    }
    let waits = acks != Acks::None && !call.session.line.is_free();
    if begins || waits {
        return transactional::handle(call, request, acks);
    }
    let timeout = timeout_of(&request);
    let mut job = Job::new(&call, acks);
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for (index, topic) in request.topic_data.into_iter().enumerate() {
        responses.push(job.topic(index, topic));
    }
    let Job { waiting, endpoints, .. } = job;
    let response = ProduceResponse { responses, node_endpoints: endpoints, ..Default::default() };
    finish(acks, response, waiting, timeout)
}

/// How long the client waits for others to have what it sent.
fn timeout_of(request: &ProduceRequest) -> Duration {
    Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0))
}

/// What becomes of a request of which everything is appended that ever will be.
fn finish(
    acks: Acks,
    response: ProduceResponse,
    waiting: Vec<Waiting>,
    timeout: Duration,
) -> Answer<ProduceResponse> {
    if acks == Acks::None {
        return silent(&response);
    }
    if waiting.is_empty() {
        return response.into();
    }
    // The records are in the log; what is kept is the answer.
    let partitions: usize = response.responses.iter().map(|t| t.partition_responses.len()).sum();
    let holds = Holds::Bytes(partitions * size_of::<PartitionProduceResponse>() * 2);
    Answer::later_holding(holds, acknowledge(response, waiting, timeout))
}

/// A client that wants no answer is told of errors by the end of its connection, as Kafka does.
fn silent(response: &ProduceResponse) -> Answer<ProduceResponse> {
    let topics = response.responses.iter();
    let mut all = topics.flat_map(|t| t.partition_responses.iter().map(move |p| (t, p)));
    match all.find(|(_, p)| p.error_code != ErrorCode::NONE) {
        Some((topic, PartitionProduceResponse { index, error_code, .. })) => {
            let name = match topic.name.as_str() {
                "" => topic.topic_id.to_string(),
                name => name.to_owned(),
            };
            Answer::Close(format!("Produce with acks=0 to {name:?}-{index} failed: {error_code}"))
        }
        None => Answer::Silent,
    }
}

/// Waits until every append is where the client wants it, or time is up.
async fn acknowledge(
    mut response: ProduceResponse,
    waiting: Vec<Waiting>,
    timeout: Duration,
) -> ProduceResponse {
    let deadline = tokio::time::Instant::now() + timeout;
    for Waiting { topic, partition, ack } in waiting {
        let result = tokio::time::timeout_at(deadline, ack).await;
        let error = match result {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => ErrorCode::REQUEST_TIMED_OUT,
        };
        let slot = response.responses.get_mut(topic);
        if let Some(p) = slot.and_then(|t| t.partition_responses.get_mut(partition)) {
            *p = failed(p.index, error, None);
        }
    }
    response
}

/// Answers the same error for every partition.
fn refuse_all(request: ProduceRequest, error: ErrorCode) -> ProduceResponse {
    let topic = |t: TopicProduceData| TopicProduceResponse {
        name: t.name,
        topic_id: t.topic_id,
        partition_responses: t
            .partition_data
            .iter()
            .map(|p| failed(p.index, error, None))
            .collect(),
    };
    let responses = request.topic_data.into_iter().map(topic).collect();
    ProduceResponse { responses, ..Default::default() }
}

fn failed(index: i32, error_code: ErrorCode, message: Option<String>) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code,
        base_offset: -1,
        error_message: message,
        ..Default::default()
    }
}

/// One request under way.
struct Job<'a> {
    call: &'a Call,
    image: Arc<Image>,
    acks: Acks,
    waiting: Vec<Waiting>,
    endpoints: Vec<NodeEndpoint>,
}

/// A batch that may be appended.
struct Judged {
    partition: Arc<Partition>,
    header: [u8; BATCH_HEADER_SIZE],
    body: Bytes,
    /// The transaction that it belongs to.
    transaction: Option<Beginning>,
    /// The time that the topic's records have from the log, -1 if they do not.
    log_append_time_ms: i64,
}

impl<'a> Job<'a> {
    fn new(call: &'a Call, acks: Acks) -> Self {
        let image = call.context.image();
        Self { call, image, acks, waiting: Vec::new(), endpoints: Vec::new() }
    }

    fn topic(&mut self, index: usize, data: TopicProduceData) -> TopicProduceResponse {
        let mut partition_responses = Vec::with_capacity(data.partition_data.len());
        for (at, partition) in data.partition_data.into_iter().enumerate() {
            let number = partition.index;
            let answer = match self.judge(&data.name, data.topic_id, partition) {
                Ok(judged) => self.append((index, at), number, judged, Verified::Unasked),
                Err(answer) => answer,
            };
            partition_responses.push(answer);
        }
        TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
    }

    /// Finds the partition that is meant, and looks whether its topic takes the batch.
    #[allow(clippy::result_large_err)]
    fn judge(
        &mut self,
        name: &str,
        id: Uuid,
        data: PartitionProduceData,
    ) -> Result<Judged, PartitionProduceResponse> {
        let index = data.index;
        let by_id = self.call.version >= IDS_SINCE;
        let image = Arc::clone(&self.image);
        let topic = if by_id { image.topic(id) } else { image.topic_named(name) };
        let Some(topic) = topic else {
            let unknown = match by_id {
                true => ErrorCode::UNKNOWN_TOPIC_ID,
                false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            return Err(failed(index, unknown, None));
        };
        if topic.partition(index).is_none() {
            return Err(failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None));
        }
        if topics::is_internal(&topic.name) {
            return Err(failed(index, ErrorCode::INVALID_TOPIC_EXCEPTION, None));
        }
        let found = self.call.context.replicas.get(PartitionId::new(topic.id, index));
        let partition = found.map_err(|error| self.engine_failed(topic, index, &error))?;
        let records = match data.records {
            Some(Records::Bytes(bytes)) => bytes,
            _ => Bytes::new(),
        };
        let config = partition.config();
        let now_ms = self.call.context.core.clock().wall_ms();
        let (rules, version) = (rules(&config), self.call.version);
        let judged =
            WORKSPACE.with_borrow_mut(|w| validate_in(w, &records, &rules, version, now_ms));
        let batch = judged.map_err(|rejection| self.rejected(topic, index, &rejection))?;
        let log_append_time_ms = match config.timestamp_type {
            Clocked::LogAppendTime => batch.header().max_timestamp,
            Clocked::CreateTime => -1,
        };
        let transaction = transaction_of(batch.header());
        let (header, body) = batch.into_parts();
        Ok(Judged { partition, header, body, transaction, log_append_time_ms })
    }

    fn append(
        &mut self,
        (topic, at): (usize, usize),
        index: i32,
        judged: Judged,
        verified: Verified,
    ) -> PartitionProduceResponse {
        let Judged { partition, header, body, log_append_time_ms, .. } = judged;
        let how = AppendHow::client(self.acks).verified(verified);
        let appended = match partition.append(&[AppendBatch { header, body }], how) {
            Ok(appended) => appended,
            Err(error) => return self.append_failed(&partition, index, &error),
        };
        if let Ack::Wait(ack) = appended.ack {
            self.waiting.push(Waiting { topic, partition: at, ack });
        }
        // Of a duplicate the time of its first append is not known any more.
        let log_append_time_ms = match appended.outcome {
            Outcome::Appended => log_append_time_ms,
            Outcome::Duplicate => -1,
        };
        PartitionProduceResponse {
            index,
            base_offset: appended.first_offset,
            log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        }
    }

    fn append_failed(
        &mut self,
        partition: &Partition,
        index: i32,
        error: &EngineError,
    ) -> PartitionProduceResponse {
        let image = Arc::clone(&self.image);
        match image.topic(partition.id().topic) {
            Some(topic) => self.engine_failed(topic, index, error),
            None => failed(index, error.code(), None),
        }
    }

    fn rejected(&self, topic: &Topic, index: i32, why: &Rejection) -> PartitionProduceResponse {
        let partition = format!("{}-{index}", topic.name);
        debug!(peer = %self.call.session.remote, client = self.call.client_id, partition, %why, "produce refused");
        let mut answer = failed(index, why.code(), why.message(&partition));
        let row = |record: &RejectedRecord| BatchIndexAndErrorMessage {
            batch_index: record.index,
            batch_index_error_message: Some(record.message(&partition)),
        };
        answer.record_errors = why.records().iter().map(row).collect();
        answer
    }

    fn engine_failed(
        &mut self,
        topic: &Topic,
        index: i32,
        error: &EngineError,
    ) -> PartitionProduceResponse {
        let code = error.code();
        let mut answer = failed(index, code, None);
        let wrong = [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH];
        if self.call.version >= ENDPOINTS_SINCE
            && wrong.contains(&code)
            && let Some(partition) = topic.partition(index)
        {
            let (leader_id, leader_epoch) = (partition.leader, partition.leader_epoch);
            answer.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            self.tell_endpoint(leader_id);
        }
        answer
    }

    /// Tells a client that came to the wrong broker where the leader is (KIP-951).
    fn tell_endpoint(&mut self, node_id: i32) {
        if self.endpoints.iter().any(|e| e.node_id == node_id) {
            return;
        }
        let Some(endpoint) = self.image.endpoint(node_id, &self.call.session.listener) else {
            return;
        };
        self.endpoints.push(NodeEndpoint {
            node_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: self.image.broker(node_id).and_then(|b| b.rack.clone()),
        });
    }
}

/// The transaction of a batch, if it is of one, with any sequence number to begin with.
fn transaction_of(header: &BatchHeader) -> Option<Beginning> {
    (header.is_transactional() && header.producer_id >= 0).then_some(Beginning {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        sequence: header.base_sequence,
        sequences: Sequences::Any,
    })
}

/// What the topic takes.
fn rules(config: &LogConfig) -> AppendRules {
    let fixed = TargetCompression::Fixed;
    AppendRules {
        max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        keys: if config.cleanup_policy.compact { Keys::Required } else { Keys::Optional },
        timestamp_type: match config.timestamp_type {
            Clocked::CreateTime => TimestampType::CreateTime,
            Clocked::LogAppendTime => TimestampType::LogAppendTime,
        },
        before_max_ms: config.timestamp_before_max_ms,
        after_max_ms: config.timestamp_after_max_ms,
        compression: match config.compression {
            Configured::Producer => TargetCompression::Producer,
            Configured::Uncompressed => fixed(Compressor::NONE),
            Configured::Gzip(level) => fixed(Compressor::with_level(Compression::Gzip, level)),
            Configured::Snappy => fixed(Compressor::new(Compression::Snappy)),
            Configured::Lz4(level) => fixed(Compressor::with_level(Compression::Lz4, level)),
            Configured::Zstd(level) => fixed(Compressor::with_level(Compression::Zstd, level)),
        },
        // Nonsense under a right checksum would stop every reader of the partition.
        compressed_records: CompressedRecords::Checked,
        ..AppendRules::default()
    }
}
