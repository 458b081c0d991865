//! The cluster, its clients, and the loop that moves them.

use std::collections::BTreeMap;

use ottla_controller::Command;
use ottla_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};

use crate::clients::{Consumer, Producer};
use crate::faults::Pace;
use crate::hub::{Event, Hub, Timer};
use crate::invariant::durable::Committed;
use crate::invariant::groups::Groups;
use crate::invariant::one_leader::Leaders;
use crate::invariant::reassignment::Targets;
use crate::invariant::subscriptions::Subscriptions;
use crate::invariant::transactions::Transactions;
use crate::invariant::watermark::Watermarks;
use crate::invariant::{agreement, healing, leadership, metadata, offsets};
use crate::joiner::Joiner;
use crate::member::Member;
use crate::message::{Message, Party};
use crate::node::{Damage, Node};
use crate::orphan;
use crate::quorum::{Clocks, Quorum};
use crate::subscriber::Subscriber;
use crate::trace::Trace;
use crate::transactor::{Auditor, Transactor};
use crate::{MOST_PARTITIONS, TOPIC, Verdict, Violation, violated};

/// Until when the cluster must have started, in milliseconds.
const START_MS: u64 = 20_000;

/// Members of the group.
const JOINERS: usize = 3;

/// For how long it suffers.
const SUFFER_MS: (u64, u64) = (15_000, 40_000);

/// The cluster and its clients.
pub struct World {
    /// Time, chance and the network.
    pub hub: Hub,
    /// The metadata log and the controller.
    pub quorum: Quorum,
    /// The brokers.
    pub nodes: BTreeMap<i32, Node>,
    /// The producers.
    pub producers: Vec<Producer>,
    /// The consumers.
    pub consumers: Vec<Consumer>,
    /// Those who commit offsets.
    pub members: Vec<Member>,
    /// The members of the group, if there is one.
    pub joiners: Vec<Joiner>,
    /// The members of the group of the new protocol, if there is one.
    pub subscribers: Vec<Subscriber>,
    /// Those who write transactions.
    pub transactors: Vec<Transactor>,
    /// Those who read committed records.
    pub auditors: Vec<Auditor>,
    /// What is known of transactions.
    pub transactions: Transactions,
    /// Whether there is a group whose members come and go, and a topic that nobody can lead, and controllers have
    /// clocks that jump.
    pub wide: bool,
    /// Whether there are transactions.
    pub transactional: bool,
    /// Whether there is a group of the new protocol.
    pub modern: bool,
    /// How many partitions there are.
    pub partitions: i32,
    /// What is committed.
    pub committed: Committed,
    /// Where partitions were asked to go.
    pub targets: Targets,
    /// How often something happens.
    pub pace: Pace,
    /// Whether the controller's processor stands still.
    pub controller_paused: bool,
    /// What waits for it meanwhile.
    pub controller_held: Vec<Event>,
    leaders: Leaders,
    watermarks: Watermarks,
    groups: Groups,
    subscriptions: Subscriptions,
    suffering: bool,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What does not hold, if anything.
    pub violation: Option<Violation>,
    /// What happened.
    pub trace: Trace,
    /// How many records were acknowledged.
    pub acked: u64,
    /// How many records were committed.
    pub committed: u64,
    /// After how many milliseconds it was healed.
    pub healed_after: u64,
}

/// Runs a cluster through the life that `seed` tells.
#[must_use]
pub fn run(seed: u64, trace: Trace) -> Outcome {
    let mut world = World::new(seed, trace);
    let result = world.live();
    let (acked, committed) = (world.committed.acked(), world.committed.total());
    let (healed_after, violation) = match result {
        Ok(ms) => (ms, None),
        Err(violation) => {
            world.hub.trace.say(world.hub.now, format_args!("VIOLATION {violation}"));
            (0, Some(violation))
        }
    };
    Outcome { violation, trace: world.hub.trace, acked, committed, healed_after }
}

impl World {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut hub = Hub::new(seed, trace);
        // None of the seeds that once found something is one of these.
        let (wide, transactional) = (seed % 16 < 4, matches!(seed % 16, 8 | 9));
        let modern = wide && seed % 4 >= 2;
        let clocks = if wide { Clocks::Differ } else { Clocks::True };
        let quorum = Quorum::new(&mut hub, clocks);
        let brokers = hub.rng.within(3, 5) as i32;
        let partitions = hub.rng.within(2, MOST_PARTITIONS as u64) as i32;
        let nodes = (1..=brokers).map(|id| (id, Node::new(id, &mut hub))).collect();
        let from = hub.rng.within(40, 400);
        let pace = Pace { from, to: from * hub.rng.within(2, 5) };
        Self {
            hub,
            quorum,
            nodes,
            producers: Vec::new(),
            consumers: Vec::new(),
            members: Vec::new(),
            joiners: Vec::new(),
            subscribers: Vec::new(),
            modern,
            transactors: Vec::new(),
            auditors: Vec::new(),
            transactions: Transactions::default(),
            wide,
            transactional,
            partitions,
            committed: Committed::default(),
            targets: Targets::default(),
            pace,
            controller_paused: false,
            controller_held: Vec::new(),
            leaders: Leaders::default(),
            watermarks: Watermarks::default(),
            groups: Groups::default(),
            subscriptions: Subscriptions::default(),
            suffering: false,
        }
    }

    fn live(&mut self) -> Result<u64, Violation> {
        self.begin()?;
        let producers = self.hub.rng.within(1, 3) as usize;
        for at in 0..producers {
            let producer = Producer::new(at, self.partitions, &mut self.hub);
            self.producers.push(producer);
        }
        for at in 0..2 {
            let consumer = Consumer::new(at, self.partitions, &mut self.hub);
            self.consumers.push(consumer);
            let member = Member::new(at, &mut self.hub);
            self.members.push(member);
        }
        if self.wide {
            self.joiners = (0..JOINERS).map(|at| Joiner::new(at, &mut self.hub)).collect();
        }
        if self.modern {
            let topic = self.quorum.image().topic_id(TOPIC).unwrap_or_default();
            let new = |at| Subscriber::new(at, topic, &mut self.hub);
            self.subscribers = (0..JOINERS).map(new).collect();
        }
        if self.transactional {
            let (partitions, hub) = (self.partitions, &mut self.hub);
            self.transactors = (0..2).map(|at| Transactor::new(at, partitions, hub)).collect();
            self.auditors = (0..2).map(|at| Auditor::new(at, partitions, hub)).collect();
        }
        self.suffering = true;
        self.hub.after(self.pace.to, Event::Fault);
        let until = self.hub.now + self.hub.rng.within(SUFFER_MS.0, SUFFER_MS.1);
        self.go_on(until)?;
        self.heal()
    }

    /// The brokers start, and the topic is made.
    fn begin(&mut self) -> Verdict {
        let until = self.hub.now + START_MS;
        while self.hub.now < until {
            self.go_on(self.hub.now + 100)?;
            let image = self.quorum.image();
            if self.nodes.keys().any(|id| !image.is_active(*id)) {
                continue;
            }
            if image.topic_named(TOPIC).is_some() {
                if !self.wide || self.bereave()? {
                    return Ok(());
                }
                continue;
            }
            let ids: Vec<i32> = self.nodes.keys().copied().collect();
            let mut assignments = Vec::new();
            for partition_index in 0..self.partitions {
                let broker_ids = self.hub.rng.some(&ids, 3);
                self.targets.asked(partition_index, &broker_ids);
                assignments.push(CreatableReplicaAssignment { partition_index, broker_ids });
            }
            let name = "min.insync.replicas".to_owned();
            let value = Some(crate::replica::MIN_IN_SYNC.to_string());
            let topic = CreatableTopic {
                name: TOPIC.into(),
                num_partitions: -1,
                replication_factor: -1,
                assignments,
                configs: vec![CreatableTopicConfig { name, value }],
            };
            let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
            self.admin(Command::CreateTopics(request))?;
        }
        Err(violated("healing", "the cluster does not start"))
    }

    /// Whoever runs the cluster asks the controller for something.
    pub fn admin(&mut self, command: Command) -> Verdict {
        if self.controller_paused {
            return Ok(());
        }
        let id = self.hub.id();
        self.quorum.receive(&mut self.hub, Party::Admin, Message::Ask(id, Box::new(command)))
    }

    /// The faults stop, and the cluster heals. Says after how many milliseconds.
    fn heal(&mut self) -> Result<u64, Violation> {
        self.suffering = false;
        let begin = self.hub.now;
        self.hub.trace.say(begin, "the faults stop");
        self.hub.net.mend();
        self.hub.net.quality = crate::net::Quality::GOOD;
        self.quorum.commit_ms = 6;
        self.resume_controller();
        for node in self.nodes.values_mut() {
            node.disarm();
            node.set_room(None);
            node.resume(&mut self.hub);
        }
        self.producers.iter_mut().for_each(|producer| producer.writing = false);
        self.members.iter_mut().for_each(|member| member.writing = false);
        self.joiners.iter_mut().for_each(|joiner| joiner.sharer.writing = false);
        self.subscribers.iter_mut().for_each(|subscriber| subscriber.writing = false);
        self.transactors.iter_mut().for_each(|transactor| transactor.writing = false);
        self.wait(healing::WITHIN_MS, "healing", healing::ailing)?;
        self.settle()?;
        let took = self.hub.now - begin;
        self.hub.trace.say(self.hub.now, format_args!("healed after {took} ms"));
        if let Some(what) = self.committed.missing() {
            return Err(violated("durable", what));
        }
        if let Some(what) = self.transactions.missing(self.auditors.len()) {
            return Err(violated("transactions", what));
        }
        match healing::differs(self) {
            Some(what) => Err(violated("healing", what)),
            None => Ok(took),
        }
    }

    /// All is well, but for what a controller does of itself from time to time: perhaps another one, which no broker
    /// that dies gives anything to do.
    fn settle(&mut self) -> Verdict {
        if self.wide {
            leadership::check(self.quorum.image())?;
            if self.hub.rng.chance(500) {
                let ms = self.hub.rng.within(20, 500);
                self.hub.trace.say(self.hub.now, format_args!("another controller, in {ms} ms"));
                self.quorum.fail(&mut self.hub, ms);
            }
            let until = self.hub.now + leadership::WITHIN_MS;
            while !orphan::is_free(self.quorum.image()) {
                self.free_orphan()?;
                self.go_on(self.hub.now + 100)?;
                if self.hub.now > until {
                    return Err(violated("healing", "no controller answers"));
                }
            }
        }
        self.wait(leadership::WITHIN_MS, "leadership", |world| {
            leadership::astray(world.quorum.image()).or_else(|| healing::ailing(world))
        })
    }

    /// Time goes on until nothing is wrong any more, for so many milliseconds at most.
    fn wait(
        &mut self,
        within_ms: u64,
        law: &'static str,
        wrong: impl Fn(&Self) -> Option<String>,
    ) -> Verdict {
        let until = self.hub.now + within_ms;
        loop {
            self.go_on(self.hub.now + 100)?;
            match wrong(self) {
                None => return Ok(()),
                Some(what) if self.hub.now > until => return Err(violated(law, what)),
                Some(_) => {}
            }
        }
    }

    /// The controller's processor runs again.
    pub fn resume_controller(&mut self) {
        self.controller_paused = false;
        for event in std::mem::take(&mut self.controller_held) {
            self.hub.after(0, event);
        }
    }

    fn go_on(&mut self, until: u64) -> Verdict {
        while let Some(event) = self.hub.next(until) {
            self.step(event)?;
        }
        self.hub.now = until;
        Ok(())
    }

    fn step(&mut self, event: Event) -> Verdict {
        let party = match &event {
            Event::Deliver { to, .. } => *to,
            Event::Timer { of, .. } => *of,
            Event::Fault if self.suffering => {
                self.suffer()?;
                self.judge_again();
                return self.check_all();
            }
            Event::Fault => return Ok(()),
            Event::Over(what) => {
                self.over(*what);
                return Ok(());
            }
        };
        match party {
            Party::Broker(id) => {
                if let Event::Deliver {
                    from: Party::Subscriber(at),
                    message: Message::Group(asked, _),
                    ..
                } = &event
                    && !self.subscribers.get_mut(*at).is_some_and(|one| one.is_read(*asked))
                {
                    return Ok(());
                }
                let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
                node.handle(&mut self.hub, event)?;
                self.check(id)
            }
            Party::Controller if self.controller_paused => {
                self.controller_held.push(event);
                Ok(())
            }
            Party::Controller => {
                let before = self.quorum.committed().len();
                match event {
                    Event::Deliver { from, message, .. } => {
                        self.quorum.receive(&mut self.hub, from, message)?;
                    }
                    Event::Timer { life, what, .. } => {
                        self.quorum.timer(&mut self.hub, life, what)?;
                    }
                    Event::Fault | Event::Over(_) => {}
                }
                if self.quorum.committed().len() > before {
                    self.note_committed();
                    self.check_all()?;
                }
                self.judge_again();
                Ok(())
            }
            Party::Producer(at) => self.producer(at, event),
            Party::Consumer(at) => self.consumer(at, event),
            Party::Member(at) => self.member(at, event),
            Party::Joiner(at) => self.joiner(at, event),
            Party::Subscriber(at) => self.subscriber(at, event),
            Party::Transactor(at) => {
                self.transactor(at, event);
                Ok(())
            }
            Party::Auditor(at) => self.auditor(at, event),
            Party::Admin => Ok(()),
        }
    }

    fn producer(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(producer) = self.producers.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => producer.turn(&mut self.hub, &brokers),
            Event::Deliver { message, .. } => {
                let (committed, id) = (&self.committed, producer.id());
                let next = |partition| committed.next(partition, id);
                if let Some(acked) = producer.receive(&self.hub, &message, next) {
                    self.committed.acknowledged(&acked)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn consumer(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(consumer) = self.consumers.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => consumer.turn(&mut self.hub, &brokers),
            Event::Deliver { message, .. } => {
                let seen = consumer.receive(&message).map_err(|e| violated("watermark", e))?;
                if let Some(seen) = seen {
                    self.watermarks.seen(at, &seen, &self.committed)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn member(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(member) = self.members.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => member.turn(&mut self.hub, &brokers),
            Event::Deliver { message, .. } => {
                if let Some(told) = member.receive(message) {
                    offsets::told(at, &told)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn joiner(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(joiner) = self.joiners.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => {
                joiner.turn(&mut self.hub, &brokers, &self.groups);
                Ok(())
            }
            Event::Deliver { message, .. } => match joiner.receive(self.hub.now, message) {
                Some(learned) => self.groups.told(learned),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn subscriber(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(subscriber) = self.subscribers.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => {
                subscriber.turn(&mut self.hub, &brokers, &self.subscriptions);
                Ok(())
            }
            Event::Deliver { message, .. } => {
                let now = self.hub.now;
                match subscriber.receive(now, message) {
                    Some(learned) => self.subscriptions.told(now, learned, &self.subscribers),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn transactor(&mut self, at: usize, event: Event) {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(transactor) = self.transactors.get_mut(at) else { return };
        let learned = match event {
            Event::Timer { what: Timer::Turn, .. } => transactor.turn(&mut self.hub, &brokers),
            Event::Deliver { message, .. } => transactor.receive(&self.hub, &message),
            _ => None,
        };
        learned.into_iter().for_each(|learned| self.transactions.learn(learned));
    }

    fn auditor(&mut self, at: usize, event: Event) -> Verdict {
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(auditor) = self.auditors.get_mut(at) else { return Ok(()) };
        match event {
            Event::Timer { what: Timer::Turn, .. } => auditor.turn(&mut self.hub, &brokers),
            Event::Deliver { message, .. } => {
                let read = auditor.receive(&message).map_err(|e| violated("transactions", e))?;
                if let Some(read) = read {
                    self.transactions.read(at, &read)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Committed metadata know of the processes that came after accidents, and of who is in sync.
    fn note_committed(&mut self) {
        let image = self.quorum.image();
        for node in self.nodes.values_mut() {
            let Some(process) = &node.process else { continue };
            let Some(registered) = image.broker(node.id) else { continue };
            if registered.incarnation_id == process.incarnation {
                node.damage = Damage::None;
                let topic = image.topic_named(TOPIC);
                node.behind.retain(|partition| {
                    let p = topic.and_then(|t| t.partition(*partition));
                    !p.is_some_and(|p| p.isr.contains(&node.id))
                });
            }
        }
    }

    /// Looks at what one broker did.
    fn check(&mut self, id: i32) -> Verdict {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.bury(&mut self.hub)?;
        metadata::check(node, self.quorum.committed())?;
        if let Some(process) = &mut node.process {
            let life = process.life;
            for (partition, epoch) in std::mem::take(&mut process.accepted) {
                self.leaders.accepted(partition, epoch, id, life)?;
            }
            for replica in process.replicas.values_mut() {
                // The high watermark in the checkpoint may have outlived the records below it.
                if !node.behind.contains(&replica.partition) {
                    self.committed.learn(id, replica)?;
                }
            }
        }
        agreement::check(self.quorum.image(), &mut self.nodes, &mut self.committed)
    }

    fn check_all(&mut self) -> Verdict {
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.check(id))
    }
}
