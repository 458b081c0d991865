//! ConsumerGroupDescribe, key 69, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of ConsumerGroupDescribe.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupDescribeRequest {
    pub group_ids: Vec<String>,
    pub include_authorized_operations: bool,
}

/// The response of ConsumerGroupDescribe.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupDescribeResponse {
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

/// One element of `groups` in [`ConsumerGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedGroup {
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    pub assignor_name: String,
    pub members: Vec<Member>,
    #[field(default = "-2147483648")]
    pub authorized_operations: i32,
}

/// One element of `groups.members` in [`ConsumerGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Member {
    pub member_id: String,
    #[field(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    pub member_epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    #[field(nullable = "0+", default = "null")]
    pub subscribed_topic_regex: Option<String>,
    pub assignment: Assignment,
    pub target_assignment: Assignment,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub member_type: i8,
}

/// A struct of several fields of [`ConsumerGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub partitions: Vec<i32>,
}

/// A struct of several fields of [`ConsumerGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}
