//! ElectLeaders: preferred or unclean elections.

use ottla_controller::{Command, Reply};
use ottla_wire::api::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers ElectLeaders.
pub fn handle(call: Call, request: ElectLeadersRequest) -> Answer<ElectLeadersResponse> {
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::ElectLeaders(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::ElectLeaders(request), take, |error| ElectLeadersResponse {
        error_code: error.code,
        ..Default::default()
    })
}
