//! From what a member says to its next step: its subscription, the group's epoch, the target
//! assignment, and what the member has from here on.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_wire::ErrorCode;

use super::assignor::{self, Spec};
use super::desk::{Desk, Draft, Refused};
use super::member::Member;
use super::reconcile::{Owned, Subscription, Way};
use super::regex;
use crate::group::command::Effect;
use crate::group::settings::Assignor;

/// How often a group's patterns are matched against all topics at most.
const MATCH_INTERVAL_MS: u64 = 10_000;

/// What a member says, and said before.
pub(crate) struct Update<'a> {
    pub(crate) id: &'a Arc<str>,
    pub(crate) before: &'a Member,
    pub(crate) member: Member,
    pub(crate) owned: Owned<'a>,
}

impl Desk<'_> {
    /// Takes over what a member says, and leads it a step further. Answers what it is then.
    pub(crate) fn update(
        &mut self,
        draft: &mut Draft,
        update: Update<'_>,
    ) -> Result<Member, Refused> {
        let Update { id, before, member, owned } = update;
        let is_new = !draft.group.members.contains_key(id);
        if is_new || !member.says_the_same(before) {
            draft.write_member(id, &member);
        }
        let mut bump = member.topics != before.topics;
        let other_pattern = member.regex != before.regex;
        if other_pattern {
            bump |= self.change_pattern(draft, before, &member)?;
        }
        bump |= self.match_again(draft);
        let subscription = match member.topics != before.topics || other_pattern {
            true => Subscription::Changed,
            false => Subscription::Same,
        };
        self.refresh_epoch(draft, bump);
        self.refresh_target(draft)?;
        let group = &draft.group;
        let way = Way {
            group,
            topics: self.topics,
            id,
            target_epoch: group.target_epoch,
            target: group.targets.get(id).cloned().unwrap_or_default(),
            owned,
            subscription,
        };
        if subscription == Subscription::Same && member.is_reconciled_to(group.target_epoch) {
            return Ok(member);
        }
        let next = way.step(&member)?;
        if next != member {
            draft.write_current(id, &next);
        }
        Ok(next)
    }

    /// Sees to the pattern that a member has now, and to the one it had. Says whether the topics
    /// of the group may be others.
    fn change_pattern(
        &mut self,
        draft: &mut Draft,
        before: &Member,
        member: &Member,
    ) -> Result<bool, Refused> {
        if let Some(old) = before.pattern() {
            forget_pattern(draft, old);
        }
        let Some(new) = member.pattern() else { return Ok(true) };
        if draft.group.resolved.contains_key(new) {
            return Ok(true);
        }
        let pattern = regex::compile(new)?;
        let Some(image) = self.topics.image() else {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.into());
        };
        let resolved = regex::resolve(&pattern, image, self.turn.time.wall_ms);
        draft.write_pattern(new, Some(&resolved));
        Ok(true)
    }

    /// Matches all patterns of the group again, if there are new topics or it is long ago. Says
    /// whether they stand for others.
    fn match_again(&mut self, draft: &mut Draft) -> bool {
        if draft.group.patterns.is_empty() {
            return false;
        }
        let now = self.turn.time.mono;
        let made = self.topics.made;
        let refresh_ms = self.settings().regex_refresh_interval_ms;
        let due = match self.consumers.get(&draft.id).and_then(|live| live.matched) {
            None => true,
            Some((at, seen)) => {
                let ago = now.since(at);
                ago >= refresh_ms || (seen < made && ago >= MATCH_INTERVAL_MS)
            }
        };
        let Some(image) = self.topics.image().filter(|_| due) else { return false };
        let mut differs = false;
        let patterns: Vec<String> = draft.group.patterns.keys().cloned().collect();
        for text in patterns {
            let known = draft.group.resolved.get(&text).cloned();
            // One that a newer broker took, and this one does not, stands for nothing.
            let resolved = match regex::compile(&text) {
                Ok(pattern) => regex::resolve(&pattern, image, self.turn.time.wall_ms),
                Err(_) => regex::nothing(image, self.turn.time.wall_ms),
            };
            if known.is_none_or(|known| known.topics != resolved.topics) {
                draft.write_pattern(&text, Some(&resolved));
                differs = true;
            }
        }
        draft.matched = Some((now, made));
        differs
    }

    /// Begins a new epoch of the group, if it is asked for or its topics are others.
    pub(crate) fn refresh_epoch(&mut self, draft: &mut Draft, bump: bool) {
        let version = self.topics.version;
        let seen = self.consumers.get(&draft.id).map_or(0, |live| live.topics_seen);
        if !bump && seen == version {
            return;
        }
        let hash = self.hash_of(draft);
        if bump || hash != draft.group.metadata_hash {
            draft.write_epoch(draft.group.epoch.saturating_add(1), hash);
            draft.rebalances = true;
        }
        if draft.group.has_old_topics {
            draft.write(super::record::ConsumerRecord::topics_tombstone(&draft.id));
        }
        draft.topics_seen = Some(version);
    }

    /// What the topics of the group are now.
    pub(crate) fn hash_of(&mut self, draft: &Draft) -> i64 {
        match self.topics.image() {
            Some(_) => self.topics.hash(draft.group.topics().into_iter()),
            None => draft.group.metadata_hash,
        }
    }

    /// Makes a target assignment for the group's epoch, if there is none and the last one is not
    /// too young.
    fn refresh_target(&mut self, draft: &mut Draft) -> Result<(), Refused> {
        let now_ms = self.turn.time.wall_ms;
        let group = &draft.group;
        if group.target_epoch >= group.epoch {
            return Ok(());
        }
        let interval_ms = i64::from(self.assignment_interval_ms(&draft.id));
        let due_ms = group.target_ms.saturating_add(interval_ms);
        // The wall clock may have gone back: a target of the future is as good as an old one.
        let waits = group.target_ms != 0 && now_ms < due_ms && now_ms >= group.target_ms;
        if waits && interval_ms > 0 {
            return Ok(());
        }
        let Some(image) = self.topics.image() else { return Ok(()) };
        let spec = Spec::of(group, image);
        let targets = match self.preferred(draft) {
            Assignor::Uniform => assignor::uniform(&spec),
            Assignor::Range => assignor::range(&spec),
        };
        let changed: Vec<_> = spec
            .members
            .iter()
            .zip(targets)
            .filter(|(member, target)| {
                group.targets.get(&**member.id).is_none_or(|known| **known != *target)
            })
            .map(|(member, target)| (Arc::clone(member.id), target))
            .collect();
        for (id, target) in changed {
            draft.write_target(&id, &target);
        }
        draft.write_target_epoch(draft.group.epoch, now_ms);
        Ok(())
    }

    /// The assignor that most members ask for, or the first of the broker's.
    pub(crate) fn preferred(&self, draft: &Draft) -> Assignor {
        let most = draft.group.assignors.iter().fold(None, |most, (name, count)| match most {
            Some((_, known)) if known >= count => most,
            _ => Some((name, count)),
        });
        let offered = &self.settings().assignors;
        most.and_then(|(name, _)| Assignor::named(name))
            .filter(|asked| offered.contains(asked))
            .or_else(|| offered.first().copied())
            .unwrap_or(Assignor::Uniform)
    }

    /// What follows once the records of a draft are taken over.
    pub(crate) fn settle(&mut self, draft: &Draft) {
        let live = self.live(&draft.id);
        live.topics_seen = draft.topics_seen.unwrap_or(live.topics_seen);
        live.matched = draft.matched.or(live.matched);
        if draft.rebalances {
            self.turn.effect(Effect::ConsumerRebalance);
        }
        if draft.was_classic {
            self.settle_upgrade(draft);
        }
    }
}

/// Takes away what a pattern stood for, if no member subscribes to it.
pub(crate) fn forget_pattern(draft: &mut Draft, pattern: &str) {
    if !draft.group.patterns.contains_key(pattern) && draft.group.resolved.contains_key(pattern) {
        draft.write_pattern(pattern, None);
    }
}

/// Takes away what patterns stood for that no member subscribes to any more.
pub(crate) fn forget_patterns<'a>(draft: &mut Draft, members: impl Iterator<Item = &'a Member>) {
    let patterns: BTreeSet<&str> = members.filter_map(Member::pattern).collect();
    for pattern in patterns {
        forget_pattern(draft, pattern);
    }
}
