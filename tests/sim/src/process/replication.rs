//! Replicas at work: producers, consumers and followers are served, leaders are followed, and the
//! controller is asked for other in-sync replicas.

use ottla_controller::{Command, Reply};
use ottla_log::log::AppendBatch;
use ottla_log::producers::{MarkerRule, Origin, Rules};
use ottla_replica::{FetchAnswer, FetchAsk, Follower, IsrAnswer, IsrProposal, Next, Patience};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition::{
    AlterPartitionRequest, AlterPartitionRequestPartitionData, AlterPartitionRequestTopicData,
    BrokerState,
};

use super::{Going, PATIENCE_MS, Process, Stage, Stop, told};
use crate::TOPIC;
use crate::hub::Hub;
use crate::message::{Fetch, Fetched, Id, Message, Party};
use crate::records;
use crate::replica::{Done, Following, Local, Replica, Role, Stalled, Taken, Trouble, Waiting};

const FOLLOWER_PATIENCE: Patience = Patience { first_ms: 20, most_ms: 300 };

impl Process {
    /// Tells producers what became of their batches.
    pub(super) fn tell(&self, hub: &mut Hub, acked: Vec<(Waiting, Result<i64, ErrorCode>)>) {
        for (waiting, told) in acked {
            hub.send(self.party(), waiting.to, Message::Produced(waiting.id, told));
        }
    }

    pub(super) fn settle(&mut self, hub: &mut Hub, partition: i32, done: Done) -> Going {
        let Done { acked, propose, flush } = done;
        self.tell(hub, acked);
        if let Some(proposal) = propose {
            self.propose(hub, partition, proposal);
        }
        if flush && hub.rng.chance(700) {
            let now = self.wall(hub);
            if let Some(replica) = self.replicas.get(&partition) {
                let end = replica.log.segment_sizes().last().map_or(0, |s| s.0);
                replica.log.flush(end, now)?;
            }
        }
        Ok(())
    }

    /// Asks the controller for other in-sync replicas.
    fn propose(&mut self, hub: &mut Hub, partition: i32, proposal: IsrProposal) {
        let Some(topic_id) = self.image.topic_id(TOPIC) else { return };
        let me = self.me;
        let broker_epoch = self.epoch;
        let state = |(broker_id, epoch): &(i32, i64)| {
            let broker_epoch = if *broker_id == me { broker_epoch } else { *epoch };
            BrokerState { broker_id: *broker_id, broker_epoch }
        };
        let data = AlterPartitionRequestPartitionData {
            partition_index: partition,
            leader_epoch: proposal.leader_epoch,
            new_isr_with_epochs: proposal.isr.iter().map(state).collect(),
            partition_epoch: proposal.partition_epoch,
            ..AlterPartitionRequestPartitionData::default()
        };
        let topics = vec![AlterPartitionRequestTopicData { topic_id, partitions: vec![data] }];
        let request = AlterPartitionRequest { broker_id: me, broker_epoch, topics };
        let id = hub.id();
        if let Some(replica) = self.replicas.get_mut(&partition)
            && let Role::Leader(leading) = &mut replica.role
        {
            leading.proposal = Some((id, proposal, hub.now));
        }
        let ask = Message::Ask(id, Box::new(Command::AlterPartition(request)));
        hub.send(self.party(), Party::Controller, ask);
    }

    /// The controller answered a proposal.
    pub(super) fn controller_said(&mut self, hub: &mut Hub, id: Id, reply: &Reply) -> Going {
        let world = self.world(hub);
        let found = self.replicas.values_mut().find_map(|replica| {
            let partition = replica.partition;
            let Role::Leader(leading) = &mut replica.role else { return None };
            let asked = leading.proposal.as_ref().is_some_and(|(asked, ..)| *asked == id);
            asked.then(|| leading.proposal.take().map(|(_, p, _)| (partition, p)))?
        });
        let Some((partition, proposal)) = found else { return Ok(()) };
        let answer = match reply {
            Reply::AlterPartition(r) if r.error_code == ErrorCode::NONE => {
                r.topics.first().and_then(|t| t.partitions.first()).and_then(IsrAnswer::of)
            }
            _ => None,
        };
        let Some(answer) = answer else {
            // Proposed again, unchanged.
            let again = hub.now.saturating_sub(PATIENCE_MS - 50);
            if let Some(replica) = self.replicas.get_mut(&partition)
                && let Role::Leader(leading) = &mut replica.role
            {
                leading.proposal = Some((0, proposal, again));
            }
            return Ok(());
        };
        hub.trace.say(hub.now, format_args!("b{} hears of {partition}: {answer:?}", self.me));
        let Some(replica) = self.replicas.get_mut(&partition) else { return Ok(()) };
        let done = replica.answered(&proposal, answer, &world);
        self.settle(hub, partition, done)
    }

    pub(super) fn check(&mut self, hub: &mut Hub, stalled: Stalled) -> Going {
        let world = self.world(hub);
        for partition in self.replicas.keys().copied().collect::<Vec<_>>() {
            let Some(replica) = self.replicas.get_mut(&partition) else { continue };
            let done = replica.check(&world, stalled);
            self.settle(hub, partition, done)?;
        }
        Ok(())
    }

    pub(super) fn follow(
        &mut self,
        hub: &mut Hub,
        partition: i32,
        leader: i32,
        epoch: i32,
    ) -> Going {
        let now = self.wall(hub);
        let Some(replica) = self.replicas.get_mut(&partition) else { return Ok(()) };
        let same = match &replica.role {
            Role::Idle(known) => leader < 0 && *known == epoch,
            Role::Follower(f) => (f.leader, f.follower.epoch()) == (leader, epoch),
            Role::Leader(_) => false,
        };
        if same {
            return Ok(());
        }
        let acked = replica.resign(epoch);
        if leader >= 0 {
            let follower = Follower::new(epoch, FOLLOWER_PATIENCE);
            if let Some(cut) = Follower::first_cut(&Local(&replica.log)) {
                if let Err(Trouble::Disk(why)) = replica.cut(cut, now) {
                    return Err(Stop::Disk(why));
                }
                self.files.write_recovery_points()?;
            }
            let following = Following { leader, follower, asked: None, asked_ends: None };
            replica.role = Role::Follower(following);
        }
        self.tell(hub, acked);
        Ok(())
    }

    /// Followers ask their leaders, and leaders propose again.
    pub(super) fn poll(&mut self, hub: &mut Hub) -> Going {
        if self.epoch < 0 {
            return Ok(());
        }
        for partition in self.replicas.keys().copied().collect::<Vec<_>>() {
            self.ask(hub, partition);
            let Some(replica) = self.replicas.get_mut(&partition) else { continue };
            if let Role::Leader(leading) = &mut replica.role {
                let late = |at: u64| hub.now >= at + PATIENCE_MS;
                let due = leading.proposal.as_ref().filter(|(_, _, at)| late(*at));
                if let Some((_, proposal, _)) = due.cloned() {
                    if leading.leader.isr_is_pending() {
                        self.propose(hub, partition, proposal);
                    } else {
                        leading.proposal = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// A follower asks its leader, unless it waits for an answer.
    fn ask(&mut self, hub: &mut Hub, partition: i32) {
        let (me, party, broker_epoch) = (self.me, self.party(), self.epoch);
        let now = hub.mono();
        let Some(replica) = self.replicas.get_mut(&partition) else { return };
        let Role::Follower(following) = &mut replica.role else { return };
        if let Some((_, at)) = following.asked_ends
            && hub.now >= at + PATIENCE_MS
        {
            following.asked_ends = None;
            following.follower.failed(now);
        }
        if following.asked.is_some_and(|(_, _, at)| hub.now < at + PATIENCE_MS) {
            return;
        }
        let Some(ask) = following.follower.ask(&Local(&replica.log), now) else { return };
        let id = hub.id();
        following.asked = Some((id, ask, hub.now));
        let fetch = Fetch { partition, broker: me, broker_epoch, ask };
        hub.send(party, Party::Broker(following.leader), Message::Fetch(id, fetch));
    }

    /// Appends what a client sent. Of what is refused the client is to be told.
    fn append(
        &mut self,
        hub: &mut Hub,
        partition: i32,
        batch: &AppendBatch,
        rules: Rules,
        asker: (Party, Id),
    ) -> Result<Result<(), ErrorCode>, Stop> {
        let (world, now) = (self.world(hub), self.wall(hub));
        let missing = || Trouble::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let replica = self.replicas.get_mut(&partition).ok_or_else(missing);
        let epoch = replica.as_ref().map_or(-1, |r| r.epoch());
        match replica.and_then(|r| r.append(batch, rules, asker, now, &world)) {
            Ok(done) => {
                self.accepted.push((partition, epoch));
                self.settle(hub, partition, done).map(Ok)
            }
            Err(trouble) => told(trouble),
        }
    }

    /// A message about replicas arrives.
    pub(super) fn replicate(&mut self, hub: &mut Hub, from: Party, message: Message) -> Going {
        match message {
            Message::Fetched(id, fetched) => return self.fetched(hub, id, &fetched),
            Message::EndsAre(id, ends) => return self.learned(hub, id, ends),
            _ => {}
        }
        // Clients and followers wait until the metadata know of this life.
        if self.stage != Stage::Serving {
            return Ok(());
        }
        let world = self.world(hub);
        let (me, now) = (self.party(), self.wall(hub));
        let missing = || Trouble::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        match message {
            Message::Fetch(id, fetch) => {
                let partition = fetch.partition;
                let replica = self.replicas.get_mut(&partition).ok_or_else(missing);
                let served = match replica.and_then(|r| r.serve(&fetch, &world)) {
                    Ok(done) => Ok(done),
                    Err(trouble) => told(trouble)?,
                };
                match served {
                    Ok((answer, done)) => {
                        hub.send(me, from, Message::Fetched(id, answer));
                        self.settle(hub, partition, done)
                    }
                    Err(code) => {
                        hub.send(me, from, Message::Fetched(id, Fetched::refused(code)));
                        Ok(())
                    }
                }
            }
            Message::Ends(id, partition, epoch) => {
                let replica = self.replicas.get_mut(&partition).ok_or_else(missing);
                let ends = match replica.and_then(|r| r.ends(epoch)) {
                    Ok(ends) => Ok(ends),
                    Err(trouble) => told(trouble)?,
                };
                hub.send(me, from, Message::EndsAre(id, ends));
                Ok(())
            }
            Message::Produce(id, produce) => {
                let Some(batch) = records::split(&produce.batch) else { return Ok(()) };
                let rules = Rules::of(Origin::Client);
                match self.append(hub, produce.partition, &batch, rules, (from, id))? {
                    Ok(()) => {}
                    Err(code) => hub.send(me, from, Message::Produced(id, Err(code))),
                }
                Ok(())
            }
            Message::Mark(id, mark) => {
                let Some(batch) = records::marker(&mark, now) else { return Ok(()) };
                let rules = Rules { marker: MarkerRule::Later, ..Rules::of(Origin::Coordinator) };
                match self.append(hub, mark.partition, &batch, rules, (from, id))? {
                    Ok(()) => {}
                    Err(code) => hub.send(me, from, Message::Produced(id, Err(code))),
                }
                Ok(())
            }
            Message::ConsumeStable(id, partition, epoch, offset) => {
                let replica = self.replicas.get_mut(&partition).ok_or_else(missing);
                let got = match replica.and_then(|r| r.consume_stable(epoch, offset)) {
                    Ok(got) => Ok(got),
                    Err(trouble) => told(trouble)?,
                };
                hub.send(me, from, Message::ConsumedStable(id, got));
                Ok(())
            }
            Message::Consume(id, partition, epoch, offset) => {
                let replica = self.replicas.get_mut(&partition).ok_or_else(missing);
                let got = match replica.and_then(|r| r.consume(epoch, offset)) {
                    Ok(got) => Ok(got),
                    Err(trouble) => told(trouble)?,
                };
                hub.send(me, from, Message::Consumed(id, got));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The follower that asked with this request, and what it asked.
    fn asked(&mut self, id: Id) -> Option<(i32, FetchAsk)> {
        self.replicas.values_mut().find_map(|replica: &mut Replica| {
            let Role::Follower(following) = &mut replica.role else { return None };
            let (_, ask, _) = following.asked.filter(|(asked, ..)| *asked == id)?;
            following.asked = None;
            Some((replica.partition, ask))
        })
    }

    /// A leader answered a fetch.
    fn fetched(&mut self, hub: &mut Hub, id: Id, fetched: &Fetched) -> Going {
        let Some((partition, ask)) = self.asked(id) else { return Ok(()) };
        let (now, wall, party, me) = (hub.mono(), self.wall(hub), self.party(), self.me);
        let Some(replica) = self.replicas.get_mut(&partition) else { return Ok(()) };
        let Role::Follower(following) = &mut replica.role else { return Ok(()) };
        let answer = FetchAnswer {
            error: fetched.error,
            high_watermark: fetched.high_watermark,
            start_offset: fetched.start_offset,
            diverging: fetched.diverging,
        };
        let next = following.follower.answered(&ask, &answer, &Local(&replica.log), now);
        let epoch = following.follower.epoch();
        let done = match next {
            Next::Nothing => return Ok(()),
            Next::Append => replica.take(epoch, fetched, wall),
            Next::Cut(cut) => {
                let (from, hw) = (replica.log.end_offset(), replica.log.high_watermark());
                let why = (ask.last_epoch, fetched.diverging);
                hub.trace.say(
                    hub.now,
                    format_args!("b{me} cuts {partition}: {cut:?}, end {from}, hw {hw}, {why:?}"),
                );
                replica.cut(cut, wall)
            }
            Next::Ask => {
                let (leader, id) = (following.leader, hub.id());
                following.asked_ends = Some((id, hub.now));
                hub.send(party, Party::Broker(leader), Message::Ends(id, partition, epoch));
                return Ok(());
            }
        };
        self.followed(hub, partition, done, !fetched.records.is_empty())
    }

    fn followed(
        &mut self,
        hub: &mut Hub,
        partition: i32,
        done: Result<Taken, Trouble>,
        more: bool,
    ) -> Going {
        let now = hub.mono();
        let Some(replica) = self.replicas.get_mut(&partition) else { return Ok(()) };
        let Role::Follower(following) = &mut replica.role else { return Ok(()) };
        match done {
            Ok(Taken { flush, cut }) => {
                following.follower.fine();
                if cut {
                    self.files.write_recovery_points()?;
                }
                if more {
                    self.ask(hub, partition);
                }
                self.settle(hub, partition, Done { flush, ..Done::default() })
            }
            Err(Trouble::Disk(why)) => Err(Stop::Disk(why)),
            Err(Trouble::Code(code)) => {
                hub.trace
                    .say(hub.now, format_args!("b{} cannot take {partition}: {code}", self.me));
                following.follower.failed(now);
                Ok(())
            }
        }
    }

    /// A leader said where its log begins and ends.
    fn learned(&mut self, hub: &mut Hub, id: Id, ends: Result<(i64, i64), ErrorCode>) -> Going {
        let (now, wall) = (hub.mono(), self.wall(hub));
        let found = self.replicas.values_mut().find(|replica| {
            matches!(&replica.role, Role::Follower(f) if f.asked_ends.is_some_and(|(a, _)| a == id))
        });
        let Some(replica) = found else { return Ok(()) };
        let Role::Follower(following) = &mut replica.role else { return Ok(()) };
        following.asked_ends = None;
        let cut = match ends {
            Ok((start, end)) => following.follower.learned(start, end, &Local(&replica.log), now),
            Err(_) => {
                following.follower.failed(now);
                None
            }
        };
        let Some(cut) = cut else { return Ok(()) };
        let partition = replica.partition;
        hub.trace
            .say(hub.now, format_args!("b{} cuts {partition}, out of range: {cut:?}", self.me));
        let done = replica.cut(cut, wall);
        self.followed(hub, partition, done, true)
    }
}
