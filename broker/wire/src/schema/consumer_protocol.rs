//! What consumers of classic groups put into JoinGroup and SyncGroup.

use crate::Message;
use bytes::Bytes;

/// The metadata of a member in JoinGroup; its version stands before it in two bytes.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<String>,
    #[field(nullable = "0+", default = "null")]
    pub user_data: Option<Bytes>,
    #[field(versions = "1+", ignorable)]
    pub owned_partitions: Vec<ConsumerProtocolSubscriptionTopicPartition>,
    #[field(versions = "2+", default = "-1", ignorable)]
    pub generation_id: i32,
    #[field(versions = "3+", nullable = "3+", default = "null", ignorable)]
    pub rack_id: Option<String>,
}

/// One element of `owned_partitions` in [`ConsumerProtocolSubscription`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerProtocolSubscriptionTopicPartition {
    #[field(versions = "1+")]
    pub topic: String,
    #[field(versions = "1+")]
    pub partitions: Vec<i32>,
}

/// The assignment of a member in SyncGroup; its version stands before it in two bytes.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<ConsumerProtocolAssignmentTopicPartition>,
    #[field(nullable = "0+", default = "null")]
    pub user_data: Option<Bytes>,
}

/// One element of `assigned_partitions` in [`ConsumerProtocolAssignment`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerProtocolAssignmentTopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}
