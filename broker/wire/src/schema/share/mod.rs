//! The records of `__share_group_state` (KIP-932).

mod record;

pub use record::*;

use super::family::coordinator_records;

coordinator_records! {
    /// The key of any record of `__share_group_state`.
    ShareKey,
    /// The value of any record of `__share_group_state`; a record without a value deletes what its
    /// key names.
    ShareValue
    {
        0 ShareSnapshot(ShareSnapshotKey, ShareSnapshotValue),
        1 ShareUpdate(ShareUpdateKey, ShareUpdateValue),
    }
}
