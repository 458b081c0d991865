//! A member of a group of the new protocol (KIP-848), among the parties of a simulated network: it says what it has, takes what it is
//! given, gives up at once what is taken from it, commits, leaves, and sometimes is gone without a word.
//!
//! A connection brings what is sent over it once and in order, and is closed by who waits no longer: so what a member asked is
//! read at most once, and only while it waits for the answer. The protocol rests on that.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::group::{Reply, Request, Stability};
use ottla_wire::ErrorCode;
use ottla_wire::Uuid;
use ottla_wire::api::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
};
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_fetch::OffsetFetchRequestGroup;

use crate::clients::Leaders;
use crate::hub::{Hub, Timer};
use crate::invariant::subscriptions::{Known, Subscriptions};
use crate::message::{Id, Message, Party};
use crate::sharer::TURN_MS;
use crate::{OFFSETS, TOPIC};

/// The group.
pub const GROUP: &str = "subscribers";

/// How long a member may be silent, in milliseconds.
pub const SESSION_MS: i32 = 1_500;

/// How long it may take to give something up; longer than it may be silent.
pub const REBALANCE_MS: i32 = 2_500;

const BEAT_MS: u64 = 250;
const PATIENCE_MS: u64 = 500;

/// A committed offset tells in which epoch it was committed.
const PER_EPOCH: i64 = 1_000_000;

/// What a coordinator told.
#[derive(Debug)]
pub enum Learned {
    /// A member is in an epoch, and has partitions.
    Has {
        /// The member.
        member: String,
        /// Its epoch.
        epoch: i32,
        /// The partitions.
        shares: BTreeSet<i32>,
    },
    /// A commit was taken.
    Committed {
        /// The member that made it.
        member: String,
        /// The epoch that it named.
        epoch: i32,
        /// The partition.
        partition: i32,
        /// Who had the partition last when it was sent, as far as anybody was told, and in which epoch.
        owner: Option<(i32, String)>,
        /// The leader epoch of the coordinator.
        leader_epoch: i32,
    },
    /// The epochs in which the offsets were committed, by partition.
    Offsets {
        /// Of what the coordinator knows.
        found: BTreeMap<i32, i32>,
        /// Of commits that were known to be taken before it was asked.
        known: BTreeMap<i32, Known>,
        /// The leader epoch of the coordinator.
        leader_epoch: i32,
    },
}

/// What was asked.
#[derive(Clone, Debug)]
enum Asked {
    Heartbeat,
    Commit { partition: i32, owner: Option<(i32, String)> },
    Offsets(BTreeMap<i32, Known>),
    Leave,
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Waiting {
    id: Id,
    sent: u64,
    asked: Asked,
    is_read: bool,
}

/// A member.
#[derive(Debug)]
pub struct Subscriber {
    me: Party,
    index: usize,
    leaders: Leaders,
    topic: Uuid,
    lives: u64,
    /// Who it is.
    pub id: String,
    /// Its epoch; 0 while it is no member.
    pub epoch: i32,
    /// The partitions that it believes to have.
    pub shares: BTreeSet<i32>,
    /// When it last asked something that was answered well.
    pub heard_of: u64,
    /// Whether it commits, leaves and dies, or only stays.
    pub writing: bool,
    /// Whether all must be said, because something changed or was perhaps not heard.
    tells_all: bool,
    beat_at: u64,
    rest_until: u64,
    count: i64,
    waiting: Option<Waiting>,
}

impl Subscriber {
    /// One who is not a member yet.
    pub fn new(index: usize, topic: Uuid, hub: &mut Hub) -> Self {
        let me = Party::Subscriber(index);
        hub.timer(me, 0, 17, Timer::Turn);
        let mut new = Self {
            me,
            index,
            leaders: Leaders::unknown(),
            topic,
            lives: 0,
            id: String::new(),
            epoch: 0,
            shares: BTreeSet::new(),
            heard_of: 0,
            writing: true,
            tells_all: true,
            beat_at: 0,
            rest_until: 0,
            count: 0,
            waiting: None,
        };
        new.begin();
        new
    }

    /// Begins as somebody new.
    fn begin(&mut self) {
        self.lives += 1;
        self.id = format!("s{}-{}", self.index, self.lives);
        self.out();
    }

    /// It is no member any more.
    fn out(&mut self) {
        self.epoch = 0;
        self.shares.clear();
        self.tells_all = true;
        self.heard_of = 0;
    }

    /// Whether what it asked under this name is read: once, and while it waits.
    pub fn is_read(&mut self, id: Id) -> bool {
        let waits = self.waiting.as_mut().filter(|waiting| waiting.id == id && !waiting.is_read);
        waits.map(|waiting| waiting.is_read = true).is_some()
    }

    /// Does its next thing.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32], known: &Subscriptions) {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        if let Some(waiting) = &self.waiting {
            if hub.now < waiting.sent + PATIENCE_MS {
                return;
            }
            self.waiting = None;
            self.leaders.stale = true;
            self.tells_all = true;
        }
        if hub.now < self.rest_until {
            return;
        }
        let Some((leader, _)) = self.leaders.leader(OFFSETS) else { return };
        let Some((request, asked)) = self.next(hub, known) else { return };
        let id = hub.id();
        self.waiting = Some(Waiting { id, sent: hub.now, asked, is_read: false });
        hub.send(self.me, Party::Broker(leader), Message::Group(id, Box::new(request)));
    }

    fn next(&mut self, hub: &mut Hub, known: &Subscriptions) -> Option<(Request, Asked)> {
        if self.epoch > 0 && self.writing && hub.rng.chance(6) {
            hub.trace.say(hub.now, format_args!("{} is gone", self.id));
            self.rest_until = hub.now + hub.rng.below(3_000);
            self.begin();
            return None;
        }
        if self.epoch > 0 && self.writing && hub.rng.chance(8) {
            let request = self.heartbeat(-1, false);
            self.out();
            return Some((request, Asked::Leave));
        }
        if hub.now >= self.beat_at {
            self.beat_at = hub.now + BEAT_MS;
            let all = std::mem::take(&mut self.tells_all) || hub.rng.chance(300);
            return Some((self.heartbeat(self.epoch, all), Asked::Heartbeat));
        }
        if self.epoch == 0 || !self.writing {
            return None;
        }
        let shares: Vec<i32> = self.shares.iter().copied().collect();
        match hub.rng.pick(&shares).filter(|_| hub.rng.chance(700)) {
            Some(partition) => {
                self.count += 1;
                let owner = known.owner(partition).cloned();
                Some((self.commit(partition), Asked::Commit { partition, owner }))
            }
            None => Some((offsets(), Asked::Offsets(known.known().clone()))),
        }
    }

    fn heartbeat(&self, member_epoch: i32, all: bool) -> Request {
        let owned = ConsumerGroupHeartbeatRequestTopicPartitions {
            topic_id: self.topic,
            partitions: self.shares.iter().copied().collect(),
        };
        let owned = if self.shares.is_empty() { Vec::new() } else { vec![owned] };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: self.id.clone(),
            member_epoch,
            rebalance_timeout_ms: if all { REBALANCE_MS } else { -1 },
            subscribed_topic_names: all.then(|| vec![TOPIC.to_owned()]),
            topic_partitions: all.then_some(owned),
            ..Default::default()
        };
        Request::ConsumerGroupHeartbeat { request, fresh: 0 }
    }

    fn commit(&self, partition_index: i32) -> Request {
        let partition = OffsetCommitRequestPartition {
            partition_index,
            committed_offset: i64::from(self.epoch) * PER_EPOCH + self.count,
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        Request::OffsetCommit(OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: self.epoch,
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
                let waiting = self.waiting.take_if(|waiting| waiting.id == id)?;
                match says {
                    Ok((leader_epoch, reply)) => self.told(now, waiting, leader_epoch, *reply),
                    Err(_) => {
                        self.astray(now);
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// It asked one who is not the coordinator, or not yet.
    fn astray(&mut self, now: u64) {
        self.leaders.stale = true;
        self.tells_all = true;
        self.rest_until = now + TURN_MS;
        self.beat_at = now;
    }

    fn told(
        &mut self,
        now: u64,
        waiting: Waiting,
        leader_epoch: i32,
        reply: Reply,
    ) -> Option<Learned> {
        match (waiting.asked, reply) {
            (Asked::Heartbeat, Reply::ConsumerGroupHeartbeat(answer)) => {
                self.beaten(now, waiting.sent, answer)
            }
            (Asked::Commit { partition, owner }, Reply::OffsetCommit(answer)) => {
                let told = answer.topics.first().and_then(|t| t.partitions.first())?;
                (told.error_code == ErrorCode::NONE).then(|| Learned::Committed {
                    member: self.id.clone(),
                    epoch: self.epoch,
                    partition,
                    owner,
                    leader_epoch,
                })
            }
            (Asked::Offsets(known), Reply::OffsetFetch(answer)) => {
                let all = answer.topics.iter().flat_map(|t| &t.partitions);
                let of = |offset: i64| i32::try_from(offset / PER_EPOCH).unwrap_or(-1);
                let found = all.map(|p| (p.partition_index, of(p.committed_offset))).collect();
                Some(Learned::Offsets { found, known, leader_epoch })
            }
            (Asked::Leave, Reply::ConsumerGroupHeartbeat(_)) => {
                self.begin();
                self.rest_until = now + BEAT_MS;
                None
            }
            _ => None,
        }
    }

    fn beaten(
        &mut self,
        now: u64,
        sent: u64,
        answer: ConsumerGroupHeartbeatResponse,
    ) -> Option<Learned> {
        match answer.error_code {
            ErrorCode::NONE => {
                self.epoch = answer.member_epoch;
                self.heard_of = sent;
                if let Some(assignment) = answer.assignment {
                    let topics = assignment.topic_partitions.into_iter();
                    self.shares = topics.flat_map(|topic| topic.partitions).collect();
                    // What it gave up is told at once.
                    self.tells_all = true;
                    self.beat_at = now;
                }
                let (member, shares) = (self.id.clone(), self.shares.clone());
                Some(Learned::Has { member, epoch: self.epoch, shares })
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                self.astray(now);
                None
            }
            _ => {
                self.out();
                self.rest_until = now + TURN_MS;
                None
            }
        }
    }
}

fn offsets() -> Request {
    let group_id = GROUP.to_owned();
    let group =
        OffsetFetchRequestGroup { group_id, member_id: None, member_epoch: -1, topics: None };
    Request::OffsetFetch { group, stability: Stability::Any }
}
