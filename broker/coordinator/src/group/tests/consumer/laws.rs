//! Laws that hold for whatever members of both protocols do, whenever the shard is lost: a
//! partition is of one member, epochs only grow, what a member believes to have is its own, the log
//! is enough, and everything converges.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::schema::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    ConsumerProtocolSubscriptionTopicPartition,
};
use ottla_wire::{Decoder, Encoder, ErrorCode, Message, Uuid};
use proptest::prelude::*;

use super::harness::{Client, Cluster, Owned, shard_with};
use crate::group::consumer::{ConsumerGroup, Member};
use crate::group::tests::harness::{GROUP, Joiner, Shard};
use crate::group::{GroupSettings, Reply, Request, Stability};

const CLIENTS: usize = 4;
const STATICS: usize = 2;
const CLASSICS: usize = 2;
const TOPICS: [&str; 3] = ["ta", "tb", "other"];

/// What a client does, or what befalls the shard.
#[derive(Clone, Debug)]
enum Step {
    Beat(usize),
    /// Beats, and does not hear the answer.
    Lost(usize),
    Leave(usize),
    LeaveForAWhile(usize),
    /// Forgets all, as a client that is started again.
    Reborn(usize),
    Subscribe(usize, u8),
    Classic(usize),
    ClassicLeave(usize),
    Commit(usize, i64),
    Grow(usize),
    Delete(usize),
    DeleteGroup,
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let classic = 0..CLASSICS;
    let topic = 0..TOPICS.len();
    prop_oneof![
        16 => client.clone().prop_map(Step::Beat),
        3 => client.clone().prop_map(Step::Lost),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::LeaveForAWhile),
        1 => client.clone().prop_map(Step::Reborn),
        1 => (client.clone(), any::<u8>()).prop_map(|(c, w)| Step::Subscribe(c, w)),
        4 => classic.clone().prop_map(Step::Classic),
        1 => classic.prop_map(Step::ClassicLeave),
        3 => (client, 0..1000_i64).prop_map(|(c, o)| Step::Commit(c, o)),
        1 => topic.clone().prop_map(Step::Grow),
        1 => topic.prop_map(Step::Delete),
        1 => Just(Step::DeleteGroup),
        4 => prop_oneof![Just(0), 1..1_500_u64, 1_500..9_000_u64, 9_000..50_000_u64]
            .prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

/// A consumer of the classic protocol, as it sees itself.
#[derive(Debug, Default)]
struct Old {
    id: String,
    generation: i32,
    owned: BTreeSet<(String, i32)>,
    join: Option<Ticket>,
    sync: Option<Ticket>,
}

struct World {
    shard: Shard,
    cluster: Cluster,
    clients: Vec<Client>,
    olds: Vec<Old>,
    committed: i64,
    /// The group's epoch, and that of its target; `None` while there is no consumer group.
    epochs: Option<(i32, i32)>,
    born: u64,
    /// How often a partition was seen in other hands than before.
    moves: usize,
    owners: BTreeMap<(Uuid, i32), String>,
}

fn versioned(message: &impl Message) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.raw(&3_i16.to_be_bytes());
    message.encode(&mut encoder, 3).expect("a small message");
    encoder.into_bytes().expect("a small message")
}

impl World {
    fn new() -> Self {
        let mut settings = GroupSettings {
            initial_rebalance_delay_ms: 0,
            offsets_retention_ms: i64::MAX,
            ..GroupSettings::default()
        };
        settings.consumer.max_size = CLIENTS + CLASSICS - 1;
        let cluster = Cluster::of(&[(TOPICS[0], 3), (TOPICS[1], 2)]);
        let client = |index: usize| Client {
            instance: (index < STATICS).then(|| format!("i{index}")),
            rebalance_ms: 9_000,
            ..Client::new(&format!("m{index}"), &TOPICS[..2])
        };
        Self {
            shard: shard_with(settings, &cluster),
            cluster,
            clients: (0..CLIENTS).map(client).collect(),
            olds: (0..CLASSICS).map(|_| Old::default()).collect(),
            committed: -1,
            epochs: None,
            born: 0,
            moves: 0,
            owners: BTreeMap::new(),
        }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Beat(client) => self.beat(client),
            Step::Lost(client) => {
                let client = &self.clients[client];
                client.say(&mut self.shard, client.full());
            }
            Step::Leave(client) => {
                self.clients[client].leave(&mut self.shard, -1);
            }
            Step::LeaveForAWhile(client) => {
                if self.clients[client].instance.is_some() {
                    self.clients[client].leave(&mut self.shard, -2);
                }
            }
            Step::Reborn(client) => self.reborn(client),
            Step::Subscribe(client, wants) => self.subscribe(client, wants),
            Step::Classic(old) => self.old_beat(old),
            Step::ClassicLeave(old) => {
                let id = self.olds[old].id.clone();
                if !id.is_empty() {
                    self.shard.leave(&id, None);
                }
            }
            Step::Commit(client, offset) => self.commit(client, offset),
            Step::Grow(topic) => {
                let name = TOPICS[topic];
                let size = self.cluster.image.topic_named(name).map_or(0, |t| t.partitions.len());
                self.cluster.grow(name, i32::try_from(size % 6).expect("few") + 1);
                self.cluster.tell(&mut self.shard);
            }
            Step::Delete(topic) => {
                if self.cluster.image.topic_named(TOPICS[topic]).is_some() {
                    self.cluster.delete(TOPICS[topic]);
                    self.cluster.tell(&mut self.shard);
                }
            }
            Step::DeleteGroup => self.delete_group(),
            Step::Pass(ms) => self.shard.pass(ms),
            Step::Crash => self.crash(),
        }
        self.hear();
        self.check();
    }

    fn beat(&mut self, index: usize) {
        let error = self.clients[index].beat(&mut self.shard);
        match error {
            ErrorCode::NONE
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::GROUP_MAX_SIZE_REACHED
            | ErrorCode::UNRELEASED_INSTANCE_ID => {}
            ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::FENCED_INSTANCE_ID => {
                let client = &mut self.clients[index];
                client.epoch = 0;
                client.owned.clear();
            }
            other => panic!("a heartbeat met {other:?}"),
        }
    }

    fn reborn(&mut self, index: usize) {
        self.born += 1;
        let client = &mut self.clients[index];
        client.id = format!("m{index}-{}", self.born);
        client.epoch = 0;
        client.owned.clear();
    }

    fn subscribe(&mut self, index: usize, wants: u8) {
        let client = &mut self.clients[index];
        let wanted = TOPICS.iter().enumerate().filter(|(at, _)| wants >> at & 1 == 1);
        client.topics = Some(wanted.map(|(_, name)| (*name).to_owned()).collect());
        client.regex = Some(if wants & 0x80 == 0 { String::new() } else { "t.".to_owned() });
    }

    /// An old one does what comes next: joins, syncs or beats.
    fn old_beat(&mut self, index: usize) {
        let old = &self.olds[index];
        if old.join.is_some() || old.sync.is_some() {
            return;
        }
        if old.generation > 0 {
            let (id, generation) = (old.id.clone(), old.generation);
            match self.shard.heartbeat(&id, generation) {
                ErrorCode::NONE => return,
                ErrorCode::REBALANCE_IN_PROGRESS => {}
                _ => self.olds[index] = Old::default(),
            }
        }
        let old = &self.olds[index];
        let mut owned: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &old.owned {
            owned.entry(topic).or_default().push(*partition);
        }
        let owned = owned.into_iter().map(|(topic, partitions)| {
            ConsumerProtocolSubscriptionTopicPartition { topic: topic.to_owned(), partitions }
        });
        let subscription = ConsumerProtocolSubscription {
            topics: vec![TOPICS[0].to_owned(), TOPICS[1].to_owned()],
            owned_partitions: owned.collect(),
            generation_id: old.generation,
            ..Default::default()
        };
        let protocols = vec![("cooperative-sticky".to_owned(), versioned(&subscription))];
        let joiner = Joiner { protocols, rebalance_ms: 9_000, ..Joiner::new(&old.id) };
        self.olds[index].join = Some(self.shard.join(9, &joiner));
    }

    /// Has the old ones take what was answered.
    fn hear(&mut self) {
        for index in 0..CLASSICS {
            let old = &mut self.olds[index];
            if let Some(Reply::JoinGroup(answer)) = old.join.and_then(|t| self.shard.reply(t)) {
                old.join = None;
                match answer.error_code {
                    ErrorCode::NONE => {
                        old.id.clone_from(&answer.member_id);
                        old.generation = answer.generation_id;
                        let (id, generation) = (old.id.clone(), old.generation);
                        let ticket = self.shard.sync(&id, generation, &[]);
                        self.olds[index].sync = Some(ticket);
                    }
                    ErrorCode::MEMBER_ID_REQUIRED => old.id.clone_from(&answer.member_id),
                    ErrorCode::REBALANCE_IN_PROGRESS => {}
                    _ => *old = Old::default(),
                }
            }
            let old = &mut self.olds[index];
            if let Some(Reply::SyncGroup(answer)) = old.sync.and_then(|t| self.shard.reply(t)) {
                old.sync = None;
                match answer.error_code {
                    ErrorCode::NONE => old.owned = read(&answer.assignment),
                    ErrorCode::REBALANCE_IN_PROGRESS => {}
                    _ => *old = Old::default(),
                }
            }
        }
    }

    fn commit(&mut self, index: usize, offset: i64) {
        let (id, epoch) = (self.clients[index].id.clone(), self.clients[index].epoch);
        let name = TOPICS[0];
        let error = self.shard.commit(&id, epoch, name, offset);
        let Some((_, group)) = self.shard.state.consumer(GROUP) else {
            assert_ne!(error, ErrorCode::NONE, "a member without a group");
            return;
        };
        if error == ErrorCode::NONE {
            let member = group.member(&id).expect("a member that may commit");
            let topic = self.cluster.image.topic_id(name).unwrap_or_default();
            let since = member.given(topic, 0);
            assert!(
                epoch == member.epoch || since.is_some_and(|since| since <= epoch),
                "one of epoch {epoch} committed for what it was given at {since:?}"
            );
            self.committed = offset;
        }
    }

    fn delete_group(&mut self) {
        let request = Request::DeleteGroups(vec![GROUP.to_owned()]);
        let Reply::DeleteGroups(results) = self.shard.ask(request) else {
            panic!("not a deletion's answer");
        };
        if results[0].error_code == ErrorCode::NONE {
            self.committed = -1;
        }
    }

    fn crash(&mut self) {
        self.shard.restart();
        self.cluster.tell(&mut self.shard);
        for old in &mut self.olds {
            // The connection is gone, and with it what was asked.
            (old.join, old.sync) = (None, None);
        }
    }

    fn check(&mut self) {
        let fetched = self.shard.fetch(TOPICS[0], Stability::Any);
        assert_eq!(fetched, (self.committed, ErrorCode::NONE), "what was committed last");
        let Some((_, group)) = self.shard.state.consumer(GROUP) else {
            (self.epochs, self.owners) = (None, BTreeMap::new());
            assert!(self.shard.waits.consumers.is_empty(), "nothing of a group that is not there");
            return;
        };
        check_group(group);
        let (epoch, target) = self.epochs.unwrap_or((0, 0));
        assert!(group.epoch >= epoch, "the group's epoch went back");
        assert!(group.target_epoch >= target, "the target's epoch went back");
        self.epochs = Some((group.epoch, group.target_epoch));
        for (partition, owner) in &group.owners {
            let before = self.owners.insert(*partition, owner.to_string());
            self.moves += usize::from(before.is_some_and(|before| before != **owner));
        }
        if let Some(live) = self.shard.waits.consumers.get(GROUP) {
            let known = |id: &std::sync::Arc<str>| group.members.contains_key(id);
            assert!(live.alarms.keys().all(known), "alarms of who is no member");
            assert!(group.members.keys().all(|id| live.alarms.contains_key(id)), "sessions");
        } else {
            assert!(group.is_empty(), "members without sessions");
        }
        for client in &self.clients {
            if let Some(member) = group.member(&client.id).filter(|m| is_of(m, client.epoch)) {
                let holds: Owned = member.holds().collect();
                assert!(client.owned.is_subset(&holds), "{client:?} believes more than {holds:?}");
            }
        }
    }

    /// Everybody beats for a while, and all is shared out.
    fn converge(&mut self) {
        for index in 0..CLASSICS {
            let id = self.olds[index].id.clone();
            if !id.is_empty() {
                self.shard.leave(&id, None);
            }
        }
        self.shard.pass(60_000);
        self.hear();
        let mut alive: Vec<usize> = (0..CLIENTS).collect();
        alive.truncate(3);
        for round in 0..40 {
            self.shard.pass(3_000);
            for index in &alive {
                self.beat(*index);
                self.check();
            }
            // It may have been deleted while members still believed in it.
            let Some((_, group)) = self.shard.state.consumer(GROUP) else { continue };
            let settled = |index: &usize| {
                let client = &self.clients[*index];
                group.member(&client.id).is_some_and(|m| m.is_reconciled_to(group.epoch))
            };
            if round > 4 && group.members.len() == alive.len() && alive.iter().all(settled) {
                break;
            }
            assert!(round < 39, "no end of changes: {group:?}");
        }
        let (_, group) = self.shard.state.consumer(GROUP).expect("the group");
        let wanted: BTreeSet<(Uuid, i32)> = group
            .topics()
            .into_iter()
            .filter_map(|name| self.cluster.image.topic_named(name))
            .flat_map(|topic| topic.partitions.iter().map(|(p, _)| (topic.id, p)))
            .collect();
        let owned: BTreeSet<(Uuid, i32)> = group.owners.keys().copied().collect();
        assert_eq!(owned, wanted, "all that is subscribed to, and nothing else");
        self.shard.pass(400_000);
        self.check();
        let group = self.shard.state.consumer(GROUP);
        assert!(group.is_none_or(|(_, group)| group.is_empty()), "all sessions are over");
        assert!(self.shard.waits.timers.earliest().is_none());
        let waiting: Vec<_> =
            self.shard.asked.iter().filter(|t| self.shard.reply(**t).is_none()).collect();
        assert!(waiting.is_empty(), "{waiting:?} wait for ever");
        self.shard.restart();
    }
}

/// Whether a member that says this epoch would be heard.
fn is_of(member: &Member, epoch: i32) -> bool {
    epoch > 0 && (epoch == member.epoch || epoch == member.previous_epoch)
}

/// What must hold of a group by itself.
fn check_group(group: &ConsumerGroup) {
    assert!(group.target_epoch <= group.epoch);
    let mut owners = BTreeMap::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (id, member) in &group.members {
        assert!(member.epoch <= group.target_epoch, "{id} is ahead of the target");
        for held in member.holds() {
            assert!(owners.insert(held, id).is_none(), "{held:?} has two members");
        }
        for topic in &member.topics {
            *names.entry(topic.clone()).or_default() += 1;
        }
    }
    assert_eq!(owners.len(), group.owners.len(), "who has what");
    assert!(owners.iter().all(|(held, id)| group.owners.get(held) == Some(*id)), "who has what");
    assert!(names.iter().eq(group.names.iter()), "subscriptions by name");
    assert!(group.targets.keys().all(|id| group.members.contains_key(id)));
    assert!(group.statics.values().all(|id| group.members.contains_key(id)));
    let patterns = group.members.values().filter_map(|member| member.pattern());
    let patterns: BTreeSet<&str> = patterns.collect();
    assert!(group.resolved.keys().all(|pattern| patterns.contains(pattern.as_str())));
    let classics = group.members.values().filter(|member| member.is_classic()).count();
    assert_eq!(group.classic_members, classics);
    let mut targeted = BTreeSet::new();
    for (topic, partitions) in group.targets.values().flat_map(|target| target.iter()) {
        for partition in partitions.iter() {
            assert!(targeted.insert((*topic, *partition)), "a target of two");
        }
    }
}

fn read(assignment: &Bytes) -> BTreeSet<(String, i32)> {
    if assignment.is_empty() {
        return BTreeSet::new();
    }
    let mut decoder = Decoder::new(assignment.clone());
    decoder.array::<2>().expect("a version");
    let read = ConsumerProtocolAssignment::decode(&mut decoder, 3).expect("an assignment");
    let topics = read.assigned_partitions.into_iter();
    topics.flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic.clone(), p))).collect()
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.act(step);
    }
    world.converge();
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
fn steps_lead_to_moves_and_both_protocols() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut moves, mut mixed, mut both) = (0, 0, 0);
    let mut errors = BTreeMap::<ErrorCode, usize>::new();
    for _ in 0..64 {
        let steps = prop::collection::vec(step(), 200).new_tree(&mut runner);
        let mut world = World::new();
        for step in &steps.expect("a strategy without conditions").current() {
            world.act(step);
            if let Some((_, group)) = world.shard.state.consumer(GROUP) {
                let classics = group.classic_members;
                mixed += usize::from(classics > 0 && classics < group.members.len());
            } else if !world.shard.waits.live.is_empty() {
                both += 1;
            }
        }
        moves += world.moves;
        for reply in world.shard.replies.values() {
            if let Reply::ConsumerGroupHeartbeat(answer) = reply {
                *errors.entry(answer.error_code).or_default() += 1;
            }
        }
    }
    assert!(moves > 200 && mixed > 100 && both > 20, "{moves} moves, {mixed} mixed, {both} old");
    for code in [
        ErrorCode::NONE,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::FENCED_MEMBER_EPOCH,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::UNRELEASED_INSTANCE_ID,
    ] {
        assert!(errors.contains_key(&code), "no heartbeat met {code:?}: {errors:?}");
    }
}
