//! The deadlines of a shard: one ordered set, whatever the number of groups.
//!
//! Invariant: each armed [`Alarm`] is in the set exactly once, at the instant it holds. Putting a
//! deadline off moves nothing: the alarm rings at its old instant, is found early, and is set
//! again. So a heartbeat costs the look-up of its member and no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_machine::Mono;

use super::consumer::alarms::Kind;

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The session, or the parked join, of a member of a group.
    Member(Arc<str>, Arc<str>),
    /// The join phase of a group.
    Join(Arc<str>),
    /// The sync phase of a group.
    Sync(Arc<str>),
    /// A deadline of a member of a consumer group.
    Consumer(Arc<str>, Arc<str>, Kind),
}

/// One deadline of one thing: due at an instant, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alarm {
    due: Option<Mono>,
    armed: Option<Mono>,
}

impl Alarm {
    /// Whether it is set.
    pub(crate) fn is_set(self) -> bool {
        self.due.is_some()
    }

    /// When it is due, if it is set.
    #[cfg(test)]
    pub(crate) fn due(self) -> Option<Mono> {
        self.due
    }
}

/// All armed alarms by instant.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    armed: BTreeSet<(Mono, Topic)>,
}

impl Timers {
    /// Sets `alarm` to ring at `due`, in place of what it was set to before.
    pub(crate) fn set(&mut self, alarm: &mut Alarm, due: Mono, topic: impl FnOnce() -> Topic) {
        alarm.due = Some(due);
        match alarm.armed {
            Some(at) if at <= due => {}
            earlier => {
                let topic = topic();
                if let Some(at) = earlier {
                    self.armed.remove(&(at, topic.clone()));
                }
                self.armed.insert((due, topic));
                alarm.armed = Some(due);
            }
        }
    }

    /// Stops `alarm`.
    pub(crate) fn cancel(&mut self, alarm: &mut Alarm, topic: impl FnOnce() -> Topic) {
        alarm.due = None;
        if let Some(at) = alarm.armed.take() {
            self.armed.remove(&(at, topic()));
        }
    }

    /// Takes the next entry that rings at `now` or before.
    pub(crate) fn pop(&mut self, now: Mono) -> Option<Topic> {
        let (at, _) = self.armed.first()?;
        if *at > now {
            return None;
        }
        self.armed.pop_first().map(|(_, topic)| topic)
    }

    /// Whether the alarm of the popped `topic` is due at `now`. One that was put off is set again.
    pub(crate) fn rang(&mut self, alarm: &mut Alarm, now: Mono, topic: Topic) -> bool {
        alarm.armed = None;
        match alarm.due {
            Some(due) if due <= now => {
                alarm.due = None;
                true
            }
            Some(due) => {
                self.armed.insert((due, topic));
                alarm.armed = Some(due);
                false
            }
            None => false,
        }
    }

    /// The earliest instant at which an alarm may be due.
    pub(crate) fn earliest(&self) -> Option<Mono> {
        self.armed.first().map(|(at, _)| *at)
    }

    /// How many alarms are armed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> Topic {
        Topic::Join(Arc::from("g"))
    }

    #[test]
    fn a_put_off_alarm_rings_once_at_its_new_instant() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.set(&mut alarm, Mono(10), topic);
        timers.set(&mut alarm, Mono(20), topic);
        assert_eq!((timers.len(), timers.earliest()), (1, Some(Mono(10))));
        let popped = timers.pop(Mono(12)).expect("the old instant");
        assert!(!timers.rang(&mut alarm, Mono(12), popped));
        assert_eq!(timers.pop(Mono(19)), None);
        let popped = timers.pop(Mono(20)).expect("the new instant");
        assert!(timers.rang(&mut alarm, Mono(20), popped));
        assert_eq!(timers.earliest(), None);
        assert_eq!(alarm, Alarm::default());
    }

    #[test]
    fn an_alarm_brought_forward_rings_early() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.set(&mut alarm, Mono(100), topic);
        timers.set(&mut alarm, Mono(5), topic);
        assert_eq!((timers.len(), timers.earliest()), (1, Some(Mono(5))));
        timers.cancel(&mut alarm, topic);
        assert_eq!((timers.len(), alarm.due()), (0, None));
    }
}
