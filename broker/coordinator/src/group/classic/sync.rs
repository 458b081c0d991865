//! SyncGroup.

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::{ClassicGroup, Phase, sync_error};
use crate::group::command::Effect;
use crate::group::room::TOO_LARGE;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Answers a SyncGroup, or parks it until the leader's.
    pub(crate) fn sync(&mut self, request: SyncGroupRequest, ticket: Ticket, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_sync(&request) {
            turn.answer_sync(ticket, sync_error(error));
            return;
        }
        let id = request.member_id.as_str();
        match self.phase {
            Phase::Empty => turn.answer_sync(ticket, sync_error(ErrorCode::UNKNOWN_MEMBER_ID)),
            Phase::PreparingRebalance => {
                turn.answer_sync(ticket, sync_error(ErrorCode::REBALANCE_IN_PROGRESS));
            }
            Phase::CompletingRebalance => {
                self.synced(id, turn);
                self.park_sync(id, ticket, turn);
                if self.is_leader(id) {
                    self.stabilize(request.assignments, turn);
                }
            }
            Phase::Stable => {
                self.synced(id, turn);
                let assignment = self.members.get(id).map(|member| member.assignment.clone());
                turn.answer_sync(ticket, self.sync_answer(assignment.unwrap_or_default()));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        if self.phase == Phase::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |asked: &Option<String>, ours: &Option<String>| {
            asked.is_some() && ours.is_some() && asked != ours
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// The member's sync has come; with the last one the phase's time limit goes.
    fn synced(&mut self, id: &str, turn: &mut Turn<'_>) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.stop_sync_phase(turn);
        }
    }

    fn park_sync(&mut self, id: &str, ticket: Ticket, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(superseded) = member.sync.replace(ticket) {
            turn.answer_sync(superseded, sync_error(ErrorCode::REBALANCE_IN_PROGRESS));
        }
    }

    /// What the leader assigned fits no batch: whoever waits for it is told, and the members join
    /// again.
    fn give_up_assignment(&mut self, turn: &mut Turn<'_>) {
        self.refuse_syncs(TOO_LARGE, turn);
        self.prepare_rebalance(turn);
    }

    /// The leader has assigned: the generation is written, and everybody who waits is told.
    fn stabilize(&mut self, assignments: Vec<SyncGroupRequestAssignment>, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for SyncGroupRequestAssignment { member_id, assignment, .. } in assignments {
            if let Some(member) = self.members.get_mut(member_id.as_str()) {
                member.assignment = Bytes::copy_from_slice(&assignment);
            }
        }
        // Kafka writes the record while the group still completes: its timestamp is that of the
        // phase before.
        if !turn.write(self.record()) {
            self.give_up_assignment(turn);
            return;
        }
        self.enter(Phase::Stable, turn);
        turn.effect(Effect::RebalanceCompleted);
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            if let Some(ticket) = member.sync.take() {
                let after = u64::try_from(member.session_timeout_ms).unwrap_or(0);
                turn.set_session(&mut member.session, after, &self.id, id);
                waiting.push((ticket, member.assignment.clone()));
            }
        }
        for (ticket, assignment) in waiting {
            turn.answer_sync(ticket, self.sync_answer(assignment));
        }
    }
}
