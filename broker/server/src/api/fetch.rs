//! Fetch: records, as slices of files; sessions (KIP-227), waiting, and what consumers and
//! followers must know besides.

use std::sync::Arc;

use ottla_config::Compression;
use ottla_engine::{
    EngineError, Fetch, FetchItem, FetchParams, Fetched, FollowerId, Partition, PartitionId, Read,
    ReadAsk, ReadFrom, Reader,
};
use ottla_log::index::txn::AbortedTxn;
use ottla_metadata::Image;
use ottla_replica::EpochCheck;
use ottla_replica::session::{
    Answer as SessionAnswer, FetchPartition as Asked, Key, Naming, News, Notice, Topic,
};
use ottla_wire::api::Listener;
use ottla_wire::api::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use ottla_wire::{ErrorCode, Records};

mod metadata_log;
mod session;

use self::session::Round;
use crate::answer::{Answer, Filled, Holds};
use crate::call::Call;
use crate::files::slice;

/// Since this version topics are named by id.
const IDS_SINCE: i16 = 13;
/// Since this version clients know zstd.
const ZSTD_SINCE: i16 = 10;
/// Since this version the answer may name the leaders' addresses.
const ENDPOINTS_SINCE: i16 = 16;

/// What a waiting request keeps for each of its partitions, about, in bytes.
const HELD_A_PARTITION: usize = 256;
/// Since this version consumers say where they are, and may read from followers (KIP-392).
const RACKS_SINCE: i16 = 11;
/// Since this version followers say which process they are (KIP-903).
const EPOCHS_SINCE: i16 = 15;

/// One partition of a request, resolved.
struct Wanted {
    key: Key,
    /// An error that is known without asking the log.
    error: Option<ErrorCode>,
    /// The replica that the consumer is sent to instead.
    preferred: Option<Preferred>,
}

/// Another replica that a consumer is to read from, and what it is told of the partition besides.
struct Preferred {
    broker: i32,
    read: Read,
}

/// Answers Fetch.
pub fn handle(call: Call, request: FetchRequest) -> Answer<FetchResponse> {
    if call.session.kind == Listener::Controller {
        return metadata_log::handle(call, request);
    }
    let replica = match call.version {
        EPOCHS_SINCE.. => request.replica_state.replica_id,
        _ => request.replica_id,
    };
    let round = match Round::begin(&call, &request, replica) {
        Ok(round) => round,
        Err(error_code) => {
            return FetchResponse { error_code, ..Default::default() }.into();
        }
    };
    let image = call.context.image();
    let mut wanted = Vec::with_capacity(round.partitions.len());
    let mut items = Vec::with_capacity(round.partitions.len());
    let near = Near::of(&call, &request, &image);
    for (key, asked, told) in &round.partitions {
        let (mut item, error) = resolve(&call, &image, key, asked, replica);
        item.told = *told;
        let preferred = match &item.partition {
            Some(partition) if replica == -1 => {
                near.as_ref().and_then(|near| near.prefers(partition, &item.ask))
            }
            _ => None,
        };
        if preferred.is_some() {
            // Nothing is read, and it is told at once.
            item.partition = None;
        }
        wanted.push(Wanted { key: key.clone(), error, preferred });
        items.push(item);
    }

    let params = params(&call, &request, replica);
    let reader = params.reader;
    match ottla_engine::fetch(&call.context.core, params, items) {
        Fetch::Ready(found) => Answer::Now(compose(&call, round, wanted, found, reader)),
        Fetch::Parked(mut parked) => {
            round.park(&mut parked);
            let holds = Holds::Bytes(wanted.len() * HELD_A_PARTITION);
            let later = async move {
                match parked.await {
                    Some(found) => compose(&call, round, wanted, found, reader),
                    // The follower's next request is here, and is answered next.
                    None => {
                        let session_id = round.session_id;
                        Filled::from(FetchResponse { session_id, ..Default::default() })
                    }
                }
            };
            Answer::Later(Box::pin(later), holds)
        }
    }
}

fn params(call: &Call, request: &FetchRequest, replica: i32) -> FetchParams {
    let positive = |n: i32| u32::try_from(n).unwrap_or(0);
    let most = call.context.config().get(ottla_config::keys::FETCH_MAX_BYTES);
    let max_bytes = match replica {
        0.. => positive(request.max_bytes),
        _ => positive(request.max_bytes.min(most)),
    };
    let reader = match (replica, request.isolation_level) {
        // A follower, or a tool that looks at everything.
        (0.., _) | (-2, _) => Reader::Follower,
        (_, 1) => Reader::Committed,
        _ => Reader::Uncommitted,
    };
    let from = match (replica, call.version) {
        (-1, RACKS_SINCE..) => ReadFrom::Anyone,
        _ => ReadFrom::Leader,
    };
    let follower = (replica >= 0).then_some(FollowerId {
        broker: replica,
        epoch: if call.version >= EPOCHS_SINCE { request.replica_state.replica_epoch } else { -1 },
    });
    FetchParams {
        min_bytes: positive(request.min_bytes).min(max_bytes),
        max_bytes,
        max_wait_ms: u64::from(positive(request.max_wait_ms)),
        reader,
        follower,
        from,
    }
}

/// Finds the partition that a key names, or the error to answer.
fn resolve(
    call: &Call,
    image: &Image,
    key: &Key,
    asked: &Asked,
    replica: i32,
) -> (FetchItem, Option<ErrorCode>) {
    let ask = ReadAsk {
        offset: asked.fetch_offset,
        max_bytes: u32::try_from(asked.max_bytes).unwrap_or(0),
        epoch: EpochCheck::from_wire(asked.current_leader_epoch),
        last_fetched_epoch: asked.last_fetched_epoch,
    };
    let item = |partition| {
        let log_start_offset = asked.log_start_offset;
        FetchItem { log_start_offset, ..FetchItem::consumer(partition, ask) }
    };
    let failed = |error| (item(None), Some(error));
    let topic = match &key.topic {
        Topic::Id(id) => image.topic(*id),
        Topic::Name(name) => image.topic_named(name),
    };
    let Some(topic) = topic else {
        return failed(match &key.topic {
            Topic::Id(_) => ErrorCode::UNKNOWN_TOPIC_ID,
            Topic::Name(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        });
    };
    let Some(registered) = topic.partition(key.partition) else {
        return failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    if replica >= 0 && !registered.replicas.as_slice().contains(&replica) {
        return failed(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    match call.context.replicas.get(PartitionId::new(topic.id, key.partition)) {
        Ok(partition) => {
            let zstd = matches!(partition.config().compression, Compression::Zstd(_));
            if zstd && call.version < ZSTD_SINCE {
                return failed(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
            }
            (item(Some(partition)), None)
        }
        Err(error) => failed(error.code()),
    }
}

/// Makes the response of what was found.
fn compose(
    call: &Call,
    mut round: Round,
    wanted: Vec<Wanted>,
    found: Vec<Fetched>,
    reader: Reader,
) -> Filled<FetchResponse> {
    let mut filled = Filled::from(FetchResponse { session_id: 0, ..Default::default() });
    let mut told = Vec::with_capacity(wanted.len());
    for (wanted, found) in wanted.into_iter().zip(found) {
        let broker = wanted.preferred.as_ref().map(|preferred| preferred.broker);
        let known = match (&wanted.error, wanted.preferred) {
            (Some(code), _) => Err(*code),
            (None, Some(preferred)) => Ok(preferred.read),
            (None, None) => found.map_err(|e: EngineError| e.code()),
        };
        let mut answer = session_answer(&known);
        if broker.is_some() {
            answer.notice = Notice::PreferredReplica;
        }
        told.push((wanted.key, answer, known, broker));
    }
    let news = round.settle(call, told.iter().map(|(key, answer, ..)| (key, answer)));
    filled.response.session_id = round.session_id;
    for ((key, _, known, broker), news) in told.into_iter().zip(news) {
        if news == News::Some {
            add(call, &mut filled, key, known, reader);
            let last = filled.response.responses.last_mut();
            if let Some(data) = last.and_then(|topic| topic.partitions.last_mut()) {
                data.preferred_read_replica = broker.unwrap_or(-1);
            }
        }
    }
    filled
}

/// The rack-aware choice of a replica for one consumer.
struct Near {
    /// The brokers in the consumer's rack that its listener reaches.
    brokers: Vec<i32>,
}

impl Near {
    /// None if consumers are not sent to other replicas, or this one does not say where it is.
    fn of(call: &Call, request: &FetchRequest, image: &Image) -> Option<Self> {
        let config = call.context.config();
        let selector = config.get(ottla_config::keys::REPLICA_SELECTOR_CLASS)?;
        if call.version < RACKS_SINCE
            || request.rack_id.is_empty()
            || !selector.ends_with("RackAwareReplicaSelector")
        {
            return None;
        }
        let near = image.brokers().filter(|broker| {
            broker.is_active()
                && broker.rack.as_deref() == Some(request.rack_id.as_str())
                && broker.endpoint(&call.session.listener).is_some()
        });
        Some(Self { brokers: near.map(|broker| broker.id).collect() })
    }

    fn prefers(&self, partition: &Arc<Partition>, ask: &ReadAsk) -> Option<Preferred> {
        let broker = partition.nearest(ask.offset, |id| self.brokers.contains(&id))?;
        let read = partition.read_nothing(ask.epoch).ok()?;
        Some(Preferred { broker, read })
    }
}

fn session_answer(found: &Result<Read, ErrorCode>) -> SessionAnswer {
    match found {
        Ok(read) => SessionAnswer {
            bytes: read.bytes(),
            high_watermark: read.high_watermark,
            log_start_offset: read.log_start_offset,
            error: ErrorCode::NONE,
            notice: if read.diverging.is_some() { Notice::Diverging } else { Notice::None },
        },
        Err(error) => SessionAnswer {
            bytes: 0,
            high_watermark: -1,
            log_start_offset: -1,
            error: *error,
            notice: Notice::None,
        },
    }
}

/// Adds a partition to the response, under its topic.
fn add(
    call: &Call,
    filled: &mut Filled<FetchResponse>,
    key: Key,
    found: Result<Read, ErrorCode>,
    reader: Reader,
) {
    let mut data = PartitionData {
        partition_index: key.partition,
        high_watermark: -1,
        records: Some(Records::default()),
        ..Default::default()
    };
    match found {
        Ok(read) => fill(&mut data, &mut filled.slices, read, reader),
        Err(error) => {
            data.error_code = error;
            hint(call, &mut filled.response, &mut data, &key);
        }
    }
    let same = |t: &FetchableTopicResponse| match &key.topic {
        Topic::Id(id) => t.topic_id == *id,
        Topic::Name(name) => t.topic == **name,
    };
    match filled.response.responses.last_mut() {
        Some(last) if same(last) => last.partitions.push(data),
        _ => {
            let mut topic = FetchableTopicResponse::default();
            match key.topic {
                Topic::Id(id) => topic.topic_id = id,
                Topic::Name(name) => topic.topic = name.to_string(),
            }
            topic.partitions.push(data);
            filled.response.responses.push(topic);
        }
    }
}

fn fill(
    data: &mut PartitionData,
    slices: &mut Vec<ottla_net::FileSlice>,
    read: Read,
    reader: Reader,
) {
    data.high_watermark = read.high_watermark;
    data.last_stable_offset = read.last_stable_offset;
    data.log_start_offset = read.log_start_offset;
    if let Some(diverging) = read.diverging {
        data.diverging_epoch = EpochEndOffset { epoch: diverging.epoch, end_offset: diverging.end };
    }
    // Readers of uncommitted records are told null.
    data.aborted_transactions = (reader == Reader::Committed).then(|| {
        let row = |txn: AbortedTxn| AbortedTransaction {
            producer_id: txn.producer_id,
            first_offset: txn.first_offset,
        };
        read.aborted.into_iter().map(row).collect()
    });
    if let Some(found) = read.slice {
        data.records = Some(Records::Hole(found.len));
        slices.push(slice(found));
    }
}

/// Tells a client that came to the wrong broker who leads now (KIP-951).
fn hint(call: &Call, response: &mut FetchResponse, data: &mut PartitionData, key: &Key) {
    let wrong = [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH];
    if call.version < ENDPOINTS_SINCE || !wrong.contains(&data.error_code) {
        return;
    }
    let image = call.context.image();
    let Topic::Id(id) = &key.topic else { return };
    let Some(partition) = image.partition(*id, key.partition) else { return };
    data.current_leader =
        LeaderIdAndEpoch { leader_id: partition.leader, leader_epoch: partition.leader_epoch };
    let known = response.node_endpoints.iter().any(|n| n.node_id == partition.leader);
    if let Some(endpoint) = image.endpoint(partition.leader, &call.session.listener)
        && !known
    {
        response.node_endpoints.push(NodeEndpoint {
            node_id: partition.leader,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: image.broker(partition.leader).and_then(|b| b.rack.clone()),
        });
    }
}

/// The topic a request names.
fn topic(version: i16, name: &str, id: ottla_wire::Uuid) -> Topic {
    if version >= IDS_SINCE { Topic::Id(id) } else { Topic::Name(Arc::from(name)) }
}

/// How a request of this version names topics.
fn naming(version: i16) -> Naming {
    if version >= IDS_SINCE { Naming::Ids } else { Naming::Names }
}
