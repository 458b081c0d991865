//! The life of a cluster: nodes rise and fall, and are looked at all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::Disk;
use ottla_quorum::simulated::{self, Life};
use ottla_quorum::{NodeKey, ObserverQuorum, Quorum, RaftQuorum, Voter, VoterChange};
use tokio::task::JoinHandle;

use super::broker::{self, Broker};
use super::carriers::Lines;
use super::clock;
use super::controller;
use super::host::{Host, Part, member};
use super::laws::Laws;
use super::ledger::Ledger;
use super::load::Load;
use super::plan::{Flushes, Keys, Kind, Plan, Scope};
use super::service::Service;
use super::wires::{Plug, Weather, Wires};
use crate::rng::Rng;
use crate::{Outcome, Trace, Verdict, Violation, violated};

/// Within how many milliseconds after the last fault all must be well.
const HEAL_MS: u64 = 120_000;

/// The longest step between two looks.
const STEP_MS: u64 = 12;

/// How long a change of the voters is waited for.
const CHANGE: Duration = Duration::from_secs(40);

/// The pause after one.
const CHANGE_REST_MS: u64 = 200;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What it wrote is there.
    Killed,
    /// What was not flushed may be lost.
    PowerLost,
}

/// A controller that came back with nothing.
#[derive(Clone, Copy, Debug)]
pub struct Emptied {
    /// Which one.
    pub id: i32,
    /// What it must have before another one may be emptied.
    pub goal: i64,
    /// Since when it has that.
    pub since: Option<u64>,
}

/// Ways that are cut, until a time.
#[derive(Clone, Debug)]
pub struct Cut {
    /// From whom to whom.
    pub ways: Vec<(i32, i32)>,
    /// Until when.
    pub until: u64,
}

/// The cluster.
#[derive(Debug)]
pub struct World {
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) wires: Arc<Wires>,
    pub(super) hosts: BTreeMap<i32, Host>,
    pub(super) cuts: Vec<Cut>,
    /// Who is to vote; not said where members know each other by their node ids.
    pub(super) wanted: BTreeSet<NodeKey>,
    pub(super) emptied: Option<Emptied>,
    pub(super) next_fault: u64,
    pub(super) laws: Laws,
    pub(super) load: Arc<Load>,
    pub(super) ledger: Arc<Ledger>,
    /// What there is besides the quorum.
    pub(super) service: Option<Service>,
    lives: u32,
    change: Option<JoinHandle<()>>,
    next_change: u64,
}

/// Lives through what the seed tells.
pub async fn live(scope: Scope, seed: u64, trace: Trace) -> Outcome {
    clock::begin();
    let mut world = World::new(scope, seed, trace);
    let result = world.go().await;
    Outcome {
        acked: world.acked(),
        committed: world.laws.batches() + world.laws.records.committed(),
        healed_after: result.as_ref().copied().unwrap_or_default(),
        violation: result.err(),
        trace: world.wires.end(),
    }
}

impl World {
    fn new(scope: Scope, seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(scope, &mut rng);
        let wires = Wires::new(Rng::new(rng.draw()), trace);
        wires.say(format_args!("{plan:?}"));
        let mut hosts = BTreeMap::new();
        for (id, kind) in &plan.hosts {
            hosts.insert(*id, Host::new(*id, *kind, &plan, rng.draw()));
        }
        let wanted = plan.wanted.iter().filter_map(|id| hosts.get(id).map(Host::key)).collect();
        let load: Arc<Load> = Arc::default();
        let ledger = Ledger::new(wires.clone(), load.clone());
        let mut world = Self {
            rng,
            plan,
            wires,
            hosts,
            cuts: Vec::new(),
            wanted,
            emptied: None,
            next_fault: 0,
            laws: Laws::default(),
            load,
            ledger,
            service: None,
            lives: 0,
            change: None,
            next_change: 0,
        };
        if scope == Scope::Nodes {
            let mut rng = Rng::new(world.rng.draw());
            world.service = Some(Service::new(&world.plan, &mut rng, &world));
        }
        world
    }

    /// How much was acknowledged.
    fn acked(&self) -> u64 {
        let records = self
            .service
            .as_ref()
            .map_or(0, |service| service.producers.acked() + service.committers.acked());
        (self.load.acked() + records) as u64
    }

    /// Milliseconds from the last fault until all was well.
    async fn go(&mut self) -> Result<u64, Violation> {
        match &self.service {
            Some(service) => service.begin(),
            None => {
                for _ in 0..self.plan.proposers {
                    tokio::spawn(self.load.clone().run(self.wires.clone()));
                }
            }
        }
        let mut healing = None;
        loop {
            tokio::time::sleep(Duration::from_millis(1 + self.rng.below(STEP_MS))).await;
            self.mend();
            self.rise()?;
            self.inspect()?;
            self.operate();
            let now = clock::now();
            match healing {
                None if now < self.plan.faults_ms => self.fault(),
                None => {
                    self.heal();
                    healing = Some(now);
                }
                Some(since) => {
                    if self.is_well(since)? {
                        return Ok(now - since);
                    }
                    if now - since > HEAL_MS {
                        return Err(violated("healing", self.states()));
                    }
                }
            }
        }
    }

    /// Starts who is due.
    fn rise(&mut self) -> Verdict {
        let now = clock::now();
        for host in self.hosts.values_mut() {
            if host.life.is_some() || host.start_at.is_none_or(|at| at > now) {
                continue;
            }
            self.lives += 1;
            let life = Life(self.lives);
            (host.life, host.start_at) = (Some(life), None);
            host.was_full = host.full_until.is_some();
            self.wires.say(format_args!("{} starts as {}", host.id, life.0));
            let options = host.options(&self.plan);
            let members = self.plan.hosts.iter().filter(|(_, kind)| kind.is_member());
            let controllers = members.map(|(id, _)| *id).collect();
            let (wires, ledger, id) = (self.wires.clone(), self.ledger.clone(), host.id);
            let plug = Arc::new(Plug { wires, id, ledger, lines: Lines::default(), controllers });
            let config = controller::settings(id, &self.plan).map_err(|e| violated("start", e))?;
            let scope = self.plan.scope;
            match host.kind {
                Kind::Member => self.wires.start((host.id, life), async move {
                    let joined = RaftQuorum::join(options, plug).await;
                    let quorum = Arc::new(joined.map_err(|e| e.to_string())?);
                    let controller = match scope {
                        Scope::Quorum => None,
                        Scope::Nodes => Some(controller::start(id, &quorum, &config)?),
                    };
                    Ok(Part::Member(quorum, controller))
                }),
                Kind::Observer => self.wires.start((host.id, life), async move {
                    let started = ObserverQuorum::start(options, plug).await;
                    started.map(|q| Part::Observer(Arc::new(q))).map_err(|e| e.to_string())
                }),
                kind @ (Kind::Broker | Kind::Combined) => {
                    let start = broker::Start { options, plug, config, life, kind };
                    self.wires.start((host.id, life), Broker::start(start));
                }
            }
        }
        Ok(())
    }

    /// Ends a node's process, to start again after `rest_ms`.
    pub(super) fn end(&mut self, id: i32, how: End, rest_ms: u64) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        // What a broker has not flushed it may call its own where nothing but its process ends.
        let keeps = host.kind.is_broker() && self.plan.flushes == Flushes::Never;
        let how = if keeps { End::Killed } else { how };
        self.wires.say(format_args!("{id} ends: {how:?}, back in {rest_ms} ms"));
        if let Some(life) = host.life.take() {
            simulated::end(life);
        }
        self.wires.down(id);
        // Whatever is left of the process cannot touch the disk.
        let disk = host.disk.next_process();
        match how {
            End::Killed => disk.revive(),
            End::PowerLost => disk.lose_power(),
        }
        host.disk = disk;
        host.held_until = None;
        host.start_at = Some(clock::now() + rest_ms);
    }

    /// Ends what has lasted long enough.
    fn mend(&mut self) {
        let now = clock::now();
        let over: Vec<Cut> = self.cuts.extract_if(.., |cut| cut.until <= now).collect();
        for cut in over {
            self.wires.mend(&cut.ways);
        }
        // Another cut may have one of the ways still.
        for cut in &self.cuts {
            self.wires.cut(&cut.ways);
        }
        for host in self.hosts.values_mut() {
            if host.full_until.is_some_and(|until| until <= now) {
                self.wires.say(format_args!("{}'s disk has room", host.id));
                host.clear();
            }
            if host.held_until.is_some_and(|until| until <= now) {
                host.held_until = None;
                self.wires.say(format_args!("{} goes on", host.id));
                host.life.into_iter().for_each(simulated::release);
            }
        }
        let hosts = self.hosts.values().filter(|host| host.life.is_some());
        let left = hosts.filter(|host| self.wires.left(host.id) == host.life);
        let left: Vec<i32> = left.map(|host| host.id).collect();
        for id in left {
            let rest_ms = self.rng.within(1, 1_000);
            self.end(id, End::Killed, rest_ms);
        }
        let dead = self.hosts.values().filter(|host| host.life.is_some() && host.disk.is_dead());
        let dead: Vec<i32> = dead.map(|host| host.id).collect();
        for id in dead {
            let how = if self.rng.chance(500) { End::Killed } else { End::PowerLost };
            let rest_ms = self.rng.within(1, 2_000);
            self.end(id, how, rest_ms);
        }
    }

    /// Looks at all nodes.
    fn inspect(&mut self) -> Verdict {
        self.laws.hear(&self.load)?;
        let mut choked = Vec::new();
        for host in self.hosts.values() {
            let Some(life) = host.life else { continue };
            if host.disk.is_dead() {
                continue;
            }
            self.laws.inspect_disk(host, &self.plan)?;
            let id = host.id;
            let failed = self.wires.failed(id).filter(|failed| failed.life == life);
            let part = self.wires.part(id).map(|(_, part)| part);
            let over = match (failed, &part) {
                (Some(failed), _) => Some(("start", failed.why)),
                (None, Some(part)) => part.ended().map(|why| ("ended", why)),
                (None, None) => None,
            };
            match over {
                Some((_, why)) if host.was_full => {
                    choked.push((id, why));
                    continue;
                }
                Some((law, why)) => return Err(violated(law, format!("node {id}: {why}"))),
                None => {}
            }
            let Some(part) = part else { continue };
            self.laws.inspect(host, life, &part)?;
            self.wires.step(part.log().high_watermark().cast_unsigned());
        }
        // Its process ends, and somebody starts it again.
        for (id, why) in choked {
            self.wires.say(format_args!("{id} found no room: {why}"));
            let rest_ms = self.rng.within(1, 1_500);
            self.end(id, End::Killed, rest_ms);
        }
        self.watch_emptied();
        self.inspect_service()
    }

    fn watch_emptied(&mut self) {
        let Some(emptied) = &mut self.emptied else { return };
        let Some(host) = self.hosts.get(&emptied.id) else { return };
        let path = std::path::Path::new(super::host::DATA)
            .join(ottla_quorum::directories::METADATA_PARTITION)
            .join("catching-up");
        let there = self.wires.part(emptied.id).is_some_and(|(_, part)| {
            part.quorum().updates().image().provenance().offset + 1 >= emptied.goal
        });
        let votes = self.plan.keys == Keys::Nodes
            || self.wires.leader().is_some_and(|(_, leader, _)| {
                leader.describe().voters.iter().any(|voter| voter.key == host.key())
                    || !self.wanted.contains(&host.key())
            });
        if !there || !votes || !matches!(host.disk.exists(&path), Ok(false)) {
            emptied.since = None;
            return;
        }
        let now = clock::now();
        if now - *emptied.since.get_or_insert(now) > 1_000 {
            self.emptied = None;
        }
    }

    /// Goes towards the voters that are wanted, one change at a time.
    fn operate(&mut self) {
        let now = clock::now();
        let busy = self.change.as_ref().is_some_and(|change| !change.is_finished());
        if self.plan.keys == Keys::Nodes || busy || now < self.next_change {
            return;
        }
        self.next_change = now + CHANGE_REST_MS;
        let Some((life, leader, _)) = self.wires.leader() else { return };
        let voters: BTreeSet<NodeKey> =
            leader.describe().voters.iter().map(|voter| voter.key).collect();
        let (gone, new) =
            (voters.difference(&self.wanted).next(), self.wanted.difference(&voters).next());
        // The place of a node id is taken by one of its directories at most.
        let taken = new.and_then(|new| voters.iter().find(|voter| voter.id == new.id));
        let change = match (taken, new, gone) {
            (None, Some(new), _) => VoterChange::Add(Voter { key: *new, member: member(new.id) }),
            (Some(old), ..) | (None, None, Some(old)) => VoterChange::Remove(*old),
            (None, None, None) => return,
        };
        let wires = self.wires.clone();
        wires.say(format_args!("to do: {change:?}"));
        self.change = Some(tokio::spawn(async move {
            let asks = async move { leader.change_voters(change).await };
            let asks = tokio::spawn(simulated::of(life, asks));
            match tokio::time::timeout(CHANGE, asks).await {
                Ok(Ok(Ok(()))) => wires.say("done"),
                Ok(Ok(Err(e))) => wires.say(format_args!("not done: {e}")),
                Ok(Err(_)) | Err(_) => wires.say("not known to be done"),
            }
        }));
    }

    /// All faults stop.
    fn heal(&mut self) {
        self.wires.say("all faults stop");
        self.probe();
        self.wires.set_weather(Weather { delay_ms: 2, ..Weather::default() });
        let now = clock::now();
        for cut in &mut self.cuts {
            cut.until = now;
        }
        for host in self.hosts.values_mut() {
            host.held_until = host.held_until.map(|_| now);
            host.start_at = host.start_at.map(|_| now);
            host.full_until = host.full_until.map(|_| now);
            if !host.disk.is_dead() {
                // No death is in store for it any more.
                host.disk.revive();
            }
        }
    }

    /// Whether everybody has everything.
    fn is_well(&mut self, since: u64) -> Result<bool, Violation> {
        if self.load.last_heard().is_none_or(|heard| heard <= since) || !self.is_reached() {
            return Ok(false);
        }
        self.load.end();
        let acked = self.load.acked_from(0);
        let goal = acked.iter().map(|acked| acked.at.offset).max().unwrap_or_default();
        let parts: Option<Vec<_>> =
            self.hosts.keys().map(|id| Some((*id, self.wires.part(*id)?.1))).collect();
        let Some(parts) = parts else { return Ok(false) };
        let images: Vec<_> =
            parts.iter().map(|(id, part)| (*id, part.quorum().updates().image())).collect();
        if images.iter().any(|(_, image)| image.provenance().offset < goal) {
            return Ok(false);
        }
        if self.plan.keys == Keys::Directories {
            let Some((_, leader, _)) = self.wires.leader() else { return Ok(false) };
            let voters: BTreeSet<_> =
                leader.describe().voters.iter().map(|voter| voter.key).collect();
            if voters != self.wanted {
                return Ok(false);
            }
        }
        if !self.is_serving()? {
            return Ok(false);
        }
        self.laws.hear(&self.load)?;
        self.laws.complete()?;
        let (proposed, going) = (self.load.proposed(), self.ledger.going());
        for (id, image) in images {
            let found: BTreeSet<String> = image.topics().map(|t| t.name.to_string()).collect();
            let mut stays = acked.iter().filter(|acked| !going.contains(&acked.name));
            if let Some(lost) = stays.find(|acked| !found.contains(&acked.name)) {
                return Err(violated("durable", format!("node {id} lost {lost:?}")));
            }
            if let Some(more) = found.difference(&proposed).next() {
                return Err(violated("durable", format!("node {id} made up {more}")));
            }
        }
        Ok(true)
    }

    /// The offset up to which something is known to be committed.
    pub(super) fn committed(&self) -> i64 {
        self.laws.end()
    }

    /// Whether something was ever acknowledged.
    pub(super) fn has_begun(&self) -> bool {
        self.load.acked() > 0
    }

    /// What each node is, for a failure's text.
    fn states(&self) -> String {
        let of = |host: &Host| match self.wires.part(host.id) {
            None => format!("\n    node {} is down", host.id),
            Some((_, part)) => {
                let (now, end) = (*part.quorum().leadership().borrow(), part.log().end_offset());
                let image = part.quorum().updates().image().provenance().offset;
                let voters: Vec<_> =
                    part.quorum().describe().voters.iter().map(|v| v.key.to_string()).collect();
                format!(
                    "\n    node {}: {now:?}, image at {image}, log to {end}, voters {voters:?}",
                    host.key()
                )
            }
        };
        let wanted: Vec<_> = self.wanted.iter().map(NodeKey::to_string).collect();
        let nodes: String = self.hosts.values().map(of).collect();
        let served = self.served();
        format!("not within {HEAL_MS} ms; voters wanted {wanted:?}{nodes}{served}")
    }
}
