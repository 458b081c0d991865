//! A group goes from the classic protocol to the consumer protocol with the first member of the
//! latter, and back with the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::ErrorCode;

use super::alarms::Kind;
use super::classic::Rebalance;
use super::desk::{Desk, Draft, Refused};
use super::group::ConsumerGroup;
use crate::group::classic::{ClassicGroup, Phase};
use crate::group::members::live_group;
use crate::group::record::GroupRecord;
use crate::group::state::Group;
use crate::group::view::View;

impl Desk<'_> {
    /// The group that a member of the consumer protocol joins: the one there is, a new one, or
    /// what becomes of a classic one.
    pub(crate) fn found(&mut self, id: &str) -> Result<Draft, Refused> {
        match self.state.groups.get_key_value(id) {
            None => Ok(Draft::of(Arc::from(id), ConsumerGroup::new())),
            Some((id, Group::Consumer(group))) => {
                Ok(Draft::of(Arc::clone(id), ConsumerGroup::clone(group)))
            }
            Some((id, Group::Classic(_))) => {
                let view = View::of(self.state, self.live, id);
                if view.is_some_and(View::is_empty) {
                    return Ok(of_classic(id, ConsumerGroup::new()));
                }
                self.upgrade(&Arc::clone(id))
            }
        }
    }

    /// A classic group with members becomes a consumer group.
    fn upgrade(&mut self, id: &Arc<str>) -> Result<Draft, Refused> {
        let refuse = |why: &str| {
            let message =
                format!("Cannot upgrade classic group {id} to consumer group because {why}.");
            Err(Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, message))
        };
        let settings = self.settings();
        let Some(group) = live_group(self.live, self.state, id) else {
            return Err(self.no_group(id));
        };
        if !settings.migration.upgrades() {
            return refuse("online upgrade is disabled");
        }
        if !group.uses_consumer_protocol() {
            return refuse("the group does not use the consumer embedded protocol");
        }
        if group.len() > settings.max_size {
            return refuse("the group size exceeds the consumer group maximum size");
        }
        let Some(members) = group.as_consumers(self.topics) else {
            return refuse("the embedded consumer protocol is malformed");
        };
        let generation = group.generation;
        let mut draft = of_classic(id, ConsumerGroup::new());
        for (id, member, _) in &members {
            draft.write_member(id, member);
        }
        let hash = self.hash_of(&draft);
        draft.write_epoch(generation, hash);
        for (id, _, target) in &members {
            draft.write_target(id, target);
        }
        draft.write_target_epoch(generation, 0);
        for (id, member, _) in &members {
            draft.write_current(id, member);
        }
        Ok(draft)
    }

    /// Ends the classic group in whose place there is a consumer group, and begins the sessions
    /// of its members.
    pub(crate) fn settle_upgrade(&mut self, draft: &Draft) {
        let id = &draft.id;
        if let Some(group) = self.live.remove(id) {
            group.disband(ErrorCode::REBALANCE_IN_PROGRESS, &mut self.turn);
        }
        let sessions: BTreeMap<Arc<str>, i32> = draft
            .group
            .members
            .iter()
            .filter_map(|(id, member)| {
                Some((Arc::clone(id), member.classic.as_ref()?.session_timeout_ms))
            })
            .collect();
        for (member, session_ms) in sessions {
            self.set_alarm(id, &member, Kind::Session, session_ms);
        }
    }

    /// Whether the group without these members is a classic one, and may become that.
    pub(crate) fn may_downgrade(&self, draft: &Draft, leaving: &[Arc<str>]) -> bool {
        let group = &draft.group;
        let classic = leaving
            .iter()
            .filter(|id| group.member(id).is_some_and(|member| member.is_classic()))
            .count();
        let left = group.members.len().saturating_sub(leaving.len());
        left > 0
            && group.classic_members - classic == left
            && self.settings().migration.downgrades()
            && left <= self.turn.settings.max_size
            && self.topics.image().is_some()
    }

    /// The group without these members becomes a classic one, which rebalances.
    pub(crate) fn downgrade(
        &mut self,
        draft: &mut Draft,
        leaving: &[Arc<str>],
    ) -> Result<(), Refused> {
        self.downgrade_with(draft, leaving, Rebalance::Needed)
    }

    pub(crate) fn downgrade_with(
        &mut self,
        draft: &mut Draft,
        leaving: &[Arc<str>],
        rebalance: Rebalance,
    ) -> Result<(), Refused> {
        let id = Arc::clone(&draft.id);
        let now_ms = self.turn.time.wall_ms;
        let group = ClassicGroup::of_consumers(&id, &draft.group, leaving, self.topics, now_ms);
        let Some(group) = group else {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR.into());
        };
        draft.bury();
        draft.records.push(group.record());
        self.keep(draft)?;
        self.forget(&id);
        let group = self.live.entry(id).insert_entry(group).into_mut();
        group.begin_sessions(&mut self.turn);
        if rebalance == Rebalance::Needed && group.phase == Phase::Stable {
            group.prepare_rebalance(&mut self.turn);
        }
        Ok(())
    }
}

/// A draft of a group in the place of a classic one.
fn of_classic(id: &Arc<str>, group: ConsumerGroup) -> Draft {
    let mut draft = Draft::of(Arc::clone(id), group);
    draft.was_classic = true;
    draft.records.push(GroupRecord::group_tombstone(id));
    draft
}
