//! LeaveGroup.

use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::leave_group::{MemberIdentity, MemberResponse};

use super::{ClassicGroup, Phase};
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Removes members, each by its id or, from outside, by its instance id.
    pub(crate) fn leave(
        &mut self,
        members: Vec<MemberIdentity>,
        turn: &mut Turn<'_>,
    ) -> Vec<MemberResponse> {
        let mut answers = Vec::with_capacity(members.len());
        let mut anybody_left = false;
        for member in members {
            let result = self.leave_one(&member, turn);
            anybody_left |= result.is_ok();
            answers.push(MemberResponse {
                error_code: result.err().unwrap_or(ErrorCode::NONE),
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
            });
        }
        if anybody_left {
            match self.phase {
                Phase::Stable | Phase::CompletingRebalance => self.prepare_rebalance(turn),
                Phase::PreparingRebalance => self.finish_join_phase_if_complete(turn),
                Phase::Empty => {}
            }
        }
        answers
    }

    fn leave_one(&mut self, who: &MemberIdentity, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let instance = who.group_instance_id.as_deref();
        if who.member_id.is_empty() {
            let id = instance.and_then(|instance| self.statics.get(instance)).map(Arc::clone);
            let id = id.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.remove_and_answer(&id, turn);
        } else if !self.drop_pending(&who.member_id, turn.timers) {
            self.check_member(&who.member_id, instance)?;
            self.remove_and_answer(&who.member_id, turn);
        }
        Ok(())
    }
}
