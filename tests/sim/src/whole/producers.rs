//! Idempotent producers with acks=all: each sends one batch at a time, to whom the metadata call the leader, until it is told
//! that all in sync have it. And somebody who has old records of theirs deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ottla_engine::PartitionId;
use ottla_quorum::BoxFuture;
use ottla_wire::ErrorCode;
use tokio::time::sleep;

use super::admins::{Admins, Shape};
use super::clock;
use super::host::Part;
use super::load::Load;
use super::wires::Wires;
use crate::records;

/// The longest pause between two batches of one.
const PAUSE_MS: u64 = 60;

/// The longest pause between two deletions of records.
const PRUNE_PAUSE_MS: u64 = 1_500;

/// The pause before a batch is sent again.
const AGAIN: Duration = Duration::from_millis(40);

/// Records of a batch, at most.
const MOST: u64 = 5;

/// A batch whose producer was told that it is committed.
#[derive(Clone, Copy, Debug)]
pub struct AckedBatch {
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

#[derive(Debug, Default)]
struct State {
    acked: Vec<AckedBatch>,
    /// Where the last batch of each that was acknowledged begins, by partition and producer.
    last: BTreeMap<(i32, i64), i64>,
    /// Up to where the law knows what is committed, by partition.
    known: BTreeMap<i32, i64>,
    /// Up to where somebody wanted records deleted, by partition.
    unwanted: BTreeMap<i32, i64>,
    /// How many producers began.
    begun: usize,
    /// How many producers have not ended.
    busy: usize,
}

/// All producers, which write to one topic.
#[derive(Debug)]
pub struct Producers {
    admins: Arc<Admins>,
    wires: Arc<Wires>,
    load: Arc<Load>,
    /// The topic's name.
    pub topic: String,
    /// What it is to be.
    pub shape: Shape,
    state: Mutex<State>,
}

impl Producers {
    /// Producers to a topic that is not made yet.
    pub fn new(admins: Arc<Admins>, wires: Arc<Wires>, load: Arc<Load>, shape: Shape) -> Arc<Self> {
        let topic = load.name();
        Arc::new(Self { admins, wires, load, topic, shape, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was acknowledged from the `from`th on.
    pub fn acked_from(&self, from: usize) -> Vec<AckedBatch> {
        self.state().acked.get(from..).unwrap_or_default().to_vec()
    }

    /// How many batches were acknowledged.
    pub fn acked(&self) -> usize {
        self.state().acked.len()
    }

    /// Whether nobody has anything to send any more.
    pub fn are_done(&self) -> bool {
        self.load.is_over() && self.state().busy == 0
    }

    /// Makes the topic, and begins so many producers.
    pub async fn begin(self: Arc<Self>, count: u64) {
        self.state().busy += 1;
        let admins = &self.admins;
        admins.insist(|| admins.broker(), &self.topic, self.shape).await;
        self.wires.say(format_args!("{} is there: {:?}", self.topic, self.shape));
        self.state().begun = usize::try_from(count).unwrap_or_default();
        for _ in 0..count {
            self.state().busy += 1;
            let this = self.clone();
            tokio::spawn(async move {
                this.run().await;
                this.state().busy -= 1;
            });
        }
        tokio::spawn(self.clone().prune());
        self.state().busy -= 1;
    }

    /// What is committed is known that far.
    pub fn learned(&self, ends: impl Iterator<Item = (i32, i64)>) {
        self.state().known.extend(ends);
    }

    /// Up to where records of a partition may be gone.
    pub fn unwanted(&self, partition: i32) -> i64 {
        self.state().unwanted.get(&partition).copied().unwrap_or_default()
    }

    /// Up to where records may be deleted: a replica that begins there must still know by its records where each producer
    /// is, as one that knows nothing of a producer takes whatever that one sends.
    fn deletable(&self, partition: i32) -> i64 {
        let state = self.state();
        let last = state.last.range((partition, i64::MIN)..=(partition, i64::MAX));
        let last: Vec<i64> = last.map(|(_, first_offset)| *first_offset).collect();
        let known = state.known.get(&partition).copied().unwrap_or_default();
        let all = last.len() == state.begun;
        last.into_iter().min().filter(|_| all).unwrap_or_default().min(known)
    }

    /// Has old records deleted.
    async fn prune(self: Arc<Self>) {
        loop {
            sleep(Duration::from_millis(1 + self.wires.below(PRUNE_PAUSE_MS))).await;
            if self.load.is_over() {
                return;
            }
            let partition = self.wires.below(self.shape.partitions.max(1) as u64) as i32;
            let (from, most) = (self.unwanted(partition), self.deletable(partition));
            let Some((leader, id)) = self.leader(partition).filter(|_| most > from) else {
                continue;
            };
            let to = from + 1 + self.wires.below((most - from).unsigned_abs()).cast_signed();
            self.state().unwanted.insert(partition, to);
            let job = move |part: Part| -> BoxFuture<'static, Result<i64, ErrorCode>> {
                Box::pin(async move {
                    let Part::Broker(broker) = part else {
                        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
                    };
                    let engine = broker.engine().ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                    let partition = engine.replicas.get(id).map_err(|e| e.code())?;
                    partition.delete_records(to).map_err(|e| e.code())
                })
            };
            let what = format!("delete {partition} to {to}");
            let told = self.admins.ask(leader, &what, job).await;
            self.wires.say(format_args!("{what}: {leader} says {told:?}"));
        }
    }

    async fn run(&self) {
        let producer = loop {
            if let Some(broker) = self.admins.broker()
                && let Some(first) = self.admins.allocate(broker).await
            {
                break first;
            }
            sleep(AGAIN).await;
        };
        let mut sequences: BTreeMap<i32, i32> = BTreeMap::new();
        loop {
            sleep(Duration::from_millis(1 + self.wires.below(PAUSE_MS))).await;
            if self.load.is_over() {
                return;
            }
            let partition = self.wires.below(self.shape.partitions.max(1) as u64) as i32;
            let count = 1 + self.wires.below(MOST) as i32;
            let next = sequences.entry(partition).or_default();
            let batch = records::batch(producer, partition, *next, count, clock::of(0)());
            let Some(batch) = batch else { continue };
            let first_offset = self.send(partition, &batch).await;
            let sequence = *next;
            *next += count;
            let acked = AckedBatch { partition, producer, sequence, count, first_offset };
            self.wires.say(format_args!("{acked:?}"));
            let mut state = self.state();
            state.last.insert((partition, producer), first_offset);
            state.acked.push(acked);
        }
    }

    /// Sends a batch until it is acknowledged. Gives its offset.
    async fn send(&self, partition: i32, batch: &Bytes) -> i64 {
        loop {
            if let Some((leader, id)) = self.leader(partition) {
                let batch = batch.clone();
                let what = format!("{} bytes to {partition}", batch.len());
                let job = move |part: Part| -> BoxFuture<'static, Result<i64, ErrorCode>> {
                    let batch = batch.clone();
                    Box::pin(async move {
                        let Part::Broker(broker) = part else {
                            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
                        };
                        let engine = broker.engine().ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                        engine.produce(id, batch).await
                    })
                };
                match self.admins.ask(leader, &what, job).await {
                    Ok(first_offset) => return first_offset,
                    Err(code) => self.wires.say(format_args!("{what}: {leader} says {code}")),
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Who leads, as any broker knows it.
    fn leader(&self, partition: i32) -> Option<(i32, PartitionId)> {
        let image = self.admins.image()?;
        let topic = image.topic_named(&self.topic)?;
        let leader = topic.partition(partition)?.leader;
        (leader >= 0).then(|| (leader, PartitionId::new(topic.id, partition)))
    }
}
