//! A member of the group whose members share partitions out among themselves: it joins, syncs,
//! heartbeats, commits, leaves, and sometimes is gone without a word.

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

use crate::clients::Leaders;
use crate::hub::{Hub, Timer};
use crate::invariant::groups::{Groups, Known};
use crate::message::{Id, Message, Party};
use crate::{OFFSETS, TOPIC};

/// The group.
pub const GROUP: &str = "sharers";

/// How many partitions are shared out.
pub const SHARES: i32 = 6;

/// How long a join phase may last, in milliseconds.
pub const REBALANCE_MS: i32 = 2_000;

const SESSION_MS: i32 = 1_500;
const TURN_MS: u64 = 40;
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

#[derive(Debug)]
enum Asked {
    Join,
    Sync,
    Heartbeat,
    Commit { partition: i32, latest: i32 },
    Offsets(BTreeMap<i32, Known>),
    Leave,
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

/// A member.
#[derive(Debug)]
pub struct Joiner {
    me: Party,
    leaders: Leaders,
    id: String,
    generation: i32,
    stage: Stage,
    asked: Option<(Id, u64, Asked)>,
    beat_at: u64,
    rest_until: u64,
    count: i64,
    /// Whether it commits, leaves and dies, or only stays.
    pub writing: bool,
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

impl Joiner {
    /// One who is not a member yet.
    pub fn new(index: usize, hub: &mut Hub) -> Self {
        let me = Party::Joiner(index);
        hub.timer(me, 0, 13, Timer::Turn);
        Self {
            me,
            leaders: Leaders::unknown(),
            id: String::new(),
            generation: -1,
            stage: Stage::Out,
            asked: None,
            beat_at: 0,
            rest_until: 0,
            count: 0,
            writing: true,
        }
    }

    /// Its generation and its partitions, while it has an assignment.
    #[must_use]
    pub fn shares(&self) -> Option<(i32, &[i32])> {
        match &self.stage {
            Stage::In(shares) => Some((self.generation, shares)),
            Stage::Out | Stage::Joined(_) => None,
        }
    }

    /// Does its next thing.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32], groups: &Groups) {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        match &self.asked {
            Some((_, until, _)) if hub.now < *until => return,
            Some((_, _, asked)) => {
                // Nothing is known of what became of it.
                if !matches!(asked, Asked::Heartbeat | Asked::Offsets(_) | Asked::Commit { .. }) {
                    self.stage = Stage::Out;
                }
                self.leaders.stale = true;
                self.asked = None;
            }
            None => {}
        }
        if hub.now < self.rest_until {
            return;
        }
        let Some((leader, _)) = self.leaders.leader(OFFSETS) else { return };
        let (request, asked) = match &self.stage {
            Stage::Out => (self.join(hub), Asked::Join),
            Stage::Joined(members) => (self.sync(members, hub), Asked::Sync),
            Stage::In(_) if self.writing && hub.rng.chance(6) => {
                hub.trace.say(hub.now, format_args!("{} is gone", self.id));
                self.id.clear();
                self.stage = Stage::Out;
                self.rest_until = hub.now + hub.rng.below(3_000);
                return;
            }
            Stage::In(_) if self.writing && hub.rng.chance(10) => (self.leave(), Asked::Leave),
            Stage::In(_) if hub.now >= self.beat_at => {
                self.beat_at = hub.now + BEAT_MS;
                (self.heartbeat(), Asked::Heartbeat)
            }
            Stage::In(shares) => {
                let some = hub.rng.pick(shares).filter(|_| self.writing && hub.rng.chance(700));
                match some {
                    Some(partition) => {
                        self.count += 1;
                        let latest = groups.latest();
                        (self.commit(partition), Asked::Commit { partition, latest })
                    }
                    None if self.writing => (offsets(), Asked::Offsets(groups.known().clone())),
                    None => return,
                }
            }
        };
        let patience = match asked {
            Asked::Join | Asked::Sync => LONG_PATIENCE_MS,
            _ => PATIENCE_MS,
        };
        let id = hub.id();
        self.asked = Some((id, hub.now + patience, asked));
        hub.send(self.me, Party::Broker(leader), Message::Group(id, Box::new(request)));
    }

    fn join(&self, hub: &mut Hub) -> Request {
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
        let fresh = (u128::from(hub.rng.draw()) << 64) | u128::from(hub.rng.draw());
        Request::JoinGroup { request, fresh }
    }

    /// As leader, with what everybody is to have.
    fn sync(&self, members: &[String], hub: &mut Hub) -> Request {
        let mark = hub.rng.draw();
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

    /// A message arrives.
    pub fn receive(&mut self, now: u64, message: Message) -> Option<Learned> {
        match message {
            Message::These(id, led) => {
                self.leaders.these(id, &led);
                None
            }
            Message::GroupSays(id, says) => {
                let (_, _, asked) = self.asked.take_if(|(asked, ..)| *asked == id)?;
                match says {
                    Ok((epoch, reply)) => self.told(now, asked, epoch, *reply),
                    Err(_) => {
                        self.leaders.stale = true;
                        // It may ask another one for the same.
                        self.rest_until = now + TURN_MS;
                        None
                    }
                }
            }
            _ => None,
        }
    }

    fn told(&mut self, now: u64, asked: Asked, epoch: i32, reply: Reply) -> Option<Learned> {
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
            self.leaders.stale = true;
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
