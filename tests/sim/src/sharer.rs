//! What a member of a group does whose members share partitions out among themselves: it joins, syncs, heartbeats, commits,
//! leaves, and sometimes is gone without a word. Who carries that to the coordinator is another matter.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_coordinator::group::{Reply, Request, Stability};
use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatRequest;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use ottla_wire::api::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_fetch::OffsetFetchRequestGroup;
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::TOPIC;
use crate::invariant::groups::{Groups, Known};
use crate::rng::Rng;

/// The group.
pub const GROUP: &str = "sharers";

/// How many partitions are shared out.
pub const SHARES: i32 = 6;

/// How long a join phase may last, in milliseconds.
pub const REBALANCE_MS: i32 = 2_000;

/// How often a member thinks of something to do.
pub const TURN_MS: u64 = 40;

const SESSION_MS: i32 = 1_500;
const BEAT_MS: u64 = 300;
const PATIENCE_MS: u64 = 500;
/// A join or a sync waits for others.
const LONG_PATIENCE_MS: u64 = 6_000;

/// A committed offset tells in which generation it was committed.
const PER_GENERATION: i64 = 1_000_000;

/// What a coordinator told.
#[derive(Debug)]
pub enum Learned {
    /// A member has its assignment of a generation.
    Assigned {
        /// The generation.
        generation: i32,
        /// The member.
        member: String,
        /// What the leader of the generation marked its decision with.
        mark: u64,
        /// The partitions.
        shares: Vec<i32>,
    },
    /// A commit was taken.
    Committed {
        /// The generation that it named.
        generation: i32,
        /// The latest generation that anybody was told of before it was sent.
        latest: i32,
        /// The partition.
        partition: i32,
        /// The leader epoch of the coordinator.
        epoch: i32,
    },
    /// The generations in which the offsets were committed, by partition.
    Offsets {
        /// Of what the coordinator knows.
        found: BTreeMap<i32, i32>,
        /// Of commits that were known to be taken before it was asked.
        known: BTreeMap<i32, Known>,
        /// The leader epoch of the coordinator.
        epoch: i32,
    },
}

/// What was asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// For a place in the next generation.
    Join,
    /// For an assignment.
    Sync,
    /// Whether the generation goes on.
    Heartbeat,
    /// That an offset is committed.
    Commit {
        /// Of which partition.
        partition: i32,
        /// The latest generation that anybody was told of then.
        latest: i32,
    },
    /// What was committed, of which so much was known then.
    Offsets(BTreeMap<i32, Known>),
    /// To be let go.
    Leave,
}

impl Asked {
    /// How long an answer is waited for, in milliseconds.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        match self {
            Self::Join | Self::Sync => LONG_PATIENCE_MS,
            _ => PATIENCE_MS,
        }
    }
}

/// What a member does next.
#[derive(Debug)]
pub enum Next {
    /// It waits.
    Nothing,
    /// It is gone without a word, and comes back as somebody else. Who it was.
    Gone(String),
    /// It asks the coordinator.
    Ask(Box<Request>, Asked),
}

#[derive(Debug)]
enum Stage {
    /// It has no place in the present generation.
    Out,
    /// It has, and waits for its assignment; as leader it knows all members.
    Joined(Vec<String>),
    /// It has its assignment.
    In(Vec<i32>),
}

fn assignment(mark: u64, shares: &[i32]) -> Bytes {
    let mut bytes = mark.to_be_bytes().to_vec();
    shares.iter().for_each(|share| bytes.extend(share.to_be_bytes()));
    bytes.into()
}

fn read(assignment: &[u8]) -> Option<(u64, Vec<i32>)> {
    let (mark, rest) = assignment.split_first_chunk::<8>()?;
    let shares = rest.chunks_exact(4).filter_map(|c| Some(i32::from_be_bytes(c.try_into().ok()?)));
    Some((u64::from_be_bytes(*mark), shares.collect()))
}

/// A member.
#[derive(Debug)]
pub struct Sharer {
    id: String,
    generation: i32,
    stage: Stage,
    beat_at: u64,
    rest_until: u64,
    count: i64,
    /// Whether it commits, leaves and dies, or only stays.
    pub writing: bool,
    /// Whether it was told that the coordinator is another one.
    pub is_astray: bool,
}

impl Default for Sharer {
    /// One who is not a member yet.
    fn default() -> Self {
        Self {
            id: String::new(),
            generation: -1,
            stage: Stage::Out,
            beat_at: 0,
            rest_until: 0,
            count: 0,
            writing: true,
            is_astray: false,
        }
    }
}

impl Sharer {
    /// Its generation and its partitions, while it has an assignment.
    #[must_use]
    pub fn shares(&self) -> Option<(i32, &[i32])> {
        match &self.stage {
            Stage::In(shares) => Some((self.generation, shares)),
            Stage::Out | Stage::Joined(_) => None,
        }
    }

    /// Whether it waits before it does anything more.
    #[must_use]
    pub fn rests(&self, now: u64) -> bool {
        now < self.rest_until
    }

    /// What it does next.
    pub fn next(&mut self, now: u64, rng: &mut Rng, groups: &Groups) -> Next {
        let (request, asked) = match &self.stage {
            Stage::Out => (self.join(rng), Asked::Join),
            Stage::Joined(members) => (self.sync(members, rng), Asked::Sync),
            Stage::In(_) if self.writing && rng.chance(6) => {
                self.stage = Stage::Out;
                self.rest_until = now + rng.below(3_000);
                return Next::Gone(std::mem::take(&mut self.id));
            }
            Stage::In(_) if self.writing && rng.chance(10) => (self.leave(), Asked::Leave),
            Stage::In(_) if now >= self.beat_at => {
                self.beat_at = now + BEAT_MS;
                (self.heartbeat(), Asked::Heartbeat)
            }
            Stage::In(shares) => {
                let some = rng.pick(shares).filter(|_| self.writing && rng.chance(700));
                match some {
                    Some(partition) => {
                        self.count += 1;
                        let latest = groups.latest();
                        (self.commit(partition), Asked::Commit { partition, latest })
                    }
                    None if self.writing => (offsets(), Asked::Offsets(groups.known().clone())),
                    None => return Next::Nothing,
                }
            }
        };
        Next::Ask(Box::new(request), asked)
    }

    /// Nothing is known of what became of what it asked.
    pub fn lost(&mut self, asked: &Asked) {
        if !matches!(asked, Asked::Heartbeat | Asked::Offsets(_) | Asked::Commit { .. }) {
            self.stage = Stage::Out;
        }
    }

    /// Nobody there is the coordinator: it may ask another one for the same.
    pub fn refused(&mut self, now: u64) {
        self.rest_until = now + TURN_MS;
    }

    fn join(&self, rng: &mut Rng) -> Request {
        let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::new() };
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let fresh = (u128::from(rng.draw()) << 64) | u128::from(rng.draw());
        Request::JoinGroup { request, fresh }
    }

    /// As leader, with what everybody is to have.
    fn sync(&self, members: &[String], rng: &mut Rng) -> Request {
        let mark = rng.draw();
        let shares = |at: usize| -> Vec<i32> {
            (0..SHARES).filter(|share| *share as usize % members.len() == at).collect()
        };
        let one = |(at, member): (usize, &String)| SyncGroupRequestAssignment {
            member_id: member.clone(),
            assignment: assignment(mark, &shares(at)),
        };
        Request::SyncGroup(SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: members.iter().enumerate().map(one).collect(),
            ..Default::default()
        })
    }

    fn heartbeat(&self) -> Request {
        Request::Heartbeat(HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..Default::default()
        })
    }

    fn leave(&self) -> Request {
        let member = MemberIdentity { member_id: self.id.clone(), ..Default::default() };
        let (group_id, members) = (GROUP.into(), vec![member]);
        Request::LeaveGroup(LeaveGroupRequest { group_id, members, ..Default::default() })
    }

    fn commit(&self, partition_index: i32) -> Request {
        let partition = OffsetCommitRequestPartition {
            partition_index,
            committed_offset: i64::from(self.generation) * PER_GENERATION + self.count,
            ..Default::default()
        };
        let name = TOPIC.to_owned();
        let topic =
            OffsetCommitRequestTopic { name, partitions: vec![partition], ..Default::default() };
        Request::OffsetCommit(OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..Default::default()
        })
    }

    /// Takes in what a coordinator of an epoch answered.
    pub fn told(&mut self, now: u64, asked: Asked, epoch: i32, reply: Reply) -> Option<Learned> {
        match (asked, reply) {
            (Asked::Join, Reply::JoinGroup(answer)) => {
                self.joined(now, answer);
                None
            }
            (Asked::Sync, Reply::SyncGroup(answer)) => {
                if answer.error_code != ErrorCode::NONE {
                    self.out(now, answer.error_code);
                    return None;
                }
                let (mark, shares) = read(&answer.assignment)?;
                self.stage = Stage::In(shares.clone());
                let (generation, member) = (self.generation, self.id.clone());
                Some(Learned::Assigned { generation, member, mark, shares })
            }
            (Asked::Heartbeat, Reply::Heartbeat(answer)) => {
                self.out(now, answer.error_code);
                None
            }
            (Asked::Commit { partition, latest }, Reply::OffsetCommit(answer)) => {
                let told = answer.topics.first().and_then(|t| t.partitions.first())?;
                self.out(now, told.error_code);
                let generation = self.generation;
                (told.error_code == ErrorCode::NONE).then_some(Learned::Committed {
                    generation,
                    latest,
                    partition,
                    epoch,
                })
            }
            (Asked::Offsets(known), Reply::OffsetFetch(answer)) => {
                let all = answer.topics.iter().flat_map(|t| &t.partitions);
                let of = |offset: i64| i32::try_from(offset / PER_GENERATION).unwrap_or(-1);
                let found = all.map(|p| (p.partition_index, of(p.committed_offset))).collect();
                Some(Learned::Offsets { found, known, epoch })
            }
            (Asked::Leave, Reply::LeaveGroup(_)) => {
                self.id.clear();
                self.stage = Stage::Out;
                self.rest_until = now + BEAT_MS;
                None
            }
            _ => None,
        }
    }

    fn joined(&mut self, now: u64, answer: JoinGroupResponse) {
        match answer.error_code {
            ErrorCode::NONE => {
                self.generation = answer.generation_id;
                let leads = answer.leader == answer.member_id;
                self.id = answer.member_id;
                let members = answer.members.into_iter().map(|member| member.member_id);
                self.stage = Stage::Joined(if leads { members.collect() } else { Vec::new() });
                self.beat_at = now + BEAT_MS;
            }
            ErrorCode::MEMBER_ID_REQUIRED => self.id = answer.member_id,
            other => self.out(now, other),
        }
    }

    /// What an error says of its place in the group.
    fn out(&mut self, now: u64, error: ErrorCode) {
        if error == ErrorCode::NONE {
            return;
        }
        if error == ErrorCode::UNKNOWN_MEMBER_ID {
            self.id.clear();
        }
        if error == ErrorCode::NOT_COORDINATOR {
            self.is_astray = true;
        }
        self.stage = Stage::Out;
        self.rest_until = now + TURN_MS;
    }
}

fn offsets() -> Request {
    let group_id = GROUP.to_owned();
    let group = OffsetFetchRequestGroup { group_id, topics: None, ..Default::default() };
    Request::OffsetFetch { group, stability: Stability::Any }
}
