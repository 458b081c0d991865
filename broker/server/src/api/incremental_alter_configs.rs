//! IncrementalAlterConfigs: single values change (KIP-339), and levels of this node's loggers (KIP-412).

use ottla_controller::{Command, Reply};
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::api::loggers;
use crate::call::Call;

/// Answers IncrementalAlterConfigs.
pub fn handle(
    call: Call,
    mut request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    let own = loggers::take(&call, &mut request);
    if request.resources.is_empty() && !own.is_empty() {
        return together(own, Vec::new()).into();
    }
    let asked: Vec<_> =
        request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    let theirs = own.clone();
    let take = |reply| match reply {
        Reply::IncrementalAlterConfigs(response) => Some(together(theirs, response.responses)),
        _ => None,
    };
    forward(call, None, Command::IncrementalAlterConfigs(request), take, |error| {
        let row = |(resource_type, resource_name)| AlterConfigsResourceResponse {
            error_code: error.code,
            error_message: error.message.clone(),
            resource_type,
            resource_name,
        };
        together(own, asked.into_iter().map(row).collect())
    })
}

/// The answers of this node, each at its place, among those of the controller.
fn together(
    own: Vec<(usize, AlterConfigsResourceResponse)>,
    mut responses: Vec<AlterConfigsResourceResponse>,
) -> IncrementalAlterConfigsResponse {
    for (place, response) in own {
        responses.insert(place.min(responses.len()), response);
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}
