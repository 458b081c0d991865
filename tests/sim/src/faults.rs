//! What the cluster is made to suffer, and what it must not be made to suffer.
//!
//! Without fsync an acknowledged record survives as long as one replica that may lead has it. Those
//! that may lead are the in-sync and the eligible ones; a broker that did not stop in order is
//! taken out of both when it registers again, whether it lost anything or not. So the promise is
//! exact if power is lost at one machine at a time, while another replica that may lead is sound,
//! and if no process is killed meanwhile. And a kill that leaves no replica that may lead makes the
//! last leader lead again, so that one must not have lost power since it was last in sync.

use ottla_controller::Command;
use ottla_metadata::{Image, Partition};
use ottla_wire::api::alter_partition::AlterPartitionRequest;
use ottla_wire::api::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_wire::api::elect_leaders::{ElectLeadersRequest, TopicPartitions};

use crate::hub::{Event, Passing};
use crate::message::{Message, Party};
use crate::net::Quality;
use crate::node::Damage;
use crate::world::World;
use crate::{OFFSETS, TOPIC, Verdict};

/// Records of each producer that are not deleted: its next batches are judged by them.
const KEPT: usize = 40;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    LosePower,
    KillInWrite,
    LosePowerInWrite,
    Leave,
    Pause,
    PauseController,
    FailController,
    SlowCommits,
    Isolate,
    CutFromController,
    CutPair,
    Degrade,
    FillDisk,
    JumpClock,
    Reassign,
    Cancel,
    ElectPreferred,
    DeleteRecords,
    JumpControllerClock,
    FreeOrphan,
}

const KINDS: [(Kind, u64); 19] = [
    (Kind::Kill, 8),
    (Kind::LosePower, 14),
    (Kind::KillInWrite, 6),
    (Kind::LosePowerInWrite, 8),
    (Kind::Leave, 8),
    (Kind::Pause, 8),
    (Kind::PauseController, 3),
    (Kind::FailController, 6),
    (Kind::SlowCommits, 4),
    (Kind::Isolate, 8),
    (Kind::CutFromController, 8),
    (Kind::CutPair, 10),
    (Kind::Degrade, 8),
    (Kind::FillDisk, 3),
    (Kind::JumpClock, 4),
    (Kind::Reassign, 8),
    (Kind::Cancel, 3),
    (Kind::ElectPreferred, 4),
    (Kind::DeleteRecords, 4),
];

/// What else, where controllers have clocks that jump, and there is a topic that nobody can lead.
const WIDE: [(Kind, u64); 2] = [(Kind::JumpControllerClock, 6), (Kind::FreeOrphan, 1)];

/// How often something happens, by run: between these many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// At least.
    pub from: u64,
    /// At most.
    pub to: u64,
}

/// The sets of brokers of which one must keep what a partition has: those that may lead it, as
/// committed, as decided, and as they will be if a request under way is taken; and who led last.
fn may_lead(world: &World, partition: i32) -> (Vec<Vec<i32>>, Option<i32>) {
    let of = |p: &Partition| -> Vec<i32> { p.isr.iter().chain(p.elr().iter()).copied().collect() };
    let found = |image: &Image| image.topic_named(TOPIC)?.partition(partition).cloned();
    let images = std::iter::once(world.quorum.image()).chain(world.quorum.decided());
    let known: Vec<Partition> = images.filter_map(found).collect();
    let mut sets: Vec<Vec<i32>> = known.iter().map(of).collect();
    for event in world.hub.waiting().chain(&world.controller_held) {
        let Event::Deliver { message: Message::Ask(_, command), .. } = event else { continue };
        let Command::AlterPartition(request) = &**command else { continue };
        sets.extend(wanted(request, partition));
    }
    let last = known.last().and_then(|p| match p.leader {
        leader if leader >= 0 => Some(leader),
        _ => p.last_known_elr().first().copied(),
    });
    (sets, last)
}

fn wanted(request: &AlterPartitionRequest, partition: i32) -> Option<Vec<i32>> {
    let topic = request.topics.first()?;
    let data = topic.partitions.iter().find(|data| data.partition_index == partition)?;
    Some(data.new_isr_with_epochs.iter().map(|state| state.broker_id).collect())
}

/// Whether each set that a broker is in has another member that is sound.
fn spared(world: &World, id: i32, partition: i32) -> bool {
    let sound = |other: &i32| *other != id && world.nodes.get(other).is_some_and(|n| n.is_sound());
    let (sets, last) = may_lead(world, partition);
    sets.iter().all(|set| match set.is_empty() {
        // Then the last leader leads again.
        true => last != Some(id),
        false => !set.contains(&id) || set.iter().any(sound),
    })
}

/// Whether a broker is all that a reassignment will leave.
fn stays_alone(world: &World, id: i32, partition: i32) -> bool {
    let images = std::iter::once(world.quorum.image()).chain(world.quorum.decided());
    let alone = |image: &Image| {
        let p = image.topic_named(TOPIC)?.partition(partition)?;
        let staying = |r: &&i32| !p.removing().contains(r);
        Some(p.replicas.iter().filter(staying).eq([&id]))
    };
    images.filter_map(alone).any(|alone| alone)
}

fn may_lose_power(world: &World, id: i32) -> bool {
    let others_sound = world.nodes.values().all(|n| n.id == id || n.is_sound());
    others_sound
        && (0..world.partitions).all(|p| spared(world, id, p) && !stays_alone(world, id, p))
}

fn may_die(world: &World, id: i32) -> bool {
    let lossy = |n: &crate::node::Node| n.damage == Damage::Lossy || n.armed == Some(Damage::Lossy);
    if world.nodes.values().any(lossy) {
        return false;
    }
    (0..world.partitions).all(|partition| {
        let (_, last) = may_lead(world, partition);
        let kept =
            |last: i32| world.nodes.get(&last).is_none_or(|n| !n.behind.contains(&partition));
        spared(world, id, partition) || last.is_none_or(kept)
    })
}

impl World {
    /// Something happens. The next thing is due after a while.
    pub fn suffer(&mut self) -> Verdict {
        let ms = self.hub.rng.within(self.pace.from, self.pace.to);
        self.hub.after(ms, Event::Fault);
        let wide: &[(Kind, u64)] = if self.wide { &WIDE } else { &[] };
        let kinds = || KINDS.iter().chain(wide);
        let total: u64 = kinds().map(|(_, weight)| weight).sum();
        let mut at = self.hub.rng.below(total);
        let kind = kinds().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let Some((kind, _)) = kind.copied() else { return Ok(()) };
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(id) = self.hub.rng.pick(&ids) else { return Ok(()) };
        let partition = self.hub.rng.below(self.partitions as u64) as i32;
        match kind {
            Kind::Kill | Kind::LosePower | Kind::KillInWrite | Kind::LosePowerInWrite => {
                self.accident(kind, id);
                Ok(())
            }
            Kind::Leave | Kind::Pause | Kind::FillDisk | Kind::JumpClock => {
                self.nuisance(kind, id);
                Ok(())
            }
            Kind::PauseController | Kind::FailController | Kind::SlowCommits => {
                self.trouble_controller(kind);
                Ok(())
            }
            Kind::Isolate | Kind::CutFromController | Kind::CutPair | Kind::Degrade => {
                self.trouble_network(kind, id);
                Ok(())
            }
            Kind::Reassign => self.reassign(partition),
            Kind::Cancel => self.cancel(partition),
            Kind::ElectPreferred => {
                let topic = TopicPartitions { topic: TOPIC.into(), partitions: vec![partition] };
                self.admin(Command::ElectLeaders(ElectLeadersRequest {
                    election_type: 0,
                    topic_partitions: Some(vec![topic]),
                    ..ElectLeadersRequest::default()
                }))
            }
            Kind::DeleteRecords => {
                self.delete_records(partition);
                Ok(())
            }
            Kind::JumpControllerClock => {
                self.quorum.jump_clock(&mut self.hub);
                Ok(())
            }
            Kind::FreeOrphan => self.free_orphan(),
        }
    }

    fn accident(&mut self, kind: Kind, id: i32) {
        let lossy = matches!(kind, Kind::LosePower | Kind::LosePowerInWrite);
        let how = if lossy { Damage::Lossy } else { Damage::Killed };
        let own = self.nodes.get(&id).is_some_and(crate::node::Node::is_sound);
        let may = if lossy { own && may_lose_power(self, id) } else { may_die(self, id) };
        let ms = self.hub.rng.within(20, 4_000);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if !may || node.process.is_none() || node.armed.is_some() {
            return;
        }
        if matches!(kind, Kind::Kill | Kind::LosePower) {
            node.crash(&mut self.hub, how, ms);
        } else {
            let changes = self.hub.rng.below(40);
            self.hub.trace.say(self.hub.now, format_args!("b{id} will crash: {how:?}"));
            node.arm(how, changes);
        }
    }

    /// Accidents that are to come, and must not any more, do not.
    pub fn judge_again(&mut self) {
        let armed = |n: &&crate::node::Node| n.armed.is_some() || n.full;
        let waiting: Vec<(i32, Option<Damage>)> =
            self.nodes.values().filter(armed).map(|n| (n.id, n.armed)).collect();
        for (id, how) in waiting {
            let may = match how {
                Some(Damage::Lossy) => may_lose_power(self, id),
                _ => may_die(self, id),
            };
            if let Some(node) = self.nodes.get_mut(&id).filter(|_| !may) {
                self.hub.trace.say(self.hub.now, format_args!("b{id} is spared"));
                node.disarm();
                node.set_room(None);
            }
        }
    }

    fn nuisance(&mut self, kind: Kind, id: i32) {
        let fill = kind == Kind::FillDisk && may_die(self, id);
        let ms = self.hub.rng.within(100, 4_000);
        let (now, hub) = (self.hub.now, &mut self.hub);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        match kind {
            Kind::Leave => {
                hub.trace.say(now, format_args!("b{id} is asked to stop"));
                node.leave();
            }
            Kind::Pause if !node.paused && node.process.is_some() => {
                hub.trace.say(now, format_args!("b{id} stands still for {ms} ms"));
                node.paused = true;
                hub.after(ms, Event::Over(Passing::Pause(id)));
            }
            Kind::FillDisk if fill && node.armed.is_none() && !node.full => {
                hub.trace.say(now, format_args!("b{id}'s disk fills up for {ms} ms"));
                let room = hub.rng.below(6_000);
                node.set_room(Some(room));
                hub.after(ms, Event::Over(Passing::Full(id)));
            }
            Kind::JumpClock => {
                let offset = hub.rng.below(36_000_000) as i64 - 18_000_000;
                hub.trace.say(now, format_args!("b{id}'s clock is off by {offset} ms"));
                node.set_wall_offset(offset);
            }
            _ => {}
        }
    }

    fn trouble_controller(&mut self, kind: Kind) {
        let ms = self.hub.rng.within(50, 3_000);
        self.hub.trace.say(self.hub.now, format_args!("{kind:?} for {ms} ms"));
        match kind {
            Kind::FailController => self.quorum.fail(&mut self.hub, ms / 3),
            Kind::PauseController => {
                self.controller_paused = true;
                self.hub.after(ms, Event::Over(Passing::ControllerPause));
            }
            _ => {
                self.quorum.commit_ms = 700;
                self.hub.after(ms, Event::Over(Passing::SlowCommits));
            }
        }
    }

    fn trouble_network(&mut self, kind: Kind, id: i32) {
        let ms = self.hub.rng.within(200, 5_000);
        let other = self.hub.rng.pick(&self.nodes.keys().copied().collect::<Vec<_>>());
        let one_way = self.hub.rng.chance(400);
        let me = Party::Broker(id);
        self.hub.trace.say(self.hub.now, format_args!("{kind:?} b{id} {other:?} for {ms} ms"));
        let over = match kind {
            Kind::Isolate => {
                self.hub.net.part(me, Party::Controller);
                for other in self.nodes.keys().filter(|other| **other != id) {
                    self.hub.net.part(me, Party::Broker(*other));
                }
                Passing::Cut
            }
            Kind::CutFromController if one_way => {
                self.hub.net.cut(Party::Controller, me);
                Passing::Cut
            }
            Kind::CutFromController => {
                self.hub.net.part(me, Party::Controller);
                Passing::Cut
            }
            Kind::CutPair => {
                let Some(other) = other.filter(|other| *other != id) else { return };
                match one_way {
                    true => self.hub.net.cut(me, Party::Broker(other)),
                    false => self.hub.net.part(me, Party::Broker(other)),
                }
                Passing::Cut
            }
            _ => {
                let rng = &mut self.hub.rng;
                let (lost, doubled) = (rng.below(150), rng.below(100));
                let (late, late_ms) = (rng.below(300), rng.within(10, 1_500));
                self.hub.net.quality = Quality { lost, doubled, late, late_ms };
                Passing::Quality
            }
        };
        self.hub.after(ms, Event::Over(over));
    }

    /// What passes has passed.
    pub fn over(&mut self, what: Passing) {
        self.hub.trace.say(self.hub.now, format_args!("over: {what:?}"));
        match what {
            Passing::Cut => self.hub.net.mend(),
            Passing::Quality => self.hub.net.quality = Quality::GOOD,
            Passing::Pause(id) => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.resume(&mut self.hub);
                }
            }
            Passing::ControllerPause => self.resume_controller(),
            Passing::Full(id) => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.set_room(None);
                }
            }
            Passing::SlowCommits => self.quorum.commit_ms = 6,
        }
    }

    fn decided(&self, partition: i32) -> Option<Partition> {
        let image = self.quorum.decided()?;
        image.topic_named(TOPIC)?.partition(partition).cloned()
    }

    fn alter_assignment(&mut self, partition: i32, replicas: Option<Vec<i32>>) -> Verdict {
        let wanted = ReassignablePartition { partition_index: partition, replicas };
        let topic = ReassignableTopic { name: TOPIC.into(), partitions: vec![wanted] };
        self.admin(Command::AlterPartitionReassignments(AlterPartitionReassignmentsRequest {
            topics: vec![topic],
            ..AlterPartitionReassignmentsRequest::default()
        }))
    }

    fn reassign(&mut self, partition: i32) -> Verdict {
        let Some(p) = self.decided(partition) else { return Ok(()) };
        if p.is_reassigning() {
            return Ok(());
        }
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        // One replica alone must be one that has lost nothing.
        let sound = self.nodes.values().all(crate::node::Node::is_sound);
        let count = match self.hub.rng.below(10) {
            0 if sound => 1,
            0 | 1 => 2,
            2 => 4,
            _ => 3,
        };
        let target = self.hub.rng.some(&ids, count);
        self.targets.asked(partition, &target);
        self.hub.trace.say(self.hub.now, format_args!("{partition} is to go to {target:?}"));
        self.alter_assignment(partition, Some(target))
    }

    fn cancel(&mut self, partition: i32) -> Verdict {
        // What it was to leave may be one alone that has lost something, and nobody knows yet.
        if self.nodes.values().any(|node| node.damage == Damage::Lossy) {
            return Ok(());
        }
        self.hub.trace.say(self.hub.now, format_args!("{partition} is to stay"));
        self.alter_assignment(partition, None)
    }

    /// Old records are deleted, by a leader that may not be one any more.
    fn delete_records(&mut self, partition: i32) {
        if partition == OFFSETS {
            return;
        }
        let share = self.hub.rng.below(1_000) as i64;
        let most = self.committed.behind_all(partition, self.producers.len(), KEPT);
        for node in self.nodes.values_mut() {
            let Some(process) = &mut node.process else { continue };
            let Some(replica) = process.replicas.get_mut(&partition) else { continue };
            if !matches!(replica.role, crate::replica::Role::Leader(_)) || node.paused {
                continue;
            }
            let log = &replica.log;
            let (start, end) = (log.start_offset(), log.high_watermark().min(most));
            if end > start {
                let to = start + (end - start) * share / 1_000;
                let done = log.set_start_offset(to).is_ok();
                let id = node.id;
                self.hub.trace.say(self.hub.now, format_args!("b{id} deletes to {to}: {done}"));
            }
        }
    }
}
