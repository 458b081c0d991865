//! A classic group to a consumer group, and back.

use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::JoinGroupRequestProtocol;
use ottla_wire::schema::group::{ClassicMemberMetadata, ClassicProtocol};

use super::member::Member;
use super::{CONSUMER_PROTOCOL, ClassicGroup, Phase, join_error, sync_error};
use crate::group::consumer::topics::Topics;
use crate::group::consumer::{self, Assignment, ConsumerGroup, Held, MemberState, protocol};
use crate::group::timers::Alarm;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Whether the members are consumers, by what they say.
    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL)
    }

    /// The members as those of a consumer group, with what they were last given; `None` when one
    /// of them cannot be read.
    pub(crate) fn as_consumers(
        &self,
        topics: &Topics,
    ) -> Option<Vec<(Arc<str>, consumer::Member, Assignment)>> {
        let protocol = self.protocol.clone().or_else(|| self.elect_protocol());
        let protocol = protocol.unwrap_or_default();
        let member = |(id, member): (&Arc<str>, &Member)| {
            let (subscription, _) = protocol::subscription(&member.metadata(&protocol))?;
            let target = protocol::assigned(&member.assignment, topics)?;
            let held = |(topic, partitions): (_, &Arc<[i32]>)| {
                (topic, partitions.iter().map(|p| (*p, self.generation)).collect())
            };
            let assigned: Held = target.iter().map(|(topic, all)| held((*topic, all))).collect();
            let protocols = member.protocols.iter().map(|protocol| ClassicProtocol {
                name: protocol.name.clone(),
                metadata: protocol.metadata.clone(),
            });
            let consumer = consumer::Member {
                instance_id: member.instance_id.clone(),
                rack_id: subscription.rack_id,
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                topics: subscription.topics.into_iter().collect(),
                regex: None,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                assignor: None,
                classic: Some(ClassicMemberMetadata {
                    session_timeout_ms: member.session_timeout_ms,
                    supported_protocols: protocols.collect(),
                }),
                epoch: self.generation,
                previous_epoch: self.generation,
                state: MemberState::Stable,
                assigned,
                revoking: Held::new(),
            };
            Some((Arc::clone(id), consumer, target))
        };
        self.members.iter().map(member).collect()
    }

    /// The classic group of the members of a consumer group but for some, in the generation that
    /// is the group's epoch; `None` when there is a member that speaks no classic protocol.
    pub(crate) fn of_consumers(
        id: &Arc<str>,
        group: &ConsumerGroup,
        but: &[Arc<str>],
        topics: &Topics,
        now_ms: i64,
    ) -> Option<Self> {
        let mut classic = Self::new(Arc::clone(id), now_ms);
        classic.generation = group.epoch;
        for (id, member) in group.members.iter().filter(|(id, _)| !but.contains(id)) {
            let speaks = member.classic.as_ref()?;
            let first = speaks.supported_protocols.first()?;
            let (_, version) = protocol::subscription(&first.metadata)?;
            let protocols =
                speaks.supported_protocols.iter().map(|protocol| JoinGroupRequestProtocol {
                    name: protocol.name.clone(),
                    metadata: protocol.metadata.clone(),
                });
            let member = Member {
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: speaks.session_timeout_ms,
                protocols: protocols.collect(),
                assignment: protocol::assignment(&member.assigned, topics, version)?,
                join: None,
                sync: None,
                is_new: false,
                session: Alarm::default(),
            };
            classic.insert(Arc::clone(id), member, CONSUMER_PROTOCOL);
        }
        classic.protocol = classic.elect_protocol();
        classic.phase = Phase::Stable;
        classic.read_subscriptions();
        Some(classic)
    }

    /// Ends a group in whose place there is another: who waits is told why, and no alarm is left.
    pub(crate) fn disband(mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            let Some(member) = self.remove(&id, turn.timers) else { continue };
            if let Some(parked) = member.join {
                turn.answer_join(parked, join_error(&id, error));
            }
            if let Some(ticket) = member.sync {
                turn.answer_sync(ticket, sync_error(error));
            }
        }
        self.dismiss(turn.timers);
    }
}
