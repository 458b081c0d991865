//! A shell around the machine, in memory: it appends, applies and collects replies.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatRequest;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use ottla_wire::api::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_fetch::OffsetFetchRequestGroup;
use ottla_wire::api::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::group::room::size;
use crate::group::{
    Command, Context, Effect, GroupMachine, GroupRecord, GroupSettings, GroupState, GroupWaits,
    Reply, Request, Stability,
};

pub(crate) const GROUP: &str = "g";
const WALL_ORIGIN: i64 = 1_700_000_000_000;

/// The shell.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) state: GroupState,
    pub(crate) waits: GroupWaits,
    pub(crate) log: Vec<GroupRecord>,
    /// How many decisions wrote something.
    pub(crate) batches: usize,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) asked: BTreeSet<Ticket>,
    pub(crate) now: u64,
    pub(crate) wake_at: Option<Mono>,
    tickets: u64,
}

impl Shard {
    /// A shard whose groups do not wait for more members than there are.
    pub(crate) fn new() -> Self {
        Self::with(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() })
    }

    pub(crate) fn with(settings: GroupSettings) -> Self {
        let mut shard = Self::default();
        shard.ask(Request::Configure(settings));
        shard
    }

    pub(crate) fn time(&self) -> Time {
        let wall_ms = WALL_ORIGIN + i64::try_from(self.now).expect("a short test");
        Time { mono: Mono(self.now), wall_ms }
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        self.time().wall_ms
    }

    /// Asks in a version, and gives the ticket.
    pub(crate) fn send(&mut self, version: i16, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket);
        let context = Context {
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            version,
        };
        let time = self.time();
        let mut next = Some(Command { context, request });
        while let Some(command) = next {
            let decision =
                GroupMachine::decide(&self.state, &mut self.waits, time, ticket, command);
            for record in &decision.records {
                GroupMachine::apply(&mut self.state, record);
            }
            self.check_batch(&decision.records);
            self.log.extend(decision.records);
            self.effects.extend(decision.effects);
            for (ticket, reply) in decision.replies {
                assert!(self.asked.contains(&ticket), "a reply nobody asked for");
                assert!(self.replies.insert(ticket, reply).is_none(), "answered twice: {ticket:?}");
            }
            self.wake_at = decision.wake_at;
            next = decision.again;
        }
        ticket
    }

    /// What one decision writes is one producer's, and fits a batch.
    fn check_batch(&mut self, records: &[GroupRecord]) {
        let producer = records.first().and_then(GroupRecord::producer);
        assert!(records.iter().all(|record| record.producer() == producer));
        let bytes = size(records, usize::MAX).expect("records that have a form");
        assert!(records.len() < 2 || bytes <= self.waits.settings.max_batch_bytes, "{bytes}");
        self.batches += usize::from(!records.is_empty());
    }

    /// Asks and expects the answer at once.
    pub(crate) fn ask_as(&mut self, version: i16, request: Request) -> Reply {
        let ticket = self.send(version, request);
        self.replies.get(&ticket).cloned().expect("an answer at once")
    }

    pub(crate) fn ask(&mut self, request: Request) -> Reply {
        self.ask_as(9, request)
    }

    /// Lets time pass, with a tick whenever the machine wants one.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Mono(at)) = self.wake_at.filter(|at| at.0 <= end) {
            self.now = self.now.max(at);
            self.send(0, Request::Tick);
        }
        self.now = end;
    }

    /// Drops what is in memory and replays the log.
    pub(crate) fn restart(&mut self) {
        let settings = self.waits.settings.clone();
        let mut state = GroupState::default();
        for record in &self.log {
            GroupMachine::apply(&mut state, record);
        }
        assert_eq!(state, self.state, "a replay makes the same state");
        self.state = state;
        self.waits = GroupWaits::default();
        self.asked.retain(|ticket| self.replies.contains_key(ticket));
        self.send(0, Request::Configure(settings));
    }

    pub(crate) fn reply(&self, ticket: Ticket) -> Option<&Reply> {
        self.replies.get(&ticket)
    }

    pub(crate) fn joined(&self, ticket: Ticket) -> JoinGroupResponse {
        match self.reply(ticket) {
            Some(Reply::JoinGroup(response)) => response.clone(),
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    pub(crate) fn synced(&self, ticket: Ticket) -> SyncGroupResponse {
        match self.reply(ticket) {
            Some(Reply::SyncGroup(response)) => response.clone(),
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    /// The first half of a join as clients do it: gives the id to come back with.
    pub(crate) fn member_id(&mut self) -> String {
        let ticket = self.join(9, &Joiner::new(""));
        let response = self.joined(ticket);
        assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        response.member_id
    }

    pub(crate) fn join(&mut self, version: i16, joiner: &Joiner) -> Ticket {
        let fresh = u128::from(self.tickets) << 64 | 0xabcd;
        self.send(version, Request::JoinGroup { request: joiner.request(), fresh })
    }

    /// Joins `count` new members and makes the group stable; gives their ids, the leader first.
    pub(crate) fn stable(&mut self, count: usize) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(|_| self.member_id()).collect();
        let tickets: Vec<Ticket> = ids.iter().map(|id| self.join(9, &Joiner::new(id))).collect();
        self.pass(self.waits.settings.initial_rebalance_delay_ms);
        let first = self.joined(tickets[0]);
        assert_eq!(first.error_code, ErrorCode::NONE);
        self.sync_all(&ids, first.generation_id);
        let mut ids = ids;
        ids.sort_by_key(|id| *id != first.leader);
        ids
    }

    /// Syncs all members, each assigned its own name.
    pub(crate) fn sync_all(&mut self, ids: &[String], generation: i32) {
        let tickets: Vec<Ticket> = ids.iter().map(|id| self.sync(id, generation, ids)).collect();
        for (id, ticket) in ids.iter().zip(tickets) {
            let response = self.synced(ticket);
            assert_eq!(response.error_code, ErrorCode::NONE);
            assert_eq!(response.assignment, Bytes::from(id.clone()));
        }
    }

    pub(crate) fn sync(&mut self, id: &str, generation: i32, assigned: &[String]) -> Ticket {
        self.sync_in(GROUP, id, generation, assigned)
    }

    pub(crate) fn sync_in(
        &mut self,
        group: &str,
        id: &str,
        generation: i32,
        assigned: &[String],
    ) -> Ticket {
        let assignments = assigned.iter().map(|member_id| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: Bytes::from(member_id.clone()),
        });
        let request = SyncGroupRequest {
            group_id: group.to_owned(),
            generation_id: generation,
            member_id: id.to_owned(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.send(4, Request::SyncGroup(request))
    }

    pub(crate) fn heartbeat(&mut self, id: &str, generation: i32) -> ErrorCode {
        self.heartbeat_as(id, None, generation)
    }

    pub(crate) fn heartbeat_as(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: id.to_owned(),
            group_instance_id: instance.map(str::to_owned),
        };
        match self.ask(Request::Heartbeat(request)) {
            Reply::Heartbeat(response) => response.error_code,
            other => panic!("not a heartbeat's answer: {other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, id: &str, instance: Option<&str>) -> LeaveGroupResponse {
        let member = MemberIdentity {
            member_id: id.to_owned(),
            group_instance_id: instance.map(str::to_owned),
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: GROUP.to_owned(),
            members: vec![member],
            ..Default::default()
        };
        match self.ask_as(5, Request::LeaveGroup(request)) {
            Reply::LeaveGroup(response) => response,
            other => panic!("not a leave's answer: {other:?}"),
        }
    }

    /// Commits one offset of partition 0, from outside when `member` is empty.
    pub(crate) fn commit(
        &mut self,
        member: &str,
        generation: i32,
        topic: &str,
        offset: i64,
    ) -> ErrorCode {
        let request = commit_request(GROUP, member, generation, topic, offset);
        match self.ask_as(9, Request::OffsetCommit(request)) {
            Reply::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
            other => panic!("not a commit's answer: {other:?}"),
        }
    }

    /// The committed offset of partition 0, and the error.
    pub(crate) fn fetch(&mut self, topic: &str, stability: Stability) -> (i64, ErrorCode) {
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.to_owned(),
            topics: Some(vec![fetch_topic(topic)]),
            ..Default::default()
        };
        match self.ask(Request::OffsetFetch { group, stability }) {
            Reply::OffsetFetch(response) => {
                let partition = &response.topics[0].partitions[0];
                (partition.committed_offset, partition.error_code)
            }
            other => panic!("not a fetch's answer: {other:?}"),
        }
    }

    /// The name of the group's state.
    pub(crate) fn phase(&mut self) -> String {
        match self.ask_as(5, Request::DescribeGroups(vec![GROUP.to_owned()])) {
            Reply::DescribeGroups(groups) => groups[0].group_state.clone(),
            other => panic!("not a description: {other:?}"),
        }
    }
}

pub(crate) fn fetch_topic(name: &str) -> ottla_wire::api::offset_fetch::OffsetFetchRequestTopics {
    ottla_wire::api::offset_fetch::OffsetFetchRequestTopics {
        name: name.to_owned(),
        partition_indexes: vec![0],
        ..Default::default()
    }
}

pub(crate) fn commit_request(
    group: &str,
    member: &str,
    generation: i32,
    topic: &str,
    offset: i64,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A member about to join.
#[derive(Clone, Debug)]
pub(crate) struct Joiner {
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) kind: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
}

impl Joiner {
    /// A consumer of topic `t`.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            group: GROUP.to_owned(),
            id: id.to_owned(),
            instance: None,
            session_ms: 10_000,
            rebalance_ms: 60_000,
            kind: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"))],
        }
    }

    pub(crate) fn of_instance(instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new("") }
    }

    pub(crate) fn knowing(self, names: &[&str]) -> Self {
        let protocols =
            names.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"m"))).collect();
        Self { protocols, ..self }
    }

    fn request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| JoinGroupRequestProtocol {
            name: name.clone(),
            metadata: metadata.clone(),
        });
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: self.kind.clone(),
            protocols: protocols.collect(),
            reason: None,
        }
    }
}
