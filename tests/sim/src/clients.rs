//! Idempotent producers with acks=all, and consumers that read to the high watermark.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ottla_wire::ErrorCode;

use crate::hub::{Hub, Timer};
use crate::message::{Consumed, Id, Led, Message, Party, Produce};
use crate::{OFFSETS, records};

/// Batches of one producer and partition that wait for an answer, at most; the broker remembers five.
const MOST_UNACKED: usize = 4;
const TURN_MS: u64 = 20;
const PATIENCE_MS: u64 = 500;
const REST_MS: u64 = 40;

/// The leaders that a client knows of. It never goes back to an earlier epoch.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    known: BTreeMap<i32, (i32, i32)>,
    /// Whether others are to be asked for.
    pub(crate) stale: bool,
    asked: Option<(Id, u64)>,
}

impl Leaders {
    /// None, yet.
    pub(crate) fn unknown() -> Self {
        Self { stale: true, ..Self::default() }
    }

    pub(crate) fn leader(&self, partition: i32) -> Option<(i32, i32)> {
        self.known.get(&partition).copied().filter(|(leader, _)| *leader >= 0)
    }

    pub(crate) fn ask(&mut self, hub: &mut Hub, me: Party, brokers: &[i32]) {
        let late = self.asked.is_none_or(|(_, at)| hub.now >= at + 100);
        if self.stale
            && late
            && let Some(broker) = hub.rng.pick(brokers)
        {
            let id = hub.id();
            self.asked = Some((id, hub.now));
            hub.send(me, Party::Broker(broker), Message::Who(id));
        }
    }

    pub(crate) fn these(&mut self, id: Id, led: &[Led]) {
        if self.asked.is_none_or(|(asked, _)| asked != id) {
            return;
        }
        self.asked = None;
        self.stale = false;
        for (partition, leader, epoch) in led.iter().copied() {
            let known = self.known.entry(partition).or_insert((leader, epoch));
            if epoch >= known.1 {
                *known = (leader, epoch);
            }
            self.stale |= known.0 < 0;
        }
    }
}

/// A batch whose producer was told that it is committed.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The partition.
    pub partition: i32,
    /// The producer.
    pub producer: i64,
    /// The first record's sequence.
    pub sequence: i32,
    /// The number of records.
    pub count: i32,
    /// The offset it was told.
    pub first_offset: i64,
}

#[derive(Debug)]
struct Pending {
    sequence: i32,
    count: i32,
    batch: Bytes,
    sent: Option<(Id, u64)>,
}

#[derive(Debug, Default)]
struct Line {
    next: i32,
    unacked: VecDeque<Pending>,
    /// Whether any was acknowledged: before, the broker would take any batch for the first.
    known: bool,
    rest_until: u64,
}

impl Line {
    /// From the `at`-th on all are sent again, in order.
    fn again_from(&mut self, at: usize) {
        self.unacked.iter_mut().skip(at).for_each(|pending| pending.sent = None);
    }
}

/// A producer.
#[derive(Debug)]
pub struct Producer {
    me: Party,
    id: i64,
    lines: BTreeMap<i32, Line>,
    leaders: Leaders,
    /// Whether it makes new records.
    pub writing: bool,
}

impl Producer {
    /// A producer to so many partitions.
    pub fn new(index: usize, partitions: i32, hub: &mut Hub) -> Self {
        let me = Party::Producer(index);
        hub.timer(me, 0, hub.now % 7 + 1, Timer::Turn);
        Self {
            me,
            id: 100 + index as i64,
            lines: (OFFSETS + 1..partitions).map(|p| (p, Line::default())).collect(),
            leaders: Leaders::unknown(),
            writing: true,
        }
    }

    /// The producer id.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// How many records it made for a partition.
    #[must_use]
    pub fn made(&self, partition: i32) -> i32 {
        self.lines.get(&partition).map_or(0, |line| line.next)
    }

    /// Whether all that it made was acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.lines.values().all(|line| line.unacked.is_empty())
    }

    /// Makes and sends batches.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32]) {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        for (partition, line) in &mut self.lines {
            if self.writing && line.unacked.len() < MOST_UNACKED && hub.rng.chance(250) {
                let count = hub.rng.within(1, 5) as i32;
                let at = hub.now as i64;
                if let Some(batch) = records::batch(self.id, *partition, line.next, count, at) {
                    let sequence = line.next;
                    line.next += count;
                    line.unacked.push_back(Pending { sequence, count, batch, sent: None });
                }
            }
            let late = |p: &Pending| p.sent.is_some_and(|(_, at)| hub.now >= at + PATIENCE_MS);
            if line.unacked.iter().any(late) {
                line.again_from(0);
                self.leaders.stale = true;
            }
            let Some((leader, _)) = self.leaders.leader(*partition) else { continue };
            if hub.now < line.rest_until {
                continue;
            }
            let most = if line.known { MOST_UNACKED } else { 1 };
            for pending in line.unacked.iter_mut().take(most).filter(|p| p.sent.is_none()) {
                let id = hub.id();
                pending.sent = Some((id, hub.now));
                let produce = Produce { partition: *partition, batch: pending.batch.clone() };
                hub.send(self.me, Party::Broker(leader), Message::Produce(id, produce));
            }
        }
    }

    /// A message arrives. Says what was acknowledged. `next` is the sequence that follows what is
    /// committed of this producer in a partition: of batches before the last the broker may know
    /// nothing after a restart, and calls a copy of one out of order, as Kafka does.
    pub fn receive(
        &mut self,
        hub: &Hub,
        message: &Message,
        next: impl Fn(i32) -> i32,
    ) -> Option<Acked> {
        match message {
            Message::These(id, led) => {
                self.leaders.these(*id, led);
                None
            }
            Message::Produced(id, told) => {
                let (partition, line, at) = self.lines.iter_mut().find_map(|(p, line)| {
                    let sent = |x: &Pending| x.sent.is_some_and(|(sent, _)| sent == *id);
                    let at = line.unacked.iter().position(sent)?;
                    Some((*p, line, at))
                })?;
                match told {
                    Ok(first_offset) => {
                        line.known = true;
                        let Pending { sequence, count, .. } = line.unacked.remove(at)?;
                        let (producer, first_offset) = (self.id, *first_offset);
                        Some(Acked { partition, producer, sequence, count, first_offset })
                    }
                    Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
                        if line.unacked.get(at).is_some_and(|p| p.sequence < next(partition)) =>
                    {
                        line.unacked.remove(at);
                        None
                    }
                    Err(code) => {
                        line.again_from(at);
                        line.rest_until = hub.now + REST_MS;
                        if *code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
                            self.leaders.stale = true;
                        }
                        None
                    }
                }
            }
            _ => None,
        }
    }
}

/// What a consumer learned.
#[derive(Debug, Default)]
pub struct Seen {
    /// The partition.
    pub partition: i32,
    /// Records with their offsets.
    pub records: Vec<(i64, records::Entry)>,
    /// The latest offset.
    pub latest: Option<i64>,
    /// It asked for an offset behind the leader's end.
    pub out_of_range: Option<i64>,
}

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    me: Party,
    positions: BTreeMap<i32, i64>,
    asked: BTreeMap<i32, (Id, u64)>,
    leaders: Leaders,
}

impl Consumer {
    /// A consumer of so many partitions, from the beginning.
    pub fn new(index: usize, partitions: i32, hub: &mut Hub) -> Self {
        let me = Party::Consumer(index);
        hub.timer(me, 0, 5, Timer::Turn);
        Self {
            me,
            positions: (OFFSETS + 1..partitions).map(|p| (p, 0)).collect(),
            asked: BTreeMap::new(),
            leaders: Leaders::unknown(),
        }
    }

    /// Where it is in a partition.
    #[must_use]
    pub fn position(&self, partition: i32) -> i64 {
        self.positions.get(&partition).copied().unwrap_or(0)
    }

    /// Asks for records.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32]) {
        hub.timer(self.me, 0, 2 * TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        for (partition, position) in &self.positions {
            match self.asked.get(partition) {
                Some((_, at)) if hub.now < at + PATIENCE_MS => continue,
                Some(_) => self.leaders.stale = true,
                None => {}
            }
            let Some((leader, epoch)) = self.leaders.leader(*partition) else { continue };
            let id = hub.id();
            self.asked.insert(*partition, (id, hub.now));
            let ask = Message::Consume(id, *partition, epoch, *position);
            hub.send(self.me, Party::Broker(leader), ask);
        }
    }

    /// A message arrives.
    pub fn receive(&mut self, message: &Message) -> Result<Option<Seen>, String> {
        match message {
            Message::These(id, led) => {
                self.leaders.these(*id, led);
                Ok(None)
            }
            Message::Consumed(id, got) => {
                let found = self.asked.iter().find(|(_, (asked, _))| asked == id);
                let Some(partition) = found.map(|(p, _)| *p) else { return Ok(None) };
                self.asked.remove(&partition);
                let position = self.position(partition);
                match got {
                    Ok(consumed) => self.consumed(partition, consumed).map(Some),
                    Err(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                        let out_of_range = Some(position);
                        Ok(Some(Seen { partition, out_of_range, ..Seen::default() }))
                    }
                    Err(_) => {
                        self.leaders.stale = true;
                        Ok(None)
                    }
                }
            }
            _ => Ok(None),
        }
    }

    fn consumed(&mut self, partition: i32, got: &Consumed) -> Result<Seen, String> {
        let position = self.position(partition).max(got.start_offset);
        let mut records = records::entries(&got.records, partition)?;
        records.retain(|(offset, _)| *offset >= position);
        let next = records.last().map_or(position, |(last, _)| last + 1);
        self.positions.insert(partition, next);
        Ok(Seen { partition, records, latest: got.latest, out_of_range: None })
    }
}
