//! ListGroups: the groups that this broker coordinates.

use ottla_coordinator::{Command, Context, Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::list_groups::{ListGroupsRequest, ListGroupsResponse};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Answers ListGroups.
pub fn handle(call: Call, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
    let shards = call.context.groups.shards();
    if shards.is_loading() {
        let error_code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        return ListGroupsResponse { error_code, ..Default::default() }.into();
    }
    let context = Context { version: call.version, ..Context::default() };
    let ask = Request::ListGroups { states: request.states_filter, types: request.types_filter };
    let command = |_| Command { context: context.clone(), request: ask.clone() };
    let pending: Vec<_> = shards.active().iter().map(|shard| shard.submit(command(()))).collect();
    Answer::later(async move {
        let mut response = ListGroupsResponse::default();
        for outcome in groups::all(pending).await {
            match outcome {
                Ok(Reply::ListGroups(found)) => response.groups.extend(found),
                Ok(_) => response.error_code = ErrorCode::UNKNOWN_SERVER_ERROR,
                // The shard went meanwhile; its groups are another broker's to list.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                Err(error) => response.error_code = error,
            }
        }
        response
    })
}
