//! ConsumerGroupHeartbeat: join, stay, leave.

use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_heartbeat::{
    Assignment as AssignmentOf, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatResponseTopicPartitions,
};

use super::alarms::Kind;
use super::check::{check_epoch, check_request};
use super::desk::{Desk, Draft, Refused};
use super::member::{Held, LEAVE, LEAVE_FOR_A_WHILE, Member, MemberState, fresh_id};
use super::update::Update;
use crate::group::command::Context;

/// From this version on a member brings its own id (KIP-1082).
const OWN_MEMBER_ID_SINCE: i16 = 1;

impl Desk<'_> {
    /// Answers a heartbeat.
    pub(crate) fn heartbeat(
        &mut self,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
        fresh: u128,
    ) -> ConsumerGroupHeartbeatResponse {
        let result = check_request(request, context.version, OWN_MEMBER_ID_SINCE, self.settings())
            .and_then(|()| match request.member_epoch {
                LEAVE | LEAVE_FOR_A_WHILE => self.leave(request),
                _ => self.beat(context, request, fresh),
            });
        result.unwrap_or_else(|refused| ConsumerGroupHeartbeatResponse {
            error_code: refused.code,
            error_message: refused.message,
            ..Default::default()
        })
    }

    fn beat(
        &mut self,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
        fresh: u128,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refused> {
        if self.topics.image().is_none() {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.into());
        }
        let joins = request.member_epoch == 0;
        let mut draft = if joins {
            self.found(&request.group_id)?
        } else {
            self.draft(&request.group_id).ok_or_else(|| self.no_consumers(&request.group_id))?
        };
        self.check_room(&draft, &request.member_id)?;
        let id: Arc<str> = match request.member_id.as_str() {
            "" => Arc::from(fresh_id(fresh)),
            id => Arc::from(id),
        };
        let former = request.instance_id.as_deref();
        let former = former.and_then(|instance| draft.group.statics.get(instance)).cloned();
        let before = self.subscriber(&mut draft, &id, request)?;
        let member = told(&before, context, request);
        let update =
            Update { id: &id, before: &before, member, owned: request.topic_partitions.as_deref() };
        let after = self.update(&mut draft, update)?;
        self.keep(&mut draft)?;
        self.settle(&draft);
        let group = Arc::clone(&draft.id);
        if let Some(former) = former.filter(|former| *former != id) {
            self.stop_alarms(&group, &former);
        }
        self.set_alarm(&group, &id, Kind::Session, self.session_timeout_ms(&group));
        if after.state == MemberState::Unrevoked {
            self.begin_rebalance(&group, &id, &after);
        } else {
            self.stop_alarm(&group, &id, Kind::Rebalance);
        }
        let full = joins
            || (request.rebalance_timeout_ms != -1
                && (request.subscribed_topic_names.is_some()
                    || request.subscribed_topic_regex.is_some())
                && request.topic_partitions.is_some());
        let differs = before.assigned != after.assigned;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_string()),
            member_epoch: after.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(&group),
            assignment: (full || differs).then(|| assignment_of(&after.assigned)),
            ..Default::default()
        })
    }

    /// Gives a member that is to give up partitions its time for that; not anew in the same epoch.
    fn begin_rebalance(&mut self, group: &Arc<str>, id: &str, member: &Member) {
        let (_, alarms) = self.live(group).alarms_of(id);
        let runs = alarms.of(Kind::Rebalance).is_set() && alarms.rebalance_epoch == member.epoch;
        alarms.rebalance_epoch = member.epoch;
        if !runs {
            self.set_alarm(group, id, Kind::Rebalance, member.rebalance_timeout_ms);
        }
    }

    /// The member as it was before, a new one if it joins. A static one may take the place of
    /// its former self.
    fn subscriber(
        &mut self,
        draft: &mut Draft,
        id: &Arc<str>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Member, Refused> {
        let joins = request.member_epoch == 0;
        let owned = request.topic_partitions.as_deref();
        let Some(instance) = request.instance_id.as_deref() else {
            return match draft.group.member(id) {
                Some(known) => {
                    check_epoch(known, request.member_epoch, owned)?;
                    Ok(Member::clone(known))
                }
                None if joins => Ok(Member::default()),
                None => Err(no_member(&draft.id, id)),
            };
        };
        let known = draft.group.statics.get(instance).cloned();
        if joins {
            return match known {
                None => Ok(draft.group.member(id).map(|m| Member::clone(m)).unwrap_or_default()),
                Some(known) => draft.replace(&known, id, instance, Speaks::Consumer),
            };
        }
        let (_, member) = draft.static_member(instance, id)?;
        check_epoch(&member, request.member_epoch, owned)?;
        Ok(Member::clone(&member))
    }

    fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refused> {
        let id = request.member_id.as_str();
        let mut draft =
            self.draft(&request.group_id).ok_or_else(|| self.no_group(&request.group_id))?;
        let answer = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_owned()),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        let member = match request.instance_id.as_deref() {
            None => {
                let (id, _) = draft
                    .group
                    .members
                    .get_key_value(id)
                    .ok_or_else(|| no_member(&draft.id, id))?;
                Arc::clone(id)
            }
            Some(instance) => {
                let (id, known) = draft.static_member(instance, id)?;
                if request.member_epoch == LEAVE_FOR_A_WHILE {
                    let mut member = Member::clone(&known);
                    member.epoch = LEAVE_FOR_A_WHILE;
                    member.revoking = Held::new();
                    member.assigned.values_mut().flat_map(|held| held.values_mut()).for_each(|e| {
                        *e = 0;
                    });
                    draft.write_current(&id, &member);
                    self.keep(&mut draft)?;
                    return Ok(answer);
                }
                id
            }
        };
        self.fence(&mut draft, &[member])?;
        Ok(answer)
    }

    /// That a group is not there, or not of this type.
    pub(crate) fn no_group(&self, id: &str) -> Refused {
        let message = match self.state.groups.contains_key(id) {
            true => format!("Group {id} is not a consumer group."),
            false => format!("Group {id} not found."),
        };
        Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
    }

    /// The same, to one who says that it is a member.
    fn no_consumers(&self, id: &str) -> Refused {
        if self.state.groups.contains_key(id) {
            return self.no_group(id);
        }
        let message = format!("Consumer group {id} not found.");
        Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
    }

    /// Whether the group has room for a member.
    pub(crate) fn check_room(&self, draft: &Draft, member: &str) -> Result<(), Refused> {
        let max = self.settings().max_size;
        if draft.group.members.len() < max || draft.group.members.contains_key(member) {
            return Ok(());
        }
        Err(Refused::new(
            ErrorCode::GROUP_MAX_SIZE_REACHED,
            format!("The consumer group has reached its maximum capacity of {max} members."),
        ))
    }
}

/// Which protocol a member speaks that takes the place of a static one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Consumer,
    Classic,
}

impl Draft {
    /// The member of an instance id, which is the one that says so.
    pub(crate) fn static_member(
        &self,
        instance: &str,
        id: &str,
    ) -> Result<(Arc<str>, Arc<Member>), Refused> {
        let known = self.group.statics.get(instance);
        let known = known.and_then(|known| Some((known, self.group.member(known)?)));
        let Some((known, member)) = known else {
            let message = format!("Instance id {instance} is unknown.");
            return Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, message));
        };
        if &**known != id {
            let message = format!(
                "Static member {id} with instance id {instance} was fenced by member {known}."
            );
            return Err(Refused::new(ErrorCode::FENCED_INSTANCE_ID, message));
        }
        Ok((Arc::clone(known), Arc::clone(member)))
    }

    /// A static member is back: it takes over what its former self had, unless that is there.
    pub(crate) fn replace(
        &mut self,
        old: &Arc<str>,
        id: &str,
        instance: &str,
        speaks: Speaks,
    ) -> Result<Member, Refused> {
        let Some(known) = self.group.member(old).cloned() else { return Ok(Member::default()) };
        let is_there = known.epoch != LEAVE_FOR_A_WHILE;
        if speaks == Speaks::Consumer && !known.is_classic() && is_there {
            let message = format!(
                "Static member {id} with instance id {instance} cannot join the group because the \
                 instance id is owned by {old} member."
            );
            return Err(Refused::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
        }
        let mut member = Member::clone(&known);
        (member.epoch, member.previous_epoch) = (0, 0);
        let target = self.group.targets.get(old).cloned().unwrap_or_default();
        self.remove(old);
        self.write_member(id, &member);
        self.write_target(id, &target);
        self.write_current(id, &member);
        Ok(member)
    }
}

/// The member with what it says now; what it does not say is as it was.
fn told(before: &Member, context: &Context, request: &ConsumerGroupHeartbeatRequest) -> Member {
    let mut member = before.clone();
    let or = |new: &Option<String>, old: Option<String>| new.clone().or(old);
    member.instance_id = or(&request.instance_id, member.instance_id);
    member.rack_id = or(&request.rack_id, member.rack_id);
    member.assignor = or(&request.server_assignor, member.assignor);
    member.regex = or(&request.subscribed_topic_regex, member.regex);
    if request.rebalance_timeout_ms != -1 {
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(topics) = &request.subscribed_topic_names {
        member.topics = topics.iter().cloned().collect();
    }
    member.client_id.clone_from(&context.client_id);
    member.client_host.clone_from(&context.client_host);
    member.classic = None;
    member
}

/// That a member is not of the group.
pub(crate) fn no_member(group: &str, id: &str) -> Refused {
    let message = format!("Member {id} is not a member of group {group}.");
    Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, message)
}

fn assignment_of(assigned: &Held) -> AssignmentOf {
    let topic_partitions = assigned
        .iter()
        .map(|(topic_id, partitions)| ConsumerGroupHeartbeatResponseTopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
        })
        .collect();
    AssignmentOf { topic_partitions }
}
