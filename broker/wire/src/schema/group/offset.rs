//! Committed offsets and classic groups.

use crate::{Message, Uuid};
use bytes::Bytes;

/// The key of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct LegacyOffsetCommitKey {
    #[field(versions = "0")]
    pub group: String,
    #[field(versions = "0")]
    pub topic: String,
    #[field(versions = "0")]
    pub partition: i32,
}

/// The key of record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct OffsetCommitKey {
    #[field(versions = "0")]
    pub group: String,
    #[field(versions = "0")]
    pub topic: String,
    #[field(versions = "0")]
    pub partition: i32,
}

/// The key of record type 2.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct GroupMetadataKey {
    #[field(versions = "0")]
    pub group: String,
}

/// The value of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct LegacyOffsetCommitValue {
    #[field(versions = "0")]
    pub offset: i64,
    #[field(versions = "0")]
    pub metadata: String,
    #[field(versions = "0")]
    pub commit_timestamp: i64,
}

/// The value of record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct OffsetCommitValue {
    pub offset: i64,
    #[field(versions = "3+", default = "-1", ignorable)]
    pub leader_epoch: i32,
    pub metadata: String,
    pub commit_timestamp: i64,
    #[field(versions = "1", default = "-1", ignorable)]
    pub expire_timestamp: i64,
    #[field(tag = 0, tagged = "4+", ignorable)]
    pub topic_id: Uuid,
}

/// The value of record type 2.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct GroupMetadataValue {
    pub protocol_type: String,
    pub generation: i32,
    #[field(nullable = "0+")]
    pub protocol: Option<String>,
    #[field(nullable = "0+")]
    pub leader: Option<String>,
    #[field(versions = "2+", default = "-1", ignorable)]
    pub current_state_timestamp: i64,
    pub members: Vec<MemberMetadata>,
}

/// A struct of several fields of [`GroupMetadataValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct MemberMetadata {
    pub member_id: String,
    #[field(versions = "3+", nullable = "3+", default = "null", ignorable)]
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub rebalance_timeout: i32,
    pub session_timeout: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}
