//! FetchSnapshot: a piece of a snapshot of the metadata (KIP-630).

use ottla_quorum::pull::{Piece, PullError, SnapshotAsk};
use ottla_quorum::snapshot::SnapshotId;
use ottla_quorum::{NodeKey, Quorum};
use ottla_wire::api::fetch_snapshot::{
    FetchSnapshotRequest, FetchSnapshotRequestPartitionSnapshot, FetchSnapshotResponse,
    FetchSnapshotResponsePartitionSnapshot, FetchSnapshotResponseSnapshotId,
    FetchSnapshotResponseTopicSnapshot, LeaderIdAndEpoch, NodeEndpoint,
};
use ottla_wire::{ErrorCode, Records};

use crate::answer::{Answer, Filled, Holds};
use crate::call::Call;
use crate::files;
use crate::peers::metadata::TOPIC;

/// Answers FetchSnapshot.
pub fn handle(call: Call, request: FetchSnapshotRequest) -> Answer<FetchSnapshotResponse> {
    let failed = |error_code| FetchSnapshotResponse { error_code, ..Default::default() };
    let Some(raft) = call.context.raft.clone() else {
        return failed(ErrorCode::NOT_LEADER_OR_FOLLOWER).into();
    };
    let wanted = request.topics.iter().find(|t| t.name == TOPIC);
    let Some(wanted) = wanted.and_then(|t| t.partitions.iter().find(|p| p.partition == 0)) else {
        return failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).into();
    };
    let ask = ask(&request, wanted);
    let reply = Box::pin(async move {
        let asked = (ask.id, ask.position);
        let mut filled = Filled::from(failed(ErrorCode::NONE));
        let mut row = FetchSnapshotResponsePartitionSnapshot {
            snapshot_id: FetchSnapshotResponseSnapshotId {
                end_offset: asked.0.end_offset,
                epoch: asked.0.epoch,
            },
            position: asked.1,
            ..Default::default()
        };
        if let Some(leader) = raft.leader_hint() {
            row.current_leader =
                LeaderIdAndEpoch { leader_id: leader.id, leader_epoch: leader.epoch };
            filled.response.node_endpoints = leader
                .endpoints
                .iter()
                .take(1)
                .map(|e| NodeEndpoint { node_id: leader.id, host: e.host.clone(), port: e.port })
                .collect();
        }
        match raft.snapshot_chunk(ask).await {
            Ok(chunk) => {
                row.size = chunk.size;
                match chunk.piece {
                    Piece::Bytes(bytes) => row.unaligned_records = Records::Bytes(bytes),
                    Piece::File { file, position, len } => {
                        row.unaligned_records = Records::Hole(len);
                        filled.slices.push(files::part(file, position, len));
                    }
                }
            }
            Err(PullError::ForeignCluster(_)) => {
                filled.response.error_code = ErrorCode::INCONSISTENT_CLUSTER_ID;
                return filled;
            }
            Err(error) => row.error_code = code(&error),
        }
        filled.response.topics = vec![FetchSnapshotResponseTopicSnapshot {
            name: TOPIC.to_owned(),
            partitions: vec![row],
        }];
        filled
    });
    Answer::Later(reply, Holds::Bytes(0))
}

fn ask(
    request: &FetchSnapshotRequest,
    wanted: &FetchSnapshotRequestPartitionSnapshot,
) -> SnapshotAsk {
    SnapshotAsk {
        whom: None,
        cluster_id: request.cluster_id.clone().unwrap_or_default(),
        replica: NodeKey::new(request.replica_id, wanted.replica_directory_id),
        epoch: wanted.current_leader_epoch,
        id: SnapshotId {
            end_offset: wanted.snapshot_id.end_offset,
            epoch: wanted.snapshot_id.epoch,
        },
        position: wanted.position,
        max_bytes: u32::try_from(request.max_bytes).unwrap_or(0),
    }
}

fn code(error: &PullError) -> ErrorCode {
    match error {
        PullError::NotLeader(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        PullError::NewerEpoch(_) => ErrorCode::FENCED_LEADER_EPOCH,
        PullError::StaleLeader => ErrorCode::UNKNOWN_LEADER_EPOCH,
        PullError::NoSnapshot => ErrorCode::SNAPSHOT_NOT_FOUND,
        PullError::Position => ErrorCode::POSITION_OUT_OF_RANGE,
        PullError::ForeignCluster(_) => ErrorCode::INCONSISTENT_CLUSTER_ID,
        PullError::Unreachable(_) | PullError::Diverged { .. } | PullError::Failed(_) => {
            tracing::error!(%error, "a snapshot of the metadata cannot be read");
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
    }
}
