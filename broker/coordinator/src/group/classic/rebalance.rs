//! From a reason to rebalance to the next generation: the join phase, its end, and the end of the
//! sync phase by time.

use std::sync::Arc;

use bytes::Bytes;
use ottla_wire::ErrorCode;

use super::{ClassicGroup, InitialDelay, Phase, join_error, sync_error};
use crate::group::timers::Topic;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Something changed: begins a rebalance, or ends the join phase of the one under way if that
    /// was all it waited for.
    pub(super) fn rebalance_or_finish(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::PreparingRebalance {
            self.finish_join_phase_if_complete(turn);
        } else {
            self.prepare_rebalance(turn);
        }
    }

    /// Ends the join phase when everybody is there; not while the group still gathers members for
    /// the first time.
    pub(super) fn finish_join_phase_if_complete(&mut self, turn: &mut Turn<'_>) {
        let preparing = self.phase == Phase::PreparingRebalance;
        if preparing && self.initial.is_none() && self.all_joined() {
            self.finish_join_phase(turn);
        }
    }

    /// Begins a rebalance.
    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::CompletingRebalance {
            self.refuse_syncs(ErrorCode::REBALANCE_IN_PROGRESS, turn);
        }
        self.stop_sync_phase(turn);
        let from_empty = self.phase == Phase::Empty;
        self.enter(Phase::PreparingRebalance, turn);
        if from_empty {
            let running_ms = turn.settings.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(running_ms);
            self.initial = Some(InitialDelay { running_ms, remaining_ms, member_added: false });
            self.set_join_alarm(running_ms, turn);
        } else if self.all_joined() {
            self.finish_join_phase(turn);
        } else {
            self.set_join_alarm(self.rebalance_timeout_ms(), turn);
        }
    }

    /// Tells the members that wait for an assignment that none comes.
    pub(super) fn refuse_syncs(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        for (id, member) in &mut self.members {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.sync.take() {
                turn.answer_sync(ticket, sync_error(error));
                let after = u64::try_from(member.session_timeout_ms).unwrap_or(0);
                turn.set_session(&mut member.session, after, &self.id, id);
            }
        }
    }

    pub(super) fn stop_sync_phase(&mut self, turn: &mut Turn<'_>) {
        self.pending_sync.clear();
        let id = &self.id;
        turn.timers.cancel(&mut self.sync_alarm, || Topic::Sync(Arc::clone(id)));
    }

    fn set_join_alarm(&mut self, after_ms: u64, turn: &mut Turn<'_>) {
        let due = turn.time.mono.plus_ms(after_ms);
        let id = &self.id;
        turn.timers.set(&mut self.join_alarm, due, || Topic::Join(Arc::clone(id)));
    }

    /// The join phase's time is over.
    pub(crate) fn on_join_alarm(&mut self, turn: &mut Turn<'_>) {
        if !turn.timers.rang(
            &mut self.join_alarm,
            turn.time.mono,
            Topic::Join(Arc::clone(&self.id)),
        ) {
            return;
        }
        match &mut self.initial {
            Some(delay) if delay.member_added && delay.remaining_ms > 0 => {
                let ran_ms = delay.running_ms;
                delay.member_added = false;
                delay.running_ms = turn.settings.initial_rebalance_delay_ms.min(delay.remaining_ms);
                delay.remaining_ms = delay.remaining_ms.saturating_sub(ran_ms);
                let after_ms = delay.running_ms;
                self.set_join_alarm(after_ms, turn);
            }
            _ => self.finish_join_phase(turn),
        }
    }

    /// Ends the join phase: who did not come is out, unless it has an instance id, and the others
    /// are told their generation.
    pub(super) fn finish_join_phase(&mut self, turn: &mut Turn<'_>) {
        let id = Arc::clone(&self.id);
        turn.timers.cancel(&mut self.join_alarm, || Topic::Join(id));
        self.remove_absent(turn);
        if self.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect_joined_leader() {
            self.begin_generation(turn);
        } else {
            // Only absent static members are left. Their sessions end in time; until then there
            // is nobody to answer, and the phase is looked at again.
            self.set_join_alarm(self.rebalance_timeout_ms().max(1), turn);
        }
    }

    fn remove_absent(&mut self, turn: &mut Turn<'_>) {
        if self.joined == self.members.len() {
            return;
        }
        let absent: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| member.join.is_none() && member.instance_id.is_none())
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in absent {
            self.remove(&id, turn.timers);
        }
    }

    /// Sees to a leader that is there. Says whether anybody is.
    fn elect_joined_leader(&mut self) -> bool {
        let present = |id: &Arc<str>| self.members.get(id).is_some_and(|m| m.join.is_some());
        if self.leader.as_ref().is_some_and(present) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.join.is_some());
        match joined.map(|(id, _)| Arc::clone(id)) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol = None;
        self.leader = None;
        self.read_subscriptions();
        self.stop_sync_phase(turn);
        self.enter(Phase::Empty, turn);
        // One that fits no batch is empty in memory only, as in Kafka: a restart finds what was
        // written before, and nobody who beats for it.
        let _written = turn.write(self.record());
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol = self.elect_protocol();
        self.read_subscriptions();
        self.enter(Phase::CompletingRebalance, turn);
        self.pending_sync = self.members.keys().cloned().collect();
        for id in self.pending_sync.clone() {
            let answer = self.join_answer(&id);
            self.finish_join(&id, turn, answer);
            self.extend_session(&id, turn);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
        }
        let due = turn.time.mono.plus_ms(self.rebalance_timeout_ms());
        let id = &self.id;
        turn.timers.set(&mut self.sync_alarm, due, || Topic::Sync(Arc::clone(id)));
    }

    /// The sync phase's time is over: who did not sync is out.
    pub(crate) fn on_sync_alarm(&mut self, turn: &mut Turn<'_>) {
        if !turn.timers.rang(
            &mut self.sync_alarm,
            turn.time.mono,
            Topic::Sync(Arc::clone(&self.id)),
        ) {
            return;
        }
        let syncing = matches!(self.phase, Phase::CompletingRebalance | Phase::Stable);
        if !syncing || self.pending_sync.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.pending_sync) {
            self.remove(&id, turn.timers);
        }
        self.prepare_rebalance(turn);
    }

    /// Starts the member's session anew.
    pub(super) fn extend_session(&mut self, id: &str, turn: &mut Turn<'_>) {
        let Some((id, _)) = self.members.get_key_value(id) else { return };
        let id = Arc::clone(id);
        if let Some(member) = self.members.get_mut(&id) {
            let after = u64::try_from(member.session_timeout_ms).unwrap_or(0);
            turn.set_session(&mut member.session, after, &self.id, &id);
        }
    }

    /// The session of a member, or the time of an id that was handed out, is over.
    pub(crate) fn on_session_alarm(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let topic = Topic::Member(Arc::clone(&self.id), Arc::clone(id));
        let now = turn.time.mono;
        if let Some(alarm) = self.pending_join.get_mut(id) {
            if turn.timers.rang(alarm, now, topic) {
                self.drop_pending(id, turn.timers);
                if self.phase == Phase::PreparingRebalance && self.all_joined() {
                    self.finish_join_phase(turn);
                }
            }
        } else if let Some(member) = self.members.get_mut(id)
            && turn.timers.rang(&mut member.session, now, topic)
            && !member.is_waiting()
        {
            self.expel(id, turn);
        }
    }

    /// Removes a member whose session ended.
    fn expel(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        self.remove_and_answer(id, turn);
        match self.phase {
            Phase::Stable | Phase::CompletingRebalance => self.prepare_rebalance(turn),
            Phase::PreparingRebalance if self.all_joined() => self.finish_join_phase(turn),
            Phase::PreparingRebalance | Phase::Empty => {}
        }
    }

    /// Removes a member and tells it, if it waits, that it is not known any more.
    pub(super) fn remove_and_answer(&mut self, id: &str, turn: &mut Turn<'_>) {
        let Some(member) = self.remove(id, turn.timers) else { return };
        if let Some(parked) = member.join {
            turn.answer_join(parked, join_error("", ErrorCode::UNKNOWN_MEMBER_ID));
        }
        if let Some(ticket) = member.sync {
            turn.answer_sync(ticket, sync_error(ErrorCode::UNKNOWN_MEMBER_ID));
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, turn: &Turn<'_>) {
        self.phase = phase;
        self.changed_ms = Some(turn.time.wall_ms);
        self.initial = None;
    }
}
