//! Members that go, of themselves or because their time is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alarms::Kind;
use super::desk::{Desk, Draft, Refused};
use super::member::{Member, MemberState};
use super::update::forget_patterns;
use crate::group::timers::Topic;

/// How long it takes until a member is looked at again that could not be taken out.
const AGAIN_MS: i32 = 1_000;

/// Whether a tick can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// It can.
    GoOn,
    /// The batch is full.
    Full,
}

/// The groups that a tick has changed.
pub(crate) type Drafts = BTreeMap<Arc<str>, Draft>;

impl Desk<'_> {
    /// Takes members out. A group whose other members all speak the classic protocol becomes a
    /// classic one, if it may.
    pub(crate) fn fence(&mut self, draft: &mut Draft, members: &[Arc<str>]) -> Result<(), Refused> {
        if self.may_downgrade(draft, members) {
            let mut other = Draft::of(Arc::clone(&draft.id), draft.group.clone());
            if self.downgrade(&mut other, members).is_ok() {
                *draft = other;
                return Ok(());
            }
        }
        let gone: Vec<Arc<Member>> =
            members.iter().filter_map(|id| draft.group.member(id).cloned()).collect();
        for member in members {
            draft.remove(member);
        }
        forget_patterns(draft, gone.iter().map(|member| &**member));
        let hash = self.hash_of(draft);
        draft.write_epoch(draft.group.epoch.saturating_add(1), hash);
        self.keep(draft)?;
        for member in members {
            self.stop_alarms(&draft.id, member);
        }
        Ok(())
    }

    /// An alarm of a member may be due: if it is, the member is out.
    pub(crate) fn ring(
        &mut self,
        drafts: &mut Drafts,
        group: &Arc<str>,
        member: &Arc<str>,
        kind: Kind,
    ) -> Rung {
        let Some(live) = self.consumers.get_mut(group) else { return Rung::GoOn };
        let Some(alarms) = live.alarms.get_mut(member) else { return Rung::GoOn };
        let epoch = alarms.rebalance_epoch;
        let topic = Topic::Consumer(Arc::clone(group), Arc::clone(member), kind);
        if !self.turn.timers.rang(alarms.of(kind), self.turn.time.mono, topic) {
            return Rung::GoOn;
        }
        let mut draft = match drafts.remove(group) {
            Some(draft) => draft,
            None => match self.draft(group) {
                Some(draft) => draft,
                None => return Rung::GoOn,
            },
        };
        let rung = match draft.group.member(member) {
            None => Rung::GoOn,
            Some(known) if kind == Kind::Rebalance && known.epoch != epoch => Rung::GoOn,
            Some(_) => match self.fence(&mut draft, std::slice::from_ref(member)) {
                Ok(()) => Rung::GoOn,
                Err(_) => {
                    let first = self.turn.decision.records.is_empty();
                    self.set_alarm(group, member, kind, if first { AGAIN_MS } else { 0 });
                    return Rung::Full;
                }
            },
        };
        drafts.insert(Arc::clone(group), draft);
        rung
    }

    /// Begins the sessions of all members of all consumer groups, as after a restart.
    pub(crate) fn begin_sessions(&mut self) {
        let groups: Vec<(Arc<str>, Arc<str>, Arc<Member>)> = self
            .state
            .consumers()
            .flat_map(|(id, group)| {
                let members = group.members.iter();
                members.map(|(m, member)| (Arc::clone(id), Arc::clone(m), Arc::clone(member)))
            })
            .collect();
        for (group, id, member) in groups {
            let session_ms = match &member.classic {
                Some(classic) => classic.session_timeout_ms,
                None => self.session_timeout_ms(&group),
            };
            self.set_alarm(&group, &id, Kind::Session, session_ms);
            if !member.is_classic() && member.state == MemberState::Unrevoked {
                self.live(&group).alarms_of(&id).1.rebalance_epoch = member.epoch;
                self.set_alarm(&group, &id, Kind::Rebalance, member.rebalance_timeout_ms);
            }
        }
    }
}
