//! Producer ids, taken from blocks that the controller gives to this broker.

use std::sync::Arc;

use ottla_controller::{Command, Reply};
use ottla_wire::ErrorCode;
use ottla_wire::api::allocate_producer_ids::AllocateProducerIdsRequest;
use tokio::sync::Mutex;

use crate::context::Context;

/// The rest of the block in use. Whoever finds it empty asks for the next one, while others wait.
#[derive(Debug, Default)]
pub struct ProducerIds {
    left: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    /// An id that no producer has had.
    ///
    /// # Errors
    /// What to answer when the controller gives none.
    pub async fn next(&self, context: &Arc<Context>) -> Result<i64, ErrorCode> {
        let mut left = self.left.lock().await;
        if let Some(id) = left.next() {
            return Ok(id);
        }
        let request = AllocateProducerIdsRequest {
            broker_id: context.node_id,
            broker_epoch: context.broker_epoch(),
        };
        let answer = context.controller.submit(Command::AllocateProducerIds(request)).await;
        // A client tries again on this error, which Kafka gives too.
        let none = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        let Ok(Reply::AllocateProducerIds(block)) = answer else { return Err(none) };
        if block.error_code != ErrorCode::NONE {
            return Err(none);
        }
        let start = block.producer_id_start;
        *left = start..start.saturating_add(i64::from(block.producer_id_len));
        left.next().ok_or(none)
    }
}
