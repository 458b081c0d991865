//! BrokerHeartbeat: a broker is alive (KIP-631).

use ottla_controller::{Command, Reply};
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers BrokerHeartbeat.
pub fn handle(call: Call, request: BrokerHeartbeatRequest) -> Answer<BrokerHeartbeatResponse> {
    call.session.heard.note(request.broker_id, request.broker_epoch);
    let take = |reply| match reply {
        Reply::BrokerHeartbeat(response) => Some(response),
        _ => None,
    };
    decide(call, Command::BrokerHeartbeat(request), take, |error_code| BrokerHeartbeatResponse {
        error_code,
        ..Default::default()
    })
}
