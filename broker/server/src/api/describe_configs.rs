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
use crate::api::loggers;
use crate::call::Call;

type Failure = (ErrorCode, String);

/// Descriptions of so many resources are made on the thread of the network; more take turns
/// elsewhere.
const AT_ONCE: usize = 100;

/// Most bytes of one answer, about. A name of a few bytes asks for thousands.
const MOST_BYTES: usize = 256 << 20;

/// What a row costs besides its texts, in bytes.
const ROW: usize = 64;

/// Answers DescribeConfigs.
pub fn handle(call: Call, request: DescribeConfigsRequest) -> Answer<DescribeConfigsResponse> {
    if request.resources.len() <= AT_ONCE {
        return describe_all(&call, request, MOST_BYTES).into();
    }
    Answer::later(async move {
        let _turn = call.context.long_answers.lock().await;
        let theirs = call.clone();
        let work = move || describe_all(&theirs, request, MOST_BYTES);
        call.context.control.spawn_blocking(work).await.unwrap_or_default()
    })
}

fn describe_all(
    call: &Call,
    request: DescribeConfigsRequest,
    most_bytes: usize,
) -> DescribeConfigsResponse {
    let image = call.context.image();
    let include = |wanted| if wanted { Include::Yes } else { Include::No };
    let (synonyms, documentation) =
        (include(request.include_synonyms), include(request.include_documentation));
    let results = within(most_bytes, request.resources, |resource| {
        let names = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
        let options = DescribeOptions { names, synonyms, documentation };
        describe(call, &image, resource, options)
    });
    DescribeConfigsResponse { results, ..Default::default() }
}

/// Describes one resource after the other until there are about so many bytes; the rest is refused.
fn within(
    mut left: usize,
    resources: Vec<DescribeConfigsResource>,
    describe: impl Fn(&DescribeConfigsResource) -> Result<Vec<Described>, Failure>,
) -> Vec<DescribeConfigsResult> {
    let one = |resource: DescribeConfigsResource| {
        let found = match left {
            0 => Err((
                ErrorCode::INVALID_REQUEST,
                "too much is asked in one request; ask for fewer resources at a time".to_owned(),
            )),
            _ => describe(&resource),
        };
        left = left.saturating_sub(found.iter().flatten().map(cost).sum());
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
    resources.into_iter().map(one).collect()
}

/// What a description takes in memory, about.
fn cost(described: &Described) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let synonyms = described.synonyms.iter().map(|s| ROW + s.name.len() + text(&s.value));
    let own = described.name.len() + text(&described.value) + text(&described.documentation);
    ROW + own + synonyms.sum::<usize>()
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
            if let Err(why) = ottla_controller::check_topic_name(name) {
                return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
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
        Some(ResourceType::Group) if name.is_empty() => {
            Err((ErrorCode::INVALID_REQUEST, "Group name must not be empty".to_owned()))
        }
        Some(ResourceType::ClientMetrics) if name.is_empty() => Err((
            ErrorCode::INVALID_REQUEST,
            "Client metrics subscription name must not be empty".to_owned(),
        )),
        Some(ResourceType::Group) => {
            let overrides = overrides(ResourceType::Group);
            describe_group(&config, &overrides, options).map_err(bad)
        }
        Some(ResourceType::ClientMetrics) => {
            describe_client_metrics(&overrides(ResourceType::ClientMetrics), options).map_err(bad)
        }
        Some(ResourceType::BrokerLogger) => {
            own_logger(call, name).map(|()| loggers::describe(call, options))
        }
        None => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {}", resource.resource_type),
        )),
    }
}

/// A node describes its own loggers alone.
fn own_logger(call: &Call, name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err((ErrorCode::INVALID_REQUEST, "Broker id must not be empty".to_owned()));
    }
    own_node(call, name, "")
}

/// A broker describes itself alone.
fn own_broker(call: &Call, name: &str) -> Result<(), Failure> {
    own_node(call, name, " or empty string,")
}

/// Whether a name is this node's id; `besides` says what else could have been named.
fn own_node(call: &Call, name: &str, besides: &str) -> Result<(), Failure> {
    let me = call.context.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == me => Ok(()),
        Ok(_) => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unexpected broker id, expected {me}{besides} but received {name}"),
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

#[cfg(test)]
mod tests {
    use ottla_config::ConfigSource;

    use super::*;

    #[test]
    fn a_short_request_gets_no_endless_answer() {
        let key = Described {
            name: "k".repeat(100),
            value: Some("v".repeat(100)),
            read_only: false,
            source: ConfigSource::Default,
            sensitive: false,
            synonyms: Vec::new(),
            kind: None,
            documentation: None,
        };
        let resources = vec![DescribeConfigsResource::default(); 1000];
        let results = within(10_000, resources, |_| Ok(vec![key.clone(); 10]));
        assert_eq!(results.len(), 1000);
        let told = results.iter().filter(|r| r.error_code == ErrorCode::NONE).count();
        assert_eq!(told, 4, "each costs 2,640");
        assert!(results.iter().skip(4).all(|r| r.configs.is_empty() && r.error_message.is_some()));
    }
}
