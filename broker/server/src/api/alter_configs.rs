//! AlterConfigs: all values of a resource are replaced.

use ottla_controller::{Command, Reply};
use ottla_wire::api::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::forward;
use crate::call::Call;

/// Answers AlterConfigs.
pub fn handle(call: Call, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
    let asked: Vec<_> =
        request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    let take = |reply| match reply {
        Reply::AlterConfigs(response) => Some(response),
        _ => None,
    };
    forward(call, None, Command::AlterConfigs(request), take, |error| {
        let row = |(resource_type, resource_name)| AlterConfigsResourceResponse {
            error_code: error.code,
            error_message: error.message.clone(),
            resource_type,
            resource_name,
        };
        let responses = asked.into_iter().map(row).collect();
        AlterConfigsResponse { responses, ..Default::default() }
    })
}
