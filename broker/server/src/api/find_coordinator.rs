//! FindCoordinator: who coordinates a group. The topic that groups live in is made when it is first
//! asked for.

use ottla_coordinator::hash;
use ottla_engine::OFFSETS_TOPIC;
use ottla_wire::ErrorCode;
use ottla_wire::api::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// Since this version a request names several keys.
const BATCHED_SINCE: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Answers FindCoordinator.
pub fn handle(call: Call, request: FindCoordinatorRequest) -> Answer<FindCoordinatorResponse> {
    let keys = match call.version {
        BATCHED_SINCE.. => request.coordinator_keys,
        _ => vec![request.key],
    };
    let made = groups::offsets_partitions(&call.context.image()) > 0;
    if made || request.key_type != GROUP {
        return respond(&call, request.key_type, keys).into();
    }
    Answer::later(async move {
        call.context.create_missing(call.asker(), vec![OFFSETS_TOPIC.to_owned()]).await;
        respond(&call, request.key_type, keys)
    })
}

fn respond(call: &Call, kind: i8, keys: Vec<String>) -> FindCoordinatorResponse {
    let mut found: Vec<_> = keys.into_iter().map(|key| find(call, kind, key)).collect();
    if call.version >= BATCHED_SINCE {
        return FindCoordinatorResponse { coordinators: found, ..Default::default() };
    }
    let one = found.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..Default::default()
    }
}

fn find(call: &Call, kind: i8, key: String) -> Coordinator {
    let failed = |key: String, error_code: ErrorCode| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        ..Default::default()
    };
    match kind {
        GROUP => {}
        // These coordinators are not here yet.
        TRANSACTION | SHARE => return failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        _ => return failed(key, ErrorCode::INVALID_REQUEST),
    }
    let image = call.context.image();
    let partitions = groups::offsets_partitions(&image);
    let Some(topic) = image.topic_named(OFFSETS_TOPIC).filter(|_| partitions > 0) else {
        return failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    };
    let partition = hash::partition_for(&key, partitions);
    let leader = image.leader(topic.id, partition);
    let listener = call.session.listener.as_ref();
    match leader.and_then(|b| b.endpoint(listener).map(|e| (b.id, e))) {
        Some((node_id, endpoint)) => Coordinator {
            key,
            node_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            ..Default::default()
        },
        None => failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    }
}
