//! A classic group to its record, and back.

use std::sync::Arc;

use ottla_wire::api::join_group::JoinGroupRequestProtocol;
use ottla_wire::schema::group::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};

use super::member::Member;
use super::{ClassicGroup, Phase};
use crate::group::record::GroupRecord;
use crate::group::timers::Alarm;

impl ClassicGroup {
    /// The record of the group as it is now.
    pub(crate) fn record(&self) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self
            .members
            .iter()
            .map(|(id, member)| MemberMetadata {
                member_id: id.to_string(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout: member.rebalance_timeout_ms,
                session_timeout: member.session_timeout_ms,
                subscription: member.metadata(protocol),
                assignment: member.assignment.clone(),
            })
            .collect();
        GroupRecord::Group {
            key: GroupMetadataKey { group: self.id.to_string() },
            value: Some(GroupMetadataValue {
                protocol_type: self.protocol_type.clone().unwrap_or_default(),
                generation: self.generation,
                protocol: self.protocol.clone(),
                leader: self.leader.as_deref().map(str::to_owned),
                current_state_timestamp: self.changed_ms.unwrap_or(-1),
                members,
            }),
        }
    }

    /// The record with which a group begins to exist before it has a generation.
    pub(crate) fn birth_record(&self) -> GroupRecord {
        GroupRecord::Group {
            key: GroupMetadataKey { group: self.id.to_string() },
            value: Some(GroupMetadataValue {
                protocol: None,
                leader: None,
                current_state_timestamp: self.changed_ms.unwrap_or(-1),
                ..Default::default()
            }),
        }
    }

    /// The group as its last record says: stable with the members it names, or empty. Their
    /// sessions are for the caller to begin.
    pub(crate) fn from_record(id: Arc<str>, value: &GroupMetadataValue) -> Self {
        let mut group = Self::new(id, 0);
        group.changed_ms =
            (value.current_state_timestamp != -1).then_some(value.current_state_timestamp);
        group.generation = value.generation;
        group.protocol_type =
            Some(value.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        group.protocol = value.protocol.clone();
        for member in &value.members {
            group.restore(member, &value.protocol_type, value.protocol.as_deref());
        }
        group.leader = value.leader.as_deref().map(Arc::from);
        if !group.members.is_empty() {
            group.phase = Phase::Stable;
        }
        group.read_subscriptions();
        group
    }

    fn restore(&mut self, member: &MemberMetadata, protocol_type: &str, protocol: Option<&str>) {
        let rebalance_timeout_ms = match member.rebalance_timeout {
            -1 => member.session_timeout,
            given => given,
        };
        let known = JoinGroupRequestProtocol {
            name: protocol.unwrap_or_default().to_owned(),
            metadata: member.subscription.clone(),
        };
        let restored = Member {
            instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout,
            protocols: vec![known],
            assignment: member.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            session: Alarm::default(),
        };
        self.insert(Arc::from(member.member_id.as_str()), restored, protocol_type);
    }

    /// Begins the sessions of all members, as after a restart.
    pub(crate) fn begin_sessions(&mut self, turn: &mut crate::group::turn::Turn<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.extend_session(&id, turn);
        }
    }
}
