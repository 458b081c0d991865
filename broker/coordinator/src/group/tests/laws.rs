//! Laws that hold for whatever clients do, whenever the shard is lost: nobody waits for ever, a
//! partition has one owner a generation, offsets go where commits say, and the log is enough.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use proptest::prelude::*;

use super::harness::{GROUP, Joiner, Shard};
use crate::group::{
    Effect, GroupSettings, Producer, Reply, Request, Stability, TxnMarker, TxnOutcome,
};

const CLIENTS: usize = 5;
const STATICS: usize = 2;
const PARTITIONS: u8 = 6;
const PRODUCERS: i64 = 2;

/// What a client does, or what befalls the shard.
#[derive(Clone, Debug)]
enum Step {
    Join(usize, bool),
    Sync(usize),
    Heartbeat(usize),
    Leave(usize),
    /// Forgets all, as a client that is started again.
    Reborn(usize),
    Commit(usize, i64),
    CommitFromOutside(i64),
    TxnCommit(i64, i64),
    EndTxn(i64, bool),
    DeleteOffset,
    DeleteGroup,
    /// The clients of a set, by its bits, do what consumers do to be in a generation.
    Round(u8),
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (client.clone(), any::<bool>()).prop_map(|(c, o)| Step::Join(c, o)),
        8 => client.clone().prop_map(Step::Sync),
        4 => client.clone().prop_map(Step::Heartbeat),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::Reborn),
        3 => (client, 0..1000_i64).prop_map(|(c, o)| Step::Commit(c, o)),
        1 => (0..1000_i64).prop_map(Step::CommitFromOutside),
        2 => (0..PRODUCERS, 0..1000_i64).prop_map(|(p, o)| Step::TxnCommit(p, o)),
        1 => (0..PRODUCERS, any::<bool>()).prop_map(|(p, c)| Step::EndTxn(p, c)),
        2 => any::<u8>().prop_map(Step::Round),
        1 => Just(Step::DeleteOffset),
        1 => Just(Step::DeleteGroup),
        4 => prop_oneof![Just(0), 1..500_u64, 500..7_000_u64, 7_000..40_000_u64]
            .prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

/// A client as it sees itself.
#[derive(Debug, Default)]
struct Client {
    instance: Option<String>,
    id: String,
    generation: i32,
    /// Whom it leads.
    led: Vec<String>,
    join: Option<Ticket>,
    sync: Option<Ticket>,
}

/// The shard, its clients, and what they were promised.
struct World {
    shard: Shard,
    clients: Vec<Client>,
    /// Who was given a partition in a generation: an instance, or a member.
    owners: BTreeMap<(i32, u8), String>,
    /// The committed offset, in the order of the log: when it was written, and what.
    committed: Option<(u64, i64)>,
    pending: BTreeMap<i64, (u64, i64)>,
    writes: u64,
}

impl World {
    fn new() -> Self {
        let settings = GroupSettings {
            initial_rebalance_delay_ms: 300,
            max_size: 4,
            offsets_retention_ms: i64::MAX,
            ..GroupSettings::default()
        };
        let client = |index| Client {
            instance: (index < STATICS).then(|| format!("i{index}")),
            ..Client::default()
        };
        Self {
            shard: Shard::with(settings),
            clients: (0..CLIENTS).map(client).collect(),
            owners: BTreeMap::new(),
            committed: None,
            pending: BTreeMap::new(),
            writes: 0,
        }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Join(client, old) => self.join(client, old),
            Step::Sync(client) => self.sync(client),
            Step::Heartbeat(client) => self.heartbeat(client),
            Step::Leave(client) => {
                let (id, instance) = self.name(client);
                if !id.is_empty() {
                    self.shard.leave(&id, instance.as_deref());
                }
            }
            Step::Reborn(client) => {
                let instance = self.clients[client].instance.take();
                self.clients[client] = Client { instance, ..Client::default() };
            }
            Step::Commit(client, offset) => {
                let (id, _) = self.name(client);
                let generation = self.clients[client].generation;
                if !id.is_empty() {
                    self.commit(&id, generation, offset);
                }
            }
            Step::CommitFromOutside(offset) => self.commit("", -1, offset),
            Step::TxnCommit(producer, offset) => self.txn_commit(producer, offset),
            Step::EndTxn(producer, commits) => self.end_txn(producer, commits),
            Step::DeleteOffset => self.delete_offset(),
            Step::DeleteGroup => self.delete_group(),
            Step::Round(set) => self.round(set),
            Step::Pass(ms) => self.shard.pass(ms),
            Step::Crash => self.crash(),
        }
        self.hear();
        self.check();
    }

    fn name(&self, client: usize) -> (String, Option<String>) {
        let client = &self.clients[client];
        (client.id.clone(), client.instance.clone())
    }

    fn join(&mut self, index: usize, old: bool) {
        let (id, instance) = self.name(index);
        let joiner = Joiner { instance, rebalance_ms: 6_000, ..Joiner::new(&id) };
        // Two protocols that all know, in either order, so that the choice changes.
        let names = if old { ["a", "b"] } else { ["b", "a"] };
        let version = if old && id.is_empty() { 3 } else { 9 };
        let version = if joiner.instance.is_some() { 9 } else { version };
        let ticket = self.shard.join(version, &joiner.knowing(&names));
        self.clients[index].join = Some(ticket);
    }

    fn round(&mut self, set: u8) {
        let of_set = |index: &usize| set >> index & 1 == 1;
        for _ in 0..2 {
            for index in (0..CLIENTS).filter(of_set) {
                self.join(index, index % 2 == 0);
                self.hear();
            }
            self.shard.pass(300);
            self.hear();
        }
        for index in (0..CLIENTS).filter(of_set) {
            self.sync(index);
            self.hear();
        }
    }

    fn sync(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.id.is_empty() {
            return;
        }
        let owned = |nth: usize| {
            (0..PARTITIONS).filter(|p| usize::from(*p) % client.led.len() == nth).collect()
        };
        let assign = |(nth, member_id): (usize, &String)| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: Bytes::from_iter::<Vec<u8>>(owned(nth)),
        };
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: client.generation,
            member_id: client.id.clone(),
            group_instance_id: client.instance.clone(),
            assignments: client.led.iter().enumerate().map(assign).collect(),
            ..Default::default()
        };
        let ticket = self.shard.send(4, Request::SyncGroup(request));
        self.clients[index].sync = Some(ticket);
    }

    fn heartbeat(&mut self, index: usize) {
        let (id, instance) = self.name(index);
        let generation = self.clients[index].generation;
        if id.is_empty() {
            return;
        }
        let error = self.shard.heartbeat_as(&id, instance.as_deref(), generation);
        if error == ErrorCode::UNKNOWN_MEMBER_ID || error == ErrorCode::FENCED_INSTANCE_ID {
            self.clients[index].id.clear();
        }
    }

    fn commit(&mut self, id: &str, generation: i32, offset: i64) {
        if self.shard.commit(id, generation, "z", offset) == ErrorCode::NONE {
            let live = self.shard.waits.live.get(GROUP);
            let current = live.is_none_or(|group| group.generation == generation);
            assert!(id.is_empty() || generation < 0 || current, "a member of an old generation");
            self.writes += 1;
            self.committed = Some((self.writes, offset));
        }
    }

    fn txn_commit(&mut self, producer: i64, offset: i64) {
        let request = TxnOffsetCommitRequest {
            group_id: GROUP.to_owned(),
            producer_id: producer,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "z".to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let Reply::TxnOffsetCommit(response) =
            self.shard.ask_as(3, Request::TxnOffsetCommit(request))
        else {
            panic!("not a commit's answer");
        };
        if response.topics[0].partitions[0].error_code == ErrorCode::NONE {
            self.writes += 1;
            self.pending.insert(producer, (self.writes, offset));
        }
    }

    fn end_txn(&mut self, producer: i64, commits: bool) {
        let outcome = if commits { TxnOutcome::Commit } else { TxnOutcome::Abort };
        let producer_epoch = Producer { id: producer, epoch: 0 };
        let marker = TxnMarker { producer: producer_epoch, coordinator_epoch: 0, outcome };
        self.shard.ask(Request::CompleteTransaction(marker));
        if let Some(written) = self.pending.remove(&producer).filter(|_| commits) {
            self.committed = self.committed.max(Some(written));
        }
    }

    fn delete_offset(&mut self) {
        let topics = vec![crate::group::DeletedTopic { name: "z".to_owned(), partitions: vec![0] }];
        self.shard.ask(Request::PartitionsDeleted(topics));
        self.committed = None;
        self.pending.clear();
    }

    fn delete_group(&mut self) {
        let Reply::DeleteGroups(results) =
            self.shard.ask(Request::DeleteGroups(vec![GROUP.to_owned()]))
        else {
            panic!("not a deletion's answer");
        };
        if results[0].error_code == ErrorCode::NONE {
            self.committed = None;
            self.pending.clear();
            self.owners.clear();
        }
    }

    fn crash(&mut self) {
        self.shard.restart();
        for client in &mut self.clients {
            // The connection is gone, and with it what was asked.
            client.join = None;
            client.sync = None;
        }
    }

    /// Has the clients take what was answered.
    fn hear(&mut self) {
        for index in 0..CLIENTS {
            let client = &mut self.clients[index];
            if let Some(Reply::JoinGroup(answer)) = client.join.and_then(|t| self.shard.reply(t)) {
                client.join = None;
                match answer.error_code {
                    ErrorCode::NONE => {
                        client.id.clone_from(&answer.member_id);
                        client.generation = answer.generation_id;
                        client.led =
                            answer.members.iter().map(|member| member.member_id.clone()).collect();
                    }
                    ErrorCode::MEMBER_ID_REQUIRED => client.id.clone_from(&answer.member_id),
                    ErrorCode::REBALANCE_IN_PROGRESS => {}
                    _ => client.id.clear(),
                }
            }
            if let Some(Reply::SyncGroup(answer)) = client.sync.and_then(|t| self.shard.reply(t)) {
                client.sync = None;
                if answer.error_code == ErrorCode::NONE {
                    let generation = self.shard.waits.live[GROUP].generation;
                    assert_eq!(client.generation, generation, "an assignment of the past");
                    let name = client.instance.as_ref().unwrap_or(&client.id);
                    for partition in &answer.assignment {
                        let key = (client.generation, *partition);
                        let owner = self.owners.entry(key).or_insert_with(|| name.clone());
                        assert_eq!(owner, name, "{key:?} has two owners");
                    }
                }
            }
        }
    }

    fn check(&mut self) {
        let expected = self.committed.map_or(-1, |(_, offset)| offset);
        assert_eq!(self.shard.fetch("z", Stability::Any), (expected, ErrorCode::NONE));
        let stable = self.shard.fetch("z", Stability::Required);
        if self.pending.is_empty() {
            assert_eq!(stable, (expected, ErrorCode::NONE));
        } else {
            assert_eq!(stable, (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT));
        }
        for (id, group) in &self.shard.waits.live {
            let stored = self.shard.state.classic(id).expect("a live group is in the log");
            group.check(stored, &self.shard.waits.timers);
        }
        let alarms = self.shard.waits.timers.len();
        assert!(alarms <= 200, "{alarms} alarms for one small group");
        let wake = self.shard.wake_at.expect("a clean-up is always due some time");
        assert!(wake.0 <= self.shard.now + 600_000);
    }

    /// After all, everybody who still waits is answered, and the group ends empty.
    fn finish(&mut self) {
        self.shard.pass(400_000);
        self.hear();
        self.check();
        let waiting: Vec<_> =
            self.shard.asked.iter().filter(|t| self.shard.reply(**t).is_none()).collect();
        assert!(waiting.is_empty(), "{waiting:?} wait for ever");
        if !self.shard.waits.live.is_empty() {
            assert_eq!(self.shard.phase(), "Empty", "all sessions are over");
        }
        assert!(self.shard.waits.timers.earliest().is_none());
        self.shard.restart();
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
    fn whatever_happens(steps in prop::collection::vec(step(), 1..200)) {
        run(&steps);
    }
}

/// The laws say something only if the steps lead somewhere.
#[test]
fn steps_lead_to_rebalances_and_owners() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut rebalances, mut owned, mut errors) = (0, 0, BTreeMap::<ErrorCode, usize>::new());
    for _ in 0..64 {
        let steps = prop::collection::vec(step(), 200).new_tree(&mut runner);
        let mut world = World::new();
        for step in &steps.expect("a strategy without conditions").current() {
            world.act(step);
        }
        let completed = |effect: &&Effect| matches!(effect, Effect::RebalanceCompleted);
        rebalances += world.shard.effects.iter().filter(completed).count();
        owned += world.owners.len();
        for reply in world.shard.replies.values() {
            if let Reply::JoinGroup(answer) = reply {
                *errors.entry(answer.error_code).or_default() += 1;
            }
        }
    }
    assert!(rebalances > 64 && owned > 200, "{rebalances} rebalances, {owned} owners");
    for code in [
        ErrorCode::NONE,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::MEMBER_ID_REQUIRED,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::FENCED_INSTANCE_ID,
    ] {
        assert!(errors.contains_key(&code), "no join met {code:?}: {errors:?}");
    }
}
