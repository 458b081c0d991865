//! Whether whole nodes serve again once the faults have stopped: topics are made by way of any broker, all brokers are
//! registered and in service, every partition has its preferred leader and all its replicas in sync, and these are the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ottla_engine::{OFFSETS_TOPIC, PartitionId};
use ottla_metadata::Image;
use ottla_quorum::Quorum;

use super::admins::{Admins, Shape};
use super::committers::Committers;
use super::host::Part;
use super::plan::Plan;
use super::producers::Producers;
use super::sharers::Sharers;
use super::world::World;
use crate::rng::Rng;
use crate::{Verdict, Violation, violated};

/// How many commit offsets.
const COMMITTERS: usize = 2;

/// What there is besides the quorum, where whole nodes are simulated.
#[derive(Debug)]
pub struct Service {
    /// Who wants something of controllers.
    pub admins: Arc<Admins>,
    /// Who writes records.
    pub producers: Arc<Producers>,
    /// Who commits offsets.
    pub committers: Arc<Committers>,
    /// Who shares partitions out.
    pub sharers: Arc<Sharers>,
    /// The brokers by whose way a topic was made since the faults stopped.
    reached: Arc<Mutex<BTreeSet<i32>>>,
    producing: u64,
    asking: u64,
    sharing: u64,
}

impl Service {
    /// What a plan asks for.
    pub fn new(plan: &Plan, rng: &mut Rng, world: &World) -> Self {
        let (wires, load) = (world.wires.clone(), world.load.clone());
        let admins = Admins::new(wires.clone(), load.clone(), world.ledger.clone());
        let brokers = plan.brokers().len() as u64;
        let replicas = rng.within(2, brokers.min(3)) as i16;
        let shape = Shape {
            partitions: rng.within(1, 3) as i32,
            replicas,
            min_in_sync: rng.within(1, 2) as i16,
        };
        let of_offsets = Shape { partitions: rng.within(1, 2) as i32, ..shape };
        let committers =
            Committers::new(admins.clone(), wires.clone(), load.clone(), of_offsets, plan.flushes);
        let sharers = Sharers::new(admins.clone(), wires.clone(), load.clone());
        let producers = Producers::new(admins.clone(), wires, load, shape);
        let (producing, asking) = (rng.within(1, 3), plan.proposers);
        // In half of the runs.
        let sharing = if rng.chance(500) { rng.within(2, 4) } else { 0 };
        let reached = Arc::default();
        Self { admins, producers, committers, sharers, reached, producing, asking, sharing }
    }

    /// Lets all begin.
    pub fn begin(&self) {
        tokio::spawn(self.producers.clone().begin(self.producing));
        tokio::spawn(self.committers.clone().begin(COMMITTERS));
        self.sharers.begin(self.sharing);
        for _ in 0..self.asking {
            let stay = [self.producers.topic.clone(), OFFSETS_TOPIC.to_owned()];
            tokio::spawn(self.admins.clone().run(stay));
        }
    }

    /// Wants a topic by way of each broker.
    fn probe(&self, brokers: &[i32], world: &World) {
        for id in brokers.iter().copied() {
            let (admins, reached) = (self.admins.clone(), self.reached.clone());
            let (wires, name) = (world.wires.clone(), world.load.name());
            tokio::spawn(async move {
                let shape = Shape { partitions: 1, replicas: 1, min_in_sync: 1 };
                admins.insist(|| Some(id), &name, shape).await;
                wires.say(format_args!("{name} was made by way of {id}"));
                reached.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            });
        }
    }

    fn reached(&self) -> BTreeSet<i32> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl World {
    /// The faults have stopped.
    pub(super) fn probe(&self) {
        if let Some(service) = &self.service {
            service.probe(&self.plan.brokers(), self);
        }
    }

    /// Whether a topic was made by way of each broker since then.
    pub(super) fn is_reached(&self) -> bool {
        let Some(service) = &self.service else { return true };
        let reached = service.reached();
        self.plan.brokers().iter().all(|id| reached.contains(id))
    }

    /// What answers and records must be like at any time.
    pub(super) fn inspect_service(&mut self) -> Verdict {
        let Some(service) = &self.service else { return Ok(()) };
        self.ledger.verdict()?;
        service.committers.verdict()?;
        service.sharers.verdict()?;
        self.laws.records.hear(&service.producers)?;
        service.producers.learned(self.laws.records.ends());
        for host in self.hosts.values() {
            let Some(life) = host.life.filter(|_| !host.disk.is_dead()) else { continue };
            let Some((_, Part::Broker(broker))) = self.wires.part(host.id) else { continue };
            let Some(engine) = broker.engine() else { continue };
            let image = engine.image();
            let Some(topic) = image.topic_named(&service.producers.topic) else { continue };
            for (number, _) in topic.partitions.iter() {
                if let Ok(partition) = engine.replicas.get(PartitionId::new(topic.id, number)) {
                    let allowed = (self.plan.flushes, service.producers.unwanted(number));
                    self.laws.records.inspect((host.id, life), &partition, allowed)?;
                }
            }
        }
        Ok(())
    }

    /// Whether everybody serves, by the metadata of now.
    pub(super) fn is_serving(&self) -> Result<bool, Violation> {
        let Some(service) = &self.service else { return Ok(true) };
        if !service.producers.are_done() || !service.committers.are_done() {
            return Ok(false);
        }
        if service.sharers.ailing().is_some() {
            return Ok(false);
        }
        let Some((_, leader, _)) = self.wires.leader() else { return Ok(false) };
        let image = leader.updates().image();
        for id in self.plan.brokers() {
            let Some((_, Part::Broker(broker))) = self.wires.part(id) else { return Ok(false) };
            let Some(engine) = broker.engine() else { return Ok(false) };
            if !engine.life.is_active_in(&image, id) {
                return Ok(false);
            }
        }
        if !all_in_sync(&image) || !self.are_whole(&image)? {
            return Ok(false);
        }
        self.laws.records.complete()?;
        let gone = self.ledger.gone();
        if let Some(topic) = image.topics().find(|topic| gone.contains(&topic.id)) {
            let what = format!("{} was deleted, and is there", topic.name);
            return Err(violated("answers", what));
        }
        Ok(true)
    }

    /// Whether all replicas of the producers' topic hold the same.
    fn are_whole(&self, image: &Image) -> Result<bool, Violation> {
        let Some(service) = &self.service else { return Ok(true) };
        let Some(topic) = image.topic_named(&service.producers.topic) else { return Ok(false) };
        for (number, partition) in topic.partitions.iter() {
            let log = |id: i32| {
                let (_, part) = self.wires.part(id)?;
                let Part::Broker(broker) = part else { return None };
                let replica = broker.engine()?.replicas.get(PartitionId::new(topic.id, number));
                replica.ok().map(|replica| replica.log())
            };
            let Some(leading) = log(partition.leader) else { return Ok(false) };
            for id in partition.replicas.as_slice() {
                let Some(log) = log(*id) else { return Ok(false) };
                if !self.laws.records.is_whole((*id, number), &log, leading.start_offset())? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What whole brokers are, for a failure's text.
    pub(super) fn served(&self) -> String {
        let Some(service) = &self.service else { return String::new() };
        let Some((_, leader, _)) = self.wires.leader() else { return "\n    nobody leads".into() };
        let image = leader.updates().image();
        let mut text = format!(
            "\n    reached {:?}, producers done {}, committers done {}, group: {:?}",
            service.reached(),
            service.producers.are_done(),
            service.committers.are_done(),
            service.sharers.ailing()
        );
        for broker in image.brokers() {
            let (id, epoch, fenced) = (broker.id, broker.epoch, broker.fenced);
            text.push_str(&format!("\n    broker {id}: epoch {epoch}, fenced {fenced}"));
        }
        for topic in image.topics() {
            for (number, partition) in topic.partitions.iter().filter(|(_, p)| !is_in_sync(p)) {
                text.push_str(&format!("\n    {}-{number}: {partition:?}", topic.name));
            }
        }
        text
    }
}

/// Whether a partition is as it is wanted: led by the first, all in sync, and nobody to come or go.
fn is_in_sync(partition: &ottla_metadata::Partition) -> bool {
    let (replicas, isr) = (partition.replicas.as_slice(), partition.isr.as_slice());
    partition.has_preferred_leader()
        && !partition.is_reassigning()
        && replicas.iter().all(|id| isr.contains(id))
}

fn all_in_sync(image: &Image) -> bool {
    image.topics().all(|topic| topic.partitions.iter().all(|(_, p)| is_in_sync(p)))
}
