//! RemoveRaftVoter: a controller loses its vote (KIP-853).

use ottla_quorum::{NodeKey, VoterChange};
use ottla_wire::ErrorCode;
use ottla_wire::api::remove_raft_voter::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

use crate::answer::Answer;
use crate::api::voters::{PATIENCE, change, elsewhere};
use crate::call::Call;

/// Answers RemoveRaftVoter.
pub fn handle(call: Call, request: RemoveRaftVoterRequest) -> Answer<RemoveRaftVoterResponse> {
    let failed = |error_code, error_message| RemoveRaftVoterResponse {
        error_code,
        error_message,
        ..Default::default()
    };
    Answer::later(async move {
        if let Some(answer) = elsewhere(&call, &request).await {
            return answer.unwrap_or_else(|code| failed(code, None));
        }
        let key = NodeKey::new(request.voter_id, request.voter_directory_id);
        let cluster_id = request.cluster_id.as_deref();
        match change(&call, cluster_id, VoterChange::Remove(key), PATIENCE).await {
            Ok(()) => failed(ErrorCode::NONE, None),
            Err((code, message)) => failed(code, message),
        }
    })
}
