//! AssignReplicasToDirs, key 73, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of AssignReplicasToDirs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AssignReplicasToDirsRequest {
    pub broker_id: i32,
    #[field(default = "-1")]
    pub broker_epoch: i64,
    pub directories: Vec<AssignReplicasToDirsRequestDirectoryData>,
}

/// One element of `directories` in [`AssignReplicasToDirsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsRequestDirectoryData {
    pub id: Uuid,
    pub topics: Vec<AssignReplicasToDirsRequestTopicData>,
}

/// One element of `directories.topics` in [`AssignReplicasToDirsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsRequestTopicData {
    pub topic_id: Uuid,
    pub partitions: Vec<AssignReplicasToDirsRequestPartitionData>,
}

/// One element of `directories.topics.partitions` in [`AssignReplicasToDirsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsRequestPartitionData {
    pub partition_index: i32,
}

/// The response of AssignReplicasToDirs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AssignReplicasToDirsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub directories: Vec<AssignReplicasToDirsResponseDirectoryData>,
}

/// One element of `directories` in [`AssignReplicasToDirsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsResponseDirectoryData {
    pub id: Uuid,
    pub topics: Vec<AssignReplicasToDirsResponseTopicData>,
}

/// One element of `directories.topics` in [`AssignReplicasToDirsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsResponseTopicData {
    pub topic_id: Uuid,
    pub partitions: Vec<AssignReplicasToDirsResponsePartitionData>,
}

/// One element of `directories.topics.partitions` in [`AssignReplicasToDirsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignReplicasToDirsResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}
