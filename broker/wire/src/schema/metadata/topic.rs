//! Records of topics and partitions.

use crate::{Message, Uuid};

/// Record type 2.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: Uuid,
}

/// Record type 3.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct PartitionRecord {
    #[field(default = "-1")]
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    #[field(default = "-1")]
    pub leader: i32,
    #[field(tag = 0, tagged = "0+")]
    pub leader_recovery_state: i8,
    #[field(default = "-1")]
    pub leader_epoch: i32,
    #[field(default = "-1")]
    pub partition_epoch: i32,
    #[field(versions = "1+")]
    pub directories: Vec<Uuid>,
    #[field(tag = 1, tagged = "2+", nullable = "2+", default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    #[field(tag = 2, tagged = "2+", nullable = "2+", default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
}

/// Record type 5.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct PartitionChangeRecord {
    #[field(default = "-1")]
    pub partition_id: i32,
    pub topic_id: Uuid,
    #[field(tag = 0, tagged = "0+", nullable = "0+", default = "null")]
    pub isr: Option<Vec<i32>>,
    #[field(tag = 1, tagged = "0+", default = "-2")]
    pub leader: i32,
    #[field(tag = 2, tagged = "0+", nullable = "0+", default = "null")]
    pub replicas: Option<Vec<i32>>,
    #[field(tag = 3, tagged = "0+", nullable = "0+", default = "null")]
    pub removing_replicas: Option<Vec<i32>>,
    #[field(tag = 4, tagged = "0+", nullable = "0+", default = "null")]
    pub adding_replicas: Option<Vec<i32>>,
    #[field(tag = 5, tagged = "0+", default = "-1")]
    pub leader_recovery_state: i8,
    #[field(tag = 8, tagged = "1+", nullable = "1+", default = "null")]
    pub directories: Option<Vec<Uuid>>,
    #[field(tag = 6, tagged = "2+", nullable = "2+", default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    #[field(tag = 7, tagged = "2+", nullable = "2+", default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
}

/// Record type 9.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoveTopicRecord {
    pub topic_id: Uuid,
}

/// Record type 28.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ClearElrRecord {
    pub topic_name: String,
}
