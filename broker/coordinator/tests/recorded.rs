//! What Apache Kafka 4.3.1 answered and wrote, beside what the group machine answers and writes.
//!
//! `recorded/kafka-4.3.1.txt` was made by `recorded/record.sh` with a running Kafka. The requests
//! are sent again here, byte for byte; answers and records must be equal but for what follows from
//! clocks and from the order of Java's hash maps.

#[path = "recorded/lines.rs"]
mod lines;

use std::collections::BTreeMap;

use bytes::Bytes;
use lines::{Asked, asked, bytes, decode};
use ottla_coordinator::group::{Producer, Stability, TxnMarker, TxnOutcome};
use ottla_coordinator::{
    Command, Context, GroupMachine, GroupRecord, GroupSettings, GroupState, GroupWaits, Reply,
    Request,
};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_wire::api::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_wire::api::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use ottla_wire::api::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla_wire::api::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_wire::api::list_groups::{ListGroupsRequest, ListGroupsResponse};
use ottla_wire::api::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_wire::api::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_wire::api::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup,
};
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla_wire::api::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_wire::{ErrorCode, Uuid};

/// The number of partitions of each topic of the recording.
const PARTITIONS: i32 = 2;
const RECORDED: &str = include_str!("recorded/kafka-4.3.1.txt");

/// The machine, asked what Kafka was asked.
struct Shard {
    state: GroupState,
    waits: GroupWaits,
    log: Vec<GroupRecord>,
    now: u64,
    wake_at: Option<Mono>,
    replies: BTreeMap<u64, Reply>,
    topics: BTreeMap<Uuid, String>,
}

impl Shard {
    fn decide(&mut self, ticket: u64, command: Command) {
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.now).expect("short");
        let time = Time { mono: Mono(self.now), wall_ms };
        let ticket = Ticket(ticket);
        let decided = GroupMachine::decide(&self.state, &mut self.waits, time, ticket, command);
        for record in &decided.records {
            GroupMachine::apply(&mut self.state, record);
        }
        self.log.extend(decided.records);
        for (ticket, reply) in decided.replies {
            if ticket.0 != 0 {
                assert!(self.replies.insert(ticket.0, reply).is_none(), "answered twice");
            }
        }
        self.wake_at = decided.wake_at;
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Mono(at)) = self.wake_at.filter(|at| at.0 <= end) {
            self.now = self.now.max(at);
            self.decide(0, Command::internal(Request::Tick));
        }
        self.now = end;
    }

    /// What the server makes of a request before the coordinator sees it: names for ids.
    fn name(&self, name: &mut String, id: Uuid) {
        if name.is_empty() {
            name.clone_from(self.topics.get(&id).expect("a topic of the recording"));
        }
    }

    fn request(&self, asked: &Asked, body: &Bytes) -> Request {
        let version = asked.version;
        match asked.key {
            8 => {
                let mut request: OffsetCommitRequest = decode(body, version);
                for topic in &mut request.topics {
                    // The server knows both from the cluster's metadata.
                    self.name(&mut topic.name, topic.topic_id);
                    let id = self.topics.iter().find(|(_, name)| **name == topic.name);
                    topic.topic_id = *id.expect("a topic of the recording").0;
                }
                Request::OffsetCommit(request)
            }
            9 => {
                let request: OffsetFetchRequest = decode(body, version);
                let stability =
                    if request.require_stable { Stability::Required } else { Stability::Any };
                let mut group = one_group(request, version);
                for topic in group.topics.iter_mut().flatten() {
                    self.name(&mut topic.name, topic.topic_id);
                }
                Request::OffsetFetch { group, stability }
            }
            11 => {
                let request: JoinGroupRequest = decode(body, version);
                let answer = asked.answer.as_ref();
                let id = answer.map(|body| decode::<JoinGroupResponse>(body, version).member_id);
                // The same random bits that Kafka drew make the same member id.
                let uuid = id.unwrap_or_default().replace('-', "");
                let digits = uuid.get(uuid.len().saturating_sub(32)..).unwrap_or_default();
                let fresh = u128::from_str_radix(digits, 16).unwrap_or(0);
                Request::JoinGroup { request, fresh }
            }
            12 => Request::Heartbeat(decode::<HeartbeatRequest>(body, version)),
            13 => Request::LeaveGroup(decode::<LeaveGroupRequest>(body, version)),
            14 => Request::SyncGroup(decode::<SyncGroupRequest>(body, version)),
            15 => Request::DescribeGroups(decode::<DescribeGroupsRequest>(body, version).groups),
            16 => {
                let request: ListGroupsRequest = decode(body, version);
                Request::ListGroups { states: request.states_filter, types: request.types_filter }
            }
            28 => Request::TxnOffsetCommit(decode::<TxnOffsetCommitRequest>(body, version)),
            42 => Request::DeleteGroups(decode::<DeleteGroupsRequest>(body, version).groups_names),
            47 => {
                let mut request: OffsetDeleteRequest = decode(body, version);
                for topic in &mut request.topics {
                    // The server answers for partitions that are not there.
                    topic.partitions.retain(|partition| partition.partition_index < PARTITIONS);
                }
                Request::OffsetDelete(request)
            }
            other => panic!("api {other} is not recorded"),
        }
    }
}

/// An OffsetFetch of one group, in whatever shape its version has.
fn one_group(request: OffsetFetchRequest, version: i16) -> OffsetFetchRequestGroup {
    if version >= 8 {
        return request.groups.into_iter().next().expect("one group");
    }
    let topics = request.topics.map(|topics| {
        let topic = |topic: ottla_wire::api::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..Default::default()
            }
        };
        topics.into_iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

/// Kafka's answer in the machine's shape, without what hash maps put in order.
fn expected(asked: &Asked, body: &Bytes) -> Reply {
    let version = asked.version;
    let reply = match asked.key {
        8 => {
            let mut response: OffsetCommitResponse = decode(body, version);
            for topic in &mut response.topics {
                topic.topic_id = Uuid::ZERO;
                topic.name.clear();
            }
            Reply::OffsetCommit(response)
        }
        9 => Reply::OffsetFetch(fetched(decode(body, version), version)),
        11 => Reply::JoinGroup(decode::<JoinGroupResponse>(body, version)),
        12 => Reply::Heartbeat(decode::<HeartbeatResponse>(body, version)),
        13 => Reply::LeaveGroup(decode::<LeaveGroupResponse>(body, version)),
        14 => Reply::SyncGroup(decode::<SyncGroupResponse>(body, version)),
        15 => Reply::DescribeGroups(decode::<DescribeGroupsResponse>(body, version).groups),
        16 => Reply::ListGroups(decode::<ListGroupsResponse>(body, version).groups),
        28 => Reply::TxnOffsetCommit(decode::<TxnOffsetCommitResponse>(body, version)),
        42 => Reply::DeleteGroups(decode::<DeleteGroupsResponse>(body, version).results),
        47 => {
            let mut response: OffsetDeleteResponse = decode(body, version);
            for topic in &mut response.topics {
                topic.partitions.retain(|partition| partition.partition_index < PARTITIONS);
            }
            Reply::OffsetDelete(response)
        }
        other => panic!("api {other} is not recorded"),
    };
    comparable(reply, version)
}

fn fetched(response: OffsetFetchResponse, version: i16) -> OffsetFetchResponseGroup {
    if version >= 8 {
        return response.groups.into_iter().next().expect("one group");
    }
    use ottla_wire::api::offset_fetch::{OffsetFetchResponsePartitions, OffsetFetchResponseTopics};
    let topics = response.topics.into_iter().map(|topic| OffsetFetchResponseTopics {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartitions {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
        ..Default::default()
    });
    OffsetFetchResponseGroup {
        topics: topics.collect(),
        error_code: response.error_code,
        ..Default::default()
    }
}

/// A reply without what a version cannot carry and what hash maps put in order.
fn comparable(reply: Reply, version: i16) -> Reply {
    match reply {
        Reply::OffsetCommit(mut response) => {
            for topic in &mut response.topics {
                topic.topic_id = Uuid::ZERO;
                topic.name.clear();
            }
            Reply::OffsetCommit(response)
        }
        Reply::OffsetFetch(mut group) => {
            if version < 8 {
                group.group_id.clear();
            }
            group.topics.sort_by(|a, b| a.name.cmp(&b.name));
            for topic in &mut group.topics {
                if version >= 10 {
                    topic.name.clear();
                }
                for partition in &mut topic.partitions {
                    if version < 5 {
                        partition.committed_leader_epoch = -1;
                    }
                }
            }
            Reply::OffsetFetch(group)
        }
        Reply::JoinGroup(mut response) => {
            if version < 7 {
                response.protocol_type = None;
            }
            response.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
            Reply::JoinGroup(response)
        }
        Reply::SyncGroup(mut response) => {
            if version < 5 {
                response.protocol_type = None;
                response.protocol_name = None;
            }
            Reply::SyncGroup(response)
        }
        Reply::DescribeGroups(mut groups) => {
            for group in &mut groups {
                group.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
                if version < 6 {
                    group.error_message = None;
                }
            }
            Reply::DescribeGroups(groups)
        }
        Reply::ListGroups(mut groups) => {
            groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
            for group in &mut groups {
                if version < 5 {
                    group.group_type.clear();
                }
                if version < 4 {
                    group.group_state.clear();
                }
            }
            Reply::ListGroups(groups)
        }
        Reply::DeleteGroups(mut results) => {
            results.sort_by(|a, b| a.group_id.cmp(&b.group_id));
            Reply::DeleteGroups(results)
        }
        other => other,
    }
}

/// A record without its times, and with its members in order.
fn timeless(record: GroupRecord) -> GroupRecord {
    match record {
        GroupRecord::Group { key, value: Some(mut value) } => {
            value.current_state_timestamp = value.current_state_timestamp.min(0);
            value.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
            GroupRecord::Group { key, value: Some(value) }
        }
        GroupRecord::Offset { producer, key, value: Some(mut value) } => {
            value.commit_timestamp = 0;
            value.expire_timestamp = value.expire_timestamp.min(0);
            GroupRecord::Offset { producer, key, value: Some(value) }
        }
        other => other,
    }
}

/// Records with each run of deleted offsets in order, which comes of a hash map in Kafka.
fn in_order(mut records: Vec<GroupRecord>) -> Vec<GroupRecord> {
    let is_tombstone =
        |record: &GroupRecord| matches!(record, GroupRecord::Offset { value: None, .. });
    for run in records.chunk_by_mut(|a, b| is_tombstone(a) == is_tombstone(b)) {
        if run.first().is_some_and(is_tombstone) {
            run.sort_by_key(|record| format!("{record:?}"));
        }
    }
    records
}

fn marker(words: &[&str]) -> TxnMarker {
    let number = |index: usize| words[index].parse::<i64>().expect("a number");
    TxnMarker {
        producer: Producer { id: number(1), epoch: i16::try_from(number(2)).expect("an epoch") },
        coordinator_epoch: i32::try_from(number(3)).expect("an epoch"),
        outcome: if words[4] == "commit" { TxnOutcome::Commit } else { TxnOutcome::Abort },
    }
}

fn line(line: &'static str) -> GroupRecord {
    let words: Vec<&str> = line.split(' ').collect();
    match words[0] {
        "record" => record(&words),
        "marker" => GroupRecord::Marker(marker(&words)),
        other => panic!("a line {other} in the log"),
    }
}

fn record(words: &[&str]) -> GroupRecord {
    let id: i64 = words[1].parse().expect("a producer id");
    let epoch = words[2].parse().expect("an epoch");
    let producer = (id != -1).then_some(Producer { id, epoch });
    let value = (words[4] != "-").then(|| bytes(words[4]));
    GroupRecord::decode(producer, bytes(words[3]), value).expect("a record of Kafka's")
}

/// The recording up to its log, and the records of the log.
fn recorded() -> (Vec<Vec<&'static str>>, Vec<GroupRecord>) {
    let (played, log) = RECORDED.split_once("# the log\n").expect("a log at the end");
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    (played.lines().map(words).collect(), log.lines().map(line).collect())
}

fn play() -> Shard {
    let (lines, _) = recorded();
    let asked = asked(&lines);
    let mut shard = Shard {
        state: GroupState::default(),
        waits: GroupWaits::new(GroupSettings {
            min_session_timeout_ms: 100,
            max_size: 3,
            initial_rebalance_delay_ms: 0,
            ..GroupSettings::default()
        }),
        log: Vec::new(),
        now: 0,
        wake_at: None,
        replies: BTreeMap::new(),
        topics: BTreeMap::new(),
    };
    shard.decide(0, Command::internal(Request::Tick));
    let mut story = "";
    for line in &lines {
        match line[0] {
            "topic" => {
                shard.topics.insert(line[2].parse().expect("an id"), line[1].to_owned());
            }
            "#" => story = line.last().expect("a word"),
            "send" => {
                let id: u64 = line[1].parse().expect("a number");
                let asked = &asked[&id];
                let request = shard.request(asked, &bytes(line[4]));
                let context = Context {
                    client_id: "rec".to_owned(),
                    client_host: "/127.0.0.1".to_owned(),
                    version: asked.version,
                };
                shard.decide(id, Command { context, request });
                shard.pass(0);
            }
            "recv" => {
                let id: u64 = line[1].parse().expect("a number");
                let asked = &asked[&id];
                let ours = shard.replies.get(&id).cloned();
                let ours = ours.map(|reply| comparable(reply, asked.version));
                let kafkas = expected(asked, asked.answer.as_ref().expect("an answer"));
                assert_eq!(ours, Some(kafkas), "request {id}, api {}, in …{story}", asked.key);
            }
            "sleep" => shard.pass(line[1].parse().expect("a time")),
            "marker" => {
                let request = Request::CompleteTransaction(marker(line));
                shard.decide(0, Command::internal(request));
            }
            other => panic!("a line {other}"),
        }
    }
    for (id, reply) in &shard.replies {
        // Kafka leaves a join without an answer when the same member joins again.
        let superseded = matches!(reply, Reply::JoinGroup(response)
            if response.error_code == ErrorCode::REBALANCE_IN_PROGRESS);
        assert!(asked[id].answer.is_some() || superseded, "only we answer {id}: {reply:?}");
    }
    shard
}

#[test]
fn every_answer_is_kafkas() {
    play();
}

#[test]
fn every_record_is_kafkas() {
    let (_, kafkas) = recorded();
    let (ours, kafkas) = (in_order(play().log), in_order(kafkas));
    for (index, (ours, kafkas)) in ours.iter().zip(&kafkas).enumerate() {
        assert_eq!(timeless(ours.clone()), timeless(kafkas.clone()), "record {index}");
    }
    assert_eq!(ours.len(), kafkas.len());
}

#[test]
fn records_are_written_as_kafka_writes_them() {
    let (_, log) = RECORDED.split_once("# the log\n").expect("a log at the end");
    let mut count = 0;
    for line in log.lines().filter(|line| line.starts_with("record")) {
        let words: Vec<&str> = line.split(' ').collect();
        let (key, value) = record(&words).encode().expect("it fits").expect("a key and value");
        assert_eq!(key, bytes(words[3]));
        assert_eq!(value, (words[4] != "-").then(|| bytes(words[4])), "{line}");
        count += 1;
    }
    assert!(count > 20);
}

#[test]
fn a_replay_of_kafkas_log_makes_the_state_of_the_machine() {
    let (_, kafkas) = recorded();
    let mut replayed = GroupState::default();
    for record in kafkas {
        GroupMachine::apply(&mut replayed, &record);
    }
    let ours = play().state;
    assert_eq!((replayed.groups(), replayed.offsets()), (ours.groups(), ours.offsets()));
    assert_eq!(replayed.skipped(), 0);
}

/// Groups of the share and later types, written by Kafka beside those of the consumer type: the
/// offsets are taken, the rest is skipped and counted.
#[test]
fn records_of_other_group_types_are_skipped() {
    let log = include_str!("recorded/modern-4.3.1.txt");
    let mut state = GroupState::default();
    let mut kinds = std::collections::BTreeSet::new();
    for line in log.lines().filter(|line| !line.starts_with('#')).map(line) {
        if let GroupRecord::Unknown { kind } = line {
            kinds.insert(kind);
        }
        GroupMachine::apply(&mut state, &line);
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15]);
    assert!(state.skipped() >= 6, "{}", state.skipped());
    assert!(state.offsets() > 0);
}

#[test]
fn a_newer_record_is_skipped_and_a_broken_one_refused() {
    let unknown = GroupRecord::decode(None, bytes("7fff0001"), Some(bytes("00")));
    assert_eq!(unknown, Ok(GroupRecord::Unknown { kind: 0x7fff }));
    let newer = GroupRecord::decode(None, bytes("0002000161"), Some(bytes("0063")));
    assert_eq!(newer, Ok(GroupRecord::Unknown { kind: 2 }));
    assert!(GroupRecord::decode(None, bytes("000200"), None).is_err());
    assert!(GroupRecord::decode(None, bytes("0002000161"), Some(bytes("000300"))).is_err());
    assert!(GroupRecord::decode(None, bytes("00"), None).is_err());
}
