//! What time brings: the first command after a replay, and the deadlines that pass.

use ottla_machine::{Decision, Mono, Ticket, Time};

use super::classic::ClassicGroup;
use super::command::Reply;
use super::consumer::desk::Desk;
use super::consumer::fence::{Drafts, Rung};
use super::members::live_group;
use super::room::MOST_OF_EMPTY_GROUP;
use super::state::GroupState;
use super::timers::Topic;
use super::turn::Turn;
use super::waits::GroupWaits;
use super::{Decided, GroupMachine};

/// The most alarms one decision sees to; what is left has the next tick come at once. Each writes
/// the record of one empty group at most.
const MAX_ALARMS: usize = 1_000;

impl GroupWaits {
    /// Takes up what the log says, at the first command after a replay: the members of stable
    /// groups have their session's time to show that they live.
    pub(super) fn wake(&mut self, state: &GroupState, time: Time) -> Decided {
        if self.awake {
            return Decided::default();
        }
        self.awake = true;
        let interval_ms = self.settings.offsets_retention_check_interval_ms;
        self.cleanup.due = time.mono.plus_ms(interval_ms);
        let mut desk = Desk::new(self, state, time);
        desk.begin_sessions();
        let woken = desk.decided();
        let mut turn = Turn::new(time, &self.settings, &mut self.timers);
        turn.decision = woken;
        for (id, _) in state.groups_with_members() {
            if let Some(group) = live_group(&mut self.live, state, id) {
                group.begin_sessions(&mut turn);
                if group.len() > turn.settings.max_size {
                    // The limit is lower than it was: its members come again, as far as they fit.
                    group.prepare_rebalance(&mut turn);
                }
            }
        }
        turn.decision
    }

    /// Sees to the deadlines that passed.
    pub(super) fn tick(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
    ) -> Decision<GroupMachine> {
        let mut desk = Desk::new(self, state, time);
        let mut drafts = Drafts::new();
        for _ in 0..MAX_ALARMS {
            if !desk.turn.room.has(MOST_OF_EMPTY_GROUP) {
                break;
            }
            let Some(topic) = desk.turn.timers.pop(time.mono) else { break };
            let group = match &topic {
                Topic::Member(group, _) | Topic::Join(group) | Topic::Sync(group) => group,
                Topic::Consumer(group, member, kind) => {
                    match desk.ring(&mut drafts, group, member, *kind) {
                        Rung::GoOn => continue,
                        Rung::Full => break,
                    }
                }
            };
            if let Some(group) = desk.live.get_mut(group) {
                ring(group, &topic, &mut desk.turn);
            }
        }
        desk.turn.reply(ticket, Reply::Done);
        let Turn { mut decision, mut room, .. } = desk.turn;
        if self.cleanup.due <= time.mono {
            self.expire(state, time, &mut room, &mut decision);
        }
        decision
    }

    /// When the next tick should come.
    pub(super) fn next_wake(&self) -> Mono {
        let cleanup = self.cleanup.due;
        self.timers.earliest().map_or(cleanup, |alarm| alarm.min(cleanup))
    }
}

fn ring(group: &mut ClassicGroup, topic: &Topic, turn: &mut Turn<'_>) {
    match topic {
        Topic::Member(_, member) => group.on_session_alarm(member, turn),
        Topic::Join(_) => group.on_join_alarm(turn),
        Topic::Sync(_) => group.on_sync_alarm(turn),
        Topic::Consumer(..) => {}
    }
}
