//! AlterConfigs and IncrementalAlterConfigs.

use super::defaults::Defaults;
use super::rules::{Existence, config, validate};
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_config::catalog::{broker_keys, client_metrics_keys, group_keys, topic_keys};
use ottla_config::{ConfigType, DefaultValue, Spec};
use ottla_metadata::{ConfigResource, ConfigValues, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_configs as full;
use ottla_wire::api::incremental_alter_configs as incremental;
use ottla_wire::schema::metadata::{ClearElrRecord, ConfigRecord, MetadataRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The longest value in bytes: it must fit a string of the protocol.
const MAX_VALUE: usize = i16::MAX as usize;

const MIN_INSYNC: &str = "min.insync.replicas";

/// What is done to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Op {
    fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Set,
            1 => Self::Delete,
            2 => Self::Append,
            3 => Self::Subtract,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// The resource of a request, or why there can be none such.
fn resource(code: i8, name: &str) -> Result<ConfigResource, ApiError> {
    let unknown = || {
        let text = format!("Unknown resource type {code}");
        ApiError::new(ErrorCode::INVALID_REQUEST, text)
    };
    ResourceType::from_code(code).map(|kind| ConfigResource::new(kind, name)).ok_or_else(unknown)
}

/// Resources that a request names more than once.
fn repeated(resources: impl Iterator<Item = (i8, String)>) -> BTreeSet<(i8, String)> {
    let mut seen = BTreeSet::new();
    resources.filter(|r| !seen.insert(r.clone())).collect()
}

fn once(doubled: bool) -> Result<(), ApiError> {
    if !doubled {
        return Ok(());
    }
    let text = "Each resource must appear at most once.";
    Err(ApiError::new(ErrorCode::INVALID_REQUEST, text))
}

fn check_keys<'a>(keys: impl Iterator<Item = (&'a str, bool)>) -> Result<(), ApiError> {
    let invalid = |text: String| Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
    let mut seen = BTreeSet::new();
    let mut null = Vec::new();
    for (name, is_null) in keys {
        if !seen.insert(name) {
            return invalid("Error due to duplicate config keys".into());
        }
        if is_null {
            null.push(name);
        }
    }
    if null.is_empty() {
        return Ok(());
    }
    invalid(format!("Null value not supported for : {}", null.join(",")))
}

/// Changes single keys of resources, each resource on its own.
pub(crate) fn incremental_alter_configs(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &incremental::IncrementalAlterConfigsRequest,
) -> incremental::IncrementalAlterConfigsResponse {
    let pairs = request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone()));
    let doubled = repeated(pairs);
    let responses = request.resources.iter().map(|r| {
        let key = (r.resource_type, r.resource_name.clone());
        let done = once(doubled.contains(&key)).and_then(|()| change(draft, waits, r));
        let (error_code, error_message) = ApiError::parts(done);
        let (resource_type, resource_name) = key;
        incremental::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        }
    });
    let responses = responses.collect();
    if request.validate_only {
        draft.discard();
    }
    incremental::IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn change(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &incremental::AlterConfigsResource,
) -> Result<(), ApiError> {
    let resource = resource(request.resource_type, &request.resource_name)?;
    let is_null = |c: &incremental::AlterableConfig| c.config_operation != 1 && c.value.is_none();
    check_keys(request.configs.iter().map(|c| (c.name.as_str(), is_null(c))))?;
    let current = draft.image().configs(&resource).cloned().unwrap_or_default();
    let mut changes: Vec<(String, Option<String>)> = Vec::with_capacity(request.configs.len());
    for c in &request.configs {
        let code = c.config_operation;
        let op = Op::from_code(code).ok_or_else(|| {
            let text = format!("Unknown operations type {code}");
            ApiError::new(ErrorCode::INVALID_REQUEST, text)
        })?;
        let old = current.get(&c.name);
        let given = c.value.clone().unwrap_or_default();
        let new = match op {
            Op::Set => Some(given),
            Op::Delete => None,
            Op::Append | Op::Subtract => {
                Some(change_list(draft, waits, &resource, &c.name, old, op, &given)?)
            }
        };
        if new.as_ref().is_some_and(|v| v.len() > MAX_VALUE) {
            return Err(config(
                "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
            ));
        }
        // A broker's key is written again even with the value it had: that is how brokers are made to load a
        // key store anew.
        if old != new.as_ref() || resource.kind == ResourceType::Broker {
            changes.push((c.name.clone(), new));
        }
    }
    put(draft, waits, &resource, &current, changes)
}

/// The list after something was added to it or taken off it.
fn change_list(
    draft: &Draft<'_>,
    waits: &Waits,
    resource: &ConfigResource,
    name: &str,
    old: Option<&String>,
    op: Op,
    given: &str,
) -> Result<String, ApiError> {
    let spec = spec(resource.kind, name).filter(|s| s.kind == ConfigType::List);
    let Some(spec) = spec else {
        let op = op.name();
        return Err(config(format!("Can't {op} to key {name} because its type is not LIST.")));
    };
    let old = old.cloned().or_else(|| match resource.kind {
        ResourceType::Topic => {
            let none = BTreeMap::new();
            Defaults::new(draft.image(), waits.settings()).resolve(spec, &none).value
        }
        _ => waits.settings().given.get(name).cloned().or(match spec.default {
            DefaultValue::Text(text) => Some(text.to_owned()),
            DefaultValue::Null | DefaultValue::Required => None,
        }),
    });
    let parts = |text: &str| -> Vec<String> {
        text.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
    };
    let mut list = old.as_deref().map(parts).unwrap_or_default();
    for part in parts(given) {
        match op {
            Op::Append if !list.contains(&part) => list.push(part),
            Op::Subtract => list.retain(|p| *p != part),
            _ => {}
        }
    }
    Ok(list.join(","))
}

fn spec(kind: ResourceType, name: &str) -> Option<&'static Spec> {
    let named = |s: &&'static Spec| s.name == name;
    match kind {
        ResourceType::Topic => topic_keys().find(named),
        ResourceType::Broker => broker_keys().find(named),
        ResourceType::Group => group_keys().find(named),
        ResourceType::ClientMetrics => client_metrics_keys().find(named),
        ResourceType::BrokerLogger => None,
    }
}

/// Replaces all values of resources, each resource on its own.
pub(crate) fn alter_configs(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &full::AlterConfigsRequest,
) -> full::AlterConfigsResponse {
    let pairs = request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone()));
    let doubled = repeated(pairs);
    let responses = request.resources.iter().map(|r| {
        let key = (r.resource_type, r.resource_name.clone());
        let done = once(doubled.contains(&key)).and_then(|()| replace(draft, waits, r));
        let (error_code, error_message) = ApiError::parts(done);
        let (resource_type, resource_name) = key;
        full::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        }
    });
    let responses = responses.collect();
    if request.validate_only {
        draft.discard();
    }
    full::AlterConfigsResponse { responses, ..Default::default() }
}

fn replace(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &full::AlterConfigsResource,
) -> Result<(), ApiError> {
    let resource = resource(request.resource_type, &request.resource_name)?;
    check_keys(request.configs.iter().map(|c| (c.name.as_str(), c.value.is_none())))?;
    let current = draft.image().configs(&resource).cloned().unwrap_or_default();
    let wanted = request.configs.iter().map(|c| (c.name.clone(), c.value.clone()));
    let mut changes: Vec<(String, Option<String>)> = wanted
        .filter(|(k, v)| current.get(k) != v.as_ref() || resource.kind == ResourceType::Broker)
        .collect();
    let kept: BTreeSet<&str> = request.configs.iter().map(|c| c.name.as_str()).collect();
    let gone = current.keys().filter(|k| !kept.contains(k.as_str()));
    changes.extend(gone.map(|k| (k.clone(), None)));
    put(draft, waits, &resource, &current, changes)
}

/// Checks the values as they will be and writes the changes.
fn put(
    draft: &mut Draft<'_>,
    waits: &Waits,
    resource: &ConfigResource,
    current: &ConfigValues,
    changes: Vec<(String, Option<String>)>,
) -> Result<(), ApiError> {
    let mut values = current.clone();
    for (name, value) in &changes {
        check_min_insync(draft, resource, name, value.as_ref())?;
        match value {
            Some(value) => drop(values.insert(name.clone(), value.clone())),
            None => drop(values.remove(name)),
        }
    }
    validate(draft.image(), waits.settings(), resource, &values, Existence::Required)?;
    let records = changes.into_iter().map(|(name, value)| ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.to_string(),
        name,
        value,
    });
    let records: Vec<MetadataRecord> = records.map(MetadataRecord::from).collect();
    let cleared = clear_elr_records(draft, &records);
    draft.extend(records);
    draft.extend(cleared);
    Ok(())
}

/// With eligible leader replicas, the least number in sync must be one for all brokers: it decides who is eligible.
fn check_min_insync(
    draft: &Draft<'_>,
    resource: &ConfigResource,
    name: &str,
    value: Option<&String>,
) -> Result<(), ApiError> {
    let concerned = name == MIN_INSYNC && resource.kind == ResourceType::Broker;
    if !concerned || !draft.image().features().elr_enabled() {
        return Ok(());
    }
    if !resource.name.is_empty() {
        return Err(config(
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ));
    }
    if value.is_none() {
        return Err(config(
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ));
    }
    Ok(())
}

/// What must follow changes of `min.insync.replicas`: replicas that were eligible under the old number may not be
/// under the new one.
pub(crate) fn clear_elr_records(
    draft: &Draft<'_>,
    records: &[MetadataRecord],
) -> Vec<MetadataRecord> {
    if !draft.image().features().elr_enabled() {
        return Vec::new();
    }
    let changed = records.iter().filter_map(|record| match record {
        MetadataRecord::Config(r) if r.name == MIN_INSYNC => Some(r),
        _ => None,
    });
    let cleared = changed.map(|r| {
        let topic = r.resource_type == ResourceType::Topic.code();
        let topic_name = if topic { r.resource_name.clone() } else { String::new() };
        ClearElrRecord { topic_name }.into()
    });
    cleared.collect()
}
