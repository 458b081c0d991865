//! What one decision works with: the time, the settings, the deadlines, and what it decides.

use std::sync::Arc;

use ottla_machine::{Decision, Ticket, Time};

use super::GroupMachine;
use super::command::{Effect, Reply};
use super::record::GroupRecord;
use super::room::{Room, size};
use super::settings::GroupSettings;
use super::timers::{Alarm, Timers, Topic};

/// One decision under way.
pub(crate) struct Turn<'a> {
    pub(crate) time: Time,
    pub(crate) settings: &'a GroupSettings,
    pub(crate) timers: &'a mut Timers,
    pub(crate) decision: Decision<GroupMachine>,
    pub(crate) room: Room,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(time: Time, settings: &'a GroupSettings, timers: &'a mut Timers) -> Self {
        let room = Room::new(settings.max_batch_bytes);
        Self { time, settings, timers, decision: Decision::default(), room }
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.decision.replies.push((ticket, reply));
    }

    /// Writes a record, if it has a form and fits a batch; says whether.
    #[must_use]
    pub(crate) fn write(&mut self, record: GroupRecord) -> bool {
        let bytes = self.size(&record);
        let fits = bytes.is_some_and(|bytes| self.room.take(bytes));
        if fits {
            self.decision.records.push(record);
        }
        fits
    }

    /// Bytes that a batch of the record takes; `None` if it has no form or is too large for one.
    pub(crate) fn size(&self, record: &GroupRecord) -> Option<usize> {
        let limit = self.settings.max_batch_bytes;
        size(std::slice::from_ref(record), limit).filter(|bytes| *bytes <= limit)
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
