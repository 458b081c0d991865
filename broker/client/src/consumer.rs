//! Reading records of partitions that the caller chose.

mod fetch;
mod offsets;
mod pause;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_wire::record::{Record, TimestampType};
use ottla_wire::{ErrorCode, Uuid};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{AutoCreate, Client, ClientError, Metadata, TopicPartition};
use fetch::{Asked, Fetched};
use offsets::Found;
use pause::Pause;

/// Bytes that one batch may become when it is decompressed.
pub const MAX_DECOMPRESSED: usize = 256 << 20;

/// Whether records of transactions that are not committed are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// They are.
    ReadUncommitted,
    /// They are not, and nothing behind the first open transaction.
    ReadCommitted,
}

impl Isolation {
    fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// What to do when the offset to read at does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// Go on at the first record.
    Earliest,
    /// Go on behind the last record.
    Latest,
    /// Fail.
    None,
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At an offset.
    Offset(i64),
}

/// How a consumer behaves.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// What it sees of transactions.
    pub isolation: Isolation,
    /// What it does when an offset is not there.
    pub reset: OffsetReset,
    /// How long a broker may wait for records before it answers with none.
    pub max_wait: Duration,
    /// About the most bytes in one answer.
    pub max_bytes: i32,
    /// About the most bytes of one partition in one answer.
    pub partition_bytes: i32,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::ReadUncommitted,
            reset: OffsetReset::Latest,
            max_wait: Duration::from_millis(500),
            max_bytes: 16 << 20,
            partition_bytes: 1 << 20,
        }
    }
}

/// A record that was read, and where.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its partition.
    pub partition: TopicPartition,
    /// The epoch of the leader that appended it, if it is known.
    pub leader_epoch: Option<i32>,
    /// What its timestamp means.
    pub timestamp_type: TimestampType,
    /// The record with its offset.
    pub record: Record,
}

/// Reads partitions, each in order; among partitions there is no order. Belongs to no group.
///
/// What it asks of brokers goes on between polls, so that a short poll gives up nothing that is
/// under way. A partition that cannot be read now waits and is tried again; the others are read.
#[derive(Debug)]
pub struct Consumer {
    client: Arc<Client>,
    options: ConsumerOptions,
    partitions: BTreeMap<TopicPartition, Reading>,
    metadata: Metadata,
    lookup: Lookup,
    tasks: JoinSet<Done>,
    /// Leaders that are asked for records.
    fetching: BTreeSet<i32>,
    /// Leaders that are asked for offsets.
    finding: BTreeSet<i32>,
}

/// Where a partition is read.
#[derive(Debug)]
struct Reading {
    position: Position,
    pause: Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// An offset is to be asked for.
    Start(Start),
    /// The offset to read next.
    At(i64),
}

/// The search for leaders.
#[derive(Debug)]
struct Lookup {
    wanted: bool,
    running: bool,
    /// Grows while a look finds no leader for some partition.
    pause: Pause,
}

/// What was asked, and answered.
#[derive(Debug)]
enum Done {
    Metadata(Result<Metadata, ClientError>),
    Found(Found),
    Fetched(Fetched),
}

impl Consumer {
    /// A consumer that reads nothing yet.
    pub fn new(client: Arc<Client>, options: ConsumerOptions) -> Self {
        let pause = Pause::new(client.options());
        Self {
            client,
            options,
            partitions: BTreeMap::new(),
            metadata: Metadata::default(),
            lookup: Lookup { wanted: true, running: false, pause },
            tasks: JoinSet::new(),
            fetching: BTreeSet::new(),
            finding: BTreeSet::new(),
        }
    }

    /// Reads a partition too, from a place on; one that is read already stays where it is.
    pub fn add(&mut self, partition: TopicPartition, start: Start) {
        let position = match start {
            Start::Offset(offset) => Position::At(offset),
            start => Position::Start(start),
        };
        if let Entry::Vacant(new) = self.partitions.entry(partition) {
            let pause = Pause::new(self.client.options());
            new.insert(Reading { position, pause });
            self.lookup.wanted = true;
            self.lookup.pause.end();
        }
    }

    /// Whether a partition is read.
    pub fn reads(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    /// The next records, at the latest after `wait`; none, if there are none by then. Errors that may pass are waited
    /// out: an error here will not pass by itself.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<Delivery>, ClientError> {
        let end = Instant::now() + wait;
        loop {
            match timeout_at(end, self.step()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(Ok(records)) if records.is_empty() => {}
                Ok(result) => return result,
            }
            if Instant::now() >= end {
                return Ok(Vec::new());
            }
        }
    }

    /// One answer of one broker, or the end of a pause. May be dropped at its only await, which
    /// loses nothing.
    async fn step(&mut self) -> Result<Vec<Delivery>, ClientError> {
        let now = Instant::now();
        let next = self.begin(now).unwrap_or(now + self.options.max_wait);
        let done = tokio::select! {
            Some(done) = self.tasks.join_next() => done,
            () = sleep_until(next) => return Ok(Vec::new()),
        };
        match done {
            Ok(Done::Metadata(metadata)) => self.looked_up(metadata).map(|()| Vec::new()),
            Ok(Done::Found(found)) => self.found(found).map(|()| Vec::new()),
            Ok(Done::Fetched(fetched)) => self.take(fetched),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Asks what there is to ask of those who are not being asked already. Gives the end of the
    /// next pause, if there is one.
    fn begin(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut wake_at = |end: Instant| next = Some(next.map_or(end, |next| next.min(end)));
        let mut fetches = BTreeMap::<i32, Vec<Asked>>::new();
        let mut starts = BTreeMap::<i32, Vec<(TopicPartition, Start)>>::new();
        for (partition, reading) in &self.partitions {
            if let Some(end) = reading.pause.ends_after(now) {
                wake_at(end);
                continue;
            }
            let Some((leader, topic_id, leader_epoch)) = leader_of(&self.metadata, partition)
            else {
                self.lookup.wanted = true;
                continue;
            };
            match reading.position {
                Position::Start(start) if !self.finding.contains(&leader) => {
                    starts.entry(leader).or_default().push((partition.clone(), start));
                }
                Position::At(offset) if !self.fetching.contains(&leader) => {
                    let partition = partition.clone();
                    let asked = Asked { partition, topic_id, leader_epoch, offset };
                    fetches.entry(leader).or_default().push(asked);
                }
                Position::Start(_) | Position::At(_) => {}
            }
        }
        if self.lookup.wanted && !self.lookup.running && !self.partitions.is_empty() {
            match self.lookup.pause.ends_after(now) {
                Some(end) => wake_at(end),
                None => self.look_up(),
            }
        }
        for (leader, wanted) in starts {
            self.finding.insert(leader);
            let (client, isolation) = (Arc::clone(&self.client), self.options.isolation);
            let found = offsets::find(client, leader, wanted, isolation);
            self.tasks.spawn(async move { Done::Found(found.await) });
        }
        for (leader, asked) in fetches {
            self.fetching.insert(leader);
            let (client, options) = (Arc::clone(&self.client), self.options.clone());
            let fetched = fetch::fetch(client, leader, asked, options);
            self.tasks.spawn(async move { Done::Fetched(fetched.await) });
        }
        next
    }

    fn look_up(&mut self) {
        (self.lookup.wanted, self.lookup.running) = (false, true);
        let topics: BTreeSet<_> = self.partitions.keys().map(|p| p.topic.clone()).collect();
        let topics: Vec<_> = topics.into_iter().collect();
        let client = Arc::clone(&self.client);
        self.tasks.spawn(async move {
            Done::Metadata(client.metadata_once(Some(&topics), AutoCreate::Refused).await)
        });
    }

    /// Takes new metadata. A partition without leader has them looked up again after a pause.
    fn looked_up(&mut self, metadata: Result<Metadata, ClientError>) -> Result<(), ClientError> {
        self.lookup.running = false;
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(error) => {
                self.lookup.wanted = true;
                self.lookup.pause.begin(self.client.options());
                return pass(error);
            }
        };
        self.metadata = metadata;
        let errors = self.partitions.keys().filter_map(|p| self.metadata.leader(p).err());
        let errors: Vec<_> = errors.collect();
        if errors.is_empty() {
            self.lookup.pause.end();
            return Ok(());
        }
        self.lookup.wanted = true;
        self.lookup.pause.begin(self.client.options());
        errors.into_iter().try_for_each(pass)
    }

    /// Takes offsets to begin at.
    fn found(&mut self, found: Found) -> Result<(), ClientError> {
        self.finding.remove(&found.leader);
        let mut failure = Ok(());
        for (partition, offset) in found.offsets {
            let Some(reading) = self.partitions.get_mut(&partition) else { continue };
            if !matches!(reading.position, Position::Start(_)) {
                continue;
            }
            match offset {
                Ok(offset) => {
                    reading.position = Position::At(offset);
                    reading.pause.end();
                }
                Err(error) => {
                    reading.pause.begin(self.client.options());
                    self.lookup.wanted = true;
                    failure = failure.and(pass(error));
                }
            }
        }
        failure
    }

    /// Takes records. Those of one answer go first; a failure beside them comes again.
    fn take(&mut self, fetched: Fetched) -> Result<Vec<Delivery>, ClientError> {
        self.fetching.remove(&fetched.leader);
        let mut records = Vec::new();
        let mut failure = Ok(());
        for (asked, answer) in fetched.partitions {
            let Some(reading) = self.partitions.get_mut(&asked.partition) else { continue };
            // An answer to a question of which the partition has moved on is worth nothing.
            if reading.position != Position::At(asked.offset) {
                continue;
            }
            let read = answer.and_then(|data| fetch::read(&asked, data, self.options.isolation));
            match read {
                Ok((next, more)) => {
                    reading.position = Position::At(next);
                    reading.pause.end();
                    records.extend(more);
                }
                Err(error) if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                    match self.options.reset {
                        OffsetReset::Earliest => {
                            reading.position = Position::Start(Start::Earliest)
                        }
                        OffsetReset::Latest => reading.position = Position::Start(Start::Latest),
                        OffsetReset::None => failure = failure.and(Err(error)),
                    }
                }
                Err(error) => {
                    reading.pause.begin(self.client.options());
                    self.lookup.wanted = true;
                    failure = failure.and(pass(error));
                }
            }
        }
        if records.is_empty() { failure.map(|()| records) } else { Ok(records) }
    }
}

/// The leader of a partition, if it is known and has one; the topic's id, and the leader's epoch.
fn leader_of(metadata: &Metadata, partition: &TopicPartition) -> Option<(i32, Uuid, i32)> {
    let topic = metadata.topic(&partition.topic).ok()?;
    let found = topic.partition(partition.partition)?;
    Some((found.leader?, topic.id, found.leader_epoch))
}

/// An error back, unless it may pass.
fn pass(error: ClientError) -> Result<(), ClientError> {
    if may_pass(&error) {
        tracing::debug!("{error}");
        return Ok(());
    }
    Err(error)
}

/// Errors of one partition that a look at new metadata may mend.
fn may_pass(error: &ClientError) -> bool {
    error.is_retriable()
        || matches!(
            error.code(),
            Some(ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID)
        )
}

#[cfg(test)]
mod tests;
