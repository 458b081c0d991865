//! The one shape of every replicated state machine of the broker: *decide* records from a
//! command, then *apply* them. Controller, groups, share groups and transactions all have it.
//!
//! Invariant: [`Machine::decide`] reads state and cannot change it; [`Machine::apply`] is the only
//! way state changes, and cannot fail. So the state after a restart, which only applies, is the
//! state before it. Machines never ask for the time: they are told it.
//!
//! Start reading at [`Machine`].

/// The time as a machine is told it, at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Milliseconds on a clock that never goes back and never jumps: for deadlines and timeouts.
    pub mono: Mono,
    /// Milliseconds since 1970 on the wall clock, which may jump: for what is written in records.
    pub wall_ms: i64,
}

/// An instant on the monotonic clock, in milliseconds since an origin the shell chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// The instant `ms` milliseconds later; stays at the end of time instead of overflowing.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Names one request, so that its reply, perhaps of a much later decision, finds its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A replicated state machine.
///
/// `State` is what the log rebuilds. `Waits` is what a restart may lose: parked requests and
/// deadlines. The shell, for each command: calls [`decide`](Self::decide), appends the records so
/// that all or none survive, applies them at once in memory, and lets the replies go when everything
/// appended before is committed. Records of several decisions may share a batch. When an append
/// fails or leadership goes, the shell drops the machine and replays the log into a new one.
pub trait Machine {
    /// What the log rebuilds. `Default` is the state before the first record.
    type State: Default;
    /// What a restart may lose. `Default` is the state of one that just became leader.
    type Waits: Default;
    /// What is asked of the machine. A tick of the clock is a command too.
    type Command;
    /// What survives.
    type Record;
    /// What answers a command.
    type Reply;
    /// What the shell is asked to do besides, once the records are committed.
    type Effect;

    /// Decides what a command means. Reads `state`, changes nothing but `waits`.
    fn decide(
        state: &Self::State,
        waits: &mut Self::Waits,
        time: Time,
        ticket: Ticket,
        command: Self::Command,
    ) -> Decision<Self>;

    /// Applies one record. Cannot fail: what could fail was checked before it was decided.
    fn apply(state: &mut Self::State, record: &Self::Record);
}

/// What a machine decided.
#[derive(Debug)]
pub struct Decision<M: Machine + ?Sized> {
    /// To be appended as one atomic batch, in this order, and applied at once.
    pub records: Vec<M::Record>,
    /// Replies to this request and to earlier ones that were parked; they leave when `records`,
    /// and all that was appended before, are committed.
    pub replies: Vec<(Ticket, M::Reply)>,
    /// Carried out once `records` are committed.
    pub effects: Vec<M::Effect>,
    /// When the machine next wants a tick at the latest; `None` when no deadline is open.
    pub wake_at: Option<Mono>,
    /// What is to be decided next, before anything else, when the records of one command are too
    /// many for one batch. Its replies, and those of this decision, wait for the last of it.
    pub again: Option<M::Command>,
}

impl<M: Machine + ?Sized> Default for Decision<M> {
    fn default() -> Self {
        let (records, replies, effects) = (Vec::new(), Vec::new(), Vec::new());
        Self { records, replies, effects, wake_at: None, again: None }
    }
}

impl<M: Machine + ?Sized> Decision<M> {
    /// A decision that writes nothing and answers one request.
    #[must_use]
    pub fn reply(ticket: Ticket, reply: M::Reply) -> Self {
        Self { replies: vec![(ticket, reply)], ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_saturates() {
        assert_eq!(Mono(u64::MAX - 1).plus_ms(5), Mono(u64::MAX));
        assert_eq!(Mono(3).since(Mono(9)), 0);
        assert_eq!(Mono(9).since(Mono(3)), 6);
    }
}
