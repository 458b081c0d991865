//! ListConfigResources: which resources have a configuration (KIP-1142).

use std::collections::BTreeSet;

use ottla_metadata::{Image, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use crate::answer::Answer;
use crate::call::Call;

/// The one kind that version 0 lists.
const CLIENT_METRICS: i8 = 16;
const BROKER_LOGGER: i8 = 8;

/// Answers ListConfigResources.
pub fn handle(
    call: Call,
    request: ListConfigResourcesRequest,
) -> Answer<ListConfigResourcesResponse> {
    let every = [
        ResourceType::Topic.code(),
        ResourceType::Broker.code(),
        BROKER_LOGGER,
        CLIENT_METRICS,
        ResourceType::Group.code(),
    ];
    let kinds: BTreeSet<i8> = match (call.version, request.resource_types.as_slice()) {
        (0, _) => BTreeSet::from([CLIENT_METRICS]),
        (_, []) => every.into_iter().collect(),
        (_, some) => some.iter().copied().collect(),
    };
    if kinds.iter().any(|kind| !every.contains(kind)) {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        return ListConfigResourcesResponse { error_code, ..Default::default() }.into();
    }
    let image = call.context.image();
    let config_resources = kinds.into_iter().flat_map(|kind| list(&image, kind)).collect();
    ListConfigResourcesResponse { config_resources, ..Default::default() }.into()
}

fn list(image: &Image, resource_type: i8) -> Vec<ConfigResource> {
    let row = |resource_name| ConfigResource { resource_name, resource_type };
    let brokers = || image.brokers().map(|b| b.id.to_string());
    match ResourceType::from_code(resource_type) {
        Some(ResourceType::Topic) => image.topics().map(|t| row(t.name.to_string())).collect(),
        Some(ResourceType::Broker) => brokers().map(row).collect(),
        _ if resource_type == BROKER_LOGGER => brokers().map(row).collect(),
        Some(kind) => {
            let named = image.config_resources().filter(|(r, _)| r.kind == kind);
            named.map(|(r, _)| row(r.name.to_string())).collect()
        }
        None => Vec::new(),
    }
}
