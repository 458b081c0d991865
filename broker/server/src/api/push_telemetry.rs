//! PushTelemetry: a client's own metrics (KIP-714).

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};

use crate::answer::{Answer, Holds};
use crate::call::Call;

/// Answers PushTelemetry.
pub fn handle(call: Call, mut request: PushTelemetryRequest) -> Answer<PushTelemetryResponse> {
    let answer = |error_code| PushTelemetryResponse { throttle_time_ms: 0, error_code };
    match call.context.telemetry.push(&call, &request) {
        Err(error_code) => answer(error_code).into(),
        Ok(_) if request.metrics.is_empty() => answer(ErrorCode::NONE).into(),
        Ok(pushed) => {
            // It waits for its turn; a slice would keep the whole frame.
            request.metrics = Bytes::copy_from_slice(&request.metrics);
            let holds = Holds::Bytes(request.metrics.len());
            Answer::later_holding(holds, async move {
                let kept = call.context.telemetry.keep(&call, pushed, request).await;
                answer(kept.err().unwrap_or(ErrorCode::NONE))
            })
        }
    }
}
