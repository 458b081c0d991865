//! The answers of the join and sync phases.

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use ottla_wire::api::sync_group::SyncGroupResponse;

use super::ClassicGroup;
use super::member::ParkedJoin;
use crate::group::Reply;
use crate::group::turn::Turn;

/// From this version on the protocol's name may be null.
const NULL_PROTOCOL_SINCE: i16 = 7;

/// An answer to JoinGroup that says only what went wrong.
pub(crate) fn join_error(member: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error,
        generation_id: -1,
        protocol_name: None,
        member_id: member.to_owned(),
        ..Default::default()
    }
}

/// An answer to SyncGroup that says only what went wrong.
pub(crate) fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error, ..Default::default() }
}

impl Turn<'_> {
    /// Answers a JoinGroup; old versions know no null as a protocol's name.
    pub(crate) fn answer_join(&mut self, parked: ParkedJoin, mut response: JoinGroupResponse) {
        if parked.version < NULL_PROTOCOL_SINCE && response.protocol_name.is_none() {
            response.protocol_name = Some(String::new());
        }
        self.reply(parked.ticket, Reply::JoinGroup(response));
    }

    pub(crate) fn answer_sync(&mut self, ticket: Ticket, response: SyncGroupResponse) {
        self.reply(ticket, Reply::SyncGroup(response));
    }
}

impl ClassicGroup {
    /// The answer to a member of the present generation; the leader learns who is in it.
    pub(super) fn join_answer(&self, member: &str) -> JoinGroupResponse {
        let members = if self.is_leader(member) { self.member_list() } else { Vec::new() };
        JoinGroupResponse {
            error_code: ErrorCode::NONE,
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader_name(),
            skip_assignment: false,
            member_id: member.to_owned(),
            members,
            ..Default::default()
        }
    }

    fn member_list(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        self.members
            .iter()
            .map(|(id, member)| JoinGroupResponseMember {
                member_id: id.to_string(),
                group_instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }

    /// The answer that carries a member's assignment.
    pub(super) fn sync_answer(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            error_code: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..Default::default()
        }
    }

    /// Answers the member's parked join, if it has one.
    pub(super) fn finish_join(
        &mut self,
        member: &str,
        turn: &mut Turn<'_>,
        response: JoinGroupResponse,
    ) {
        let Some(known) = self.members.get_mut(member) else { return };
        if let Some(parked) = known.join.take() {
            self.joined -= 1;
            turn.answer_join(parked, response);
        }
    }
}
