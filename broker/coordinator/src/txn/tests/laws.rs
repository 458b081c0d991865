//! Laws that hold for whatever producers do, whenever the shard is lost: an outcome once written
//! stands, a fenced producer changes nothing, and nobody waits for ever.

use std::collections::BTreeMap;

use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use proptest::prelude::*;

use super::harness::{ID, Shard};
use crate::group::{Producer, TxnOutcome};
use crate::txn::transaction::{Status, Txn};
use crate::txn::{Reply, TxnRecord, TxnSettings};

const PRODUCERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Init(usize),
    GoOn(usize),
    Add(usize, i32),
    End(usize, i16, bool),
    /// Asks for an end again, with the epoch before.
    EndAgain(usize, bool),
    Settle,
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        2 => producer.clone().prop_map(Step::Init),
        1 => producer.clone().prop_map(Step::GoOn),
        6 => (producer.clone(), 0..3_i32).prop_map(|(p, n)| Step::Add(p, n)),
        5 => (producer.clone(), prop_oneof![Just(4_i16), Just(5)], any::<bool>())
            .prop_map(|(p, v, c)| Step::End(p, v, c)),
        2 => (producer, any::<bool>()).prop_map(|(p, c)| Step::EndAgain(p, c)),
        4 => Just(Step::Settle),
        2 => prop_oneof![1..900_u64, 900..20_000_u64].prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

/// A client of the transactional id; several of them mean that some are zombies.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    producer: Option<Producer>,
    before: Option<Producer>,
    init: Option<Ticket>,
    end: Option<Ticket>,
}

struct World {
    shard: Shard,
    clients: [Client; PRODUCERS],
    /// How the transaction of each producer and epoch ended, by its markers.
    outcomes: BTreeMap<(i64, i16), TxnOutcome>,
    seen: usize,
}

impl World {
    fn new() -> Self {
        Self {
            shard: Shard::with(TxnSettings { abort_interval_ms: 500, ..TxnSettings::default() }),
            clients: [Client::default(); PRODUCERS],
            outcomes: BTreeMap::new(),
            seen: 0,
        }
    }

    fn current(&self) -> Option<Producer> {
        self.shard.state.txns.get(ID).map(|txn| txn.producer)
    }

    fn act(&mut self, step: &Step) {
        let records = self.shard.log.len();
        match *step {
            Step::Init(index) => {
                self.clients[index].init = Some(self.shard.init(None, 3_000));
            }
            Step::GoOn(index) => {
                if let Some(producer) = self.clients[index].producer {
                    self.clients[index].init = Some(self.shard.init(Some(producer), 3_000));
                }
            }
            Step::Add(index, partition) => {
                if let Some(producer) = self.clients[index].producer {
                    let current = self.current();
                    let ticket = self.shard.add(producer, partition);
                    if current != Some(producer) {
                        self.assert_refused(ticket, records);
                    }
                }
            }
            Step::End(index, version, commits) => {
                if let Some(producer) = self.clients[index].producer {
                    self.clients[index].end = Some(self.shard.end(version, producer, commits));
                }
            }
            Step::EndAgain(index, commits) => {
                if let Some(before) = self.clients[index].before {
                    self.shard.end(5, before, commits);
                    assert_eq!(self.shard.log.len(), records, "a retry changes nothing");
                }
            }
            Step::Settle => self.shard.settle(),
            Step::Pass(ms) => self.shard.pass(ms),
            Step::Crash => {
                self.shard.restart();
                for client in &mut self.clients {
                    client.init = None;
                    client.end = None;
                }
            }
        }
        self.hear();
        self.check();
    }

    fn assert_refused(&self, ticket: Ticket, records: usize) {
        assert_eq!(self.shard.log.len(), records, "a fenced producer changes nothing");
        let error = self.shard.added(ticket);
        let fenced = [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_ID_MAPPING];
        assert!(fenced.contains(&error), "{error:?}");
    }

    fn hear(&mut self) {
        for client in &mut self.clients {
            if client.init.is_some() {
                // A client that starts anew does not listen for the end it asked for before.
                client.end = None;
            }
            if let Some(ticket) = client.init
                && self.shard.replies.contains_key(&ticket)
            {
                client.init = None;
                client.before = None;
                client.producer = self.shard.inited(ticket).ok();
            }
            if let Some(ticket) = client.end
                && self.shard.replies.contains_key(&ticket)
            {
                client.end = None;
                if let Ok(next) = self.shard.ended(ticket) {
                    client.before = client.producer.filter(|before| *before != next);
                    client.producer = Some(next);
                }
            }
        }
    }

    fn check(&mut self) {
        for (ending, outcome, _) in &self.shard.endings {
            let key = (ending.producer.id, ending.producer.epoch);
            let open = self.shard.state.txns[ID].producer == ending.producer;
            if open && self.shard.state.txns[ID].version >= 2 {
                let known = self.outcomes.entry(key).or_insert(*outcome);
                assert_eq!(known, outcome, "two outcomes of one transaction");
            }
        }
        let states: Vec<Txn> = self.shard.log[self.seen.saturating_sub(1)..]
            .iter()
            .filter_map(|record| match record {
                TxnRecord::Txn { value: Some(value), .. } => Txn::from_value(value),
                _ => None,
            })
            .collect();
        for pair in states.windows(2) {
            check_step(&pair[0], &pair[1]);
        }
        self.seen = self.shard.log.len();
        if let Some(txn) = self.shard.state.txns.get(ID) {
            let timed = self.shard.waits.open_ends.iter().any(|(_, id)| &**id == ID);
            assert_eq!(timed, txn.status == Status::Ongoing, "open transactions are timed");
            let waiting = self.shard.waits.parked();
            assert!(txn.status.is_ending() || waiting == 0, "{waiting} wait for nothing");
        }
    }

    fn finish(&mut self) {
        self.shard.settle();
        self.shard.pass(30_000);
        self.shard.settle();
        self.hear();
        let waiting: Vec<_> =
            self.shard.asked.iter().filter(|t| !self.shard.replies.contains_key(t)).collect();
        assert!(waiting.is_empty(), "{waiting:?} wait for ever");
        let open = [Status::Ongoing, Status::PrepareCommit, Status::PrepareAbort];
        if let Some(txn) = self.shard.state.txns.get(ID) {
            assert!(!open.contains(&txn.status), "a transaction hangs: {txn:?}");
        }
        self.shard.restart();
    }
}

/// What may follow what in the log.
fn check_step(from: &Txn, to: &Txn) {
    let allowed: &[Status] = match from.status {
        Status::Empty => &[Status::Empty, Status::Ongoing, Status::PrepareAbort],
        Status::Ongoing => &[Status::Ongoing, Status::PrepareCommit, Status::PrepareAbort],
        Status::PrepareCommit => &[Status::CompleteCommit],
        Status::PrepareAbort => &[Status::CompleteAbort],
        Status::CompleteCommit | Status::CompleteAbort => {
            &[Status::Empty, Status::Ongoing, Status::PrepareAbort]
        }
    };
    assert!(allowed.contains(&to.status), "{from:?} to {to:?}");
    if from.producer.id == to.producer.id {
        let bump = to.producer.epoch - from.producer.epoch;
        assert!((0..=1).contains(&bump), "{from:?} to {to:?}");
    }
    if to.status.is_ending() {
        assert_eq!(from.partitions, to.partitions, "an end adds and drops nothing");
    }
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.act(step);
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        run(&steps);
    }
}

/// The laws say something only if the steps lead somewhere.
#[test]
fn steps_lead_to_commits_aborts_and_waits() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut outcomes = [0, 0];
    let mut errors = BTreeMap::<ErrorCode, usize>::new();
    for _ in 0..64 {
        let steps = prop::collection::vec(step(), 120).new_tree(&mut runner);
        let mut world = World::new();
        for step in &steps.expect("a strategy without conditions").current() {
            world.act(step);
        }
        for outcome in world.outcomes.values() {
            outcomes[usize::from(*outcome == TxnOutcome::Commit)] += 1;
        }
        for reply in world.shard.replies.values() {
            if let Reply::EndTxn(answer) = reply {
                *errors.entry(answer.error_code).or_default() += 1;
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 16), "{outcomes:?}");
    for code in [
        ErrorCode::NONE,
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::CONCURRENT_TRANSACTIONS,
    ] {
        assert!(errors.contains_key(&code), "no end met {code:?}: {errors:?}");
    }
}
