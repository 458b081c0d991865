//! Metadata: brokers, topics, and who leads what.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_config::keys;
use ottla_engine::OFFSETS_TOPIC;
use ottla_metadata::{Image, Topic};
use ottla_wire::api::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::answer::Answer;
use crate::api::{operations, topics};
use crate::call::Call;

/// Answers Metadata; topics that are missing are made first where that is allowed.
pub fn handle(call: Call, mut request: MetadataRequest) -> Answer<MetadataResponse> {
    // A topic that is named again and again is answered once, as Kafka does.
    if let Some(topics) = &mut request.topics {
        let mut seen = BTreeSet::new();
        topics.retain(|topic| seen.insert((topic.topic_id, topic.name.clone())));
    }
    let image = call.context.image();
    let missing = missing(&call, &image, &request);
    if missing.is_empty() {
        return answer(&call, &image, &request).into();
    }
    Answer::later(async move {
        // What could not be made is told in the answer as what it is: unknown.
        call.context.create_missing(call.asker(), missing).await;
        answer(&call, &call.context.image(), &request)
    })
}

/// The topics that are to be made because a client named them.
fn missing(call: &Call, image: &Image, request: &MetadataRequest) -> Vec<String> {
    // Before version 4 a client could not say that it does not want this.
    let wanted = request.allow_auto_topic_creation || call.version < 4;
    if !wanted || !call.context.config().get(keys::AUTO_CREATE_TOPICS_ENABLE) {
        return Vec::new();
    }
    let named = request.topics.iter().flatten().filter_map(|t| t.name.as_deref());
    // A topic of a coordinator's that is not served here must not come to be with a plain topic's settings.
    let may = |n: &&str| topics::is_valid(n) && (!topics::is_internal(n) || **n == *OFFSETS_TOPIC);
    let absent = named.filter(|n| may(n) && image.topic_named(n).is_none());
    absent.map(str::to_owned).collect()
}

fn answer(call: &Call, image: &Arc<Image>, request: &MetadataRequest) -> MetadataResponse {
    let listener = call.session.listener.as_ref();
    let all = match &request.topics {
        None => true,
        // In version 0 there is no null, and an empty list means all.
        Some(list) => list.is_empty() && call.version == 0,
    };
    let found: Vec<_> = if all {
        image.topics().map(|t| known(call, image, t, request)).collect()
    } else {
        request.topics.iter().flatten().map(|t| one(call, image, t, request)).collect()
    };
    MetadataResponse {
        brokers: image
            .endpoints(listener)
            .map(|(b, e)| MetadataResponseBroker {
                node_id: b.id,
                host: e.host.clone(),
                port: i32::from(e.port),
                rack: b.rack.clone(),
            })
            .collect(),
        cluster_id: Some(call.context.cluster_id.clone()),
        controller_id: call.context.controller_for_clients(image, call.session.kind),
        topics: found,
        cluster_authorized_operations: operations::asked(
            request.include_cluster_authorized_operations,
            operations::CLUSTER,
        ),
        ..Default::default()
    }
}

/// What is said of one topic that was asked for, by name or by id.
fn one(
    call: &Call,
    image: &Image,
    asked: &MetadataRequestTopic,
    request: &MetadataRequest,
) -> MetadataResponseTopic {
    let by_id = asked.topic_id != Uuid::ZERO;
    let topic = match &asked.name {
        _ if by_id => image.topic(asked.topic_id),
        Some(name) => image.topic_named(name),
        None => None,
    };
    if let Some(topic) = topic {
        return known(call, image, topic, request);
    }
    let error_code = match &asked.name {
        _ if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
        Some(name) if !topics::is_valid(name) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    // Before version 12 a name cannot be null.
    let nameless = if call.version >= 12 { None } else { Some(String::new()) };
    let name = if by_id { nameless } else { asked.name.clone().or(nameless) };
    MetadataResponseTopic {
        error_code,
        is_internal: name.as_deref().is_some_and(topics::is_internal),
        name,
        topic_id: asked.topic_id,
        ..Default::default()
    }
}

fn known(
    call: &Call,
    image: &Image,
    topic: &Topic,
    request: &MetadataRequest,
) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(id, partition)| {
        let mut served = topics::served(image, partition, &call.session.listener);
        // Before version 6 clients do not know the other error.
        if served.error == ErrorCode::LISTENER_NOT_FOUND && call.version < 6 {
            served.error = ErrorCode::LEADER_NOT_AVAILABLE;
        }
        MetadataResponsePartition {
            error_code: served.error,
            partition_index: id,
            leader_id: served.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.as_slice().to_vec(),
            isr_nodes: partition.isr.as_slice().to_vec(),
            offline_replicas: served.offline,
        }
    });
    MetadataResponseTopic {
        error_code: ErrorCode::NONE,
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topics::is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: operations::asked(
            request.include_topic_authorized_operations,
            operations::TOPIC,
        ),
    }
}
