//! One who commits offsets, and asks for what it committed. Each commit is of a partition of its own, so
//! that a message that comes twice, or late, changes nothing.

use std::collections::BTreeMap;

use ottla_coordinator::group::{Reply, Request, Stability};
use ottla_wire::ErrorCode;
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};

use crate::clients::Leaders;
use crate::hub::{Hub, Timer};
use crate::message::{Id, Message, Party};
use crate::{OFFSETS, TOPIC};

const TURN_MS: u64 = 30;
const PATIENCE_MS: u64 = 500;

/// The offset that is committed for a partition.
fn offset(partition: i32) -> i64 {
    1_000 + 7 * i64::from(partition)
}

/// A commit of one who is alone in its group.
#[must_use]
pub fn commit(group: &str, partition_index: i32) -> Request {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset(partition_index),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    Request::OffsetCommit(OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    })
}

/// A question for all that a group committed.
#[must_use]
pub fn all_of(group: &str) -> Request {
    let group_id = group.to_owned();
    let group = OffsetFetchRequestGroup { group_id, topics: None, ..Default::default() };
    Request::OffsetFetch { group, stability: Stability::Any }
}

/// The offsets that a coordinator told, by partition.
#[must_use]
pub fn offsets(answer: &OffsetFetchResponseGroup) -> BTreeMap<i32, i64> {
    let all = answer.topics.iter().flat_map(|topic| &topic.partitions);
    all.map(|partition| (partition.partition_index, partition.committed_offset)).collect()
}

/// What a coordinator told, and what it had to know.
#[derive(Debug, Default)]
pub struct Told {
    /// The leader epoch that it decides in.
    pub epoch: i32,
    /// The offsets that it knows of, by partition.
    pub offsets: BTreeMap<i32, i64>,
    /// Those that were known before it was asked, and by coordinators of which epoch.
    pub known: BTreeMap<i32, i32>,
    /// How many commits were ever sent.
    pub sent: i32,
}

#[derive(Debug)]
enum Asked {
    Commit(i32),
    Offsets(BTreeMap<i32, i32>),
}

/// One who commits offsets.
#[derive(Debug)]
pub struct Member {
    me: Party,
    group: String,
    leaders: Leaders,
    sent: i32,
    /// Commits that a coordinator said are there, and the lowest epoch in which one did.
    known: BTreeMap<i32, i32>,
    asked: Option<(Id, u64, Asked)>,
    /// Whether it commits more.
    pub writing: bool,
    /// Whether it saw all that it knows of since it stopped.
    pub is_done: bool,
}

impl Member {
    /// One of a group of its own.
    pub fn new(index: usize, hub: &mut Hub) -> Self {
        let me = Party::Member(index);
        hub.timer(me, 0, 9, Timer::Turn);
        Self {
            me,
            group: format!("g{index}"),
            leaders: Leaders::unknown(),
            sent: 0,
            known: BTreeMap::new(),
            asked: None,
            writing: true,
            is_done: false,
        }
    }

    /// Commits, or asks for what was committed.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32]) {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        match &self.asked {
            Some((_, at, _)) if hub.now < at + PATIENCE_MS => return,
            Some(_) => self.leaders.stale = true,
            None => {}
        }
        let Some((leader, _)) = self.leaders.leader(OFFSETS) else { return };
        let (request, asked) = if self.writing && hub.rng.chance(600) {
            let partition = self.sent;
            self.sent += 1;
            (commit(&self.group, partition), Asked::Commit(partition))
        } else {
            (all_of(&self.group), Asked::Offsets(self.known.clone()))
        };
        let id = hub.id();
        self.asked = Some((id, hub.now, asked));
        hub.send(self.me, Party::Broker(leader), Message::Group(id, Box::new(request)));
    }

    /// A message arrives.
    pub fn receive(&mut self, message: Message) -> Option<Told> {
        match message {
            Message::These(id, led) => {
                self.leaders.these(id, &led);
                None
            }
            Message::GroupSays(id, says) => {
                let (_, _, asked) = self.asked.take_if(|(asked, ..)| *asked == id)?;
                let Ok((epoch, reply)) = says else {
                    self.leaders.stale = true;
                    return None;
                };
                match (asked, *reply) {
                    (Asked::Commit(partition), Reply::OffsetCommit(answer)) => {
                        let told = answer.topics.first().and_then(|t| t.partitions.first());
                        if told.is_some_and(|p| p.error_code == ErrorCode::NONE) {
                            self.learn(partition, epoch);
                        }
                        None
                    }
                    (Asked::Offsets(known), Reply::OffsetFetch(answer)) => {
                        let offsets = offsets(&answer);
                        offsets.keys().for_each(|partition| self.learn(*partition, epoch));
                        let all_known = known.values().all(|of| *of <= epoch);
                        self.is_done = !self.writing && all_known;
                        Some(Told { epoch, offsets, known, sent: self.sent })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn learn(&mut self, partition: i32, epoch: i32) {
        let known = self.known.entry(partition).or_insert(epoch);
        *known = (*known).min(epoch);
    }

    /// The offset that it commits for a partition.
    #[must_use]
    pub fn offset(partition: i32) -> i64 {
        offset(partition)
    }
}
