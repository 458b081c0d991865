//! The leader's side of a follower's Fetch, as the server has it: sessions, waiting, and answers with bytes.

use std::sync::Arc;

use bytes::Bytes;
use ottla_engine::{
    EngineError, Fetch, FetchItem, FetchParams, Fetched, FollowerId, OffsetQuery, PartitionId,
    ReadAsk, ReadFrom, Reader, SharedSession, fetch,
};
use ottla_replica::EpochCheck;
use ottla_replica::session::{
    Answer, FetchPartition as Asked, FetchSession, Key, NO_SESSION, Naming, News, Notice, Owner,
    SessionChange, SessionRequest, Topic,
};
use ottla_wire::api::fetch::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ottla_wire::api::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use ottla_wire::{ErrorCode, Records};

use super::broker::Engine;

/// Asks for the end of a log.
const LATEST: i64 = -1;

/// How a request is about its session.
enum Kind {
    /// It begins one.
    New,
    /// It goes on with one.
    Goes(SharedSession, i32),
}

type Wanted = Vec<(Key, Asked, i64)>;

fn positive(n: i32) -> u32 {
    u32::try_from(n).unwrap_or_default()
}

impl Engine {
    /// Answers a follower.
    pub async fn fetch(self: Arc<Self>, request: FetchRequest) -> FetchResponse {
        let (kind, wanted) = match self.session(&request) {
            Ok(found) => found,
            Err(error_code) => return FetchResponse { error_code, ..Default::default() },
        };
        let state = &request.replica_state;
        let params = FetchParams {
            min_bytes: positive(request.min_bytes),
            max_bytes: positive(request.max_bytes),
            max_wait_ms: u64::from(positive(request.max_wait_ms)),
            reader: Reader::Follower,
            follower: Some(FollowerId { broker: state.replica_id, epoch: state.replica_epoch }),
            from: ReadFrom::Leader,
        };
        let items = wanted.iter().map(|(key, asked, told)| self.item(key, asked, *told)).collect();
        let found = match fetch(&self.core, params, items) {
            Fetch::Ready(found) => Some(found),
            Fetch::Parked(mut parked) => {
                if let Kind::Goes(session, _) = &kind {
                    session.park(&mut parked);
                }
                parked.await
            }
        };
        match (found, kind) {
            (Some(found), kind) => self.compose(kind, wanted, found),
            // Only a session's next request ends one that waits.
            (None, Kind::Goes(_, session_id)) => FetchResponse { session_id, ..Default::default() },
            (None, Kind::New) => FetchResponse::default(),
        }
    }

    fn session(&self, request: &FetchRequest) -> Result<(Kind, Wanted), ErrorCode> {
        let mut named = Vec::new();
        for topic in &request.topics {
            for p in &topic.partitions {
                let asked = Asked {
                    fetch_offset: p.fetch_offset,
                    max_bytes: p.partition_max_bytes,
                    current_leader_epoch: p.current_leader_epoch,
                    last_fetched_epoch: p.last_fetched_epoch,
                    log_start_offset: p.log_start_offset,
                };
                let topic = Topic::Id(topic.topic_id);
                named.push((Key { topic, partition: p.partition }, asked));
            }
        }
        match SessionRequest::from_wire(request.session_id, request.session_epoch) {
            SessionRequest::Sessionless { ends } | SessionRequest::New { ends } => {
                self.sessions.remove(ends);
                Ok((Kind::New, named.into_iter().map(|(k, a)| (k, a, -1)).collect()))
            }
            SessionRequest::Incremental { id, epoch } => {
                let session = self.sessions.get(id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
                session.supersede();
                let mut forgotten = Vec::new();
                for topic in &request.forgotten_topics_data {
                    let key = |p: &i32| Key { topic: Topic::Id(topic.topic_id), partition: *p };
                    forgotten.extend(topic.partitions.iter().map(key));
                }
                let change = SessionChange { partitions: named, forgotten };
                session.lock().update(epoch, Naming::Ids, change)?;
                let told = session.lock();
                let wanted = told.told().map(|(k, a, told)| (k.clone(), *a, told)).collect();
                drop(told);
                Ok((Kind::Goes(session, id), wanted))
            }
        }
    }

    fn item(&self, key: &Key, asked: &Asked, told: i64) -> FetchItem {
        let ask = ReadAsk {
            offset: asked.fetch_offset,
            max_bytes: positive(asked.max_bytes),
            epoch: EpochCheck::from_wire(asked.current_leader_epoch),
            last_fetched_epoch: asked.last_fetched_epoch,
        };
        let partition = match &key.topic {
            Topic::Id(topic) => self.replicas.get(PartitionId::new(*topic, key.partition)).ok(),
            // Followers name topics by id.
            Topic::Name(_) => None,
        };
        let log_start_offset = asked.log_start_offset;
        FetchItem { log_start_offset, told, ..FetchItem::consumer(partition, ask) }
    }

    fn compose(&self, kind: Kind, wanted: Wanted, found: Vec<Fetched>) -> FetchResponse {
        let now = self.core.clock().mono();
        let answers: Vec<(Key, Answer, PartitionData)> =
            wanted.iter().zip(found).map(|((key, ..), found)| answer(key, found)).collect();
        let (session_id, news): (i32, Vec<News>) = match kind {
            Kind::New => {
                let asked = wanted.into_iter().map(|(key, asked, _)| (key, asked)).collect();
                let mut session = FetchSession::new(asked);
                answers.iter().for_each(|(key, answer, _)| {
                    session.note(key, answer);
                });
                let id = self.sessions.create(Owner::Follower, session, now);
                (id.unwrap_or(NO_SESSION), answers.iter().map(|_| News::Some).collect())
            }
            Kind::Goes(session, id) => {
                let mut session = session.lock();
                (id, answers.iter().map(|(key, answer, _)| session.note(key, answer)).collect())
            }
        };
        let mut response = FetchResponse { session_id, ..Default::default() };
        for ((key, _, data), news) in answers.into_iter().zip(news) {
            let Topic::Id(topic_id) = key.topic else { continue };
            if news == News::Some {
                let partitions = vec![data];
                let topic = FetchableTopicResponse { topic_id, partitions, ..Default::default() };
                response.responses.push(topic);
            }
        }
        response
    }

    /// Tells a follower where logs begin and end.
    #[must_use]
    pub fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let image = self.image();
        let topic = |t: &ListOffsetsTopic| {
            let one = |p: &ListOffsetsPartition| {
                let query = match p.timestamp {
                    LATEST => OffsetQuery::Latest(Reader::Follower),
                    _ => OffsetQuery::Earliest,
                };
                let epoch = EpochCheck::from_wire(p.current_leader_epoch);
                let id = image.topic_id(&t.name).unwrap_or_default();
                let found = self.replicas.get(PartitionId::new(id, p.partition_index));
                let found = found.and_then(|partition| partition.find_offset(query, epoch));
                ListOffsetsPartitionResponse {
                    partition_index: p.partition_index,
                    error_code: found.as_ref().err().map_or(ErrorCode::NONE, EngineError::code),
                    offset: found.ok().flatten().map_or(-1, |at| at.offset),
                    ..Default::default()
                }
            };
            let partitions = t.partitions.iter().map(one).collect();
            ListOffsetsTopicResponse { name: t.name.clone(), partitions }
        };
        let topics = request.topics.iter().map(topic).collect();
        ListOffsetsResponse { topics, ..Default::default() }
    }
}

fn answer(key: &Key, found: Fetched) -> (Key, Answer, PartitionData) {
    let mut data = PartitionData { partition_index: key.partition, ..Default::default() };
    let mut answer = Answer {
        bytes: 0,
        high_watermark: -1,
        log_start_offset: -1,
        error: ErrorCode::NONE,
        notice: Notice::None,
    };
    match found {
        Ok(read) => {
            answer.high_watermark = read.high_watermark;
            answer.log_start_offset = read.log_start_offset;
            if let Some(end) = read.diverging {
                answer.notice = Notice::Diverging;
                data.diverging_epoch = EpochEndOffset { epoch: end.epoch, end_offset: end.end };
            }
            // A disk that died sends nothing.
            let bytes = read.slice.as_ref().and_then(|slice| slice.read().ok()).unwrap_or_default();
            answer.bytes = u32::try_from(bytes.len()).unwrap_or_default();
            data.records = Some(Records::Bytes(Bytes::from(bytes)));
        }
        Err(error) => answer.error = error.code(),
    }
    data.error_code = answer.error;
    data.high_watermark = answer.high_watermark;
    data.log_start_offset = answer.log_start_offset;
    (key.clone(), answer, data)
}
