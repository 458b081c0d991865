//! AddRaftVoter: a controller gets a vote (KIP-853).

use std::time::Duration;

use ottla_quorum::{Endpoint, KraftVersions, Member, NodeKey, Voter, VoterChange};
use ottla_wire::ErrorCode;
use ottla_wire::api::add_raft_voter::{AddRaftVoterRequest, AddRaftVoterResponse};

use crate::answer::Answer;
use crate::api::voters::{PATIENCE, change, elsewhere};
use crate::call::Call;

/// Answers AddRaftVoter.
pub fn handle(call: Call, request: AddRaftVoterRequest) -> Answer<AddRaftVoterResponse> {
    let failed = |error_code, error_message| AddRaftVoterResponse {
        error_code,
        error_message,
        ..Default::default()
    };
    if request.listeners.is_empty() || request.voter_id < 0 {
        let why = "a voter has an id and at least one listener".to_owned();
        return failed(ErrorCode::INVALID_REQUEST, Some(why)).into();
    }
    Answer::later(async move {
        if let Some(answer) = elsewhere(&call, &request).await {
            return answer.unwrap_or_else(|code| failed(code, None));
        }
        let endpoint = |l: &ottla_wire::api::add_raft_voter::Listener| Endpoint {
            name: l.name.clone(),
            host: l.host.clone(),
            port: l.port,
        };
        let voter = Voter {
            key: NodeKey::new(request.voter_id, request.voter_directory_id),
            member: Member {
                endpoints: request.listeners.iter().map(endpoint).collect(),
                kraft_versions: KraftVersions::SUPPORTED,
            },
        };
        let given = u64::try_from(request.timeout_ms).ok().filter(|ms| *ms > 0);
        let patience = given.map_or(PATIENCE, Duration::from_millis).min(PATIENCE);
        let cluster_id = request.cluster_id.as_deref();
        match change(&call, cluster_id, VoterChange::Add(voter), patience).await {
            Ok(()) => failed(ErrorCode::NONE, None),
            Err((code, message)) => failed(code, message),
        }
    })
}
