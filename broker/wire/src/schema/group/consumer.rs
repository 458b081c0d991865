//! Groups of the consumer protocol (KIP-848).

use crate::{Message, Uuid};
use bytes::Bytes;

/// The key of record type 3.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 4.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupPartitionMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 5.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupMemberMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 6.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupTargetAssignmentMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 7.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupTargetAssignmentMemberKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 8.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupCurrentMemberAssignmentKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 16.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ConsumerGroupRegularExpressionKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub regular_expression: String,
}

/// The value of record type 3.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupMetadataValue {
    pub epoch: i32,
    #[field(tag = 0, tagged = "0+")]
    pub metadata_hash: i64,
}

/// The value of record type 4.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupPartitionMetadataValue {
    pub topics: Vec<TopicMetadata>,
}

/// One element of `topics` in [`ConsumerGroupPartitionMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicMetadata {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub num_partitions: i32,
    pub partition_metadata: Vec<PartitionMetadata>,
}

/// One element of `topics.partition_metadata` in [`ConsumerGroupPartitionMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionMetadata {
    pub partition: i32,
    pub racks: Vec<String>,
}

/// The value of record type 5.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupMemberMetadataValue {
    #[field(nullable = "0+")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    #[field(nullable = "0+")]
    pub subscribed_topic_regex: Option<String>,
    #[field(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[field(nullable = "0+")]
    pub server_assignor: Option<String>,
    #[field(tag = 0, tagged = "0+", nullable = "0+")]
    pub classic_member_metadata: Option<ClassicMemberMetadata>,
}

/// The value of `classic_member_metadata` in [`ConsumerGroupMemberMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ClassicMemberMetadata {
    pub session_timeout_ms: i32,
    pub supported_protocols: Vec<ClassicProtocol>,
}

/// One element of `classic_member_metadata.supported_protocols` in
/// [`ConsumerGroupMemberMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ClassicProtocol {
    pub name: String,
    pub metadata: Bytes,
}

/// The value of record type 6.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[field(tag = 0, tagged = "0+", ignorable)]
    pub assignment_timestamp: i64,
}

/// The value of record type 7.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<ConsumerGroupTargetAssignmentMemberTopicPartition>,
}

/// One element of `topic_partitions` in [`ConsumerGroupTargetAssignmentMemberValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupTargetAssignmentMemberTopicPartition {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The value of record type 8.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<ConsumerGroupCurrentMemberAssignmentTopicPartitions>,
    pub partitions_pending_revocation: Vec<ConsumerGroupCurrentMemberAssignmentTopicPartitions>,
}

/// A struct of several fields of [`ConsumerGroupCurrentMemberAssignmentValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupCurrentMemberAssignmentTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
    #[field(tag = 0, tagged = "0+", nullable = "0+")]
    pub assignment_epochs: Option<Vec<i32>>,
}

/// The value of record type 16.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConsumerGroupRegularExpressionValue {
    pub topics: Vec<String>,
    pub version: i64,
    pub timestamp: i64,
}
