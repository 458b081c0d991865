//! Who speaks, and what is said.

use std::rc::Rc;

use bytes::Bytes;
use ottla_controller::{Command, Reply};
use ottla_coordinator::group;
use ottla_log::index::txn::AbortedTxn;
use ottla_replica::{EpochEnd, FetchAsk};
use ottla_wire::ErrorCode;
use ottla_wire::record::TransactionResult;
use ottla_wire::schema::metadata::MetadataRecord;

/// One who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A broker, by its id.
    Broker(i32),
    /// Whichever controller is in power.
    Controller,
    /// A producer.
    Producer(usize),
    /// A consumer.
    Consumer(usize),
    /// One who commits offsets.
    Member(usize),
    /// A member of the group whose members share partitions out.
    Joiner(usize),
    /// A member of the group of the new protocol.
    Subscriber(usize),
    /// One who writes transactions.
    Transactor(usize),
    /// One who reads committed records.
    Auditor(usize),
    /// Whoever runs the cluster.
    Admin,
}

/// Names a request, so that its answer finds its way back.
pub type Id = u64;

/// Who leads a partition, and in which epoch.
pub type Led = (i32, i32, i32);

/// What is said.
#[derive(Clone, Debug)]
pub enum Message {
    /// A command to the controller.
    Ask(Id, Box<Command>),
    /// Its answer.
    Answer(Id, Box<Reply>),
    /// Which metadata follow this many records?
    Pull(Id, usize),
    /// These do; so many are committed.
    Pulled(Id, usize, Vec<Rc<MetadataRecord>>, usize),
    /// A follower asks for records.
    Fetch(Id, Fetch),
    /// What the leader says to it.
    Fetched(Id, Fetched),
    /// Where does the leader's log begin and end? Of a partition, in an epoch.
    Ends(Id, i32, i32),
    /// There; or it does not lead.
    EndsAre(Id, Result<(i64, i64), ErrorCode>),
    /// A producer's batch.
    Produce(Id, Produce),
    /// What became of it: its first offset.
    Produced(Id, Result<i64, ErrorCode>),
    /// A consumer asks: partition, leader epoch, offset.
    Consume(Id, i32, i32, i64),
    /// What it gets.
    Consumed(Id, Result<Consumed, ErrorCode>),
    /// A transaction ends in a partition. The answer is that to a producer's batch.
    Mark(Id, Mark),
    /// One who reads committed records asks: partition, leader epoch, offset.
    ConsumeStable(Id, i32, i32, i64),
    /// What it gets.
    ConsumedStable(Id, Result<Stable, ErrorCode>),
    /// Somebody asks the coordinator.
    Group(Id, Box<group::Request>),
    /// What it says, and the leader epoch that it decides in.
    GroupSays(Id, Result<(i32, Box<group::Reply>), ErrorCode>),
    /// A client asks who leads.
    Who(Id),
    /// Partition, leader and leader epoch.
    These(Id, Vec<Led>),
}

/// A follower's request for one partition.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// The partition.
    pub partition: i32,
    /// Who asks.
    pub broker: i32,
    /// Its broker epoch.
    pub broker_epoch: i64,
    /// What it asks for.
    pub ask: FetchAsk,
}

/// A leader's answer to it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The error, if any.
    pub error: ErrorCode,
    /// The high watermark.
    pub high_watermark: i64,
    /// The log start offset.
    pub start_offset: i64,
    /// Where the follower's log parts from the leader's.
    pub diverging: Option<EpochEnd>,
    /// Batches; the last may be cut short.
    pub records: Bytes,
}

impl Fetched {
    /// Nothing but an error.
    #[must_use]
    pub fn refused(error: ErrorCode) -> Self {
        let records = Bytes::new();
        Self { error, high_watermark: -1, start_offset: -1, diverging: None, records }
    }
}

/// A producer's request for one partition.
#[derive(Clone, Debug)]
pub struct Produce {
    /// The partition.
    pub partition: i32,
    /// The batch.
    pub batch: Bytes,
}

/// The end of a transaction in one partition.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The partition.
    pub partition: i32,
    /// The producer, and the epoch that the marker carries.
    pub producer: (i64, i16),
    /// How it ends.
    pub result: TransactionResult,
    /// The coordinator's epoch.
    pub coordinator_epoch: i32,
}

/// What one who reads committed records gets.
#[derive(Clone, Debug)]
pub struct Stable {
    /// Batches that begin below the last stable offset.
    pub records: Bytes,
    /// The log start offset.
    pub start_offset: i64,
    /// The last stable offset.
    pub stable: i64,
    /// The aborted transactions among the records.
    pub aborted: Vec<AbortedTxn>,
}

/// What a consumer gets.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// Batches below the high watermark.
    pub records: Bytes,
    /// The log start offset.
    pub start_offset: i64,
    /// The latest offset, when the leader may tell it (KIP-207).
    pub latest: Option<i64>,
}
