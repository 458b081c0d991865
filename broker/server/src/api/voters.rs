//! What the APIs that change the quorum's voters have in common (KIP-853).

use std::future::Future;
use std::time::Duration;

use ottla_metadata::features;
use ottla_quorum::{QuorumError, VoterChange};
use ottla_wire::ErrorCode;
use ottla_wire::api::{Listener, Request};

use crate::call::Call;

/// The level of kraft.version from which on voters come and go.
const DYNAMIC: i16 = 1;

/// How long a change may take where the request names no time of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a change.
pub(crate) type Changed = Result<(), (ErrorCode, Option<String>)>;

/// Hands a request that came to a broker to the controller that leads.
pub(crate) async fn elsewhere<R: Request>(
    call: &Call,
    request: &R,
) -> Option<Result<R::Response, ErrorCode>> {
    let context = &call.context;
    let leads = {
        let leadership = context.quorum.leadership();
        let leader = leadership.borrow().leader;
        leader.is_some_and(|leader| leader.id == context.node_id)
    };
    if call.session.kind == Listener::Controller || leads {
        return None;
    }
    Some(context.controllers.forward(request, Some(&call.asker())).await)
}

/// Changes the voters, as the leader of the quorum.
pub(crate) async fn change(
    call: &Call,
    cluster_id: Option<&str>,
    change: VoterChange,
    patience: Duration,
) -> Changed {
    if let Some(theirs) = cluster_id
        && theirs != call.context.cluster_id
    {
        return Err((ErrorCode::INCONSISTENT_CLUSTER_ID, None));
    }
    if call.context.image().features().level(features::KRAFT) < DYNAMIC {
        let what = match &change {
            VoterChange::Add(_) => "adding",
            VoterChange::Remove(_) => "removing",
            VoterChange::Update(_) => "updating",
        };
        let why =
            format!("Cluster doesn't support {what} voter because the kraft.version feature is 0");
        return Err((ErrorCode::UNSUPPORTED_VERSION, Some(why)));
    }
    within(patience, call.context.quorum.change_voters(change)).await.map_err(|error| {
        let code = error.code();
        if code == ErrorCode::NOT_CONTROLLER || code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            call.not_controller();
        }
        (code, Some(error.to_string()))
    })
}

async fn within(
    patience: Duration,
    change: impl Future<Output = Result<(), QuorumError>>,
) -> Result<(), QuorumError> {
    let late = || QuorumError::Busy(format!("the change was not done within {patience:?}"));
    tokio::time::timeout(patience, change).await.unwrap_or_else(|_| Err(late()))
}
