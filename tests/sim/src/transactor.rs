//! One who writes transactions to several partitions and coordinates them itself, as version 2 of
//! transactions has it: each end bumps the epoch. And one who reads what is committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::record::TransactionResult;

use crate::clients::Leaders;
use crate::hub::{Hub, Timer};
use crate::invariant::transactions::{Known, Learned, Read};
use crate::message::{Id, Mark, Message, Party, Produce, Stable};
use crate::{OFFSETS, records};

const TURN_MS: u64 = 20;
const PATIENCE_MS: u64 = 500;
const REST_MS: u64 = 40;

/// What was sent and not answered, of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    sent: Option<(Id, u64)>,
    rest_until: u64,
}

impl Asked {
    /// Whether it is to be sent now; whether nobody answered for long.
    fn is_due(&mut self, now: u64) -> (bool, bool) {
        let late = self.sent.is_some_and(|(_, at)| now >= at + PATIENCE_MS);
        if late {
            self.sent = None;
        }
        (self.sent.is_none() && now >= self.rest_until, late)
    }

    fn is(&self, id: Id) -> bool {
        self.sent.is_some_and(|(sent, _)| sent == id)
    }

    fn again(&mut self, now: u64) {
        *self = Self { sent: None, rest_until: now + REST_MS };
    }
}

/// The records of one partition that are still to be written.
#[derive(Debug, Default)]
struct Line {
    next: i32,
    batches: VecDeque<(i32, i32, Bytes)>,
    asked: Asked,
}

#[derive(Debug)]
enum Stage {
    Resting,
    Writing(BTreeMap<i32, Line>),
    Ending { result: TransactionResult, marks: BTreeMap<i32, Asked> },
}

/// One who writes transactions.
#[derive(Debug)]
pub struct Transactor {
    me: Party,
    id: i64,
    epoch: i16,
    coordinator_epoch: i32,
    partitions: i32,
    stage: Stage,
    leaders: Leaders,
    /// Whether it begins more.
    pub writing: bool,
}

impl Transactor {
    /// One that writes to so many partitions.
    pub fn new(index: usize, partitions: i32, hub: &mut Hub) -> Self {
        let me = Party::Transactor(index);
        hub.timer(me, 0, 11, Timer::Turn);
        Self {
            me,
            id: 1_000 + index as i64,
            epoch: 0,
            coordinator_epoch: 0,
            partitions,
            stage: Stage::Resting,
            leaders: Leaders::unknown(),
            writing: true,
        }
    }

    /// Whether no transaction is open.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Resting)
    }

    fn begin(&mut self, hub: &mut Hub) {
        let all: Vec<i32> = (OFFSETS + 1..self.partitions).collect();
        let count = hub.rng.within(1, all.len() as u64) as usize;
        let mut lines = BTreeMap::new();
        for partition in hub.rng.some(&all, count) {
            let line: &mut Line = lines.entry(partition).or_default();
            for _ in 0..hub.rng.within(1, 3) {
                let count = hub.rng.within(1, 4) as i32;
                let (from, at) = (line.next, hub.now as i64);
                let producer = (self.id, self.epoch);
                let batch = records::transactional(producer, partition, from, count, at);
                line.batches.extend(batch.map(|batch| (from, count, batch)));
                line.next += count;
            }
        }
        hub.trace.say(
            hub.now,
            format_args!("transaction {}/{} to {:?}", self.id, self.epoch, lines.keys()),
        );
        self.stage = Stage::Writing(lines);
    }

    /// Writes, or has ends written. Says what it decided.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32]) -> Option<Learned> {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        if let Stage::Resting = self.stage
            && self.writing
            && hub.rng.chance(300)
        {
            self.begin(hub);
            return Some(Learned::Began(self.id, self.epoch));
        }
        let (id, epoch) = (self.id, self.epoch);
        match &mut self.stage {
            Stage::Resting => None,
            Stage::Writing(lines) => {
                let written = lines.values().all(|line| line.batches.is_empty());
                if written || hub.rng.chance(15) {
                    let commit = written && hub.rng.chance(650);
                    let result =
                        if commit { TransactionResult::Commit } else { TransactionResult::Abort };
                    let marks = lines.keys().map(|p| (*p, Asked::default())).collect();
                    self.stage = Stage::Ending { result, marks };
                    hub.trace.say(hub.now, format_args!("transaction {id}/{epoch}: {result:?}"));
                    return Some(Learned::Decided(id, epoch, result));
                }
                for (partition, line) in lines {
                    let Some((_, _, batch)) = line.batches.front() else { continue };
                    let (due, late) = line.asked.is_due(hub.now);
                    self.leaders.stale |= late;
                    let Some((leader, _)) = self.leaders.leader(*partition) else { continue };
                    if due {
                        let request = hub.id();
                        line.asked.sent = Some((request, hub.now));
                        let produce = Produce { partition: *partition, batch: batch.clone() };
                        let produce = Message::Produce(request, produce);
                        hub.send(self.me, Party::Broker(leader), produce);
                    }
                }
                None
            }
            Stage::Ending { result, marks } => {
                for (partition, asked) in marks {
                    let (due, late) = asked.is_due(hub.now);
                    self.leaders.stale |= late;
                    let Some((leader, _)) = self.leaders.leader(*partition) else { continue };
                    if due {
                        // Another coordinator may go on with what the last one began.
                        self.coordinator_epoch += i32::from(late && hub.rng.chance(300));
                        let request = hub.id();
                        asked.sent = Some((request, hub.now));
                        let mark = Mark {
                            partition: *partition,
                            producer: (id, epoch + 1),
                            result: *result,
                            coordinator_epoch: self.coordinator_epoch,
                        };
                        hub.send(self.me, Party::Broker(leader), Message::Mark(request, mark));
                    }
                }
                None
            }
        }
    }

    /// A message arrives. Says what was written.
    pub fn receive(&mut self, hub: &Hub, message: &Message) -> Option<Learned> {
        match (message, &mut self.stage) {
            (Message::These(id, led), _) => self.leaders.these(*id, led),
            (Message::Produced(id, told), Stage::Writing(lines)) => {
                let (partition, line) = lines.iter_mut().find(|(_, line)| line.asked.is(*id))?;
                match told {
                    Ok(_) => {
                        line.asked = Asked::default();
                        let (from, count, _) = line.batches.pop_front()?;
                        let txn = (self.id, self.epoch);
                        return Some(Learned::Wrote(
                            txn,
                            *partition,
                            (from..from + count).collect(),
                        ));
                    }
                    Err(code) => {
                        line.asked.again(hub.now);
                        self.leaders.stale |= *code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
                    }
                }
            }
            (Message::Produced(id, told), Stage::Ending { marks, .. }) => {
                let (partition, asked) = marks.iter_mut().find(|(_, asked)| asked.is(*id))?;
                match told {
                    Ok(_) => {
                        let partition = *partition;
                        marks.remove(&partition);
                        if marks.is_empty() {
                            self.epoch += 1;
                            self.stage = Stage::Resting;
                        }
                    }
                    Err(code) => {
                        asked.again(hub.now);
                        self.leaders.stale |= *code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
                    }
                }
            }
            _ => {}
        }
        None
    }
}

/// One who reads committed records.
#[derive(Debug)]
pub struct Auditor {
    me: Party,
    positions: BTreeMap<i32, i64>,
    asked: BTreeMap<i32, (Id, u64)>,
    leaders: Leaders,
}

impl Auditor {
    /// One that reads so many partitions, from the beginning.
    pub fn new(index: usize, partitions: i32, hub: &mut Hub) -> Self {
        let me = Party::Auditor(index);
        hub.timer(me, 0, 13, Timer::Turn);
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
            let ask = Message::ConsumeStable(id, *partition, epoch, *position);
            hub.send(self.me, Party::Broker(leader), ask);
        }
    }

    /// A message arrives. Says what it read of a partition.
    pub fn receive(&mut self, message: &Message) -> Result<Option<Read>, String> {
        match message {
            Message::These(id, led) => self.leaders.these(*id, led),
            Message::ConsumedStable(id, got) => {
                let found = self.asked.iter().find(|(_, (asked, _))| asked == id);
                let Some(partition) = found.map(|(p, _)| *p) else { return Ok(None) };
                self.asked.remove(&partition);
                match got {
                    Ok(got) => return self.consumed(partition, got).map(Some),
                    Err(_) => self.leaders.stale = true,
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Leaves out the records of transactions that the same answer says are aborted, as clients do.
    fn consumed(&mut self, partition: i32, got: &Stable) -> Result<Read, String> {
        let before = self.position(partition);
        let mut at = before.max(got.start_offset);
        let mut read = Read { partition, skipped: at > before, records: Vec::new() };
        let mut coming = got.aborted.clone();
        coming.sort_unstable_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        let mut aborted = BTreeSet::new();
        for known in records::known(&got.records, partition)? {
            let (offset, what) = known;
            while let Some(txn) = coming.pop_if(|txn| txn.first_offset <= offset) {
                aborted.insert(txn.producer_id);
            }
            let left_out = match what {
                Known::Data { producer, .. } => aborted.contains(&producer),
                Known::End { producer, result: TransactionResult::Abort, .. } => {
                    aborted.remove(&producer);
                    false
                }
                Known::End { .. } | Known::Other => false,
            };
            if offset >= at && offset < got.stable {
                at = offset + 1;
                if !left_out {
                    read.records.push((offset, what));
                }
            }
        }
        self.positions.insert(partition, at);
        Ok(read)
    }
}
