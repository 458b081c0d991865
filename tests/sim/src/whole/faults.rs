//! What nodes, disks, wires and clocks suffer.
//!
//! Any of it may come at any time, but for one thing: a controller's disk is emptied only while all others have theirs, as
//! the quorum promises no more than to bear the loss of one disk at a time. One that began late counts as such a loss until it has
//! caught up. Who has to get its log back is ended more often than others.
//!
//! With whole nodes disks fill up, too, for a while. What a process finds no room for may end it; it is started again then.

use std::collections::BTreeSet;
use std::path::Path;

use ottla_log::disk::Disk;
use ottla_quorum::Quorum;
use ottla_quorum::directories::METADATA_PARTITION;
use ottla_quorum::simulated;

use super::clock;
use super::host::{DATA, Host, Lost, Part};
use super::plan::{Keys, Kind, Scope};
use super::wires::Weather;
use super::world::{Cut, Emptied, End, World};

/// The fewest voters.
const FEWEST: usize = 3;

/// The most voters.
const MOST: usize = 5;

/// For how long a disk is full at most.
const LONGEST_FULL_MS: u64 = 4_000;

/// What a disk that fills up has room for, at most.
const MOST_ROOM: u64 = 6_000;

/// How far a clock jumps at most.
const JUMP_MS: u64 = 2 * 24 * 3_600_000;

impl World {
    /// Lets something happen, if it is time.
    pub(super) fn fault(&mut self) {
        let now = clock::now();
        if now < self.next_fault {
            return;
        }
        self.next_fault = now + self.rng.within(1, 2 * self.plan.fault_gap_ms);
        let all: Vec<i32> = self.hosts.keys().copied().collect();
        let Some(id) = self.rng.pick(&all) else { return };
        let leader = self.leader();
        // Who leads is worth more.
        let id = leader.filter(|_| self.rng.chance(250)).unwrap_or(id);
        let behind = self.emptied.map(|emptied| emptied.id);
        let id = behind.filter(|_| self.rng.chance(250)).unwrap_or(id);
        match self.rng.below(100) {
            0..16 => {
                let how = self.how();
                let rest_ms = self.rest();
                self.end(id, how, rest_ms);
            }
            16..30 => self.die_soon(id),
            30..33 => {
                self.wires.say("the power fails");
                for id in all {
                    let rest_ms = self.rest();
                    self.end(id, End::PowerLost, rest_ms);
                }
            }
            37..45 if self.plan.scope == Scope::Nodes => self.fill(id),
            33..45 => self.hold(id),
            45..62 => self.cut(id, &all),
            // Whose vote is missed while others have not come yet.
            62..67 if !self.plan.late.is_empty() => self.revote(),
            62..72 => self.change_weather(),
            72..77 => {
                let by_ms = self.rng.below(JUMP_MS).cast_signed() - (JUMP_MS / 2).cast_signed();
                self.wires.say(format_args!("{id}'s clock jumps by {by_ms} ms"));
                clock::jump(id, by_ms);
            }
            77..82 => self.resign(),
            82..86 => self.snapshot(id),
            86..92 => self.empty(id),
            _ => self.revote(),
        }
    }

    fn leader(&self) -> Option<i32> {
        let (life, ..) = self.wires.leader()?;
        self.hosts.values().find(|host| host.life == Some(life)).map(|host| host.id)
    }

    fn how(&mut self) -> End {
        if self.rng.chance(500) { End::Killed } else { End::PowerLost }
    }

    fn rest(&mut self) -> u64 {
        let most = if self.rng.chance(300) { 5_000 } else { 600 };
        self.rng.within(1, most)
    }

    /// A node dies in the middle of one of its next changes of the disk.
    fn die_soon(&mut self, id: i32) {
        let changes = self.rng.below(60);
        if let Some(host) = self.hosts.get(&id).filter(|host| host.life.is_some()) {
            self.wires.say(format_args!("{id} dies after {changes} changes"));
            host.disk.die_after(changes);
        }
    }

    fn hold(&mut self, id: i32) {
        let most = if self.rng.chance(300) { 6_000 } else { 900 };
        let until = clock::now() + self.rng.within(10, most);
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if let Some(life) = host.life {
            self.wires.say(format_args!("{id} is held up until {until}"));
            host.held_until = Some(until);
            simulated::hold(life);
        }
    }

    /// A node's disk fills up, for a while.
    fn fill(&mut self, id: i32) {
        let until = clock::now() + self.rng.within(50, LONGEST_FULL_MS);
        let room = self.rng.below(MOST_ROOM);
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.full_until.is_none()) else {
            return;
        };
        self.wires.say(format_args!("{id}'s disk takes {room} bytes more until {until}"));
        host.fill(room, until);
    }

    /// Cuts one node off, in one direction or both; or the nodes in two.
    fn cut(&mut self, id: i32, all: &[i32]) {
        let others = || all.iter().copied().filter(move |other| *other != id);
        let ways: Vec<(i32, i32)> = match self.rng.below(4) {
            0 => others().map(|other| (id, other)).collect(),
            1 => others().map(|other| (other, id)).collect(),
            2 => others().flat_map(|other| [(id, other), (other, id)]).collect(),
            _ => {
                let count = self.rng.within(1, all.len() as u64 - 1) as usize;
                let some = self.rng.some(all, count);
                let ways = all.iter().flat_map(|from| all.iter().map(|to| (*from, *to)));
                ways.filter(|(from, to)| some.contains(from) != some.contains(to)).collect()
            }
        };
        let most = if self.rng.chance(300) { 8_000 } else { 1_500 };
        let until = clock::now() + self.rng.within(50, most);
        self.wires.say(format_args!("until {until} nothing gets through {ways:?}"));
        self.wires.cut(&ways);
        self.cuts.push(Cut { ways, until });
    }

    fn change_weather(&mut self) {
        let rng = &mut self.rng;
        let weather = if rng.chance(400) {
            Weather { delay_ms: 2, ..Weather::default() }
        } else {
            Weather {
                lose: rng.below(120),
                lose_answer: rng.below(120),
                double: rng.below(150),
                delay_ms: rng.within(1, 40),
            }
        };
        self.wires.say(format_args!("{weather:?}"));
        self.wires.set_weather(weather);
    }

    fn resign(&mut self) {
        if let Some((life, leader, _)) = self.wires.leader() {
            self.wires.say("the leader is to resign");
            let asks = async move { leader.resign(None).await };
            tokio::spawn(simulated::of(life, asks));
        }
    }

    fn snapshot(&mut self, id: i32) {
        if let Some((life, part)) = self.wires.part(id) {
            self.wires.say(format_args!("{id} is to write a snapshot"));
            let part = part.quorum();
            let asks = async move { part.snapshot().await.map(|_| ()) };
            tokio::spawn(simulated::of(life, asks));
        }
    }

    /// A node comes back with an empty disk.
    fn empty(&mut self, id: i32) {
        let Some(kind) = self.hosts.get(&id).map(|host| host.kind) else { return };
        // A broker's records are on as many disks as its topics ask for, and no more.
        let may = match kind {
            Kind::Member => self.emptied.is_none() && self.has_begun() && self.are_sound(id),
            Kind::Observer => true,
            Kind::Broker | Kind::Combined => return self.stop(id),
        };
        if !may {
            return;
        }
        let (rest_ms, seed) = (self.rest(), self.rng.draw());
        self.end(id, End::PowerLost, rest_ms);
        self.wires.say(format_args!("{id}'s disk is empty"));
        let goal = self.committed();
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let before = host.key();
        let lost = if seed % 3 == 0 && kind == Kind::Member { Lost::Log } else { Lost::All };
        host.empty(&self.plan, seed, lost);
        if kind == Kind::Member {
            if self.wanted.remove(&before) {
                self.wanted.insert(host.key());
            }
            self.emptied = Some(Emptied { id, goal, since: None });
        }
    }

    /// Whether all who are to vote, but for one, have what is committed, and may.
    fn are_sound(&self, but: i32) -> bool {
        let path = Path::new(DATA).join(METADATA_PARTITION).join("catching-up");
        let is_sound = |host: &Host| {
            let part = self.wires.part(host.id);
            let has = part.is_some_and(|(_, part)| !part.quorum().updates().image().is_empty());
            has && matches!(host.disk.exists(&path), Ok(false))
        };
        let voters = self.hosts.values().filter(|host| self.wanted.contains(&host.key()));
        let at_once = self.plan.begins_at_once();
        // All that are to vote do by now.
        let leader = self.wires.leader();
        let all = leader.is_some_and(|(_, leader, _)| {
            let known: BTreeSet<_> = leader.describe().voters.iter().map(|v| v.key).collect();
            self.plan.keys == Keys::Nodes || known.is_superset(&self.wanted)
        });
        (all || at_once) && voters.filter(|host| host.id != but).all(is_sound)
    }

    /// A broker is stopped in order.
    fn stop(&mut self, id: i32) {
        let Some((life, Part::Broker(broker))) = self.wires.part(id) else { return };
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.leaving != Some(life)) else {
            return;
        };
        host.leaving = Some(life);
        let wires = self.wires.clone();
        wires.say(format_args!("{id} is to stop"));
        tokio::spawn(simulated::of(life, async move {
            match broker.stop().await {
                Ok(()) => wires.leave(id, life),
                Err(why) => wires.fail(id, life, format!("it does not stop: {why}")),
            }
        }));
    }

    /// Another controller is to vote, or one no more.
    fn revote(&mut self) {
        if self.plan.keys == Keys::Nodes {
            return;
        }
        let members = self.hosts.values().filter(|host| host.kind.is_member());
        let others = members.map(|host| host.key()).filter(|key| !self.wanted.contains(key));
        let others: Vec<_> = others.collect();
        let wanted: Vec<_> = self.wanted.iter().copied().collect();
        if self.wanted.len() < MOST
            && self.rng.chance(500)
            && let Some(key) = self.rng.pick(&others)
        {
            self.wanted.insert(key);
        } else if self.wanted.len() > FEWEST
            && let Some(key) = self.rng.pick(&wanted)
        {
            self.wanted.remove(&key);
        }
    }
}
