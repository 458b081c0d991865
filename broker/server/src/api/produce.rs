//! Produce: batches are judged, appended on this thread, and acknowledged when that may be.

use std::cell::RefCell;
use std::sync::Arc;

use ottla_config::{Compression as Configured, LogConfig, TimestampType as Clocked};
use ottla_engine::{Ack, AppendHow, Appended, EngineError, Partition, PartitionId};
use ottla_log::log::{AppendBatch, Outcome};
use ottla_metadata::{Image, Topic};
use ottla_replica::Acks;
use ottla_wire::api::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ottla_wire::record::{
    AppendRules, CompressedRecords, Compression, Compressor, Keys, RejectedRecord, Rejection,
    TargetCompression, TimestampType, ValidatedBatch, Workspace, validate_in,
};
use ottla_wire::{ErrorCode, Records};
use tracing::debug;

use crate::answer::{Answer, Holds};
use crate::api::topics;
use crate::call::Call;

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
    let timeout_ms = request.timeout_ms;
    let Some(acks) = Acks::from_wire(request.acks) else {
        return refuse_all(request, ErrorCode::INVALID_REQUIRED_ACKS).into();
    };
    let image = call.context.image();
    // No coordinator here ever began a transaction; one that nobody can end would hide every later
    // record from those who read committed ones.
    let transactional = match request.transactional_id {
        Some(_) => ErrorCode::INVALID_TXN_STATE,
        None => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    };
    let mut job = Job {
        call: &call,
        image: &image,
        acks,
        transactional,
        waiting: Vec::new(),
        endpoints: Vec::new(),
    };
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for (index, topic) in request.topic_data.into_iter().enumerate() {
        responses.push(job.topic(index, topic));
    }
    let Job { waiting, endpoints, .. } = job;
    let response = ProduceResponse { responses, node_endpoints: endpoints, ..Default::default() };

    if acks == Acks::None {
        return silent(&response);
    }
    if waiting.is_empty() {
        return response.into();
    }
    let timeout = std::time::Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
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
    timeout: std::time::Duration,
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
    image: &'a Image,
    acks: Acks,
    /// What to answer to batches of transactions.
    transactional: ErrorCode,
    waiting: Vec<Waiting>,
    endpoints: Vec<NodeEndpoint>,
}

impl Job<'_> {
    fn topic(&mut self, index: usize, data: TopicProduceData) -> TopicProduceResponse {
        let by_id = self.call.version >= IDS_SINCE;
        let image = self.image;
        let topic = if by_id { image.topic(data.topic_id) } else { image.topic_named(&data.name) };
        let mut partition_responses = Vec::with_capacity(data.partition_data.len());
        for (at, partition) in data.partition_data.into_iter().enumerate() {
            let answer = match topic {
                Some(topic) => self.partition(topic, (index, at), partition),
                None if by_id => failed(partition.index, ErrorCode::UNKNOWN_TOPIC_ID, None),
                None => failed(partition.index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None),
            };
            partition_responses.push(answer);
        }
        TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
    }

    fn partition(
        &mut self,
        topic: &Topic,
        place: (usize, usize),
        data: PartitionProduceData,
    ) -> PartitionProduceResponse {
        let index = data.index;
        if topic.partition(index).is_none() {
            return failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None);
        }
        if topics::is_internal(&topic.name) {
            return failed(index, ErrorCode::INVALID_TOPIC_EXCEPTION, None);
        }
        let found = self.call.context.replicas.get(PartitionId::new(topic.id, index));
        let partition = match found {
            Ok(partition) => partition,
            Err(error) => return self.engine_failed(topic, index, &error),
        };
        let records = match data.records {
            Some(Records::Bytes(bytes)) => bytes,
            _ => bytes::Bytes::new(),
        };
        let config = partition.config();
        let now_ms = self.call.context.core.clock().wall_ms();
        let (rules, version) = (rules(&config), self.call.version);
        let judged =
            WORKSPACE.with_borrow_mut(|w| validate_in(w, &records, &rules, version, now_ms));
        let batch = match judged {
            Ok(batch) => batch,
            Err(rejection) => return self.rejected(topic, index, &rejection),
        };
        if batch.header().is_transactional() {
            return failed(index, self.transactional, None);
        }
        let log_append_time_ms = match config.timestamp_type {
            Clocked::LogAppendTime => batch.header().max_timestamp,
            Clocked::CreateTime => -1,
        };
        match append(&partition, batch, self.acks) {
            Ok(appended) => self.appended(place, index, appended, log_append_time_ms),
            Err(error) => self.engine_failed(topic, index, &error),
        }
    }

    fn appended(
        &mut self,
        (topic, partition): (usize, usize),
        index: i32,
        appended: Appended,
        log_append_time_ms: i64,
    ) -> PartitionProduceResponse {
        if let Ack::Wait(ack) = appended.ack {
            self.waiting.push(Waiting { topic, partition, ack });
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

fn append(
    partition: &Arc<Partition>,
    batch: ValidatedBatch,
    acks: Acks,
) -> Result<Appended, EngineError> {
    let (header, body) = batch.into_parts();
    partition.append(&[AppendBatch { header, body }], AppendHow::client(acks))
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
