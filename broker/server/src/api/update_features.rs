//! UpdateFeatures: levels of features go up or down (KIP-584).

use ottla_controller::{Command, Reply};
use ottla_wire::api::update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers UpdateFeatures.
pub fn handle(call: Call, request: UpdateFeaturesRequest) -> Answer<UpdateFeaturesResponse> {
    let timeout = Some(request.timeout_ms);
    let take = |reply| match reply {
        Reply::UpdateFeatures(response) => Some(response),
        _ => None,
    };
    forward(call, timeout, Command::UpdateFeatures(request), take, |error| UpdateFeaturesResponse {
        error_code: error.code,
        error_message: error.message,
        ..Default::default()
    })
}
