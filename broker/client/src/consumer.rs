//! Reading records of partitions that the caller chose.

mod fetch;
mod offsets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_wire::ErrorCode;
use ottla_wire::record::{Record, TimestampType};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::{AutoCreate, Client, ClientError, Metadata, TopicPartition};
use fetch::{Asked, Fetched};

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
#[derive(Debug)]
pub struct Consumer {
    client: Arc<Client>,
    options: ConsumerOptions,
    positions: BTreeMap<TopicPartition, Position>,
    metadata: Metadata,
    /// Whether leaders are to be looked up anew.
    stale: bool,
    /// The pause before the next try after a failure; grows while failures go on.
    backoff: Duration,
    fetches: JoinSet<Fetched>,
    /// Leaders that are being asked.
    busy: BTreeSet<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// An offset is to be asked for.
    Start(Start),
    /// The offset to read next.
    At(i64),
}

impl Consumer {
    /// A consumer that reads nothing yet.
    pub fn new(client: Arc<Client>, options: ConsumerOptions) -> Self {
        let backoff = client.options().backoff;
        Self {
            client,
            options,
            positions: BTreeMap::new(),
            metadata: Metadata::default(),
            stale: true,
            backoff,
            fetches: JoinSet::new(),
            busy: BTreeSet::new(),
        }
    }

    /// Reads a partition too, from a place on; one that is read already stays where it is.
    pub fn add(&mut self, partition: TopicPartition, start: Start) {
        let position = match start {
            Start::Offset(offset) => Position::At(offset),
            start => Position::Start(start),
        };
        if let std::collections::btree_map::Entry::Vacant(new) = self.positions.entry(partition) {
            new.insert(position);
            self.stale = true;
        }
    }

    /// Whether a partition is read.
    pub fn reads(&self, partition: &TopicPartition) -> bool {
        self.positions.contains_key(partition)
    }

    /// The next records, at the latest after `wait`; none, if there are none by then. Errors that may pass are waited
    /// out: an error here will not pass by itself.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<Delivery>, ClientError> {
        let end = Instant::now() + wait;
        loop {
            let polled = timeout_at(end, self.step()).await;
            match polled {
                Err(_) => return Ok(Vec::new()),
                Ok(Ok(records)) if records.is_empty() => {}
                Ok(Ok(records)) => {
                    self.backoff = self.client.options().backoff;
                    return Ok(records);
                }
                Ok(Err(error)) if error.is_retriable() => {
                    tracing::debug!("{error}");
                    self.stale = true;
                    let pause = self.backoff;
                    self.backoff = (pause * 2).min(self.client.options().max_backoff);
                    if timeout_at(end, tokio::time::sleep(pause)).await.is_err() {
                        return Ok(Vec::new());
                    }
                }
                Ok(Err(error)) => return Err(error),
            }
            if Instant::now() >= end {
                return Ok(Vec::new());
            }
        }
    }

    /// One answer of one broker, and what it takes to get it. May be dropped at any await.
    async fn step(&mut self) -> Result<Vec<Delivery>, ClientError> {
        if self.stale {
            self.refresh().await?;
        }
        self.find_starts().await?;
        self.ask();
        match self.fetches.join_next().await {
            None => {
                // Nothing to read, or nobody to read it from.
                tokio::time::sleep(self.options.max_wait).await;
                self.stale = !self.positions.is_empty();
                Ok(Vec::new())
            }
            Some(Ok(fetched)) => self.take(fetched),
            Some(Err(failed)) if failed.is_panic() => {
                std::panic::resume_unwind(failed.into_panic())
            }
            Some(Err(_)) => Ok(Vec::new()),
        }
    }

    async fn refresh(&mut self) -> Result<(), ClientError> {
        let topics: BTreeSet<_> = self.positions.keys().map(|p| p.topic.clone()).collect();
        let topics: Vec<_> = topics.into_iter().collect();
        self.metadata = self.client.metadata_once(Some(&topics), AutoCreate::Refused).await?;
        self.stale = false;
        Ok(())
    }

    async fn find_starts(&mut self) -> Result<(), ClientError> {
        let wanted = self.positions.iter().filter_map(|(partition, position)| match position {
            Position::Start(start) => Some((partition.clone(), *start)),
            Position::At(_) => None,
        });
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut failure = None;
        let found =
            offsets::find(&self.client, &self.metadata, &wanted, self.options.isolation).await;
        for (partition, offset) in found {
            match offset {
                Ok(offset) => {
                    self.positions.insert(partition, Position::At(offset));
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sends a fetch to each leader that is not being asked already.
    fn ask(&mut self) {
        let mut by_leader = BTreeMap::<i32, Vec<Asked>>::new();
        for (partition, position) in &self.positions {
            let Position::At(offset) = *position else { continue };
            let Ok(topic) = self.metadata.topic(&partition.topic) else {
                self.stale = true;
                continue;
            };
            let found = topic.partition(partition.partition);
            let Some((leader, epoch)) = found.and_then(|p| Some((p.leader?, p.leader_epoch)))
            else {
                self.stale = true;
                continue;
            };
            if self.busy.contains(&leader) {
                continue;
            }
            let asked = Asked {
                partition: partition.clone(),
                topic_id: topic.id,
                leader_epoch: epoch,
                offset,
            };
            by_leader.entry(leader).or_default().push(asked);
        }
        for (leader, asked) in by_leader {
            self.busy.insert(leader);
            let (client, options) = (Arc::clone(&self.client), self.options.clone());
            self.fetches.spawn(fetch::fetch(client, leader, asked, options));
        }
    }

    fn take(&mut self, fetched: Fetched) -> Result<Vec<Delivery>, ClientError> {
        self.busy.remove(&fetched.leader);
        let mut records = Vec::new();
        let mut failure = None;
        for (asked, answer) in fetched.partitions?.into_iter() {
            // An answer to a question of which the partition has moved on is worth nothing.
            if self.positions.get(&asked.partition) != Some(&Position::At(asked.offset)) {
                continue;
            }
            let read = answer.and_then(|data| fetch::read(&asked, data, self.options.isolation));
            match read {
                Ok((next, more)) => {
                    self.positions.insert(asked.partition, Position::At(next));
                    records.extend(more);
                }
                Err(error) if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                    let start = match self.options.reset {
                        OffsetReset::Earliest => Start::Earliest,
                        OffsetReset::Latest => Start::Latest,
                        OffsetReset::None => return Err(error),
                    };
                    self.positions.insert(asked.partition, Position::Start(start));
                }
                Err(error) if may_pass(&error) => self.stale = true,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // Records that are there go first; the failure comes again.
            Some(error) if records.is_empty() => Err(error),
            _ => Ok(records),
        }
    }
}

/// Errors of one partition that a look at new metadata may mend.
fn may_pass(error: &ClientError) -> bool {
    error.is_retriable()
        || matches!(
            error.code(),
            Some(ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID)
        )
}
