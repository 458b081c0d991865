//! Which values resources may have.

use super::defaults::Defaults;
use super::group;
use crate::error::ApiError;
use crate::settings::Settings;
use crate::topics::check_topic_name;
use ottla_config::catalog::{client_metrics_keys, group_keys, topic_keys};
use ottla_config::{Spec, Value};
use ottla_metadata::{ConfigResource, Image, ResourceType};
use ottla_wire::ErrorCode;
use std::collections::BTreeMap;

/// Whether the resource is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It is being created with these values.
    New,
    /// It must exist.
    Required,
}

/// Checks all values that a resource is to have.
pub(crate) fn validate(
    image: &Image,
    settings: &Settings,
    resource: &ConfigResource,
    values: &BTreeMap<String, String>,
    existence: Existence,
) -> Result<(), ApiError> {
    match resource.kind {
        ResourceType::Topic => topic(image, settings, &resource.name, values)?,
        ResourceType::Broker => broker_name(&resource.name)?,
        ResourceType::ClientMetrics => client_metrics(&resource.name, values)?,
        ResourceType::Group => {
            if resource.name.is_empty() {
                return Err(request("Default group resources are not allowed."));
            }
            check_each(group_keys, "group", values)?;
            group::check(settings, values)?;
        }
        ResourceType::BrokerLogger => {
            return Err(request("Unknown resource type BROKER_LOGGER"));
        }
    }
    match existence {
        Existence::New => Ok(()),
        Existence::Required => exists(image, resource),
    }
}

fn request(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, text)
}

pub(super) fn config(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_CONFIG, text)
}

fn exists(image: &Image, resource: &ConfigResource) -> Result<(), ApiError> {
    let name = resource.name.as_ref();
    match resource.kind {
        ResourceType::Topic if image.topic_id(name).is_none() => {
            let text = format!("The topic '{name}' does not exist.");
            Err(ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))
        }
        ResourceType::Broker if !name.is_empty() => {
            let invalid = || request(format!("Invalid broker name {name}"));
            let id: i32 = name.parse().map_err(|_| invalid())?;
            if image.broker(id).is_some() || image.controller(id).is_some() {
                return Ok(());
            }
            let text = format!("No node with id {id} found.");
            Err(ApiError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, text))
        }
        _ => Ok(()),
    }
}

fn check_each<I: Iterator<Item = &'static Spec>>(
    keys: fn() -> I,
    kind: &str,
    values: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let unknown = values.keys().find(|name| !keys().any(|s| s.name == **name));
    if let Some(name) = unknown {
        return Err(config(format!("Unknown {kind} config name: {name}")));
    }
    for (name, text) in values {
        if let Some(spec) = keys().find(|s| s.name == name) {
            Value::parse(spec, text).map_err(|e| config(e.to_string()))?;
        }
    }
    Ok(())
}

fn topic(
    image: &Image,
    settings: &Settings,
    name: &str,
    values: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(request("Default topic resources are not allowed."));
    }
    let invalid = |text| ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, text);
    check_topic_name(name).map_err(invalid)?;
    check_each(topic_keys, "topic", values)?;
    let defaults = Defaults::new(image, settings);
    let number = |key| defaults.value(key, values).and_then(|v| v.trim().parse::<i64>().ok());
    let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(config(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    let is_true = |v: &String| v.trim().eq_ignore_ascii_case("true");
    let wants_tier = values.get("remote.storage.enable").is_some_and(is_true);
    if wants_tier && !settings.given.get("remote.log.storage.system.enable").is_some_and(is_true) {
        return Err(config(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
             storage.",
        ));
    }
    Ok(())
}

fn broker_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Ok(());
    }
    match name.parse::<i32>() {
        Err(_) => Err(request("Unable to parse broker name as a base 10 number.")),
        Ok(id) if id < 0 => Err(request("Invalid negative broker ID.")),
        Ok(_) => Ok(()),
    }
}

/// The words that a subscription of client metrics may match by.
const MATCHES: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

fn client_metrics(name: &str, values: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(request("Subscription name can't be empty"));
    }
    for (key, text) in values {
        let Some(spec) = client_metrics_keys().find(|s| s.name == key) else {
            return Err(request(format!("Unknown client metrics configuration: {key}")));
        };
        let value = Value::parse(spec, text).map_err(|e| config(e.to_string()))?;
        match (key.as_str(), value) {
            ("interval.ms", Value::Int(ms)) if !(100..=3_600_000).contains(&ms) => {
                return Err(request(format!(
                    "Invalid value {ms} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                )));
            }
            ("match", Value::List(patterns)) => {
                let legal = |p: &&String| {
                    let (word, pattern) = p.split_once('=').unwrap_or((p, ""));
                    MATCHES.contains(&word.trim()) && !pattern.trim().is_empty()
                };
                if let Some(bad) = patterns.iter().find(|p| !legal(p)) {
                    return Err(config(format!("Illegal client matching pattern: {bad}")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
