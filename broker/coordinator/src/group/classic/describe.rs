//! How classic groups look from outside.

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_groups::{DescribedGroup, DescribedGroupMember};
use ottla_wire::schema::group::GroupMetadataValue;

use super::{ClassicGroup, Phase};

/// From this version on an absent group is an error (KIP-1043).
const NOT_FOUND_SINCE: i16 = 6;
/// The operations the caller may do, when they were not asked for.
const NO_OPERATIONS: i32 = i32::MIN;

/// A group that is in the log only: it is empty.
pub(crate) fn describe(id: &str, stored: &GroupMetadataValue) -> DescribedGroup {
    DescribedGroup {
        group_id: id.to_owned(),
        group_state: Phase::Empty.name().to_owned(),
        protocol_type: stored.protocol_type.clone(),
        authorized_operations: NO_OPERATIONS,
        ..Default::default()
    }
}

/// A group that is not there, or not a classic one.
pub(crate) fn describe_missing(version: i16, id: &str, why: String) -> DescribedGroup {
    let dead = DescribedGroup {
        group_id: id.to_owned(),
        group_state: "Dead".to_owned(),
        authorized_operations: NO_OPERATIONS,
        ..Default::default()
    };
    if version < NOT_FOUND_SINCE {
        return dead;
    }
    DescribedGroup { error_code: ErrorCode::GROUP_ID_NOT_FOUND, error_message: Some(why), ..dead }
}

impl ClassicGroup {
    /// The group and its members; what they agreed on only while it is stable.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let agreed = match self.phase {
            Phase::Stable => self.protocol.as_deref(),
            _ => None,
        };
        let members = self
            .members
            .iter()
            .map(|(id, member)| DescribedGroupMember {
                member_id: id.to_string(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                member_metadata: agreed.map_or_else(Bytes::new, |name| member.metadata(name)),
                member_assignment: member.assignment.clone(),
            })
            .collect();
        DescribedGroup {
            group_id: self.id.to_string(),
            group_state: self.phase.name().to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: agreed.unwrap_or_default().to_owned(),
            members,
            authorized_operations: NO_OPERATIONS,
            ..Default::default()
        }
    }
}
