//! WriteTxnMarkers, key 27, versions 1-2.

use crate::{ErrorCode, Message};

/// The request of WriteTxnMarkers.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "1+")]
pub struct WriteTxnMarkersRequest {
    pub markers: Vec<WritableTxnMarker>,
}

/// One element of `markers` in [`WriteTxnMarkersRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WritableTxnMarker {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub transaction_result: bool,
    pub topics: Vec<WritableTxnMarkerTopic>,
    pub coordinator_epoch: i32,
    #[field(versions = "2+", ignorable)]
    pub transaction_version: i8,
}

/// One element of `markers.topics` in [`WriteTxnMarkersRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WritableTxnMarkerTopic {
    pub name: String,
    pub partition_indexes: Vec<i32>,
}

/// The response of WriteTxnMarkers.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "1+")]
pub struct WriteTxnMarkersResponse {
    pub markers: Vec<WritableTxnMarkerResult>,
}

/// One element of `markers` in [`WriteTxnMarkersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WritableTxnMarkerResult {
    pub producer_id: i64,
    pub topics: Vec<WritableTxnMarkerTopicResult>,
}

/// One element of `markers.topics` in [`WriteTxnMarkersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WritableTxnMarkerTopicResult {
    pub name: String,
    pub partitions: Vec<WritableTxnMarkerPartitionResult>,
}

/// One element of `markers.topics.partitions` in [`WriteTxnMarkersResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WritableTxnMarkerPartitionResult {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}
