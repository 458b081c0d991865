//! ListOffsets: offsets for timestamps, and for the special ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_engine::{EngineError, OffsetAt, OffsetQuery, Partition, Reader};
use ottla_metadata::Image;
use ottla_replica::EpochCheck;
use ottla_wire::ErrorCode;
use ottla_wire::api::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};

use crate::answer::Answer;
use crate::api::partitions;
use crate::call::Call;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// Of the record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first offset that is on the broker's own disks (KIP-405).
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in tiered storage (KIP-1005).
const LATEST_TIERED: i64 = -5;
/// The first offset not yet in tiered storage (KIP-1023).
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Since this version clients know that an offset may not be known yet (KIP-207).
const NOT_AVAILABLE_SINCE: i16 = 5;

/// The version from which on each special timestamp is known.
fn since(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 1,
    }
}

/// What a partition is asked.
enum Ask {
    /// Something that the log answers.
    Log(OffsetQuery),
    /// Something about tiered storage, which there is none of.
    Tiered,
    /// Nothing that this version knows.
    Unknown,
}

fn ask(version: i16, isolation_level: i8, replica: i32, timestamp: i64) -> Ask {
    if version < since(timestamp) || timestamp < EARLIEST_PENDING_UPLOAD {
        return Ask::Unknown;
    }
    let reader = match (replica, isolation_level) {
        (0.., _) | (-2, _) => Reader::Follower,
        (_, 1) => Reader::Committed,
        _ => Reader::Uncommitted,
    };
    match timestamp {
        LATEST => Ask::Log(OffsetQuery::Latest(reader)),
        EARLIEST | EARLIEST_LOCAL => Ask::Log(OffsetQuery::Earliest),
        MAX_TIMESTAMP => Ask::Log(OffsetQuery::MaxTimestamp(reader)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ask::Tiered,
        time => Ask::Log(OffsetQuery::AtLeast(time, reader)),
    }
}

/// Answers ListOffsets. Questions that read the disk do so on threads for that.
pub fn handle(call: Call, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
    let reads = request.topics.iter().flat_map(|t| &t.partitions);
    let reads_disk = reads.clone().any(|p| p.timestamp >= 0 || p.timestamp == MAX_TIMESTAMP);
    let image = call.context.image();
    if !reads_disk {
        return find_all(&call, &image, request).into();
    }
    Answer::later(async move {
        let theirs = call.clone();
        let found = partitions::on_disk(&call, move || find_all(&theirs, &image, request)).await;
        found.unwrap_or_default()
    })
}

fn find_all(call: &Call, image: &Arc<Image>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let (isolation, replica) = (request.isolation_level, request.replica_id);
    let topic = |t: ListOffsetsTopic| {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<i32> = t
            .partitions
            .iter()
            .filter(|p| !seen.insert(p.partition_index))
            .map(|p| p.partition_index)
            .collect();
        let one = |p: &ListOffsetsPartition| {
            if twice.contains(&p.partition_index) {
                return failed(p.partition_index, ErrorCode::INVALID_REQUEST);
            }
            match partitions::find(call, image, &t.name, p.partition_index) {
                Ok(partition) => find(call, &partition, isolation, replica, p),
                Err(error) => failed(p.partition_index, error),
            }
        };
        let partitions = t.partitions.iter().map(one).collect();
        ListOffsetsTopicResponse { partitions, name: t.name }
    };
    let topics = request.topics.into_iter().map(topic).collect();
    ListOffsetsResponse { topics, ..Default::default() }
}

fn find(
    call: &Call,
    partition: &Partition,
    isolation: i8,
    replica: i32,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let index = asked.partition_index;
    let query = match ask(call.version, isolation, replica, asked.timestamp) {
        Ask::Log(query) => query,
        Ask::Tiered => return none(index),
        Ask::Unknown => return failed(index, ErrorCode::UNSUPPORTED_VERSION),
    };
    match partition.find_offset(query, EpochCheck::from_wire(asked.current_leader_epoch)) {
        Ok(Some(OffsetAt { offset, timestamp, leader_epoch })) => ListOffsetsPartitionResponse {
            partition_index: index,
            timestamp,
            offset,
            leader_epoch: if call.version >= 4 { leader_epoch } else { -1 },
            ..Default::default()
        },
        Ok(None) => none(index),
        Err(EngineError::OffsetNotAvailable) if call.version < NOT_AVAILABLE_SINCE => {
            failed(index, ErrorCode::LEADER_NOT_AVAILABLE)
        }
        Err(error) => failed(index, EngineError::code(&error)),
    }
}

fn none(partition_index: i32) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, ..Default::default() }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
}
