//! Share groups (KIP-932).

use crate::{Message, Uuid};

/// The key of record type 10.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupMemberMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 11.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 12.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupTargetAssignmentMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 13.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupTargetAssignmentMemberKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 14.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupCurrentMemberAssignmentKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 15.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareGroupStatePartitionMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The value of record type 10.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupMemberMetadataValue {
    #[field(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
}

/// The value of record type 11.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupMetadataValue {
    pub epoch: i32,
    pub metadata_hash: i64,
}

/// The value of record type 12.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[field(tag = 0, tagged = "0+", ignorable)]
    pub assignment_timestamp: i64,
}

/// The value of record type 13.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<ShareGroupTargetAssignmentMemberTopicPartition>,
}

/// One element of `topic_partitions` in [`ShareGroupTargetAssignmentMemberValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareGroupTargetAssignmentMemberTopicPartition {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The value of record type 14.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<ShareGroupCurrentMemberAssignmentTopicPartitions>,
}

/// A struct of several fields of [`ShareGroupCurrentMemberAssignmentValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareGroupCurrentMemberAssignmentTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The value of record type 15.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareGroupStatePartitionMetadataValue {
    pub initializing_topics: Vec<TopicPartitionsInfo>,
    pub initialized_topics: Vec<TopicPartitionsInfo>,
    pub deleting_topics: Vec<ShareGroupStatePartitionMetadataTopicInfo>,
}

/// A struct of several fields of [`ShareGroupStatePartitionMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartitionsInfo {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub partitions: Vec<i32>,
}

/// A struct of several fields of [`ShareGroupStatePartitionMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareGroupStatePartitionMetadataTopicInfo {
    pub topic_id: Uuid,
    pub topic_name: String,
}
