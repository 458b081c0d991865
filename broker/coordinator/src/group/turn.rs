//! What one decision works with: the time, the settings, the deadlines, and what it decides.

use std::sync::Arc;

use ottla_machine::{Decision, Ticket, Time};

use super::GroupMachine;
use super::command::{Effect, Reply};
use super::record::GroupRecord;
use super::settings::GroupSettings;
use super::timers::{Alarm, Timers, Topic};

/// One decision under way.
pub(crate) struct Turn<'a> {
    pub(crate) time: Time,
    pub(crate) settings: &'a GroupSettings,
    pub(crate) timers: &'a mut Timers,
    pub(crate) decision: Decision<GroupMachine>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(time: Time, settings: &'a GroupSettings, timers: &'a mut Timers) -> Self {
        Self { time, settings, timers, decision: Decision::default() }
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.decision.replies.push((ticket, reply));
    }

    pub(crate) fn write(&mut self, record: GroupRecord) {
        self.decision.records.push(record);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// Sets the alarm of a member's session, or of an id that was handed out.
    pub(crate) fn set_session(
        &mut self,
        alarm: &mut Alarm,
        after_ms: u64,
        group: &Arc<str>,
        member: &Arc<str>,
    ) {
        let topic = || Topic::Member(Arc::clone(group), Arc::clone(member));
        self.timers.set(alarm, self.time.mono.plus_ms(after_ms), topic);
    }
}
