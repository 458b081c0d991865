//! JoinGroup.

use std::sync::Arc;

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};

use super::member::{Member, ParkedJoin, own_protocols};
use super::{ClassicGroup, Phase, join_error, sync_error};
use crate::group::Context;
use crate::group::room::TOO_LARGE;
use crate::group::timers::Alarm;
use crate::group::turn::Turn;

/// From this version on a new member must come back with the id it was given (KIP-394).
pub(crate) const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// From this version on a returning static leader can be told to leave the assignment alone
/// (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

/// What a static member was before it came back.
struct Before {
    id: Arc<str>,
    protocols: Vec<JoinGroupRequestProtocol>,
    rebalance_timeout_ms: i32,
    session_timeout_ms: i32,
}

/// A JoinGroup on its way through the rules.
pub(crate) struct Join<'a> {
    pub(crate) context: &'a Context,
    pub(crate) request: JoinGroupRequest,
    pub(crate) fresh: u128,
    pub(crate) parked: ParkedJoin,
}

impl<'a> Join<'a> {
    pub(crate) fn new(
        context: &'a Context,
        mut request: JoinGroupRequest,
        fresh: u128,
        ticket: Ticket,
    ) -> Self {
        if context.version == 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        let parked = ParkedJoin { ticket, version: context.version };
        request.protocols = own_protocols(request.protocols);
        Self { context, request, fresh, parked }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.request.member_id.is_empty()
    }

    fn refuse(self, turn: &mut Turn<'_>, error: ErrorCode) {
        let response = join_error(&self.request.member_id, error);
        turn.answer_join(self.parked, response);
    }

    /// A new member id: the instance's or client's name and a random UUID.
    fn member_id(&self) -> Arc<str> {
        let name = self.request.group_instance_id.as_deref().unwrap_or(&self.context.client_id);
        let random = (self.fresh & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{random:032x}");
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        Arc::from(format!(
            "{name}-{}-{}-{}-{}-{}",
            part(0..8),
            part(8..12),
            part(12..16),
            part(16..20),
            part(20..32)
        ))
    }
}

impl ClassicGroup {
    /// Answers a JoinGroup, or parks it.
    pub(crate) fn join(&mut self, join: Join<'_>, turn: &mut Turn<'_>) {
        if !self.has_room(&join, turn) {
            self.remove(&join.request.member_id, turn.timers);
            let response = join_error("", ErrorCode::GROUP_MAX_SIZE_REACHED);
            turn.answer_join(join.parked, response);
        } else if !self.supports(&join.request.protocol_type, &join.request.protocols) {
            join.refuse(turn, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        } else if join.is_new() {
            self.join_new(join, turn);
        } else {
            self.join_known(join, turn);
        }
    }

    /// Whether the member fits `group.max.size`. While members gather, those that wait count, so
    /// that of a group that is too large the last to come back are out.
    fn has_room(&self, join: &Join<'_>, turn: &Turn<'_>) -> bool {
        let known = self.members.get(join.request.member_id.as_str());
        match self.phase {
            Phase::Empty => true,
            Phase::PreparingRebalance => {
                known.is_some_and(|member| member.join.is_some())
                    || self.joined < turn.settings.max_size
            }
            Phase::CompletingRebalance | Phase::Stable => {
                known.is_some() || self.members.len() < turn.settings.max_size
            }
        }
    }

    fn join_new(&mut self, join: Join<'_>, turn: &mut Turn<'_>) {
        let id = join.member_id();
        match join.request.group_instance_id.as_deref() {
            Some(instance) => match self.statics.get(instance).cloned() {
                Some(old) => self.replace_static(&old, id, join, turn),
                None => self.add(id, join, turn),
            },
            None if join.context.version >= MEMBER_ID_REQUIRED_SINCE => {
                let mut alarm = Alarm::default();
                let after = u64::try_from(join.request.session_timeout_ms).unwrap_or(0);
                turn.set_session(&mut alarm, after, &self.id, &id);
                let response = join_error(&id, ErrorCode::MEMBER_ID_REQUIRED);
                self.pending_join.insert(id, alarm);
                turn.answer_join(join.parked, response);
            }
            None => self.add(id, join, turn),
        }
    }

    fn join_known(&mut self, join: Join<'_>, turn: &mut Turn<'_>) {
        let id = join.request.member_id.clone();
        let instance = join.request.group_instance_id.as_deref();
        if self.pending_join.contains_key(id.as_str()) {
            if instance.is_some() {
                // Ids are only handed out to members without an instance id.
                let response = join_error("", ErrorCode::UNKNOWN_SERVER_ERROR);
                turn.answer_join(join.parked, response);
            } else {
                self.drop_pending(&id, turn.timers);
                self.add(Arc::from(id), join, turn);
            }
            return;
        }
        if let Err(error) = self.check_member(&id, instance) {
            let response = join_error(&id, error);
            turn.answer_join(join.parked, response);
            return;
        }
        let unchanged =
            self.members.get(id.as_str()).is_some_and(|m| m.protocols == join.request.protocols);
        match self.phase {
            Phase::Empty => join.refuse(turn, ErrorCode::UNKNOWN_MEMBER_ID),
            // The answer to its join may have been lost: it is given again.
            Phase::CompletingRebalance if unchanged => {
                let response = self.join_answer(&id);
                turn.answer_join(join.parked, response);
            }
            Phase::Stable if unchanged && !self.is_leader(&id) => {
                let response = self.join_answer(&id);
                turn.answer_join(join.parked, response);
            }
            // In a stable group the leader asks for a rebalance just by joining.
            Phase::PreparingRebalance | Phase::CompletingRebalance | Phase::Stable => {
                self.update(&id, join, turn);
                self.rebalance_or_finish(turn);
            }
        }
    }

    /// Takes over what a known member brings now, and parks its join.
    fn update(&mut self, id: &str, join: Join<'_>, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let old = std::mem::replace(&mut member.protocols, join.request.protocols.clone());
        member.rebalance_timeout_ms = join.request.rebalance_timeout_ms;
        member.session_timeout_ms = join.request.session_timeout_ms;
        let superseded = member.join.replace(join.parked);
        let resync = member.sync.take();
        self.joined += usize::from(superseded.is_none());
        self.count_protocols(&old, -1);
        self.count_protocols(&join.request.protocols, 1);
        if let Some(parked) = superseded {
            turn.answer_join(parked, join_error(id, ErrorCode::REBALANCE_IN_PROGRESS));
        }
        if let Some(ticket) = resync {
            turn.answer_sync(ticket, sync_error(ErrorCode::REBALANCE_IN_PROGRESS));
        }
    }

    fn add(&mut self, id: Arc<str>, join: Join<'_>, turn: &mut Turn<'_>) {
        if let Some(initial) = &mut self.initial {
            initial.member_added = true;
        }
        let mut session = Alarm::default();
        // A new member cannot send heartbeats before it is answered, and its connection is not
        // read while its join is parked: only this limit tells that it has gone.
        turn.set_session(&mut session, turn.settings.new_member_join_timeout_ms, &self.id, &id);
        let member = Member {
            instance_id: join.request.group_instance_id,
            client_id: join.context.client_id.clone(),
            client_host: join.context.client_host.clone(),
            rebalance_timeout_ms: join.request.rebalance_timeout_ms,
            session_timeout_ms: join.request.session_timeout_ms,
            protocols: join.request.protocols,
            assignment: Bytes::new(),
            join: Some(join.parked),
            sync: None,
            is_new: true,
            session,
        };
        self.insert(id, member, &join.request.protocol_type);
        self.rebalance_or_finish(turn);
    }

    /// A static member is back without its id: it takes the place of its former self (KIP-345).
    fn replace_static(
        &mut self,
        old: &Arc<str>,
        id: Arc<str>,
        join: Join<'_>,
        turn: &mut Turn<'_>,
    ) {
        let was_leader = self.is_leader(old);
        let former_leader = self.leader_name();
        let Some(mut former) = self.remove(old, turn.timers) else { return };
        if let Some(parked) = former.join.take() {
            let response = join_error(old, ErrorCode::FENCED_INSTANCE_ID);
            turn.answer_join(parked, response);
        }
        if let Some(ticket) = former.sync.take() {
            turn.answer_sync(ticket, sync_error(ErrorCode::FENCED_INSTANCE_ID));
        }
        let version = join.context.version;
        let protocol_type = join.request.protocol_type;
        let before = Before {
            id: Arc::clone(old),
            protocols: former.protocols,
            rebalance_timeout_ms: former.rebalance_timeout_ms,
            session_timeout_ms: former.session_timeout_ms,
        };
        let member = Member {
            rebalance_timeout_ms: join.request.rebalance_timeout_ms,
            session_timeout_ms: join.request.session_timeout_ms,
            protocols: join.request.protocols,
            join: Some(join.parked),
            is_new: false,
            session: Alarm::default(),
            ..former
        };
        self.take_place(Arc::clone(&id), member, &protocol_type, was_leader);
        self.extend_session(&id, turn);
        match self.phase {
            Phase::Stable if self.elect_protocol() == self.protocol => {
                if !turn.write(self.record()) {
                    self.put_back(&id, before, turn);
                    return;
                }
                let leader =
                    if version >= SKIP_ASSIGNMENT_SINCE { None } else { Some(former_leader) };
                self.answer_returned(&id, leader, turn);
            }
            Phase::Stable | Phase::CompletingRebalance => self.prepare_rebalance(turn),
            Phase::PreparingRebalance | Phase::Empty => self.finish_join_phase_if_complete(turn),
        }
    }

    /// Takes a member in, in the place of another that may have led.
    fn take_place(&mut self, id: Arc<str>, member: Member, protocol_type: &str, leads: bool) {
        if leads {
            self.leader = Some(Arc::clone(&id));
        }
        self.insert(id, member, protocol_type);
    }

    /// The group with a static member that is back fits no batch: the member is told, and its
    /// former self stays what it was.
    fn put_back(&mut self, id: &str, before: Before, turn: &mut Turn<'_>) {
        let leads = self.is_leader(id);
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        let Some(mut member) = self.remove(id, turn.timers) else { return };
        let parked = member.join.take();
        let member = Member {
            protocols: before.protocols,
            rebalance_timeout_ms: before.rebalance_timeout_ms,
            session_timeout_ms: before.session_timeout_ms,
            session: Alarm::default(),
            ..member
        };
        self.take_place(Arc::clone(&before.id), member, &protocol_type, leads);
        self.extend_session(&before.id, turn);
        if let Some(parked) = parked {
            let response = JoinGroupResponse {
                generation_id: self.generation,
                protocol_type: self.protocol_type.clone(),
                protocol_name: self.protocol.clone(),
                leader: self.leader_name(),
                ..join_error("", TOO_LARGE)
            };
            turn.answer_join(parked, response);
        }
    }

    /// Answers a static member that is back in a stable group, which goes on as it was. Old
    /// clients that lead are told the leader's former id, so that they do not assign again.
    fn answer_returned(&mut self, id: &str, leader: Option<String>, turn: &mut Turn<'_>) {
        let answer = self.join_answer(id);
        let response = match leader {
            None => JoinGroupResponse { skip_assignment: self.is_leader(id), ..answer },
            Some(leader) => JoinGroupResponse { leader, members: Vec::new(), ..answer },
        };
        self.finish_join(id, turn, response);
    }
}
