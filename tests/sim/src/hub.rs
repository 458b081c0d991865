//! Time, chance and the network: what everybody is handed to act with.

use std::collections::BTreeMap;

use ottla_machine::Mono;

use crate::message::{Id, Message, Party};
use crate::net::Net;
use crate::rng::Rng;
use crate::trace::Trace;

/// What is to happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message arrives.
    Deliver {
        /// Who sent it.
        from: Party,
        /// Who gets it.
        to: Party,
        /// What it says.
        message: Message,
    },
    /// A timer fires.
    Timer {
        /// Whose it is.
        of: Party,
        /// Of which of its lives; of others it means nothing.
        life: u64,
        /// What for.
        what: Timer,
    },
    /// The next fault is due.
    Fault,
    /// A passing fault ends.
    Over(Passing),
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A broker starts.
    Start,
    /// It looks for new metadata.
    Pull,
    /// It tells the controller that it lives, or registers.
    Beat,
    /// Its followers ask their leaders, and its leaders propose again what nobody answered.
    Poll,
    /// Its leaders look for followers that lag.
    Check,
    /// It flushes some logs.
    Flush,
    /// It writes checkpoints.
    Checkpoint,
    /// The controller's clock.
    Tick,
    /// So many records of the metadata log are committed.
    Commit(usize),
    /// A controller comes to power.
    Elect,
    /// A client does its next thing.
    Turn,
}

/// A fault that ends of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// Messages do not get through.
    Cut,
    /// Messages travel badly.
    Quality,
    /// A broker's processor stands still.
    Pause(i32),
    /// The controller's does.
    ControllerPause,
    /// A broker's disk is full.
    Full(i32),
    /// The metadata log commits slowly.
    SlowCommits,
}

/// Time, chance and the network.
#[derive(Debug)]
pub struct Hub {
    /// Milliseconds since the beginning.
    pub now: u64,
    /// Chance.
    pub rng: Rng,
    /// The network.
    pub net: Net,
    /// What happened.
    pub trace: Trace,
    queue: BTreeMap<(u64, u64), Event>,
    serial: u64,
}

impl Hub {
    /// The beginning of time.
    #[must_use]
    pub fn new(seed: u64, trace: Trace) -> Self {
        let (rng, net) = (Rng::new(seed), Net::default());
        Self { now: 1_000, rng, net, trace, queue: BTreeMap::new(), serial: 0 }
    }

    /// Now, as machines are told.
    #[must_use]
    pub fn mono(&self) -> Mono {
        Mono(self.now)
    }

    /// A name that was not given before.
    pub fn id(&mut self) -> Id {
        self.serial += 1;
        self.serial
    }

    /// Has an event happen after `ms`.
    pub fn after(&mut self, ms: u64, event: Event) {
        self.serial += 1;
        self.queue.insert((self.now + ms, self.serial), event);
    }

    /// Sets a timer.
    pub fn timer(&mut self, of: Party, life: u64, ms: u64, what: Timer) {
        self.after(ms, Event::Timer { of, life, what });
    }

    /// Sends a message, which may be lost.
    pub fn send(&mut self, from: Party, to: Party, message: Message) {
        for ms in self.net.travel(&mut self.rng, from, to) {
            self.after(ms, Event::Deliver { from, to, message: message.clone() });
        }
    }

    /// Goes on to the next event, if one is due until then.
    pub fn next(&mut self, until: u64) -> Option<Event> {
        let (at, _) = *self.queue.keys().next()?;
        if at > until {
            return None;
        }
        let ((at, number), event) = self.queue.pop_first()?;
        self.now = at;
        self.trace.step(at, number);
        Some(event)
    }

    /// What is still to happen.
    pub fn waiting(&self) -> impl Iterator<Item = &Event> {
        self.queue.values()
    }
}
