//! AssignReplicasToDirs: where a broker put its replicas (KIP-858).

use ottla_controller::{Command, Reply};
use ottla_wire::api::assign_replicas_to_dirs::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers AssignReplicasToDirs.
pub fn handle(
    call: Call,
    request: AssignReplicasToDirsRequest,
) -> Answer<AssignReplicasToDirsResponse> {
    let take = |reply| match reply {
        Reply::AssignReplicasToDirs(response) => Some(response),
        _ => None,
    };
    decide(call, Command::AssignReplicasToDirs(request), take, |error_code| {
        AssignReplicasToDirsResponse { error_code, ..Default::default() }
    })
}
