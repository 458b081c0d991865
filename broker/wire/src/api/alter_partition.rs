//! AlterPartition, key 56, versions 2-3.

use crate::{ErrorCode, Message, Uuid};

/// The request of AlterPartition.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-3", flexible = "0+")]
pub struct AlterPartitionRequest {
    pub broker_id: i32,
    #[field(default = "-1")]
    pub broker_epoch: i64,
    pub topics: Vec<AlterPartitionRequestTopicData>,
}

/// One element of `topics` in [`AlterPartitionRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterPartitionRequestTopicData {
    #[field(versions = "2+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<AlterPartitionRequestPartitionData>,
}

/// One element of `topics.partitions` in [`AlterPartitionRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterPartitionRequestPartitionData {
    pub partition_index: i32,
    pub leader_epoch: i32,
    #[field(versions = "0-2")]
    pub new_isr: Vec<i32>,
    #[field(versions = "3+")]
    pub new_isr_with_epochs: Vec<BrokerState>,
    #[field(versions = "1+")]
    pub leader_recovery_state: i8,
    pub partition_epoch: i32,
}

/// One element of `topics.partitions.new_isr_with_epochs` in [`AlterPartitionRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BrokerState {
    #[field(versions = "3+")]
    pub broker_id: i32,
    #[field(versions = "3+", default = "-1")]
    pub broker_epoch: i64,
}

/// The response of AlterPartition.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-3", flexible = "0+")]
pub struct AlterPartitionResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub topics: Vec<AlterPartitionResponseTopicData>,
}

/// One element of `topics` in [`AlterPartitionResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterPartitionResponseTopicData {
    #[field(versions = "2+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<AlterPartitionResponsePartitionData>,
}

/// One element of `topics.partitions` in [`AlterPartitionResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterPartitionResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub isr: Vec<i32>,
    #[field(versions = "1+", ignorable)]
    pub leader_recovery_state: i8,
    pub partition_epoch: i32,
}
