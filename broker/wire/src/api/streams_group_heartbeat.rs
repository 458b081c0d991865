//! StreamsGroupHeartbeat, key 88, versions 0.

use crate::{ErrorCode, Message};

/// The request of StreamsGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    pub member_epoch: i32,
    pub endpoint_information_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[field(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[field(nullable = "0+", default = "null")]
    pub topology: Option<Topology>,
    #[field(nullable = "0+", default = "null")]
    pub active_tasks: Option<Vec<StreamsGroupHeartbeatRequestTaskIds>>,
    #[field(nullable = "0+", default = "null")]
    pub standby_tasks: Option<Vec<StreamsGroupHeartbeatRequestTaskIds>>,
    #[field(nullable = "0+", default = "null")]
    pub warmup_tasks: Option<Vec<StreamsGroupHeartbeatRequestTaskIds>>,
    #[field(nullable = "0+", default = "null")]
    pub process_id: Option<String>,
    #[field(nullable = "0+", default = "null")]
    pub user_endpoint: Option<StreamsGroupHeartbeatRequestEndpoint>,
    #[field(nullable = "0+", default = "null")]
    pub client_tags: Option<Vec<KeyValue>>,
    #[field(nullable = "0+", default = "null")]
    pub task_offsets: Option<Vec<TaskOffset>>,
    #[field(nullable = "0+", default = "null")]
    pub task_end_offsets: Option<Vec<TaskOffset>>,
    pub shutdown_application: bool,
}

/// The value of `topology` in [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Topology {
    pub epoch: i32,
    pub subtopologies: Vec<Subtopology>,
}

/// One element of `topology.subtopologies` in [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Subtopology {
    pub subtopology_id: String,
    pub source_topics: Vec<String>,
    pub source_topic_regex: Vec<String>,
    pub state_changelog_topics: Vec<TopicInfo>,
    pub repartition_sink_topics: Vec<String>,
    pub repartition_source_topics: Vec<TopicInfo>,
    pub copartition_groups: Vec<CopartitionGroup>,
}

/// One element of `topology.subtopologies.copartition_groups` in [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CopartitionGroup {
    pub source_topics: Vec<i16>,
    pub source_topic_regex: Vec<i16>,
    pub repartition_source_topics: Vec<i16>,
}

/// A struct of several fields of [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// A struct of several fields of [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i16,
    pub topic_configs: Vec<KeyValue>,
}

/// A struct of several fields of [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupHeartbeatRequestEndpoint {
    pub host: String,
    pub port: u16,
}

/// A struct of several fields of [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TaskOffset {
    pub subtopology_id: String,
    pub partition: i32,
    pub offset: i64,
}

/// A struct of several fields of [`StreamsGroupHeartbeatRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupHeartbeatRequestTaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

/// The response of StreamsGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupHeartbeatResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub member_id: String,
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    pub acceptable_recovery_lag: i32,
    pub task_offset_interval_ms: i32,
    #[field(nullable = "0+")]
    pub status: Option<Vec<Status>>,
    #[field(nullable = "0+", default = "null")]
    pub active_tasks: Option<Vec<StreamsGroupHeartbeatResponseTaskIds>>,
    #[field(nullable = "0+", default = "null")]
    pub standby_tasks: Option<Vec<StreamsGroupHeartbeatResponseTaskIds>>,
    #[field(nullable = "0+", default = "null")]
    pub warmup_tasks: Option<Vec<StreamsGroupHeartbeatResponseTaskIds>>,
    pub endpoint_information_epoch: i32,
    #[field(nullable = "0+", default = "null")]
    pub partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>,
}

/// One element of `partitions_by_user_endpoint` in [`StreamsGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndpointToPartitions {
    pub user_endpoint: StreamsGroupHeartbeatResponseEndpoint,
    pub active_partitions: Vec<TopicPartition>,
    pub standby_partitions: Vec<TopicPartition>,
}

/// A struct of several fields of [`StreamsGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Status {
    pub status_code: i8,
    pub status_detail: String,
}

/// A struct of several fields of [`StreamsGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}

/// A struct of several fields of [`StreamsGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupHeartbeatResponseTaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

/// A struct of several fields of [`StreamsGroupHeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupHeartbeatResponseEndpoint {
    pub host: String,
    pub port: u16,
}
