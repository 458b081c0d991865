//! GetTelemetrySubscriptions: which metrics a client is to push, and how often (KIP-714).

use ottla_wire::api::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};

use crate::answer::Answer;
use crate::call::Call;

/// Answers GetTelemetrySubscriptions.
pub fn handle(
    call: Call,
    request: GetTelemetrySubscriptionsRequest,
) -> Answer<GetTelemetrySubscriptionsResponse> {
    let telemetry = &call.context.telemetry;
    match telemetry.get(&call, request.client_instance_id) {
        Ok(subscribed) => subscribed.response(telemetry.max_bytes()),
        Err(error_code) => GetTelemetrySubscriptionsResponse { error_code, ..Default::default() },
    }
    .into()
}
