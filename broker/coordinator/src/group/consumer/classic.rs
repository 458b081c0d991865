//! Members of the classic protocol within a consumer group (KIP-848, online migration).
//!
//! They join, sync, beat and leave as ever, and are led like the others: what they subscribe to and
//! have is translated, and a step on their way is a rebalance to them.

use std::sync::Arc;

use bytes::Bytes;
use ottla_machine::Ticket;
use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_heartbeat::ConsumerGroupHeartbeatRequestTopicPartitions;
use ottla_wire::api::heartbeat::HeartbeatRequest;
use ottla_wire::api::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla_wire::api::leave_group::{MemberIdentity, MemberResponse};
use ottla_wire::api::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla_wire::schema::consumer_protocol::ConsumerProtocolSubscription;
use ottla_wire::schema::group::{ClassicMemberMetadata, ClassicProtocol};

use super::alarms::Kind;
use super::desk::{Desk, Draft, Refused};
use super::heartbeat::{Speaks, no_member};
use super::member::{Member, MemberState, fresh_id};
use super::protocol;
use super::update::Update;
use crate::group::classic::{
    CONSUMER_PROTOCOL, MEMBER_ID_REQUIRED_SINCE, ParkedJoin, join_error, own_protocols,
};
use crate::group::command::Context;
use crate::group::settings::MigrationPolicy;

/// Whether a classic group that came of a consumer group has to rebalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebalance {
    Needed,
    NotNeeded,
}

impl Desk<'_> {
    /// A JoinGroup to a consumer group; answered at once.
    pub(crate) fn classic_join(
        &mut self,
        context: &Context,
        mut request: JoinGroupRequest,
        fresh: u128,
        ticket: Ticket,
    ) {
        if context.version == 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        request.protocols = own_protocols(std::mem::take(&mut request.protocols));
        let parked = ParkedJoin { ticket, version: context.version };
        let response = self
            .join_consumers(context, &request, fresh)
            .unwrap_or_else(|refused| join_error(&request.member_id, refused.code));
        self.turn.answer_join(parked, response);
    }

    fn join_consumers(
        &mut self,
        context: &Context,
        request: &JoinGroupRequest,
        fresh: u128,
    ) -> Result<JoinGroupResponse, Refused> {
        let mut draft =
            self.draft(&request.group_id).ok_or(Refused::from(ErrorCode::UNKNOWN_MEMBER_ID))?;
        if self.topics.image().is_none() {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.into());
        }
        if self.settings().migration == MigrationPolicy::Disabled {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.into());
        }
        let is_new = request.member_id.is_empty();
        let id: Arc<str> = match request.member_id.as_str() {
            "" => Arc::from(fresh_id(fresh)),
            id => Arc::from(id),
        };
        self.check_room(&draft, &id)?;
        let mut names = request.protocols.iter().map(|protocol| protocol.name.as_str());
        let speaks = request.protocol_type == CONSUMER_PROTOCOL;
        if !speaks || !draft.group.supports(&mut names) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.into());
        }
        let instance = request.group_instance_id.as_deref();
        if is_new && instance.is_none() && context.version >= MEMBER_ID_REQUIRED_SINCE {
            return Ok(join_error(&id, ErrorCode::MEMBER_ID_REQUIRED));
        }
        let first = request.protocols.first();
        let (subscription, _) = first
            .and_then(|first| protocol::subscription(&first.metadata))
            .ok_or(Refused::from(ErrorCode::UNKNOWN_SERVER_ERROR))?;
        let former = instance.and_then(|i| draft.group.statics.get(i)).cloned();
        let before = match instance {
            None => draft.group.member(&id).map(|m| Member::clone(m)).unwrap_or_default(),
            Some(_) if is_new => match &former {
                Some(former) => {
                    draft.replace(former, &id, instance.unwrap_or_default(), Speaks::Classic)?
                }
                None => Member::default(),
            },
            Some(instance) => Member::clone(&draft.static_member(instance, &id)?.1),
        };
        let member = told(&before, context, request, &subscription);
        let owned = self.owned(&subscription);
        let update = Update { id: &id, before: &before, member, owned: Some(&owned) };
        let after = self.update(&mut draft, update)?;
        let name = first.map(|protocol| protocol.name.clone());
        let response = JoinGroupResponse {
            member_id: id.to_string(),
            generation_id: after.epoch,
            protocol_type: Some(CONSUMER_PROTOCOL.to_owned()),
            protocol_name: name,
            ..Default::default()
        };
        if former.is_some() && self.may_downgrade(&draft, &[]) {
            let is_there = after.epoch == draft.group.epoch;
            let rebalance = if is_there { Rebalance::NotNeeded } else { Rebalance::Needed };
            self.downgrade_with(&mut draft, &[], rebalance)?;
            return Ok(response);
        }
        self.keep(&mut draft)?;
        self.settle(&draft);
        let group = Arc::clone(&draft.id);
        if let Some(former) = former.filter(|former| *former != id) {
            self.stop_alarms(&group, &former);
        }
        self.stop_alarm(&group, &id, Kind::Join);
        self.stop_alarm(&group, &id, Kind::Rebalance);
        self.set_alarm(&group, &id, Kind::Session, request.session_timeout_ms);
        self.set_alarm(&group, &id, Kind::Sync, request.rebalance_timeout_ms);
        Ok(response)
    }

    /// The partitions that a subscription says its member has, of topics that there are.
    fn owned(
        &self,
        subscription: &ConsumerProtocolSubscription,
    ) -> Vec<ConsumerGroupHeartbeatRequestTopicPartitions> {
        subscription
            .owned_partitions
            .iter()
            .filter_map(|topic| {
                Some(ConsumerGroupHeartbeatRequestTopicPartitions {
                    topic_id: self.topics.named(&topic.topic)?.id,
                    partitions: topic.partitions.clone(),
                })
            })
            .collect()
    }

    /// A SyncGroup to a consumer group: the member's own assignment; answered at once.
    pub(crate) fn classic_sync(&mut self, request: &SyncGroupRequest, ticket: Ticket) {
        let response = self.sync_consumer(request).unwrap_or_else(|refused| SyncGroupResponse {
            error_code: refused.code,
            ..Default::default()
        });
        self.turn.answer_sync(ticket, response);
    }

    fn sync_consumer(&mut self, request: &SyncGroupRequest) -> Result<SyncGroupResponse, Refused> {
        let draft =
            self.draft(&request.group_id).ok_or(Refused::from(ErrorCode::UNKNOWN_MEMBER_ID))?;
        let id = request.member_id.as_str();
        let instance = request.group_instance_id.as_deref();
        let (member, classic) = classic_member(&draft, id, instance)?;
        if request.generation_id != member.epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION.into());
        }
        let first = classic.supported_protocols.first();
        let differs = |asked: &Option<String>, ours: Option<&str>| {
            asked.is_some() && asked.as_deref() != ours
        };
        if differs(&request.protocol_type, Some(CONSUMER_PROTOCOL))
            || differs(&request.protocol_name, first.map(|first| first.name.as_str()))
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.into());
        }
        let group = Arc::clone(&draft.id);
        if draft.group.epoch > member.epoch && member.state != MemberState::Unrevoked {
            self.set_alarm_once(&group, id, Kind::Join, member.rebalance_timeout_ms);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS.into());
        }
        let version = first
            .and_then(|first| protocol::subscription(&first.metadata))
            .map_or(0, |(_, version)| version);
        let assignment = protocol::assignment(&member.assigned, self.topics, version)
            .ok_or(Refused::from(ErrorCode::UNKNOWN_SERVER_ERROR))?;
        self.stop_alarm(&group, id, Kind::Sync);
        self.set_alarm(&group, id, Kind::Session, classic.session_timeout_ms);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }

    /// A Heartbeat to a consumer group.
    pub(crate) fn classic_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let draft = self.draft(&request.group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let id = request.member_id.as_str();
        let (member, classic) = classic_member(&draft, id, request.group_instance_id.as_deref())
            .map_err(|refused| refused.code)?;
        if request.generation_id != member.epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = Arc::clone(&draft.id);
        self.set_alarm(&group, id, Kind::Session, classic.session_timeout_ms);
        let has_a_step = member.epoch < draft.group.epoch
            || member.state == MemberState::Unrevoked
            || (member.state == MemberState::Unreleased && !waits_for_others(&draft, id, &member));
        if has_a_step {
            self.set_alarm_once(&group, id, Kind::Join, member.rebalance_timeout_ms);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A LeaveGroup to a consumer group, which ends members of either protocol: it is how others
    /// end static ones.
    pub(crate) fn classic_leave(
        &mut self,
        group: &str,
        members: Vec<MemberIdentity>,
    ) -> Vec<MemberResponse> {
        let Some(mut draft) = self.draft(group) else { return Vec::new() };
        let mut gone: Vec<Arc<str>> = Vec::new();
        let mut answers = Vec::with_capacity(members.len());
        for member in members {
            let found = leaving(&draft, &member);
            let error_code = found.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code);
            gone.extend(found.ok().filter(|id| !gone.contains(id)));
            answers.push(MemberResponse {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                error_code,
            });
        }
        if !gone.is_empty()
            && let Err(refused) = self.fence(&mut draft, &gone)
        {
            for answer in answers.iter_mut().filter(|answer| answer.error_code.is_none()) {
                answer.error_code = refused.code;
            }
        }
        answers
    }
}

/// Who leaves, by its id or its instance id.
fn leaving(draft: &Draft, who: &MemberIdentity) -> Result<Arc<str>, Refused> {
    let instance = who.group_instance_id.as_deref();
    match instance {
        Some(instance) if who.member_id.is_empty() => {
            let known = draft.group.statics.get(instance).cloned();
            known.ok_or(Refused::from(ErrorCode::UNKNOWN_MEMBER_ID))
        }
        Some(instance) => Ok(draft.static_member(instance, &who.member_id)?.0),
        None => {
            let known = draft.group.members.get_key_value(who.member_id.as_str());
            Ok(Arc::clone(known.ok_or_else(|| no_member(&draft.id, &who.member_id))?.0))
        }
    }
}

/// A member that speaks the classic protocol and is who it says.
fn classic_member(
    draft: &Draft,
    id: &str,
    instance: Option<&str>,
) -> Result<(Arc<Member>, ClassicMemberMetadata), Refused> {
    let member = match instance {
        Some(instance) => draft.static_member(instance, id)?.1,
        None => draft.group.member(id).cloned().ok_or_else(|| no_member(&draft.id, id))?,
    };
    let Some(classic) = member.classic.clone() else {
        let message = format!("Member {id} does not use the classic protocol.");
        return Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, message));
    };
    Ok((member, classic))
}

/// Whether a partition that a member shall have is still somebody's.
fn waits_for_others(draft: &Draft, id: &str, member: &Member) -> bool {
    let Some(target) = draft.group.targets.get(id) else { return false };
    target.iter().any(|(topic, partitions)| {
        let has = member.assigned.get(topic);
        partitions.iter().any(|partition| {
            !has.is_some_and(|has| has.contains_key(partition))
                && draft.group.owners.contains_key(&(*topic, *partition))
        })
    })
}

/// The member with what its JoinGroup says.
fn told(
    before: &Member,
    context: &Context,
    request: &JoinGroupRequest,
    subscription: &ConsumerProtocolSubscription,
) -> Member {
    let mut member = before.clone();
    if request.group_instance_id.is_some() {
        member.instance_id.clone_from(&request.group_instance_id);
    }
    if subscription.rack_id.is_some() {
        member.rack_id.clone_from(&subscription.rack_id);
    }
    if request.rebalance_timeout_ms != -1 {
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    member.topics = subscription.topics.iter().cloned().collect();
    member.client_id.clone_from(&context.client_id);
    member.client_host.clone_from(&context.client_host);
    let protocols = request.protocols.iter().map(|protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: Bytes::clone(&protocol.metadata),
    });
    member.classic = Some(ClassicMemberMetadata {
        session_timeout_ms: request.session_timeout_ms,
        supported_protocols: protocols.collect(),
    });
    member
}
