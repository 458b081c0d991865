//! Which markers are still to be written, and where.
//!
//! Invariant: each partition of a transaction that is ending is waiting for its leader, waiting in a
//! leader's queue, or on its way, until it is written, gone, or nobody's business here any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_coordinator::group::TxnOutcome;
use ottla_coordinator::txn::Ending;
use ottla_wire::ErrorCode;
use ottla_wire::api::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use tracing::{info, warn};

use super::markers::Leader;
use crate::shard::Origin;

/// The most markers that one request carries.
const MAX_BATCH: usize = 1_000;
/// The most requests that are under way to one broker.
const MAX_UNDER_WAY: usize = 4;

/// The end of one transaction, as its shard asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) from: Origin,
    pub(super) ending: Ending,
    pub(super) outcome: TxnOutcome,
    /// The version of transactions.
    pub(super) version: i8,
    pub(super) partitions: Vec<(String, Vec<i32>)>,
}

/// A transaction whose markers are all written, and the shard that is to hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) from: Origin,
    pub(super) ending: Ending,
}

/// One marker: whose job it is, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    job: u64,
    topic: String,
    partition: i32,
}

#[derive(Debug)]
struct Work {
    from: Origin,
    ending: Ending,
    outcome: TxnOutcome,
    version: i8,
    left: BTreeSet<(String, i32)>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    under_way: usize,
}

/// What comes of something that happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Brokers that something can be sent to now, once for each request.
    pub(super) send: Vec<i32>,
    /// Transactions that are done.
    pub(super) done: Vec<Done>,
    /// To be [placed](Ledger::place) again after a rest.
    pub(super) again: Vec<Item>,
}

/// All markers that are still to be written.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: u64,
    jobs: BTreeMap<u64, Work>,
    by_ending: BTreeMap<(i32, Ending), u64>,
    queues: BTreeMap<i32, Queue>,
    /// Those whose partition has no leader.
    leaderless: Vec<Item>,
}

impl Ledger {
    /// Takes a job up, unless it is under way already.
    pub(super) fn add(&mut self, job: Job, leader: impl Fn(&str, i32) -> Leader) -> Outcome {
        let key = (job.from.partition, job.ending.clone());
        if self.by_ending.contains_key(&key) {
            return Outcome::default();
        }
        let number = self.next;
        self.next += 1;
        let mut left = BTreeSet::new();
        for (topic, partitions) in job.partitions {
            left.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
        }
        let items = left.iter().map(|(topic, partition)| Item {
            job: number,
            topic: topic.clone(),
            partition: *partition,
        });
        let items: Vec<_> = items.collect();
        let Job { from, ending, outcome, version, .. } = job;
        self.by_ending.insert(key, number);
        self.jobs.insert(number, Work { from, ending, outcome, version, left });
        self.place(items, leader)
    }

    /// Puts markers where they are to go.
    pub(super) fn place(
        &mut self,
        items: Vec<Item>,
        leader: impl Fn(&str, i32) -> Leader,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for item in items {
            if !self.jobs.contains_key(&item.job) {
                continue;
            }
            match leader(&item.topic, item.partition) {
                Leader::Broker(id) => self.queues.entry(id).or_default().waiting.push_back(item),
                Leader::None => self.leaderless.push(item),
                Leader::Gone => {
                    let (topic, partition) = (&item.topic, item.partition);
                    info!(topic, partition, "a partition of a transaction that ends is gone");
                    outcome.done.extend(self.written(&item));
                }
            }
        }
        outcome.send = self.ready();
        outcome
    }

    /// Places those anew that had no leader.
    pub(super) fn seek_leaders(&mut self, leader: impl Fn(&str, i32) -> Leader) -> Outcome {
        if self.leaderless.is_empty() {
            return Outcome::default();
        }
        let items = std::mem::take(&mut self.leaderless);
        self.place(items, leader)
    }

    /// Whom something can be sent to. Each mention is a request that counts as under way.
    fn ready(&mut self) -> Vec<i32> {
        let mut ready = Vec::new();
        for (id, queue) in &mut self.queues {
            if !queue.waiting.is_empty() && queue.under_way < MAX_UNDER_WAY {
                queue.under_way += 1;
                ready.push(*id);
            }
        }
        ready
    }

    /// What a request to a broker carries; without anything to carry it is not under way any more.
    pub(super) fn take(&mut self, broker: i32) -> Option<(WriteTxnMarkersRequest, Vec<Item>)> {
        let queue = self.queues.get_mut(&broker)?;
        let mut items = Vec::new();
        while items.len() < MAX_BATCH {
            let Some(item) = queue.waiting.pop_front() else { break };
            if self.jobs.contains_key(&item.job) {
                items.push(item);
            }
        }
        if items.is_empty() {
            queue.under_way -= 1;
            if queue.under_way == 0 {
                self.queues.remove(&broker);
            }
            return None;
        }
        Some((self.request(&items), items))
    }

    fn request(&self, items: &[Item]) -> WriteTxnMarkersRequest {
        let mut by_job: BTreeMap<u64, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for item in items {
            let topics = by_job.entry(item.job).or_default();
            topics.entry(&item.topic).or_default().push(item.partition);
        }
        let markers = by_job.into_iter().filter_map(|(job, topics)| {
            let work = self.jobs.get(&job)?;
            Some(WritableTxnMarker {
                producer_id: work.ending.producer.id,
                producer_epoch: work.ending.producer.epoch,
                transaction_result: work.outcome == TxnOutcome::Commit,
                topics: topics
                    .into_iter()
                    .map(|(name, partition_indexes)| WritableTxnMarkerTopic {
                        name: name.to_owned(),
                        partition_indexes,
                    })
                    .collect(),
                coordinator_epoch: work.from.epoch,
                transaction_version: work.version,
            })
        });
        WriteTxnMarkersRequest { markers: markers.collect() }
    }

    /// What a broker answered; `None` when no answer came.
    pub(super) fn answered(
        &mut self,
        items: Vec<Item>,
        response: Option<&WriteTxnMarkersResponse>,
    ) -> Outcome {
        let mut said = BTreeMap::new();
        for marker in response.into_iter().flat_map(|response| &response.markers) {
            for topic in &marker.topics {
                for p in &topic.partitions {
                    let place = (marker.producer_id, topic.name.as_str(), p.partition_index);
                    said.insert(place, p.error_code);
                }
            }
        }
        let mut outcome = Outcome::default();
        for item in items {
            let Some(work) = self.jobs.get(&item.job) else { continue };
            let place = (work.ending.producer.id, item.topic.as_str(), item.partition);
            let code = said.get(&place).copied();
            match code {
                Some(ErrorCode::NONE) => outcome.done.extend(self.written(&item)),
                // Another node coordinates this id now, and ends the transaction.
                Some(ErrorCode::TRANSACTION_COORDINATOR_FENCED) => {
                    warn!(id = %work.ending.transactional_id, epoch = work.from.epoch, "fenced");
                    self.forget(item.job);
                }
                // The partition has a later epoch of the producer, so that nothing of an earlier
                // one is open there; or its messages are too old for transactions.
                Some(
                    code @ (ErrorCode::INVALID_PRODUCER_EPOCH
                    | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT),
                ) => {
                    let id = &work.ending.transactional_id;
                    let (topic, partition) = (&item.topic, item.partition);
                    warn!(%id, topic, partition, %code, "a marker was refused for good");
                    outcome.done.extend(self.written(&item));
                }
                _ => outcome.again.push(item),
            }
        }
        outcome
    }

    /// One marker is written. Gives the transaction if it was the last.
    fn written(&mut self, item: &Item) -> Option<Done> {
        let work = self.jobs.get_mut(&item.job)?;
        work.left.remove(&(item.topic.clone(), item.partition));
        if !work.left.is_empty() {
            return None;
        }
        let done = Done { from: work.from, ending: work.ending.clone() };
        self.forget(item.job);
        Some(done)
    }

    fn forget(&mut self, job: u64) {
        if let Some(work) = self.jobs.remove(&job) {
            self.by_ending.remove(&(work.from.partition, work.ending));
        }
    }

    /// Drops the jobs of one shard.
    pub(super) fn drop_of(&mut self, partition: i32) {
        self.jobs.retain(|_, work| work.from.partition != partition);
        self.by_ending.retain(|(of, _), _| *of != partition);
        let Self { jobs, leaderless, .. } = self;
        leaderless.retain(|item| jobs.contains_key(&item.job));
    }

    /// How many transactions are not done.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }
}

#[cfg(test)]
mod tests;
