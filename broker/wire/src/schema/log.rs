//! What stands in the data logs beside records: control records, and the snapshot of producers.

use crate::Message;

/// What follows the version in the key of a control record.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct ControlRecordTypeSchema {
    pub r#type: i16,
}

/// The value of a COMMIT or ABORT control record.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0")]
pub struct EndTxnMarker {
    pub coordinator_epoch: i32,
}

/// A `.snapshot` file of producers; its version stands before it, and its CRC covers what follows
/// the CRC.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1")]
pub struct ProducerSnapshot {
    #[field(versions = "1")]
    pub crc: u32,
    #[field(versions = "1")]
    pub producer_entries: Vec<ProducerEntry>,
}

/// One element of `producer_entries` in [`ProducerSnapshot`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ProducerEntry {
    #[field(versions = "1")]
    pub producer_id: i64,
    #[field(versions = "1")]
    pub epoch: i16,
    #[field(versions = "1")]
    pub last_sequence: i32,
    #[field(versions = "1")]
    pub last_offset: i64,
    #[field(versions = "1")]
    pub offset_delta: i32,
    #[field(versions = "1")]
    pub timestamp: i64,
    #[field(versions = "1")]
    pub coordinator_epoch: i32,
    #[field(versions = "1")]
    pub current_txn_first_offset: i64,
}
