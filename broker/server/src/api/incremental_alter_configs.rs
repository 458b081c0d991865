//! IncrementalAlterConfigs: single values change (KIP-339).

use ottla_controller::{Command, Reply};
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers IncrementalAlterConfigs.
pub fn handle(
    call: Call,
    request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    let asked: Vec<_> =
        request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    let take = |reply| match reply {
        Reply::IncrementalAlterConfigs(response) => Some(response),
        _ => None,
    };
    forward(call, None, Command::IncrementalAlterConfigs(request), take, |error| {
        let row = |(resource_type, resource_name)| AlterConfigsResourceResponse {
            error_code: error.code,
            error_message: error.message.clone(),
            resource_type,
            resource_name,
        };
        let responses = asked.into_iter().map(row).collect();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    })
}
