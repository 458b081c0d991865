//! UnregisterBroker: a broker will not come back.

use ottla_controller::{Command, Reply};
use ottla_wire::api::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers UnregisterBroker.
pub fn handle(call: Call, request: UnregisterBrokerRequest) -> Answer<UnregisterBrokerResponse> {
    let take = |reply| match reply {
        Reply::UnregisterBroker(response) => Some(response),
        _ => None,
    };
    forward(call, None, Command::UnregisterBroker(request), take, |error| {
        UnregisterBrokerResponse {
            error_code: error.code,
            error_message: error.message,
            ..Default::default()
        }
    })
}
