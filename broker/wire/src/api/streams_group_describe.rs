//! StreamsGroupDescribe, key 89, versions 0.

use crate::{ErrorCode, Message};

/// The request of StreamsGroupDescribe.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupDescribeRequest {
    pub group_ids: Vec<String>,
    pub include_authorized_operations: bool,
}

/// The response of StreamsGroupDescribe.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupDescribeResponse {
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

/// One element of `groups` in [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedGroup {
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub topology: Option<Topology>,
    pub members: Vec<Member>,
    #[field(default = "-2147483648")]
    pub authorized_operations: i32,
}

/// The value of `groups.topology` in [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Topology {
    pub epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub subtopologies: Option<Vec<Subtopology>>,
}

/// One element of `groups.topology.subtopologies` in [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Subtopology {
    pub subtopology_id: String,
    pub source_topics: Vec<String>,
    pub repartition_sink_topics: Vec<String>,
    pub state_changelog_topics: Vec<TopicInfo>,
    pub repartition_source_topics: Vec<TopicInfo>,
}

/// One element of `groups.members` in [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Member {
    pub member_id: String,
    pub member_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topology_epoch: i32,
    pub process_id: String,
    #[field(nullable = "0+", default = "null")]
    pub user_endpoint: Option<Endpoint>,
    pub client_tags: Vec<KeyValue>,
    pub task_offsets: Vec<TaskOffset>,
    pub task_end_offsets: Vec<TaskOffset>,
    pub assignment: Assignment,
    pub target_assignment: Assignment,
    pub is_classic: bool,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TaskOffset {
    pub subtopology_id: String,
    pub partition: i32,
    pub offset: i64,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Assignment {
    pub active_tasks: Vec<TaskIds>,
    pub standby_tasks: Vec<TaskIds>,
    pub warmup_tasks: Vec<TaskIds>,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// A struct of several fields of [`StreamsGroupDescribeResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i16,
    pub topic_configs: Vec<KeyValue>,
}
