//! The metadata log and the controller in power: the real machine, and a model of the quorum that
//! keeps its log. Records count once they are committed; when power changes, what was not
//! committed may be lost, and nobody was answered for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use ottla_controller::{
    Command, Controller, Reply, Settings, State, Waits, batches, bootstrap_records,
};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_metadata::{Image, Loader, MetadataVersion};
use ottla_wire::schema::metadata::MetadataRecord;

use crate::hub::{Hub, Timer};
use crate::message::{Id, Message, Party};
use crate::{CLUSTER, Verdict, violated};

const ME: Party = Party::Controller;

/// Records that one answer carries at most.
const MOST_PULLED: usize = 200;

/// The session timeout of brokers, in milliseconds.
pub const SESSION_MS: u64 = 2_000;

struct Parked {
    end: usize,
    to: Party,
    id: Id,
    reply: Reply,
}

/// Which time controllers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// The true one. A tick once planned comes, wanted or not.
    True,
    /// Each one's clock that never goes back began at another time, and its wall clock jumps. The next
    /// tick comes when the last decision wants it.
    Differ,
}

/// The metadata log, and who decides what is written to it.
pub struct Quorum {
    log: Vec<Rc<MetadataRecord>>,
    /// Where batches end.
    ends: Vec<usize>,
    committed: usize,
    /// The metadata as committed.
    loader: Loader,
    /// The controller in power, if any.
    term: u64,
    power: Option<(State, Waits)>,
    parked: Vec<Parked>,
    tick_at: u64,
    clocks: Clocks,
    /// By how many milliseconds the wall clock of the controller in power is ahead.
    wall_offset: i64,
    /// And its clock that never goes back.
    mono_ahead: u64,
    /// How many milliseconds a commit takes at most.
    pub commit_ms: u64,
}

fn settings() -> Settings {
    Settings {
        cluster_id: CLUSTER.into(),
        session_timeout_ms: SESSION_MS,
        rebalance_every_ms: Some(5_000),
        unclean_every_ms: 5_000,
        ..Settings::default()
    }
}

impl Quorum {
    /// A quorum whose log is empty. A controller comes to power soon.
    pub fn new(hub: &mut Hub, clocks: Clocks) -> Self {
        hub.timer(ME, 0, 1, Timer::Elect);
        Self {
            log: Vec::new(),
            ends: vec![0],
            committed: 0,
            loader: Loader::default(),
            term: 0,
            power: None,
            parked: Vec::new(),
            tick_at: u64::MAX,
            clocks,
            wall_offset: 0,
            mono_ahead: 0,
            commit_ms: 6,
        }
    }

    /// The metadata as committed.
    #[must_use]
    pub fn image(&self) -> &Image {
        self.loader.image()
    }

    /// The metadata with all that was decided, while a controller is in power.
    #[must_use]
    pub fn decided(&self) -> Option<&Image> {
        self.power.as_ref().map(|(state, _)| state.image())
    }

    /// The records that are committed.
    #[must_use]
    pub fn committed(&self) -> &[Rc<MetadataRecord>] {
        self.log.get(..self.committed).unwrap_or_default()
    }

    /// The controller in power loses it. Another comes to power after `ms`.
    pub fn fail(&mut self, hub: &mut Hub, ms: u64) {
        self.power = None;
        self.parked.clear();
        self.tick_at = u64::MAX;
        self.term += 1;
        hub.timer(ME, self.term, ms, Timer::Elect);
    }

    /// The wall clock of the controller in power jumps, forwards or backwards; sometimes the other one
    /// has run on while nobody did, as on a machine that was suspended.
    pub fn jump_clock(&mut self, hub: &mut Hub) {
        self.wall_offset = hub.rng.below(36_000_000) as i64 - 18_000_000;
        if hub.rng.chance(300) {
            self.mono_ahead += hub.rng.below(SESSION_MS + SESSION_MS / 4);
        }
        let (wall, mono) = (self.wall_offset, self.mono_ahead);
        hub.trace
            .say(hub.now, format_args!("the controller's clocks are ahead by {wall}, {mono} ms"));
    }

    /// A timer fires.
    pub fn timer(&mut self, hub: &mut Hub, term: u64, what: Timer) -> Verdict {
        if term != self.term {
            return Ok(());
        }
        match what {
            Timer::Elect => self.elect(hub),
            Timer::Commit(end) => self.commit(hub, end),
            Timer::Tick if self.tick_at <= hub.now => {
                self.tick_at = u64::MAX;
                self.decide(hub, Command::Tick, None)
            }
            _ => Ok(()),
        }
    }

    /// Somebody comes to power, with all that is committed and perhaps some of what is not.
    fn elect(&mut self, hub: &mut Hub) -> Verdict {
        let may: Vec<usize> = self.ends.iter().copied().filter(|e| *e >= self.committed).collect();
        let end = hub.rng.pick(&may).unwrap_or(self.committed);
        hub.trace.say(hub.now, format_args!("controller elected at {end} of {}", self.log.len()));
        self.log.truncate(end);
        self.ends.retain(|e| *e <= end);
        let mut state = State::default();
        for record in &self.log {
            Controller::apply(&mut state, record);
        }
        let seed = [hub.rng.draw(), hub.rng.draw(), hub.rng.draw(), hub.rng.draw()];
        self.power = Some((state, Waits::new(settings(), seed)));
        if self.clocks == Clocks::Differ {
            self.mono_ahead = hub.rng.below(100_000_000);
            self.jump_clock(hub);
        }
        let records = bootstrap_records(MetadataVersion::LATEST, &BTreeMap::new());
        let bootstrap = records.map_err(|e| violated("controller", e))?;
        self.schedule_commit(hub);
        self.decide(hub, Command::Activate { bootstrap }, None)
    }

    fn schedule_commit(&mut self, hub: &mut Hub) {
        let ms = hub.rng.within(1, self.commit_ms);
        hub.timer(ME, self.term, ms, Timer::Commit(self.log.len()));
    }

    fn decide(&mut self, hub: &mut Hub, command: Command, from: Option<(Party, Id)>) -> Verdict {
        let Some((state, waits)) = &mut self.power else { return Ok(()) };
        let mut next = Some(command);
        let mut replies = Vec::new();
        let mut wake_at = None;
        while let Some(command) = next.take() {
            let mono = hub.mono().plus_ms(self.mono_ahead);
            let time = Time { mono, wall_ms: hub.now as i64 + self.wall_offset };
            let decision = Controller::decide(state, waits, time, Ticket(1), command);
            let version = state.image().features().version();
            let mut end = self.log.len();
            for batch in batches(&decision.records, version) {
                end += batch.len();
                self.ends.push(end);
            }
            for record in decision.records {
                Controller::apply(state, &record);
                hub.trace.say(hub.now, format_args!("decided {}: {record:?}", self.log.len()));
                self.log.push(Rc::new(record));
            }
            replies.extend(decision.replies);
            wake_at = decision.wake_at;
            next = decision.again;
        }
        if state.faults().0 > 0 {
            return Err(violated(
                "controller",
                format!("records do not fit: {:?}", state.faults()),
            ));
        }
        if let (Some((to, id)), Some((_, reply))) = (from, replies.pop()) {
            self.parked.push(Parked { end: self.log.len(), to, id, reply });
        }
        self.plan_tick(hub, wake_at);
        if self.committed < self.log.len() {
            self.schedule_commit(hub);
        } else {
            self.release(hub);
        }
        Ok(())
    }

    fn plan_tick(&mut self, hub: &mut Hub, wake_at: Option<Mono>) {
        let here = |at: Mono| at.0.saturating_sub(self.mono_ahead).max(hub.now + 1);
        let at = wake_at.map_or(u64::MAX, here);
        let comes = self.clocks == Clocks::True && self.tick_at < at;
        if comes || at == self.tick_at {
            return;
        }
        self.tick_at = at;
        if at < u64::MAX {
            hub.timer(ME, self.term, at - hub.now, Timer::Tick);
        }
    }

    fn commit(&mut self, hub: &mut Hub, end: usize) -> Verdict {
        for at in self.committed..end.min(self.log.len()) {
            let Some(record) = self.log.get(at) else { break };
            let done = self.loader.apply(record, at as i64);
            done.map_err(|e| violated("controller", format!("a committed record: {e}")))?;
            self.committed = at + 1;
        }
        self.release(hub);
        Ok(())
    }

    fn release(&mut self, hub: &mut Hub) {
        let committed = self.committed;
        let (due, rest) =
            std::mem::take(&mut self.parked).into_iter().partition(|p| p.end <= committed);
        self.parked = rest;
        for Parked { to, id, reply, .. } in due {
            hub.send(ME, to, Message::Answer(id, Box::new(reply)));
        }
    }

    /// A message arrives.
    pub fn receive(&mut self, hub: &mut Hub, from: Party, message: Message) -> Verdict {
        if self.power.is_none() {
            return Ok(());
        }
        match message {
            Message::Ask(id, command) => self.decide(hub, *command, Some((from, id))),
            Message::Pull(id, after) => {
                let end = self.committed.min(after.saturating_add(MOST_PULLED));
                let records = self.log.get(after..end).unwrap_or_default().to_vec();
                let answer = Message::Pulled(id, after, records, self.committed);
                hub.send(ME, from, answer);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
