//! AllocateProducerIds: a block of producer ids for a broker (KIP-730).

use ottla_controller::{Command, Reply};
use ottla_wire::api::allocate_producer_ids::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::decide;
use crate::call::Call;

/// Answers AllocateProducerIds.
pub fn handle(
    call: Call,
    request: AllocateProducerIdsRequest,
) -> Answer<AllocateProducerIdsResponse> {
    let take = |reply| match reply {
        Reply::AllocateProducerIds(response) => Some(response),
        _ => None,
    };
    decide(call, Command::AllocateProducerIds(request), take, |error_code| {
        AllocateProducerIdsResponse { error_code, ..Default::default() }
    })
}
