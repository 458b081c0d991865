//! FindCoordinator: who coordinates a group or a transactional id. The topic that they live in is made
//! when it is first asked for.

use ottla_coordinator::hash;
use ottla_engine::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use ottla_wire::ErrorCode;
use ottla_wire::api::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use crate::answer::Answer;
use crate::api::topics;
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
    let image = call.context.image();
    match topic_of(request.key_type) {
        Some(topic) if image.topic_named(topic).is_none() => Answer::later(async move {
            call.context.create_missing(call.asker(), vec![topic.to_owned()]).await;
            respond(&call, request.key_type, keys)
        }),
        _ => respond(&call, request.key_type, keys).into(),
    }
}

/// The topic that coordinators of a kind live in, if they are here.
fn topic_of(kind: i8) -> Option<&'static str> {
    match kind {
        GROUP => Some(OFFSETS_TOPIC),
        TRANSACTION => Some(TRANSACTIONS_TOPIC),
        _ => None,
    }
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
    let Some(name) = topic_of(kind) else {
        return match kind {
            // This coordinator is not here yet.
            SHARE => failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE),
            _ => failed(key, ErrorCode::INVALID_REQUEST),
        };
    };
    let image = call.context.image();
    let partitions = topics::partitions(&image, name);
    let Some(topic) = image.topic_named(name).filter(|_| partitions > 0) else {
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
