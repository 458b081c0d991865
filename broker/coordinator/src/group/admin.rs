//! Groups seen and deleted from outside.

use std::collections::{BTreeSet, VecDeque};

use ottla_machine::{Decision, Ticket};
use ottla_wire::ErrorCode;
use ottla_wire::api::delete_groups::DeletableGroupResult;
use ottla_wire::api::describe_groups::DescribedGroup;
use ottla_wire::api::list_groups::ListedGroup;

use super::GroupMachine;
use super::classic::{self, Phase};
use super::command::{Command, Reply, Request, Rest};
use super::offsets::{self, delete::Filled};
use super::record::GroupRecord;
use super::room::Room;
use super::state::GroupState;
use super::view::View;
use super::waits::GroupWaits;

/// What the protocol calls groups of the classic type.
const CLASSIC: &str = "classic";

impl GroupWaits {
    pub(super) fn describe(
        &self,
        state: &GroupState,
        version: i16,
        groups: &[String],
    ) -> Vec<DescribedGroup> {
        let describe = |id: &String| match View::of(state, &self.live, id) {
            Some(view) => view.describe(id),
            None => classic::describe_missing(id, version),
        };
        groups.iter().map(describe).collect()
    }

    pub(super) fn list(
        &self,
        state: &GroupState,
        states: &[String],
        types: &[String],
    ) -> Vec<ListedGroup> {
        let passes = |filter: &[String], name: &str| {
            filter.is_empty()
                || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        if !passes(types, CLASSIC) {
            return Vec::new();
        }
        let mut listed = Vec::new();
        for id in state.groups.keys() {
            let Some(view) = View::of(state, &self.live, id) else { continue };
            let name = view.phase().name();
            if passes(states, name) {
                listed.push(ListedGroup {
                    group_id: id.to_string(),
                    protocol_type: view.protocol_type().to_owned(),
                    group_state: name.to_owned(),
                    group_type: CLASSIC.to_owned(),
                });
            }
        }
        listed
    }

    /// Deletes groups that are empty, as far as one batch goes.
    pub(super) fn delete_groups(
        &mut self,
        state: &GroupState,
        ticket: Ticket,
        mut groups: VecDeque<String>,
        mut results: Vec<DeletableGroupResult>,
    ) -> Decision<GroupMachine> {
        let mut decision: Decision<GroupMachine> = Decision::default();
        let mut room = Room::new(self.settings.max_batch_bytes);
        while let Some(group_id) = groups.pop_front() {
            let error_code = match View::of(state, &self.live, &group_id).map(View::phase) {
                None => ErrorCode::GROUP_ID_NOT_FOUND,
                Some(Phase::Empty) => ErrorCode::NONE,
                Some(_) => ErrorCode::NON_EMPTY_GROUP,
            };
            if error_code.is_none() {
                let records = &mut decision.records;
                let all = offsets::delete::all(state, &group_id, &mut room, records);
                if all == Filled::Full || !room.take_tombstone(&group_id, "") {
                    groups.push_front(group_id);
                    let rest = Rest::DeleteGroups { groups, results };
                    decision.again = Some(Command::internal(Request::Continue(rest)));
                    return decision;
                }
                records.push(GroupRecord::group_tombstone(&group_id));
                self.forget(&group_id);
            }
            results.push(DeletableGroupResult { group_id, error_code });
        }
        decision.replies.push((ticket, Reply::DeleteGroups(results)));
        decision
    }

    /// Forgets the live side of an empty group that is deleted.
    pub(super) fn forget(&mut self, id: &str) {
        if let Some(group) = self.live.remove(id) {
            group.dismiss(&mut self.timers);
        }
    }
}

/// Names in the order given, each once.
pub(super) fn each_once(names: Vec<String>) -> VecDeque<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}
