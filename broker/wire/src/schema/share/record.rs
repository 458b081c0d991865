//! Keys and values of `__share_group_state`.

use crate::{Message, Uuid};

/// The key of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareSnapshotKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub topic_id: Uuid,
    #[field(versions = "0")]
    pub partition: i32,
}

/// The key of record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ShareUpdateKey {
    #[field(versions = "0")]
    pub group_id: String,
    #[field(versions = "0")]
    pub topic_id: Uuid,
    #[field(versions = "0")]
    pub partition: i32,
}

/// The value of record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareSnapshotValue {
    pub snapshot_epoch: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    #[field(tag = 0, tagged = "0+", default = "-1")]
    pub delivery_complete_count: i32,
    pub create_timestamp: i64,
    pub write_timestamp: i64,
    pub state_batches: Vec<ShareSnapshotStateBatch>,
}

/// One element of `state_batches` in [`ShareSnapshotValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareSnapshotStateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_state: i8,
    pub delivery_count: i16,
}

/// The value of record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ShareUpdateValue {
    pub snapshot_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    #[field(tag = 0, tagged = "0+", default = "-1")]
    pub delivery_complete_count: i32,
    pub state_batches: Vec<ShareUpdateStateBatch>,
}

/// One element of `state_batches` in [`ShareUpdateValue`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShareUpdateStateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_state: i8,
    pub delivery_count: i16,
}
