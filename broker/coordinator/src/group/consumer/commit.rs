//! Who may commit and fetch offsets of a consumer group.

use ottla_wire::{ErrorCode, Uuid};

use super::group::ConsumerGroup;
use super::member::Member;
use crate::group::classic::{CommitKind, Committer};

/// From this version on OffsetCommit knows the epochs of members (KIP-848).
const MEMBER_EPOCH_SINCE: i16 = 9;

/// What is said of an epoch that is not the member's.
fn wrong_epoch(member: &Member) -> ErrorCode {
    if member.is_classic() { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::STALE_MEMBER_EPOCH }
}

impl ConsumerGroup {
    /// Whether who commits offsets may. One that is behind its epoch may still commit for what it
    /// was given before, which [`Self::check_partition`] says (KIP-1251).
    pub(crate) fn check_commit(
        &self,
        who: Committer<'_>,
        kind: CommitKind,
        version: i16,
    ) -> Result<(), ErrorCode> {
        if who.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if kind == CommitKind::Transactional && who.generation == -1 && !who.is_member() {
            return Ok(());
        }
        let member = self.member(who.member).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if kind == CommitKind::Plain && !member.is_classic() && version < MEMBER_EPOCH_SINCE {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        if who.generation > member.epoch { Err(wrong_epoch(member)) } else { Ok(()) }
    }

    /// Whether a member that may commit may do it for this partition.
    pub(crate) fn check_partition(
        &self,
        who: Committer<'_>,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let Some(member) = self.member(who.member) else { return Ok(()) };
        if who.generation == member.epoch {
            return Ok(());
        }
        match member.given(topic, partition) {
            Some(since) if who.generation >= since => Ok(()),
            _ => Err(wrong_epoch(member)),
        }
    }

    /// Whether who fetches offsets may. Who names no member, may.
    pub(crate) fn check_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(id) = member else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        };
        let member = self.member(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if epoch == member.epoch { Ok(()) } else { Err(wrong_epoch(member)) }
    }
}
