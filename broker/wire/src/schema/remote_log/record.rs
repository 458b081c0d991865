//! Records of `__remote_log_metadata`.

use crate::{Message, Uuid};
use bytes::Bytes;

/// Record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoteLogSegmentMetadataRecord {
    pub remote_log_segment_id: RemoteLogSegmentMetadataRemoteLogSegmentIdEntry,
    pub start_offset: i64,
    pub end_offset: i64,
    pub broker_id: i32,
    pub max_timestamp_ms: i64,
    pub event_timestamp_ms: i64,
    pub segment_leader_epochs: Vec<RemoteLogSegmentMetadataSegmentLeaderEpochEntry>,
    pub segment_size_in_bytes: i32,
    #[field(nullable = "0+", default = "null")]
    pub custom_metadata: Option<Bytes>,
    pub remote_log_segment_state: i8,
    #[field(tag = 0, tagged = "0+")]
    pub txn_index_empty: bool,
}

/// The value of `remote_log_segment_id` in [`RemoteLogSegmentMetadataRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataRemoteLogSegmentIdEntry {
    pub topic_id_partition: RemoteLogSegmentMetadataTopicIdPartitionEntry,
    pub id: Uuid,
}

/// The value of `remote_log_segment_id.topic_id_partition` in [`RemoteLogSegmentMetadataRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataTopicIdPartitionEntry {
    pub name: String,
    pub id: Uuid,
    pub partition: i32,
}

/// One element of `segment_leader_epochs` in [`RemoteLogSegmentMetadataRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataSegmentLeaderEpochEntry {
    pub leader_epoch: i32,
    pub offset: i64,
}

/// Record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoteLogSegmentMetadataUpdateRecord {
    pub remote_log_segment_id: RemoteLogSegmentMetadataUpdateRemoteLogSegmentIdEntry,
    pub broker_id: i32,
    pub event_timestamp_ms: i64,
    #[field(nullable = "0+", default = "null")]
    pub custom_metadata: Option<Bytes>,
    pub remote_log_segment_state: i8,
}

/// The value of `remote_log_segment_id` in [`RemoteLogSegmentMetadataUpdateRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataUpdateRemoteLogSegmentIdEntry {
    pub topic_id_partition: RemoteLogSegmentMetadataUpdateTopicIdPartitionEntry,
    pub id: Uuid,
}

/// The value of `remote_log_segment_id.topic_id_partition` in
/// [`RemoteLogSegmentMetadataUpdateRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataUpdateTopicIdPartitionEntry {
    pub name: String,
    pub id: Uuid,
    pub partition: i32,
}

/// Record type 2.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemotePartitionDeleteMetadataRecord {
    pub topic_id_partition: RemotePartitionDeleteMetadataTopicIdPartitionEntry,
    pub broker_id: i32,
    pub event_timestamp_ms: i64,
    pub remote_partition_delete_state: i8,
}

/// The value of `topic_id_partition` in [`RemotePartitionDeleteMetadataRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemotePartitionDeleteMetadataTopicIdPartitionEntry {
    pub name: String,
    pub id: Uuid,
    pub partition: i32,
}

/// Record type 3.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoteLogSegmentMetadataSnapshotRecord {
    pub segment_id: Uuid,
    pub start_offset: i64,
    pub end_offset: i64,
    pub broker_id: i32,
    pub max_timestamp_ms: i64,
    pub event_timestamp_ms: i64,
    pub segment_leader_epochs: Vec<RemoteLogSegmentMetadataSnapshotSegmentLeaderEpochEntry>,
    pub segment_size_in_bytes: i32,
    #[field(nullable = "0+", default = "null")]
    pub custom_metadata: Option<Bytes>,
    pub remote_log_segment_state: i8,
    #[field(tag = 0, tagged = "0+")]
    pub txn_index_empty: bool,
}

/// One element of `segment_leader_epochs` in [`RemoteLogSegmentMetadataSnapshotRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct RemoteLogSegmentMetadataSnapshotSegmentLeaderEpochEntry {
    pub leader_epoch: i32,
    pub offset: i64,
}
