//! BrokerRegistration: a broker starts (KIP-631).

use ottla_controller::{Command, Reply};
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers BrokerRegistration.
pub fn handle(
    call: Call,
    request: BrokerRegistrationRequest,
) -> Answer<BrokerRegistrationResponse> {
    let take = |reply| match reply {
        Reply::RegisterBroker(response) => Some(response),
        _ => None,
    };
    decide(call, Command::RegisterBroker(request), take, |error_code| BrokerRegistrationResponse {
        error_code,
        ..Default::default()
    })
}
