//! DescribeConfigs: keys, values, where they come from and what stands behind them.

use ottla_config::{
    DescribeOptions, Described, Include, Texts, ValueError, describe_broker,
    describe_client_metrics, describe_cluster_default, describe_group, describe_topic,
};
use ottla_metadata::{ConfigResource, Image, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use crate::answer::Answer;
use crate::api::{loggers, topics};
use crate::call::Call;

type Failure = (ErrorCode, String);

/// Answers DescribeConfigs.
pub fn handle(call: Call, request: DescribeConfigsRequest) -> Answer<DescribeConfigsResponse> {
    let image = call.context.image();
    let include = |wanted| if wanted { Include::Yes } else { Include::No };
    let (synonyms, documentation) =
        (include(request.include_synonyms), include(request.include_documentation));
    let one = |resource: DescribeConfigsResource| {
        let names = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
        let options = DescribeOptions { names, synonyms, documentation };
        let found = describe(&call, &image, &resource, options);
        let (error_code, error_message, configs) = match found {
            Ok(configs) => (ErrorCode::NONE, None, configs),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            configs: configs.into_iter().map(row).collect(),
            resource_name: resource.resource_name,
        }
    };
    let results = request.resources.into_iter().map(one).collect();
    DescribeConfigsResponse { results, ..Default::default() }.into()
}

fn describe(
    call: &Call,
    image: &Image,
    resource: &DescribeConfigsResource,
    options: DescribeOptions<'_>,
) -> Result<Vec<Described>, Failure> {
    let config = call.context.config();
    let name = resource.resource_name.as_str();
    let kind = ResourceType::from_code(resource.resource_type);
    let overrides = |kind| -> Texts {
        let found = image.configs(&ConfigResource::new(kind, name));
        found.map(|values| values.as_ref().clone()).unwrap_or_default()
    };
    let bad = |e: ValueError| (ErrorCode::INVALID_CONFIG, e.to_string());
    match kind {
        Some(ResourceType::Topic) => {
            if !topics::is_valid(name) {
                return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, String::new()));
            }
            if image.topic_named(name).is_none() {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
            }
            describe_topic(&config, &overrides(ResourceType::Topic), options).map_err(bad)
        }
        Some(ResourceType::Broker) if name.is_empty() => {
            Ok(describe_cluster_default(&config, options))
        }
        Some(ResourceType::Broker) => {
            own_broker(call, name).map(|()| describe_broker(&config, options))
        }
        Some(ResourceType::Group) => {
            let overrides = overrides(ResourceType::Group);
            describe_group(&config, &overrides, options).map_err(bad)
        }
        Some(ResourceType::ClientMetrics) => {
            describe_client_metrics(&overrides(ResourceType::ClientMetrics), options).map_err(bad)
        }
        Some(ResourceType::BrokerLogger) => {
            own_broker(call, name).map(|()| loggers::describe(options))
        }
        None => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {}", resource.resource_type),
        )),
    }
}

/// A broker describes itself alone.
fn own_broker(call: &Call, name: &str) -> Result<(), Failure> {
    let me = call.context.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == me => Ok(()),
        Ok(_) => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unexpected broker id, expected {me} or empty string, but received {name}"),
        )),
        Err(_) => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Broker id must be an integer, but it is: {name}"),
        )),
    }
}

fn row(described: Described) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        config_type: described.type_code(),
        name: described.name,
        value: described.value,
        read_only: described.read_only,
        config_source: described.source.code(),
        is_sensitive: described.sensitive,
        synonyms: described
            .synonyms
            .into_iter()
            .map(|s| DescribeConfigsSynonym {
                name: s.name,
                value: s.value,
                source: s.source.code(),
            })
            .collect(),
        documentation: described.documentation,
    }
}
