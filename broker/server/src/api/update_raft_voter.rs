//! UpdateRaftVoter: a voter listens elsewhere, or supports other levels of kraft.version (KIP-853).

use ottla_quorum::{Endpoint, KraftVersions, Member, NodeKey, Voter, VoterChange};
use ottla_wire::ErrorCode;
use ottla_wire::api::update_raft_voter::{
    CurrentLeader, UpdateRaftVoterRequest, UpdateRaftVoterResponse,
};

use crate::answer::Answer;
use crate::api::voters::{PATIENCE, change};
use crate::call::Call;

/// Answers UpdateRaftVoter.
pub fn handle(call: Call, request: UpdateRaftVoterRequest) -> Answer<UpdateRaftVoterResponse> {
    Answer::later(async move {
        let endpoint = |l: &ottla_wire::api::update_raft_voter::Listener| Endpoint {
            name: l.name.clone(),
            host: l.host.clone(),
            port: l.port,
        };
        let feature = &request.kraft_version_feature;
        let voter = Voter {
            key: NodeKey::new(request.voter_id, request.voter_directory_id),
            member: Member {
                endpoints: request.listeners.iter().map(endpoint).collect(),
                kraft_versions: KraftVersions {
                    min: feature.min_supported_version,
                    max: feature.max_supported_version,
                },
            },
        };
        let cluster_id = request.cluster_id.as_deref();
        let changed = if request.listeners.is_empty() {
            Err((ErrorCode::INVALID_REQUEST, None))
        } else {
            change(&call, cluster_id, VoterChange::Update(voter), PATIENCE).await
        };
        let leader = call.context.quorum.leader_hint();
        let current_leader = leader.map_or_else(CurrentLeader::default, |leader| {
            let endpoint = leader.endpoints.first();
            CurrentLeader {
                leader_id: leader.id,
                leader_epoch: leader.epoch,
                host: endpoint.map(|e| e.host.clone()).unwrap_or_default(),
                port: endpoint.map_or(0, |e| i32::from(e.port)),
            }
        });
        UpdateRaftVoterResponse {
            error_code: changed.map_or_else(|(code, _)| code, |()| ErrorCode::NONE),
            current_leader,
            ..Default::default()
        }
    })
}
