//! A shell around the machine, in memory: it appends, applies, and keeps markers to be written.

use std::collections::{BTreeMap, BTreeSet};

use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::api::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::group::{Producer, TxnOutcome};
use crate::txn::{
    Command, Effect, Ending, Reply, Request, TxnMachine, TxnRecord, TxnSettings, TxnState, TxnWaits,
};

pub(crate) const ID: &str = "x";
const WALL_ORIGIN: i64 = 1_700_000_000_000;

/// Markers to be written: of which transaction, how it ends, and where.
type Markers = (Ending, TxnOutcome, Vec<(String, Vec<i32>)>);

/// The shell.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) state: TxnState,
    pub(crate) waits: TxnWaits,
    pub(crate) log: Vec<TxnRecord>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    pub(crate) asked: BTreeSet<Ticket>,
    /// Markers asked for and not yet written, with how their transactions end.
    pub(crate) endings: Vec<Markers>,
    pub(crate) now: u64,
    pub(crate) wake_at: Option<Mono>,
    tickets: u64,
    next_id: i64,
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self::with(TxnSettings::default())
    }

    pub(crate) fn with(settings: TxnSettings) -> Self {
        let mut shard = Self { next_id: 1_000, ..Self::default() };
        shard.send(0, Request::Configure(settings));
        shard
    }

    pub(crate) fn time(&self) -> Time {
        let wall_ms = WALL_ORIGIN + i64::try_from(self.now).expect("a short test");
        Time { mono: Mono(self.now), wall_ms }
    }

    pub(crate) fn send(&mut self, version: i16, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket);
        let time = self.time();
        let command = Command { version, request };
        let decision = TxnMachine::decide(&self.state, &mut self.waits, time, ticket, command);
        for record in &decision.records {
            TxnMachine::apply(&mut self.state, record);
        }
        self.log.extend(decision.records);
        for effect in decision.effects {
            let Effect::WriteMarkers { ending, outcome, partitions, .. } = effect;
            self.endings.push((ending, outcome, partitions));
        }
        for (ticket, reply) in decision.replies {
            assert!(self.asked.contains(&ticket), "a reply nobody asked for");
            assert!(self.replies.insert(ticket, reply).is_none(), "answered twice: {ticket:?}");
        }
        self.wake_at = decision.wake_at;
        ticket
    }

    /// Says that all markers asked for are written.
    pub(crate) fn settle(&mut self) {
        for (ending, _, _) in std::mem::take(&mut self.endings) {
            self.send(0, Request::MarkersWritten(ending));
        }
    }

    /// Lets time pass, with a tick whenever the machine wants one.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Mono(at)) = self.wake_at.filter(|at| at.0 <= end) {
            self.now = self.now.max(at);
            self.send(0, Request::Tick);
        }
        self.now = end;
    }

    /// Drops what is in memory and replays the log.
    pub(crate) fn restart(&mut self) {
        let settings = self.waits.settings.clone();
        let mut state = TxnState::default();
        for record in &self.log {
            TxnMachine::apply(&mut state, record);
        }
        assert_eq!(state, self.state, "a replay makes the same state");
        self.state = state;
        self.waits = TxnWaits::default();
        self.endings.clear();
        self.asked.retain(|ticket| self.replies.contains_key(ticket));
        self.send(0, Request::Configure(settings));
    }

    pub(crate) fn status(&self) -> &'static str {
        self.state.txns.get(ID).map_or("none", |txn| txn.status.name())
    }

    /// Asks for a producer, as the one it was if `expected` says so; gives a new id if need be.
    pub(crate) fn init(&mut self, expected: Option<Producer>, timeout_ms: i32) -> Ticket {
        let request = InitProducerIdRequest {
            transactional_id: Some(ID.to_owned()),
            transaction_timeout_ms: timeout_ms,
            producer_id: expected.map_or(-1, |producer| producer.id),
            producer_epoch: expected.map_or(-1, |producer| producer.epoch),
            ..Default::default()
        };
        let first = Request::InitProducerId { request: request.clone(), spare_id: None };
        let ticket = self.send(5, first);
        if self.replies.get(&ticket) != Some(&Reply::NeedsProducerId) {
            return ticket;
        }
        let spare_id = self.spare();
        self.send(5, Request::InitProducerId { request, spare_id })
    }

    fn spare(&mut self) -> Option<i64> {
        self.next_id += 1;
        Some(self.next_id)
    }

    pub(crate) fn inited(&self, ticket: Ticket) -> Result<Producer, ErrorCode> {
        match self.replies.get(&ticket) {
            Some(Reply::InitProducerId(InitProducerIdResponse {
                error_code: ErrorCode::NONE,
                producer_id,
                producer_epoch,
                ..
            })) => Ok(Producer { id: *producer_id, epoch: *producer_epoch }),
            Some(Reply::InitProducerId(response)) => Err(response.error_code),
            other => panic!("no answer to an init: {other:?}"),
        }
    }

    pub(crate) fn born(&mut self) -> Producer {
        let ticket = self.init(None, 60_000);
        self.inited(ticket).expect("a producer")
    }

    pub(crate) fn add(&mut self, producer: Producer, partition: i32) -> Ticket {
        self.send(5, Request::AddPartitions(adding(producer, partition)))
    }

    pub(crate) fn added(&self, ticket: Ticket) -> ErrorCode {
        match self.replies.get(&ticket) {
            Some(Reply::AddPartitions(result)) => {
                result.topic_results[0].results_by_partition[0].partition_error_code
            }
            other => panic!("no answer to an addition: {other:?}"),
        }
    }

    /// Ends a transaction, in the version that bumps the epoch or in one that does not.
    pub(crate) fn end(&mut self, version: i16, producer: Producer, committed: bool) -> Ticket {
        let request = EndTxnRequest {
            transactional_id: ID.to_owned(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed,
        };
        let first = Request::EndTxn { request: request.clone(), spare_id: None };
        let ticket = self.send(version, first);
        if self.replies.get(&ticket) != Some(&Reply::NeedsProducerId) {
            return ticket;
        }
        let spare_id = self.spare();
        self.send(version, Request::EndTxn { request, spare_id })
    }

    pub(crate) fn ended(&self, ticket: Ticket) -> Result<Producer, ErrorCode> {
        match self.replies.get(&ticket) {
            Some(Reply::EndTxn(EndTxnResponse {
                error_code: ErrorCode::NONE,
                producer_id,
                producer_epoch,
                ..
            })) => Ok(Producer { id: *producer_id, epoch: *producer_epoch }),
            Some(Reply::EndTxn(response)) => Err(response.error_code),
            other => panic!("no answer to an end: {other:?}"),
        }
    }
}

pub(crate) fn adding(producer: Producer, partition: i32) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction {
        transactional_id: ID.to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        verify_only: false,
        topics: vec![AddPartitionsToTxnTopic { name: "t".to_owned(), partitions: vec![partition] }],
    }
}
