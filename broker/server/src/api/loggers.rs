//! The loggers of this node, as the resource BROKER_LOGGER (KIP-412).

use std::collections::BTreeSet;

use ottla_config::{AlterOp, ConfigSource, DescribeOptions, Described};
use ottla_controller::ApiError;
use ottla_metadata::ResourceType;
use ottla_wire::ErrorCode;
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
    IncrementalAlterConfigsRequest,
};
use tracing::info;

use crate::call::Call;
use crate::loggers::{Level, ROOT};

/// Describes them.
pub(crate) fn describe(call: &Call, options: DescribeOptions<'_>) -> Vec<Described> {
    let wanted = |name: &str| options.names.is_none_or(|names| names.iter().any(|n| n == name));
    let loggers = call.context.loggers.all().into_iter().filter(|(name, _)| wanted(name));
    let row = |(name, level): (String, Level)| Described {
        name,
        value: Some(level.name().to_owned()),
        read_only: false,
        source: ConfigSource::DynamicBrokerLogger,
        sensitive: false,
        synonyms: Vec::new(),
        kind: None,
        documentation: None,
    };
    loggers.map(row).collect()
}

/// Does what a request asks of loggers, and leaves the rest of it in the request. Gives the answers, each with the place
/// of what it answers among all resources of the request.
pub(crate) fn take(
    call: &Call,
    request: &mut IncrementalAlterConfigsRequest,
) -> Vec<(usize, AlterConfigsResourceResponse)> {
    let is_logger = |resource: &AlterConfigsResource| {
        resource.resource_type == ResourceType::BrokerLogger.code()
    };
    if !request.resources.iter().any(is_logger) {
        return Vec::new();
    }
    let (own, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut request.resources)
        .into_iter()
        .enumerate()
        .partition(|(_, resource)| is_logger(resource));
    request.resources = rest.into_iter().map(|(_, resource)| resource).collect();
    let mut seen = BTreeSet::new();
    let names = own.iter().map(|(_, resource)| resource.resource_name.as_str());
    let doubled: BTreeSet<String> =
        names.filter(|name| !seen.insert(*name)).map(str::to_owned).collect();
    let answer = |(place, resource): (usize, AlterConfigsResource)| {
        let done = if doubled.contains(&resource.resource_name) {
            Err(invalid("Each resource must appear at most once.".to_owned()))
        } else {
            changes(call, &resource).map(|changes| {
                if !request.validate_only {
                    apply(call, &changes);
                }
            })
        };
        let (error_code, error_message) = ApiError::parts(done);
        let response = AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        };
        (place, response)
    };
    own.into_iter().map(answer).collect()
}

/// A logger, and the level that it gets; none if it is to follow what covers it.
type Change<'a> = (&'a str, Option<Level>);

/// What a resource asks for, if all of it can be done.
fn changes<'a>(
    call: &Call,
    resource: &'a AlterConfigsResource,
) -> Result<Vec<Change<'a>>, ApiError> {
    let configs = resource.configs.as_slice();
    let mut seen = BTreeSet::new();
    if !configs.iter().all(|config| seen.insert(config.name.as_str())) {
        return Err(invalid("Error due to duplicate config keys".to_owned()));
    }
    let without = configs.iter().filter(|config| {
        config.value.is_none()
            && AlterOp::from_code(config.config_operation) != Some(AlterOp::Delete)
    });
    let without: Vec<&str> = without.map(|config| config.name.as_str()).collect();
    if !without.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", without.join(", "))));
    }
    own_node(call, &resource.resource_name)?;
    configs.iter().map(|config| change(call, config)).collect()
}

fn apply(call: &Call, changes: &[Change<'_>]) {
    for (logger, level) in changes {
        let level = level.map_or("that of what covers it", Level::name);
        info!(%logger, %level, from = %call.session.remote, "the level of a logger is changed");
    }
    call.context.loggers.change(changes.iter().copied());
}

/// What one operation comes to.
fn change<'a>(call: &Call, config: &'a AlterableConfig) -> Result<Change<'a>, ApiError> {
    let name = config.name.as_str();
    let op = AlterOp::from_code(config.config_operation);
    let refused = |what: String| {
        Err(invalid(format!("{what} is not allowed for the BROKER_LOGGER resource")))
    };
    match op {
        Some(AlterOp::Append) => return refused("APPEND operation".to_owned()),
        Some(AlterOp::Subtract) => return refused("SUBTRACT operation".to_owned()),
        None => return refused(format!("Unknown operation type {}", config.config_operation)),
        Some(AlterOp::Set | AlterOp::Delete) => {}
    }
    if !call.context.loggers.has(name) {
        let text = format!("Logger {name} does not exist!");
        return Err(ApiError::new(ErrorCode::INVALID_CONFIG, text));
    }
    if op == Some(AlterOp::Delete) {
        if name == ROOT {
            let text = format!("Removing the log level of the {ROOT} logger is not allowed");
            return Err(invalid(text));
        }
        return Ok((name, None));
    }
    let wanted = config.value.as_deref().unwrap_or_default();
    match Level::parse(wanted) {
        Some(level) => Ok((name, Some(level))),
        None => {
            let text = format!(
                "Cannot set the log level of {name} to {wanted} as it is not a supported log level. Valid log levels are {}",
                Level::NAMES
            );
            Err(ApiError::new(ErrorCode::INVALID_CONFIG, text))
        }
    }
}

/// A node changes its own loggers alone.
fn own_node(call: &Call, name: &str) -> Result<(), ApiError> {
    let me = call.context.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == me => Ok(()),
        Ok(_) => Err(invalid(format!("Unexpected node id. Expected {me}, but received {name}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

fn invalid(text: String) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, text)
}
