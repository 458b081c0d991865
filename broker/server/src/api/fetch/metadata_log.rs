//! Fetch on a controller's listener: the metadata log, for nodes that are no members of the quorum.

use std::time::Duration;

use ottla_quorum::NodeKey;
use ottla_quorum::pull::{Found, LeaderHint, Piece, PullAsk, PullError, Pulled};
use ottla_wire::api::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use ottla_wire::{ErrorCode, Records};

use crate::answer::{Answer, Filled, Holds};
use crate::call::Call;
use crate::files;
use crate::peers::metadata::{TOPIC, TOPIC_ID};

/// Answers Fetch on the metadata log, whose only partition is all that a controller has.
pub(super) fn handle(call: Call, request: FetchRequest) -> Answer<FetchResponse> {
    let Some(raft) = call.context.raft.clone() else {
        let error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        return FetchResponse { error_code, ..Default::default() }.into();
    };
    let wanted = request.topics.iter().find(|t| t.topic_id == TOPIC_ID || t.topic == TOPIC);
    let wanted = wanted.and_then(|t| t.partitions.iter().find(|p| p.partition == 0));
    let Some(wanted) = wanted else {
        let error_code = ErrorCode::UNKNOWN_TOPIC_ID;
        return FetchResponse { error_code, ..Default::default() }.into();
    };
    let ask = ask(&request, wanted);
    let name = if call.version >= super::IDS_SINCE { "" } else { TOPIC };
    let reply = Box::pin(async move {
        let mut filled = Filled::from(FetchResponse::default());
        let mut data = PartitionData {
            high_watermark: -1,
            records: Some(Records::default()),
            ..Default::default()
        };
        match raft.pull(ask).await {
            Ok(pulled) => fill(&mut filled, &mut data, pulled),
            Err(PullError::ForeignCluster(_)) => {
                filled.response.error_code = ErrorCode::INCONSISTENT_CLUSTER_ID;
                return filled;
            }
            Err(error) => refuse(&mut filled, &mut data, error),
        }
        filled.response.responses = vec![FetchableTopicResponse {
            topic: name.to_owned(),
            topic_id: TOPIC_ID,
            partitions: vec![data],
        }];
        filled
    });
    Answer::Later(reply, Holds::Bytes(0))
}

fn ask(request: &FetchRequest, wanted: &FetchPartition) -> PullAsk {
    let positive = |n: i32| u32::try_from(n).unwrap_or(0);
    let id = match request.replica_state.replica_id {
        -1 => request.replica_id,
        id => id,
    };
    PullAsk {
        whom: None,
        cluster_id: request.cluster_id.clone().unwrap_or_default(),
        replica: NodeKey::new(id, wanted.replica_directory_id),
        epoch: wanted.current_leader_epoch,
        offset: wanted.fetch_offset,
        last_epoch: wanted.last_fetched_epoch,
        max_bytes: positive(wanted.partition_max_bytes.min(request.max_bytes)),
        max_wait: Duration::from_millis(u64::from(positive(request.max_wait_ms))),
    }
}

fn fill(filled: &mut Filled<FetchResponse>, data: &mut PartitionData, pulled: Pulled) {
    data.high_watermark = pulled.high_watermark;
    data.last_stable_offset = pulled.high_watermark;
    data.log_start_offset = pulled.log_start;
    lead(filled, data, &pulled.leader);
    match pulled.found {
        Found::Snapshot(id) => {
            data.snapshot_id = SnapshotId { end_offset: id.end_offset, epoch: id.epoch };
        }
        Found::Batches(Piece::Bytes(bytes)) => data.records = Some(Records::Bytes(bytes)),
        Found::Batches(Piece::File { file, position, len }) => {
            data.records = Some(Records::Hole(len));
            filled.slices.push(files::part(file, position, len));
        }
    }
}

fn refuse(filled: &mut Filled<FetchResponse>, data: &mut PartitionData, error: PullError) {
    data.error_code = match error {
        PullError::NotLeader(leader) => {
            leader.iter().for_each(|leader| lead(filled, data, leader));
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        PullError::NewerEpoch(leader) => {
            leader.iter().for_each(|leader| lead(filled, data, leader));
            ErrorCode::FENCED_LEADER_EPOCH
        }
        PullError::StaleLeader => ErrorCode::UNKNOWN_LEADER_EPOCH,
        PullError::Diverged { epoch, end_offset } => {
            data.diverging_epoch = EpochEndOffset { epoch, end_offset };
            ErrorCode::NONE
        }
        PullError::Unreachable(_)
        | PullError::ForeignCluster(_)
        | PullError::NoSnapshot
        | PullError::Position
        | PullError::Failed(_) => {
            tracing::error!(%error, "the metadata log cannot be read");
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
    };
}

/// Says who leads, and where.
fn lead(filled: &mut Filled<FetchResponse>, data: &mut PartitionData, leader: &LeaderHint) {
    data.current_leader = LeaderIdAndEpoch { leader_id: leader.id, leader_epoch: leader.epoch };
    filled.response.node_endpoints = leader
        .endpoints
        .iter()
        .take(1)
        .map(|e| NodeEndpoint {
            node_id: leader.id,
            host: e.host.clone(),
            port: i32::from(e.port),
            rack: None,
        })
        .collect();
}
