//! The life of a broker: registered, unfenced, heard of, shut down, fenced, unregistered.

mod heartbeat;
mod register;

pub(crate) use heartbeat::{broker_heartbeat, fence_silent};
pub(crate) use register::{register_broker, register_controller, unregister_broker};

use crate::error::ApiError;
use ottla_metadata::{BrokerRegistration, Image};
use ottla_wire::ErrorCode;
use std::sync::Arc;

/// The registration of a broker, if this is its epoch.
pub(crate) fn check_epoch(
    image: &Image,
    id: i32,
    epoch: i64,
) -> Result<&Arc<BrokerRegistration>, ApiError> {
    let stale = |text| ApiError::new(ErrorCode::STALE_BROKER_EPOCH, text);
    let Some(broker) = image.broker(id) else {
        return Err(stale(format!("No broker registration found for broker id {id}")));
    };
    if broker.epoch != epoch {
        let text = format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch);
        return Err(stale(text));
    }
    Ok(broker)
}
