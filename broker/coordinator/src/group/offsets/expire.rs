//! Offsets that nobody needs any more, and groups of which nothing is left (KIP-211).
//!
//! Invariant: one decision looks at a bounded number of offsets and writes a bounded number of
//! records; the search goes on with the next tick where it stopped.

use std::ops::Bound;
use std::sync::Arc;

use ottla_machine::Decision;
use ottla_machine::Time;

use super::{Committed, GroupOffsets};
use crate::group::GroupMachine;
use crate::group::command::Effect;
use crate::group::record::GroupRecord;
use crate::group::room::Room;
use crate::group::settings::GroupSettings;
use crate::group::state::GroupState;
use crate::group::view::View;
use crate::group::waits::GroupWaits;

/// The most records one decision of the search writes.
const MAX_RECORDS: usize = 1_000;
/// The most groups and offsets one decision of the search looks at, but for the last group.
const MAX_SEEN: usize = 20_000;

/// From when on the time of retention counts.
enum Since {
    /// From the commit.
    Commit,
    /// From the instant at which the group became empty.
    Empty(i64),
}

impl Since {
    /// `None` when no offset of the group expires as it is now.
    fn of(view: View<'_>) -> Option<Self> {
        if view.protocol_type().is_empty() {
            return Some(Self::Commit);
        }
        if view.is_empty() {
            return Some(view.changed_ms().map_or(Self::Commit, Self::Empty));
        }
        let known = view.uses_consumer_protocol() && view.knows_subscription();
        (known && !view.rebalances()).then_some(Self::Commit)
    }

    fn is_over(&self, offset: &Committed, now_ms: i64, settings: &GroupSettings) -> bool {
        if let Some(expire_ms) = offset.expire_ms {
            return now_ms >= expire_ms;
        }
        let since = match self {
            Self::Commit => offset.commit_ms,
            Self::Empty(ms) => *ms,
        };
        now_ms.saturating_sub(since) >= settings.offsets_retention_ms
    }
}

/// A group that is looked at.
struct Expiring<'a> {
    id: &'a str,
    view: View<'a>,
    offsets: &'a GroupOffsets,
    time: Time,
}

/// What became of the offsets of one group.
enum Left {
    Nothing,
    Something,
    /// The decision is full.
    More,
}

impl GroupWaits {
    /// Goes on with the search, or begins one.
    pub(in crate::group) fn expire(
        &mut self,
        state: &GroupState,
        time: Time,
        room: &mut Room,
        decision: &mut Decision<GroupMachine>,
    ) {
        let from = self.cleanup.next.take().map_or(Bound::Unbounded, Bound::Included);
        let before = decision.records.len();
        let mut seen = 0;
        let (mut groups, mut buried) = (0, 0);
        for (id, _) in state.groups.range::<Arc<str>, _>((from, Bound::Unbounded)) {
            if seen >= MAX_SEEN {
                self.cleanup.next = Some(Arc::clone(id));
                break;
            }
            match self.expire_group(state, id, time, &mut seen, room, decision) {
                Left::Something => {}
                Left::Nothing if room.take(self.burial_bytes(state, id)) => {
                    let records = self.bury(state, time, id);
                    buried += records.len();
                    decision.records.extend(records);
                    groups += 1;
                }
                Left::Nothing | Left::More => {
                    self.cleanup.next = Some(Arc::clone(id));
                    break;
                }
            }
        }
        if self.cleanup.next.is_none() {
            let interval_ms = self.settings.offsets_retention_check_interval_ms;
            self.cleanup.due = time.mono.plus_ms(interval_ms.max(1));
        }
        let offsets = decision.records.len() - before - buried;
        if offsets > 0 {
            decision.effects.push(Effect::OffsetsExpired(offsets));
        }
        if groups > 0 {
            decision.effects.push(Effect::GroupsExpired(groups));
        }
    }

    fn expire_group(
        &self,
        state: &GroupState,
        id: &str,
        time: Time,
        seen: &mut usize,
        room: &mut Room,
        decision: &mut Decision<GroupMachine>,
    ) -> Left {
        *seen += 1;
        if decision.records.len() >= MAX_RECORDS {
            return Left::More;
        }
        let Some(view) = View::of(state, &self.live, id) else { return Left::Something };
        let left = match state.offsets.of(id) {
            None => Left::Nothing,
            Some(offsets) => {
                let expiring = Expiring { id, view, offsets, time };
                self.expire_offsets(&expiring, seen, room, decision)
            }
        };
        match left {
            Left::Nothing if !view.is_empty() => Left::Something,
            left => left,
        }
    }

    fn expire_offsets(
        &self,
        group: &Expiring<'_>,
        seen: &mut usize,
        room: &mut Room,
        decision: &mut Decision<GroupMachine>,
    ) -> Left {
        let &Expiring { id, view, offsets, time } = group;
        let Some(since) = Since::of(view) else { return Left::Something };
        // Open transactions may still bring offsets.
        let mut left = if offsets.pending.is_empty() { Left::Nothing } else { Left::Something };
        for (topic, partitions) in &offsets.committed {
            *seen += partitions.len();
            if view.is_subscribed(topic) {
                left = Left::Something;
                continue;
            }
            for (partition, offset) in partitions {
                let over = since.is_over(offset, time.wall_ms, &self.settings);
                if !over || offsets.is_pending(topic, *partition) {
                    left = Left::Something;
                    continue;
                }
                if decision.records.len() >= MAX_RECORDS || !room.take_tombstone(id, topic) {
                    return Left::More;
                }
                decision.records.push(GroupRecord::offset_tombstone(id, topic, *partition));
            }
        }
        left
    }
}
