//! A broker's machine: its disk, which outlives its processes, and what accidents did to it.

use std::rc::Rc;

use ottla_log::disk::sim::SimDisk;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::MetadataRecord;

use crate::hub::{Event, Hub, Timer};
use crate::message::Party;
use crate::process::{Going, Process, Stop};
use crate::{Verdict, violated};

/// What the last accident did, until the metadata know of the process that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// There was none.
    None,
    /// The process died; what it wrote is there.
    Killed,
    /// Power was lost, and with it what was not flushed.
    Lossy,
}

/// A broker's machine.
pub struct Node {
    /// The broker id.
    pub id: i32,
    /// The process, while it runs.
    pub process: Option<Process>,
    /// The last accident.
    pub damage: Damage,
    /// An accident that comes in the middle of a write to the disk.
    pub armed: Option<Damage>,
    /// Whether its disk is full.
    pub full: bool,
    /// Whether its processor stands still.
    pub paused: bool,
    /// By how many milliseconds its wall clock is ahead.
    pub wall_offset: i64,
    /// Partitions in which it was not in sync since it lost power.
    pub behind: std::collections::BTreeSet<i32>,
    /// How many of the process's metadata records were compared.
    pub compared: usize,
    disk: SimDisk,
    dir: Uuid,
    life: u64,
    held: Vec<Event>,
    metadata: Vec<Rc<MetadataRecord>>,
}

impl Node {
    /// A machine with an empty disk; it starts soon.
    pub fn new(id: i32, hub: &mut Hub) -> Self {
        let seed = hub.rng.draw();
        let disk = if hub.rng.chance(500) { SimDisk::harsh(seed) } else { SimDisk::new(seed) };
        let after = hub.rng.within(1, 300);
        hub.timer(Party::Broker(id), 1, after, Timer::Start);
        Self {
            id,
            process: None,
            damage: Damage::None,
            armed: None,
            full: false,
            paused: false,
            wall_offset: 0,
            behind: std::collections::BTreeSet::new(),
            compared: 0,
            disk,
            dir: Uuid::from_u128(7_000 + u128::from(id.unsigned_abs())),
            life: 1,
            held: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Whether nothing happened to it that the metadata do not know of, nor is about to.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage == Damage::None && self.armed.is_none() && !self.full
    }

    fn start(&mut self, hub: &mut Hub) -> Verdict {
        self.disk.revive();
        self.disk = self.disk.next_process();
        self.compared = 0;
        let metadata = self.metadata.clone();
        let (id, life) = (self.id, self.life);
        self.disk.set_now_ms(hub.now as i64 + self.wall_offset);
        match Process::start(id, life, &self.disk, self.dir, metadata, hub) {
            Ok(mut process) => {
                hub.trace.say(hub.now, format_args!("b{id} starts, life {life}"));
                process.wall_offset = self.wall_offset;
                self.process = Some(process);
                Ok(())
            }
            Err(stop) => self.stopped(hub, stop),
        }
    }

    /// An accident. It starts again after `ms`.
    pub fn crash(&mut self, hub: &mut Hub, how: Damage, ms: u64) {
        let id = self.id;
        hub.trace.say(hub.now, format_args!("b{id} crashes: {how:?}, for {ms} ms"));
        if let Some(process) = self.process.take() {
            self.metadata.clone_from(&process.applied);
        }
        if how == Damage::Lossy {
            let keep = hub.rng.below(self.metadata.len() as u64 + 1);
            self.metadata.truncate(keep as usize);
            self.disk.lose_power();
            self.behind = (0..crate::MOST_PARTITIONS).collect();
        }
        self.damage = self.damage.max(how);
        self.rest(hub, ms);
    }

    fn rest(&mut self, hub: &mut Hub, ms: u64) {
        self.armed = None;
        self.paused = false;
        self.held.clear();
        self.life += 1;
        hub.timer(Party::Broker(self.id), self.life, ms, Timer::Start);
    }

    fn stopped(&mut self, hub: &mut Hub, stop: Stop) -> Verdict {
        let ms = hub.rng.within(50, 2_500);
        match stop {
            Stop::Violation(violation) => Err(violation),
            Stop::Disk(why) => {
                if !self.full && !self.disk.is_dead() {
                    return Err(violated("disk", format!("b{}: {why}", self.id)));
                }
                hub.trace.say(hub.now, format_args!("b{}: {why}", self.id));
                let how = self.armed.filter(|_| self.disk.is_dead()).unwrap_or(Damage::Killed);
                self.crash(hub, how, ms);
                Ok(())
            }
            Stop::Leave => {
                let Some(process) = self.process.take() else { return Ok(()) };
                self.metadata.clone_from(&process.applied);
                match process.close(hub) {
                    Ok(()) => {
                        hub.trace.say(hub.now, format_args!("b{} stopped in order", self.id));
                        self.rest(hub, ms);
                        Ok(())
                    }
                    Err(e) => self.stopped(hub, e.into()),
                }
            }
        }
    }

    /// Something happens to it.
    pub fn handle(&mut self, hub: &mut Hub, event: Event) -> Verdict {
        if self.paused {
            self.held.push(event);
            return Ok(());
        }
        self.disk.set_now_ms(hub.now as i64 + self.wall_offset);
        let going: Going = match event {
            Event::Timer { life, what: Timer::Start, .. } => {
                return match self.process.is_none() && life == self.life {
                    true => self.start(hub),
                    false => Ok(()),
                };
            }
            Event::Timer { life, what, .. } => match &mut self.process {
                Some(process) if life == self.life => process.timer(hub, what),
                _ => Ok(()),
            },
            Event::Deliver { from, message, .. } => match &mut self.process {
                Some(process) => process.receive(hub, from, message),
                None => Ok(()),
            },
            Event::Fault | Event::Over(_) => Ok(()),
        };
        match going {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped(hub, stop),
        }
    }

    /// Ends the process if it died of something that it took lightly.
    pub fn bury(&mut self, hub: &mut Hub) -> Verdict {
        match self.process.is_some() && self.disk.is_dead() {
            true => self.stopped(hub, Stop::Disk("it died unseen".into())),
            false => Ok(()),
        }
    }

    /// Its processor runs again.
    pub fn resume(&mut self, hub: &mut Hub) {
        if self.paused {
            self.paused = false;
            for event in std::mem::take(&mut self.held) {
                hub.after(0, event);
            }
        }
    }

    /// The next accident comes in the middle of one of its next writes.
    pub fn arm(&mut self, how: Damage, changes: u64) {
        self.armed = Some(how);
        self.disk.die_after(changes);
    }

    /// No accident is to come.
    pub fn disarm(&mut self) {
        if self.armed.take().is_some() && !self.disk.is_dead() {
            self.disk.revive();
        }
    }

    /// Its disk takes so many bytes more, and then no more; `None` is any number.
    pub fn set_room(&mut self, bytes: Option<u64>) {
        let used = self.disk.used();
        self.full = bytes.is_some();
        self.disk.set_capacity(bytes.map_or(u64::MAX, |more| used.saturating_add(more)));
    }

    /// Sets its wall clock, by the true time.
    pub fn set_wall_offset(&mut self, ms: i64) {
        self.wall_offset = ms;
        if let Some(process) = &mut self.process {
            process.wall_offset = ms;
        }
    }

    /// Asks it to stop in order.
    pub fn leave(&mut self) {
        if let Some(process) = &mut self.process {
            process.stopping = true;
        }
    }
}
