//! Groups seen and deleted from outside.

use std::collections::{BTreeSet, VecDeque};

use ottla_machine::{Decision, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::delete_groups::DeletableGroupResult;
use ottla_wire::api::describe_groups::DescribedGroup;
use ottla_wire::api::list_groups::ListedGroup;

use super::GroupMachine;
use super::classic;
use super::command::{Command, Reply, Request, Rest};
use super::consumer::desk::Desk;
use super::offsets::{self, delete::Filled};
use super::record::GroupRecord;
use super::room::{MOST_OF_TOMBSTONE, Room};
use super::state::GroupState;
use super::view::View;
use super::waits::GroupWaits;

impl GroupWaits {
    pub(super) fn describe(
        &self,
        state: &GroupState,
        version: i16,
        groups: &[String],
    ) -> Vec<DescribedGroup> {
        let describe = |id: &String| match View::of(state, &self.live, id) {
            Some(view) => view.describe(id, version),
            None => classic::describe_missing(version, id, format!("Group {id} not found.")),
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
        let mut listed = Vec::new();
        for id in state.groups.keys() {
            let Some(view) = View::of(state, &self.live, id) else { continue };
            if !passes(types, view.kind()) {
                continue;
            }
            let name = view.state_name();
            if passes(states, name) {
                listed.push(ListedGroup {
                    group_id: id.to_string(),
                    protocol_type: view.protocol_type().to_owned(),
                    group_state: name.to_owned(),
                    group_type: view.kind().to_owned(),
                });
            }
        }
        listed
    }

    /// Deletes groups that are empty, as far as one batch goes.
    pub(super) fn delete_groups(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        mut groups: VecDeque<String>,
        mut results: Vec<DeletableGroupResult>,
    ) -> Decision<GroupMachine> {
        let mut decision: Decision<GroupMachine> = Decision::default();
        let mut room = Room::new(self.settings.max_batch_bytes);
        while let Some(group_id) = groups.pop_front() {
            let error_code = match View::of(state, &self.live, &group_id).map(View::is_empty) {
                None => ErrorCode::GROUP_ID_NOT_FOUND,
                Some(true) => ErrorCode::NONE,
                Some(false) => ErrorCode::NON_EMPTY_GROUP,
            };
            if error_code.is_none() {
                let records = &mut decision.records;
                let all = offsets::delete::all(state, &group_id, &mut room, records);
                if all == Filled::Full || !room.take(self.burial_bytes(state, &group_id)) {
                    groups.push_front(group_id);
                    let rest = Rest::DeleteGroups { groups, results };
                    decision.again = Some(Command::internal(Request::Continue(rest)));
                    return decision;
                }
                records.extend(self.bury(state, time, &group_id));
            }
            results.push(DeletableGroupResult { group_id, error_code });
        }
        decision.replies.push((ticket, Reply::DeleteGroups(results)));
        decision
    }

    /// How many bytes the records take at most that take an empty group away.
    pub(super) fn burial_bytes(&self, state: &GroupState, id: &str) -> usize {
        let one = MOST_OF_TOMBSTONE + id.len();
        let Some((_, group)) = state.consumer(id) else { return one };
        // The group, its target, and the topics of an older Kafka.
        let patterns = group.resolved.keys().map(|pattern| one + pattern.len());
        let targets = group.targets.keys().map(|member| one + member.len());
        3 * one + patterns.sum::<usize>() + targets.sum::<usize>()
    }

    /// The records that take an empty group away; forgets what is in memory of it.
    pub(super) fn bury(&mut self, state: &GroupState, time: Time, id: &str) -> Vec<GroupRecord> {
        if state.consumer(id).is_some() {
            return Desk::new(self, state, time).bury(id).unwrap_or_default();
        }
        self.forget(id);
        vec![GroupRecord::group_tombstone(id)]
    }

    /// Forgets the live side of an empty group that is deleted.
    fn forget(&mut self, id: &str) {
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
