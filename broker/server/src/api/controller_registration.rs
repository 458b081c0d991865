//! ControllerRegistration: a controller starts (KIP-919).

use ottla_controller::{Command, Reply};
use ottla_wire::api::controller_registration::{
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers ControllerRegistration.
pub fn handle(
    call: Call,
    request: ControllerRegistrationRequest,
) -> Answer<ControllerRegistrationResponse> {
    let take = |reply| match reply {
        Reply::RegisterController(response) => Some(response),
        _ => None,
    };
    decide(call, Command::RegisterController(request), take, |error_code| {
        ControllerRegistrationResponse { error_code, ..Default::default() }
    })
}
