//! AlterConfigs and IncrementalAlterConfigs. Which values there may be is the config room's to say; here it is
//! which resources there are, and what is recorded.

use crate::draft::Draft;
use crate::error::ApiError;
use crate::settings::Settings;
use crate::topics::check_topic_name;
use crate::waits::Waits;
use ottla_config::{
    AlterContext, AlterError, AlterErrorCode, AlterOp, Alteration, Change, Elr, Target, alter_all,
    alter_incremental,
};
use ottla_metadata::{ConfigResource, Image, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_configs as full;
use ottla_wire::api::incremental_alter_configs as incremental;
use ottla_wire::schema::metadata::{ClearElrRecord, ConfigRecord, MetadataRecord};
use std::collections::{BTreeMap, BTreeSet};

const MIN_INSYNC: &str = "min.insync.replicas";

fn request(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, text)
}

fn refused(error: AlterError) -> ApiError {
    let code = match error.code {
        AlterErrorCode::InvalidConfig => ErrorCode::INVALID_CONFIG,
        AlterErrorCode::InvalidRequest => ErrorCode::INVALID_REQUEST,
    };
    ApiError::new(code, error.message)
}

/// Checks the values of a topic that is being created.
pub(crate) fn check_new_topic(
    settings: &Settings,
    values: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    ottla_config::check_new_topic(&settings.broker, values).map_err(refused)
}

/// Changes single keys of resources, each resource on its own.
pub(crate) fn incremental_alter_configs(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &incremental::IncrementalAlterConfigsRequest,
) -> incremental::IncrementalAlterConfigsResponse {
    let resources = request.resources.iter().map(|r| ((r.resource_type, &*r.resource_name), r));
    let done = each_once(resources, |r| change(draft, waits, r));
    let responses = done.into_iter().map(|((resource_type, name), done)| {
        let (error_code, error_message) = ApiError::parts(done);
        incremental::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name: name.to_owned(),
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
    wanted: &incremental::AlterConfigsResource,
) -> Result<(), ApiError> {
    let mut alterations = Vec::with_capacity(wanted.configs.len());
    for c in &wanted.configs {
        let code = c.config_operation;
        let unknown = || request(format!("Unknown operations type {code}"));
        let op = AlterOp::from_code(code).ok_or_else(unknown)?;
        alterations.push(Alteration { name: c.name.clone(), op, value: c.value.clone() });
    }
    let touched = alterations.iter().filter(|a| a.op != AlterOp::Delete);
    let touched: Vec<String> = touched.map(|a| a.name.clone()).collect();
    put(draft, waits, wanted.resource_type, &wanted.resource_name, &touched, |context| {
        alter_incremental(context, &alterations)
    })
}

/// Replaces all values of resources, each resource on its own.
pub(crate) fn alter_configs(
    draft: &mut Draft<'_>,
    waits: &Waits,
    request: &full::AlterConfigsRequest,
) -> full::AlterConfigsResponse {
    let resources = request.resources.iter().map(|r| ((r.resource_type, &*r.resource_name), r));
    let done = each_once(resources, |r| replace(draft, waits, r));
    let responses = done.into_iter().map(|((resource_type, name), done)| {
        let (error_code, error_message) = ApiError::parts(done);
        full::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name: name.to_owned(),
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
    wanted: &full::AlterConfigsResource,
) -> Result<(), ApiError> {
    let values: Vec<(String, Option<String>)> =
        wanted.configs.iter().map(|c| (c.name.clone(), c.value.clone())).collect();
    let touched: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
    put(draft, waits, wanted.resource_type, &wanted.resource_name, &touched, |context| {
        alter_all(context, &values)
    })
}

/// Finds what a change comes to and records it.
fn put(
    draft: &mut Draft<'_>,
    waits: &Waits,
    code: i8,
    name: &str,
    touched: &[String],
    alter: impl FnOnce(AlterContext<'_>) -> Result<Vec<Change>, AlterError>,
) -> Result<(), ApiError> {
    let unknown = || request(format!("Unknown resource type {code}"));
    let kind = ResourceType::from_code(code).ok_or_else(unknown)?;
    let resource = ConfigResource::new(kind, name);
    let target = target(kind, name)?;
    let current = draft.image().configs(&resource).cloned().unwrap_or_default();
    let enabled = draft.image().features().elr_enabled();
    let elr = if enabled { Elr::Enabled } else { Elr::Disabled };
    let broker = &waits.settings().broker;
    let context = AlterContext { target, current: &current, broker, elr };
    let mut changes = alter(context).map_err(refused)?;
    check_exists(draft.image(), &resource)?;
    if kind == ResourceType::Broker {
        // A broker's key is written again even with the value it has: that makes brokers load a key store anew.
        let again = touched.iter().filter(|n| !changes.iter().any(|c| c.name == **n));
        let again = again.filter_map(|n| Some((n.clone(), current.get(n)?.clone())));
        let again: Vec<Change> =
            again.map(|(name, value)| Change { name, value: Some(value) }).collect();
        changes.extend(again);
    }
    let clears = enabled && changes.iter().any(|c| c.name == MIN_INSYNC);
    let records = changes.into_iter().map(|c| ConfigRecord {
        resource_type: kind.code(),
        resource_name: name.to_owned(),
        name: c.name,
        value: c.value,
    });
    draft.extend(records.map(MetadataRecord::from));
    if clears {
        // Replicas that were eligible under the old number may not be under the new one.
        let topic_name = if kind == ResourceType::Topic { name.to_owned() } else { String::new() };
        draft.push(ClearElrRecord { topic_name });
    }
    Ok(())
}

/// What the config room is to check the values as, once the name can be one of such a resource.
fn target(kind: ResourceType, name: &str) -> Result<Target<'_>, ApiError> {
    match kind {
        ResourceType::Topic if name.is_empty() => {
            Err(request("Default topic resources are not allowed."))
        }
        ResourceType::Topic => {
            let invalid = |text| ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, text);
            check_topic_name(name).map_err(invalid).map(|()| Target::Topic)
        }
        ResourceType::Group if name.is_empty() => {
            Err(request("Default group resources are not allowed."))
        }
        ResourceType::Group => Ok(Target::Group),
        ResourceType::ClientMetrics => Ok(Target::ClientMetrics(name)),
        ResourceType::Broker if name.is_empty() => Ok(Target::Cluster),
        ResourceType::Broker => match name.parse::<i32>() {
            Err(_) => Err(request("Unable to parse broker name as a base 10 number.")),
            Ok(id) if id < 0 => Err(request("Invalid negative broker ID.")),
            Ok(_) => Ok(Target::Broker),
        },
        // Levels of loggers are never recorded: each node keeps its own.
        ResourceType::BrokerLogger => {
            Err(request(format!("Unknown resource type {}", kind.code())))
        }
    }
}

fn check_exists(image: &Image, resource: &ConfigResource) -> Result<(), ApiError> {
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

/// A resource as requests name it: its type's code and its name.
type Named<'a> = (i8, &'a str);

/// Does what is asked of each resource, but of none that the request names more than once.
fn each_once<'a, R>(
    resources: impl Iterator<Item = (Named<'a>, R)> + Clone,
    mut alter: impl FnMut(R) -> Result<(), ApiError>,
) -> Vec<(Named<'a>, Result<(), ApiError>)> {
    let mut seen = BTreeSet::new();
    let names = resources.clone().map(|(name, _)| name);
    let doubled: BTreeSet<_> = names.filter(|name| !seen.insert(*name)).collect();
    let one = |(name, resource)| {
        let done = if doubled.contains(&name) {
            Err(request("Each resource must appear at most once."))
        } else {
            alter(resource)
        };
        (name, done)
    };
    resources.map(one).collect()
}
