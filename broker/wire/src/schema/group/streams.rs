//! Streams groups (KIP-1071).

use crate::Message;

/// The key of record type 17.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 19.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupMemberMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 20.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupTargetAssignmentMetadataKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The key of record type 21.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupTargetAssignmentMemberKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 22.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupCurrentMemberAssignmentKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub member_id: String,
}

/// The key of record type 23.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct StreamsGroupTopologyKey {
    #[field(versions = "0")]
    pub group_id: String,
}

/// The value of record type 17.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupMetadataValue {
    pub epoch: i32,
    pub metadata_hash: i64,
    #[field(tag = 0, tagged = "0+", default = "-1")]
    pub validated_topology_epoch: i32,
    #[field(tag = 1, tagged = "0+", nullable = "0+")]
    pub last_assignment_configs: Option<Vec<LastAssignmentConfig>>,
}

/// A struct of several fields of [`StreamsGroupMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LastAssignmentConfig {
    pub key: String,
    pub value: String,
}

/// The value of record type 19.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupMemberMetadataValue {
    #[field(nullable = "0+")]
    pub instance_id: Option<String>,
    #[field(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    #[field(default = "-1")]
    pub rebalance_timeout_ms: i32,
    pub topology_epoch: i32,
    pub process_id: String,
    #[field(nullable = "0+", default = "null")]
    pub user_endpoint: Option<Endpoint>,
    pub client_tags: Vec<KeyValue>,
}

/// A struct of several fields of [`StreamsGroupMemberMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// A struct of several fields of [`StreamsGroupMemberMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// The value of record type 20.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[field(tag = 0, tagged = "0+", ignorable)]
    pub assignment_timestamp: i64,
}

/// The value of record type 21.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupTargetAssignmentMemberValue {
    pub active_tasks: Vec<StreamsGroupTargetAssignmentMemberTaskIds>,
    pub standby_tasks: Vec<StreamsGroupTargetAssignmentMemberTaskIds>,
    pub warmup_tasks: Vec<StreamsGroupTargetAssignmentMemberTaskIds>,
}

/// A struct of several fields of [`StreamsGroupTargetAssignmentMemberValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupTargetAssignmentMemberTaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

/// The value of record type 22.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub active_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub standby_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub warmup_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub active_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub standby_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub warmup_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
}

/// A struct of several fields of [`StreamsGroupCurrentMemberAssignmentValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupCurrentMemberAssignmentTaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
    #[field(tag = 0, tagged = "0+", nullable = "0+")]
    pub assignment_epochs: Option<Vec<i32>>,
}

/// The value of record type 23.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct StreamsGroupTopologyValue {
    pub epoch: i32,
    pub subtopologies: Vec<Subtopology>,
}

/// One element of `subtopologies` in [`StreamsGroupTopologyValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Subtopology {
    pub subtopology_id: String,
    pub source_topics: Vec<String>,
    pub source_topic_regex: Vec<String>,
    pub state_changelog_topics: Vec<StreamsGroupTopologyTopicInfo>,
    pub repartition_sink_topics: Vec<String>,
    pub repartition_source_topics: Vec<StreamsGroupTopologyTopicInfo>,
    pub copartition_groups: Vec<CopartitionGroup>,
}

/// One element of `subtopologies.copartition_groups` in [`StreamsGroupTopologyValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CopartitionGroup {
    pub source_topics: Vec<i16>,
    pub source_topic_regex: Vec<i16>,
    pub repartition_source_topics: Vec<i16>,
}

/// A struct of several fields of [`StreamsGroupTopologyValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicConfig {
    pub key: String,
    pub value: String,
}

/// A struct of several fields of [`StreamsGroupTopologyValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct StreamsGroupTopologyTopicInfo {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i16,
    pub topic_configs: Vec<TopicConfig>,
}
