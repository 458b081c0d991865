//! The records of consumer groups.

use std::sync::Arc;

use bytes::Bytes;
use ottla_wire::schema::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberTopicPartition, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue, GroupKey,
    GroupValue,
};
use ottla_wire::{EncodeError, Uuid};

use super::Assignment;

/// The version in which all of them are written.
const VERSION: i16 = 0;

/// One record of a consumer group. `None` as value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecord {
    /// The group and its epoch.
    Group {
        /// Which group.
        key: ConsumerGroupMetadataKey,
        /// What it is from here on.
        value: Option<ConsumerGroupMetadataValue>,
    },
    /// The topics of the group, as Kafka wrote them before 4.1. Read, and taken away.
    Topics {
        /// Which group.
        key: ConsumerGroupPartitionMetadataKey,
        /// What was known of its topics.
        value: Option<ConsumerGroupPartitionMetadataValue>,
    },
    /// A member, and what it subscribes to.
    Member {
        /// Which member.
        key: ConsumerGroupMemberMetadataKey,
        /// What it said.
        value: Option<ConsumerGroupMemberMetadataValue>,
    },
    /// The epoch of the target assignment.
    TargetEpoch {
        /// Which group.
        key: ConsumerGroupTargetAssignmentMetadataKey,
        /// The epoch, and when it was made.
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    },
    /// What a member shall have.
    Target {
        /// Which member.
        key: ConsumerGroupTargetAssignmentMemberKey,
        /// The partitions.
        value: Option<ConsumerGroupTargetAssignmentMemberValue>,
    },
    /// What a member has.
    Current {
        /// Which member.
        key: ConsumerGroupCurrentMemberAssignmentKey,
        /// Its epoch, state and partitions.
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    },
    /// The topics that a pattern stands for.
    Pattern {
        /// Which pattern, of which group.
        key: ConsumerGroupRegularExpressionKey,
        /// The topics.
        value: Option<ConsumerGroupRegularExpressionValue>,
    },
}

impl ConsumerRecord {
    /// The record of this key and value, if it is one of a consumer group.
    pub(crate) fn of(key: GroupKey, value: Option<GroupValue>) -> Option<Self> {
        Some(match (key, value) {
            (GroupKey::ConsumerGroupMetadata(key), None) => Self::Group { key, value: None },
            (
                GroupKey::ConsumerGroupMetadata(key),
                Some(GroupValue::ConsumerGroupMetadata(value)),
            ) => Self::Group { key, value: Some(value) },
            (GroupKey::ConsumerGroupPartitionMetadata(key), None) => {
                Self::Topics { key, value: None }
            }
            (
                GroupKey::ConsumerGroupPartitionMetadata(key),
                Some(GroupValue::ConsumerGroupPartitionMetadata(value)),
            ) => Self::Topics { key, value: Some(value) },
            (GroupKey::ConsumerGroupMemberMetadata(key), None) => Self::Member { key, value: None },
            (
                GroupKey::ConsumerGroupMemberMetadata(key),
                Some(GroupValue::ConsumerGroupMemberMetadata(value)),
            ) => Self::Member { key, value: Some(value) },
            (GroupKey::ConsumerGroupTargetAssignmentMetadata(key), None) => {
                Self::TargetEpoch { key, value: None }
            }
            (
                GroupKey::ConsumerGroupTargetAssignmentMetadata(key),
                Some(GroupValue::ConsumerGroupTargetAssignmentMetadata(value)),
            ) => Self::TargetEpoch { key, value: Some(value) },
            (GroupKey::ConsumerGroupTargetAssignmentMember(key), None) => {
                Self::Target { key, value: None }
            }
            (
                GroupKey::ConsumerGroupTargetAssignmentMember(key),
                Some(GroupValue::ConsumerGroupTargetAssignmentMember(value)),
            ) => Self::Target { key, value: Some(value) },
            (GroupKey::ConsumerGroupCurrentMemberAssignment(key), None) => {
                Self::Current { key, value: None }
            }
            (
                GroupKey::ConsumerGroupCurrentMemberAssignment(key),
                Some(GroupValue::ConsumerGroupCurrentMemberAssignment(value)),
            ) => Self::Current { key, value: Some(value) },
            (GroupKey::ConsumerGroupRegularExpression(key), None) => {
                Self::Pattern { key, value: None }
            }
            (
                GroupKey::ConsumerGroupRegularExpression(key),
                Some(GroupValue::ConsumerGroupRegularExpression(value)),
            ) => Self::Pattern { key, value: Some(value) },
            _ => return None,
        })
    }

    /// The group it is of.
    pub(crate) fn group_id(&self) -> &str {
        match self {
            Self::Group { key, .. } => &key.group_id,
            Self::Topics { key, .. } => &key.group_id,
            Self::Member { key, .. } => &key.group_id,
            Self::TargetEpoch { key, .. } => &key.group_id,
            Self::Target { key, .. } => &key.group_id,
            Self::Current { key, .. } => &key.group_id,
            Self::Pattern { key, .. } => &key.group_id,
        }
    }

    /// Whether it takes something away.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            Self::Group { value, .. } => value.is_none(),
            Self::Topics { value, .. } => value.is_none(),
            Self::Member { value, .. } => value.is_none(),
            Self::TargetEpoch { value, .. } => value.is_none(),
            Self::Target { value, .. } => value.is_none(),
            Self::Current { value, .. } => value.is_none(),
            Self::Pattern { value, .. } => value.is_none(),
        }
    }

    /// Key and value as the log holds them.
    pub(crate) fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        let (key, value): (GroupKey, Option<GroupValue>) = match self {
            Self::Group { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::Topics { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::Member { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::TargetEpoch { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::Target { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::Current { key, value } => (key.clone().into(), value.clone().map(Into::into)),
            Self::Pattern { key, value } => (key.clone().into(), value.clone().map(Into::into)),
        };
        let value = value.map(|value| value.encode(VERSION)).transpose()?;
        Ok((key.encode()?, value))
    }

    pub(crate) fn group(group: &str, value: Option<ConsumerGroupMetadataValue>) -> Self {
        Self::Group { key: ConsumerGroupMetadataKey { group_id: group.to_owned() }, value }
    }

    pub(crate) fn topics_tombstone(group: &str) -> Self {
        let key = ConsumerGroupPartitionMetadataKey { group_id: group.to_owned() };
        Self::Topics { key, value: None }
    }

    pub(crate) fn member(
        group: &str,
        member: &str,
        value: Option<ConsumerGroupMemberMetadataValue>,
    ) -> Self {
        let (group_id, member_id) = (group.to_owned(), member.to_owned());
        Self::Member { key: ConsumerGroupMemberMetadataKey { group_id, member_id }, value }
    }

    pub(crate) fn target_epoch(
        group: &str,
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    ) -> Self {
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group.to_owned() };
        Self::TargetEpoch { key, value }
    }

    pub(crate) fn target(group: &str, member: &str, value: Option<&Assignment>) -> Self {
        let (group_id, member_id) = (group.to_owned(), member.to_owned());
        let topic = |(id, partitions): (&Uuid, &Arc<[i32]>)| {
            ConsumerGroupTargetAssignmentMemberTopicPartition {
                topic_id: *id,
                partitions: partitions.to_vec(),
            }
        };
        Self::Target {
            key: ConsumerGroupTargetAssignmentMemberKey { group_id, member_id },
            value: value.map(|target| ConsumerGroupTargetAssignmentMemberValue {
                topic_partitions: target.iter().map(topic).collect(),
            }),
        }
    }

    pub(crate) fn current(
        group: &str,
        member: &str,
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    ) -> Self {
        let (group_id, member_id) = (group.to_owned(), member.to_owned());
        Self::Current {
            key: ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id },
            value,
        }
    }

    pub(crate) fn pattern(
        group: &str,
        pattern: &str,
        value: Option<ConsumerGroupRegularExpressionValue>,
    ) -> Self {
        let key = ConsumerGroupRegularExpressionKey {
            group_id: group.to_owned(),
            regular_expression: pattern.to_owned(),
        };
        Self::Pattern { key, value }
    }
}
