//! Heartbeat, and what else shows that a member lives.

use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatRequest;
use ottla_wire::api::offset_commit::OffsetCommitRequest;

use super::{ClassicGroup, Phase};
use crate::group::turn::Turn;

/// Whether a commit is part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitKind {
    Plain,
    Transactional,
}

/// Who commits offsets, as it says itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) member: &'a str,
    pub(crate) instance: Option<&'a str>,
    pub(crate) generation: i32,
}

impl<'a> Committer<'a> {
    pub(crate) fn of(request: &'a OffsetCommitRequest) -> Self {
        Self {
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
        }
    }

    /// Whether it names itself a member of some generation.
    pub(crate) fn is_member(self) -> bool {
        self.generation >= 0 || !self.member.is_empty() || self.instance.is_some()
    }
}

impl ClassicGroup {
    /// A heartbeat: `None` as error is the good answer.
    pub(crate) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.phase == Phase::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.extend_session(&request.member_id, turn);
        if self.phase == Phase::PreparingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// Whether who commits offsets may.
    pub(crate) fn check_commit(
        &self,
        who: Committer<'_>,
        kind: CommitKind,
    ) -> Result<(), ErrorCode> {
        if who.generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        if who.is_member() {
            self.check_member(who.member, who.instance)?;
            if who.generation != self.generation {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else if kind == CommitKind::Plain {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if kind == CommitKind::Plain && self.phase == Phase::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A commit of a member shows that it lives.
    pub(crate) fn committed(&mut self, member: &str, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Stable | Phase::PreparingRebalance) {
            self.extend_session(member, turn);
        }
    }
}
