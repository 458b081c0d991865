//! What Apache Kafka 4.3.1 answered and wrote for transactions, beside what the transaction
//! machine answers and writes.
//!
//! `recorded/txn-4.3.1.txt` was made by `recorded/record.sh` with a running Kafka, as the
//! recording of groups was.

#[path = "recorded/lines.rs"]
mod lines;

use std::collections::BTreeMap;

use bytes::Bytes;
use lines::{Asked, asked, bytes, decode};
use ottla_coordinator::txn::{
    Command, Effect, Ending, Reply, Request, TxnMachine, TxnRecord, TxnSettings, TxnState, TxnWaits,
};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_wire::api::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTransaction,
};
use ottla_wire::api::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse,
};
use ottla_wire::api::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_wire::api::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};

const RECORDED: &str = include_str!("recorded/txn-4.3.1.txt");
/// `COORDINATOR_LOAD_IN_PROGRESS`, which the shell answers.
const LOADING: i16 = 14;

/// The machine, asked what Kafka was asked, with markers written when the recording says so.
struct Shard {
    state: TxnState,
    waits: TxnWaits,
    log: Vec<TxnRecord>,
    now: u64,
    wake_at: Option<Mono>,
    endings: Vec<Ending>,
    next_id: i64,
}

impl Shard {
    fn decide(&mut self, command: Command) -> Option<Reply> {
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.now).expect("short");
        let time = Time { mono: Mono(self.now), wall_ms };
        let decided = TxnMachine::decide(&self.state, &mut self.waits, time, Ticket(1), command);
        for record in &decided.records {
            TxnMachine::apply(&mut self.state, record);
        }
        self.log.extend(decided.records);
        for effect in decided.effects {
            let Effect::WriteMarkers { ending, .. } = effect;
            self.endings.push(ending);
        }
        self.wake_at = decided.wake_at;
        let mut replies = decided.replies.into_iter();
        let reply = replies.next().map(|(_, reply)| reply);
        assert!(replies.next().is_none(), "one request, one reply");
        reply
    }

    /// Asks; gives a producer id when the machine wants one.
    fn ask(&mut self, version: i16, request: Request) -> Reply {
        let asked = Command { version, request: request.clone() };
        match self.decide(asked).expect("nothing is parked") {
            Reply::NeedsProducerId => {
                let spare = Some(self.next_id);
                self.next_id += 1;
                let request = match request {
                    Request::InitProducerId { request, .. } => {
                        Request::InitProducerId { request, spare_id: spare }
                    }
                    Request::EndTxn { request, .. } => Request::EndTxn { request, spare_id: spare },
                    other => panic!("no use of an id in {other:?}"),
                };
                self.decide(Command { version, request }).expect("nothing is parked")
            }
            reply => reply,
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Mono(at)) = self.wake_at.filter(|at| at.0 <= end) {
            self.now = self.now.max(at);
            self.decide(Command::internal(Request::Tick));
        }
        self.now = end;
    }

    fn settle(&mut self) {
        for ending in std::mem::take(&mut self.endings) {
            self.decide(Command::internal(Request::MarkersWritten(ending)));
        }
    }
}

fn requests(asked: &Asked, body: &Bytes) -> Vec<Request> {
    let version = asked.version;
    match asked.key {
        22 => {
            let request: InitProducerIdRequest = decode(body, version);
            vec![Request::InitProducerId { request, spare_id: None }]
        }
        24 => {
            let request: AddPartitionsToTxnRequest = decode(body, version);
            if version >= 4 {
                return request.transactions.into_iter().map(Request::AddPartitions).collect();
            }
            vec![Request::AddPartitions(AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                verify_only: false,
                topics: request.v3_and_below_topics,
            })]
        }
        25 => {
            let request: AddOffsetsToTxnRequest = decode(body, version);
            vec![Request::AddOffsets { request, partition: 0 }]
        }
        26 => {
            let request: EndTxnRequest = decode(body, version);
            vec![Request::EndTxn { request, spare_id: None }]
        }
        65 => {
            let request: DescribeTransactionsRequest = decode(body, version);
            vec![Request::Describe(request.transactional_ids)]
        }
        66 => vec![Request::List(decode::<ListTransactionsRequest>(body, version))],
        other => panic!("api {other} is not recorded"),
    }
}

fn expected(asked: &Asked, body: &Bytes) -> Reply {
    let version = asked.version;
    let reply = match asked.key {
        22 => Reply::InitProducerId(decode::<InitProducerIdResponse>(body, version)),
        24 => {
            let response: AddPartitionsToTxnResponse = decode(body, version);
            let result = if version >= 4 {
                response.results_by_transaction.into_iter().next().expect("one transaction")
            } else {
                AddPartitionsToTxnResult {
                    transactional_id: String::new(),
                    topic_results: response.results_by_topic_v3_and_below,
                }
            };
            Reply::AddPartitions(result)
        }
        25 => Reply::AddOffsets(decode::<AddOffsetsToTxnResponse>(body, version)),
        26 => Reply::EndTxn(decode::<EndTxnResponse>(body, version)),
        65 => {
            let response: DescribeTransactionsResponse = decode(body, version);
            Reply::Describe(response.transaction_states)
        }
        66 => Reply::List(decode::<ListTransactionsResponse>(body, version)),
        other => panic!("api {other} is not recorded"),
    };
    comparable(reply, version)
}

/// A reply without what its version cannot carry, its times, and what hash maps put in order.
fn comparable(reply: Reply, version: i16) -> Reply {
    match reply {
        Reply::AddPartitions(mut result) => {
            if version < 4 {
                result.transactional_id.clear();
            }
            for topic in &mut result.topic_results {
                topic.results_by_partition.sort_by_key(|partition| partition.partition_index);
            }
            Reply::AddPartitions(result)
        }
        Reply::EndTxn(mut response) => {
            if version < 5 {
                response.producer_id = -1;
                response.producer_epoch = -1;
            }
            Reply::EndTxn(response)
        }
        Reply::Describe(mut states) => {
            for state in &mut states {
                state.transaction_start_time_ms = state.transaction_start_time_ms.min(1);
                state.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
                state.topics.iter_mut().for_each(|topic| topic.partitions.sort_unstable());
            }
            Reply::Describe(states)
        }
        Reply::List(mut response) => {
            response.transaction_states.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
            Reply::List(response)
        }
        other => other,
    }
}

fn record(line: &str) -> TxnRecord {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "record");
    let value = (words[4] != "-").then(|| bytes(words[4]));
    TxnRecord::decode(bytes(words[3]), value).expect("a record of Kafka's")
}

/// A record without its times, and with its partitions in order.
fn timeless(record: TxnRecord) -> TxnRecord {
    match record {
        TxnRecord::Txn { key, value: Some(mut value), version } => {
            value.transaction_last_update_timestamp_ms = 0;
            value.transaction_start_timestamp_ms = value.transaction_start_timestamp_ms.min(0);
            for topic in value.transaction_partitions.iter_mut().flatten() {
                topic.partition_ids.sort_unstable();
            }
            if let Some(topics) = &mut value.transaction_partitions {
                topics.sort_by(|a, b| a.topic.cmp(&b.topic));
            }
            TxnRecord::Txn { key, value: Some(value), version }
        }
        other => other,
    }
}

fn play() -> Shard {
    let (played, _) = RECORDED.split_once("# the log\n").expect("a log at the end");
    let lines: Vec<Vec<&str>> = played.lines().map(|line| line.split(' ').collect()).collect();
    let asked = asked(&lines);
    let mut shard = Shard {
        state: TxnState::default(),
        waits: TxnWaits::default(),
        log: Vec::new(),
        now: 0,
        wake_at: None,
        endings: Vec::new(),
        next_id: 0,
    };
    let settings = TxnSettings { abort_interval_ms: 100, park_ms: 0, ..TxnSettings::default() };
    shard.decide(Command::internal(Request::Configure(settings)));
    let mut replies: BTreeMap<u64, Reply> = BTreeMap::new();
    let mut story = "";
    for line in &lines {
        match line[0] {
            "#" => story = line.last().expect("a word"),
            "send" => {
                let id: u64 = line[1].parse().expect("a number");
                let asked = &asked[&id];
                let answer = asked.answer.as_ref().expect("an answer");
                if i16::from_be_bytes([answer[4], answer[5]]) == LOADING {
                    continue;
                }
                for request in requests(asked, &bytes(line[4])) {
                    let reply = shard.ask(asked.version, request);
                    replies.insert(id, comparable(reply, asked.version));
                }
            }
            "recv" => {
                let id: u64 = line[1].parse().expect("a number");
                let asked = &asked[&id];
                let Some(ours) = replies.get(&id) else { continue };
                let kafkas = expected(asked, asked.answer.as_ref().expect("an answer"));
                assert_eq!(ours, &kafkas, "request {id}, api {}, in …{story}", asked.key);
            }
            "settle" => shard.settle(),
            "sleep" => shard.pass(line[1].parse().expect("a time")),
            "topic" => {}
            other => panic!("a line {other}"),
        }
    }
    shard
}

#[test]
fn every_answer_is_kafkas() {
    play();
}

#[test]
fn every_record_is_kafkas() {
    let (_, log) = RECORDED.split_once("# the log\n").expect("a log at the end");
    let kafkas: Vec<TxnRecord> = log.lines().map(record).collect();
    let ours = play().log;
    for (index, (ours, kafkas)) in ours.iter().zip(&kafkas).enumerate() {
        assert_eq!(timeless(ours.clone()), timeless(kafkas.clone()), "record {index}");
    }
    assert_eq!(ours.len(), kafkas.len());
}

#[test]
fn records_are_written_as_kafka_writes_them() {
    let (_, log) = RECORDED.split_once("# the log\n").expect("a log at the end");
    let mut count = 0;
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (key, value) = record(line).encode().expect("it fits").expect("a key and value");
        assert_eq!(key, bytes(words[3]));
        assert_eq!(value, (words[4] != "-").then(|| bytes(words[4])), "{line}");
        count += 1;
    }
    assert!(count > 20);
}
