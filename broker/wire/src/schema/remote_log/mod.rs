//! The records of `__remote_log_metadata` (KIP-405).

mod record;

pub use record::*;

use super::family::framed_records;

framed_records! {
    /// Any record of `__remote_log_metadata`, as the value of a record in a batch; the keys there
    /// are null.
    RemoteLogRecord {
        0 RemoteLogSegmentMetadata(RemoteLogSegmentMetadataRecord),
        1 RemoteLogSegmentMetadataUpdate(RemoteLogSegmentMetadataUpdateRecord),
        2 RemotePartitionDeleteMetadata(RemotePartitionDeleteMetadataRecord),
        3 RemoteLogSegmentMetadataSnapshot(RemoteLogSegmentMetadataSnapshotRecord),
    }
}
