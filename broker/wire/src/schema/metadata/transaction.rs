//! Records of the metadata log itself: its transactions, and what fills gaps.

use crate::Message;

/// Record type 23.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct BeginTransactionRecord {
    #[field(tag = 0, tagged = "0+", nullable = "0+", default = "null")]
    pub name: Option<String>,
}

/// Record type 24.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct EndTransactionRecord {}

/// Record type 25.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AbortTransactionRecord {
    #[field(tag = 0, tagged = "0+", nullable = "0+", default = "null")]
    pub reason: Option<String>,
}

/// Record type 20.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct NoOpRecord {}

/// Record type 21.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ZkMigrationStateRecord {
    pub zk_migration_state: i8,
}
