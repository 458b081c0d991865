//! The requests of members of the classic protocol, from the shard to the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_machine::{Decision, Ticket, Time};
use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatRequest;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla_wire::api::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use ottla_wire::api::sync_group::SyncGroupRequest;

use super::classic::{ClassicGroup, Join, join_error, sync_error};
use super::command::{Context, Reply};
use super::consumer::ConsumerGroup;
use super::consumer::desk::Desk;
use super::record::GroupRecord;
use super::room::{TOO_LARGE, size};
use super::state::GroupState;
use super::waits::GroupWaits;
use super::{GroupMachine, code, within};

/// From this version on LeaveGroup names several members (KIP-345).
const LEAVE_BATCH_SINCE: i16 = 3;
/// From this version on SyncGroup must say what its member believes was agreed (KIP-559).
const SYNC_NAMES_PROTOCOL_SINCE: i16 = 5;

/// The live side of a group that the log knows, made from its record where there is none yet.
pub(crate) fn live_group<'a>(
    live: &'a mut BTreeMap<Arc<str>, ClassicGroup>,
    state: &GroupState,
    id: &str,
) -> Option<&'a mut ClassicGroup> {
    let stored = state.classic(id)?;
    if !live.contains_key(id) {
        let id: Arc<str> = Arc::from(id);
        live.insert(Arc::clone(&id), ClassicGroup::from_record(id, stored));
    }
    live.get_mut(id)
}

/// Whether there is a consumer group with members, who may speak the classic protocol.
fn has_consumers(state: &GroupState, id: &str) -> bool {
    state.consumer(id).is_some_and(|(_, group)| !group.is_empty())
}

impl GroupWaits {
    pub(super) fn join(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        context: &Context,
        request: JoinGroupRequest,
        fresh: u128,
    ) -> Decision<GroupMachine> {
        let refuse =
            |response: JoinGroupResponse| Decision::reply(ticket, Reply::JoinGroup(response));
        let bounds = self.settings.min_session_timeout_ms..=self.settings.max_session_timeout_ms;
        if request.group_id.is_empty() {
            return refuse(join_error(&request.member_id, ErrorCode::INVALID_GROUP_ID));
        }
        if !bounds.contains(&request.session_timeout_ms) {
            return refuse(join_error(&request.member_id, ErrorCode::INVALID_SESSION_TIMEOUT));
        }
        if has_consumers(state, &request.group_id) {
            let mut desk = Desk::new(self, state, time);
            desk.classic_join(context, request, fresh, ticket);
            return desk.decided();
        }
        let mut birth: Option<GroupRecord> = None;
        let mut buried: Vec<GroupRecord> = Vec::new();
        let id = request.group_id.clone();
        if state.classic(&id).is_none() {
            if !request.member_id.is_empty() {
                return refuse(join_error(&request.member_id, ErrorCode::UNKNOWN_MEMBER_ID));
            }
            let id: Arc<str> = Arc::from(id.as_str());
            let group = ClassicGroup::new(Arc::clone(&id), time.wall_ms);
            let limit = self.settings.max_batch_bytes;
            let record = group.birth_record();
            if size(std::slice::from_ref(&record), limit).is_none_or(|bytes| bytes > limit) {
                return refuse(join_error("", TOO_LARGE));
            }
            if state.consumer(&id).is_some_and(|(_, group)| ConsumerGroup::is_empty(group)) {
                let mut desk = Desk::new(self, state, time);
                match desk.bury(&id) {
                    Some(records) => buried = records,
                    None => return refuse(join_error("", TOO_LARGE)),
                }
            }
            birth = Some(record);
            self.live.insert(id, group);
        }
        let group = match birth {
            Some(_) => self.live.get_mut(id.as_str()),
            None => live_group(&mut self.live, state, &id),
        };
        let Some(group) = group else {
            return refuse(join_error("", ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        };
        let join = Join::new(context, request, fresh, ticket);
        let mut decision =
            within(time, &self.settings, &mut self.timers, |turn| group.join(join, turn));
        if decision.records.is_empty() {
            // The group exists from here on, whatever became of its first member.
            decision.records.extend(birth);
        }
        decision.records.splice(0..0, buried);
        decision
    }

    pub(super) fn sync(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        version: i16,
        request: SyncGroupRequest,
    ) -> Decision<GroupMachine> {
        let refuse = |error| Decision::reply(ticket, Reply::SyncGroup(sync_error(error)));
        let named = request.protocol_type.is_some() && request.protocol_name.is_some();
        if version >= SYNC_NAMES_PROTOCOL_SINCE && !named {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if request.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        if has_consumers(state, &request.group_id) {
            let mut desk = Desk::new(self, state, time);
            desk.classic_sync(&request, ticket);
            return desk.decided();
        }
        match live_group(&mut self.live, state, &request.group_id) {
            None => refuse(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(group) => within(time, &self.settings, &mut self.timers, |turn| {
                group.sync(request, ticket, turn);
            }),
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        state: &GroupState,
        time: Time,
        request: &HeartbeatRequest,
    ) -> ErrorCode {
        if request.group_id.is_empty() {
            return ErrorCode::INVALID_GROUP_ID;
        }
        if has_consumers(state, &request.group_id) {
            return code(Desk::new(self, state, time).classic_heartbeat(request));
        }
        let Some(group) = live_group(&mut self.live, state, &request.group_id) else {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        };
        let mut result = Ok(());
        within(time, &self.settings, &mut self.timers, |turn| {
            result = group.heartbeat(request, turn);
        });
        code(result)
    }

    pub(super) fn leave(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        version: i16,
        request: LeaveGroupRequest,
    ) -> Decision<GroupMachine> {
        let LeaveGroupRequest { group_id, member_id, mut members, .. } = request;
        if version < LEAVE_BATCH_SINCE {
            members = vec![MemberIdentity { member_id, ..Default::default() }];
        }
        let answer = |members| leave_answer(version, members);
        if group_id.is_empty() {
            let error_code = ErrorCode::INVALID_GROUP_ID;
            let response = LeaveGroupResponse { error_code, ..Default::default() };
            return Decision::reply(ticket, Reply::LeaveGroup(response));
        }
        if has_consumers(state, &group_id) {
            let mut desk = Desk::new(self, state, time);
            let members = desk.classic_leave(&group_id, members);
            desk.turn.reply(ticket, Reply::LeaveGroup(answer(members)));
            return desk.decided();
        }
        let Some(group) = live_group(&mut self.live, state, &group_id) else {
            let unknown = members.into_iter().map(|member| MemberResponse {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                error_code: ErrorCode::UNKNOWN_MEMBER_ID,
            });
            return Decision::reply(ticket, Reply::LeaveGroup(answer(unknown.collect())));
        };
        within(time, &self.settings, &mut self.timers, |turn| {
            let members = group.leave(members, turn);
            turn.reply(ticket, Reply::LeaveGroup(answer(members)));
        })
    }
}

/// Old versions, which name one member, are told its error as that of the whole.
fn leave_answer(version: i16, members: Vec<MemberResponse>) -> LeaveGroupResponse {
    if version >= LEAVE_BATCH_SINCE {
        return LeaveGroupResponse { members, ..Default::default() };
    }
    let error_code = members.first().map_or(ErrorCode::NONE, |member| member.error_code);
    LeaveGroupResponse { error_code, ..Default::default() }
}
