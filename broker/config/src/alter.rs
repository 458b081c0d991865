//! AlterConfigs and IncrementalAlterConfigs: from what is asked to the settings that are stored.

use std::collections::BTreeSet;

use crate::broker::BrokerConfig;
use crate::catalog;
use crate::dynamic::Texts;
use crate::error::ValueError;
use crate::spec::{ConfigType, DefaultValue, Spec};
use crate::validate;
use crate::value::trim;

/// The longest value that is stored, in bytes.
pub const MAX_VALUE_BYTES: usize = 32_767;

/// Which of Kafka's error codes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterErrorCode {
    /// INVALID_CONFIG.
    InvalidConfig,
    /// INVALID_REQUEST.
    InvalidRequest,
}

/// A change that is refused, with the message that Kafka answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AlterError {
    /// The error code.
    pub code: AlterErrorCode,
    /// The message.
    pub message: String,
}

impl AlterError {
    pub(crate) fn invalid_config(message: impl Into<String>) -> AlterError {
        AlterError { code: AlterErrorCode::InvalidConfig, message: message.into() }
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> AlterError {
        AlterError { code: AlterErrorCode::InvalidRequest, message: message.into() }
    }
}

impl From<ValueError> for AlterError {
    fn from(error: ValueError) -> AlterError {
        AlterError::invalid_request(error.to_string())
    }
}

/// What is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A topic.
    Topic,
    /// A group.
    Group,
    /// A client metrics subscription of this name.
    ClientMetrics(&'a str),
    /// This broker.
    Broker,
    /// All brokers.
    Cluster,
}

/// How one key is to change (KIP-339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterOp {
    /// Sets the value.
    Set,
    /// Goes back to what stands behind it.
    Delete,
    /// Adds entries to a list.
    Append,
    /// Takes entries out of a list.
    Subtract,
}

impl AlterOp {
    /// The operation of a code in a request.
    pub const fn from_code(code: i8) -> Option<AlterOp> {
        match code {
            0 => Some(AlterOp::Set),
            1 => Some(AlterOp::Delete),
            2 => Some(AlterOp::Append),
            3 => Some(AlterOp::Subtract),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            AlterOp::Set => "SET",
            AlterOp::Delete => "DELETE",
            AlterOp::Append => "APPEND",
            AlterOp::Subtract => "SUBTRACT",
        }
    }
}

/// One key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// The key.
    pub name: String,
    /// How it is to change.
    pub op: AlterOp,
    /// The value, as sent.
    pub value: Option<String>,
}

/// One setting to store: a value, or none to forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub name: String,
    /// Its new value.
    pub value: Option<String>,
}

/// Whether eligible leader replicas are on (KIP-966), under which `min.insync.replicas` of single
/// brokers is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elr {
    /// `eligible.leader.replicas.version` is 1 or more.
    Enabled,
    /// It is 0.
    Disabled,
}

/// What a change is checked against.
#[derive(Debug, Clone, Copy)]
pub struct AlterContext<'a> {
    /// What is to change.
    pub target: Target<'a>,
    /// What is stored for it now.
    pub current: &'a Texts,
    /// The settings of the node that checks.
    pub broker: &'a BrokerConfig,
    /// Whether eligible leader replicas are on.
    pub elr: Elr,
}

/// IncrementalAlterConfigs for one resource: the settings to store, those that change nothing left
/// out.
pub fn alter_incremental(
    context: AlterContext<'_>,
    alterations: &[Alteration],
) -> Result<Vec<Change>, AlterError> {
    check_request(alterations)?;
    let mut after = context.current.clone();
    for alteration in alterations {
        let Alteration { name, op, value } = alteration;
        let text = value.as_deref().unwrap_or_default();
        match op {
            AlterOp::Delete => {
                after.remove(name);
            }
            AlterOp::Set => {
                after.insert(name.clone(), text.to_owned());
            }
            AlterOp::Append | AlterOp::Subtract => {
                let spec = list_spec(context.target, name, *op)?;
                let old = after.get(name).cloned().unwrap_or_else(|| behind(context, spec));
                after.insert(name.clone(), edit_list(&old, *op, text));
            }
        }
    }
    let touched: Vec<&str> = alterations.iter().map(|a| a.name.as_str()).collect();
    finish(context, after, &touched)
}

/// AlterConfigs for one resource: what is given replaces all that is stored.
pub fn alter_all(
    context: AlterContext<'_>,
    settings: &[(String, Option<String>)],
) -> Result<Vec<Change>, AlterError> {
    let as_set: Vec<Alteration> = settings
        .iter()
        .map(|(name, value)| Alteration {
            name: name.clone(),
            op: AlterOp::Set,
            value: value.clone(),
        })
        .collect();
    check_request(&as_set)?;
    let after: Texts = as_set.into_iter().map(|a| (a.name, a.value.unwrap_or_default())).collect();
    let current = context.current.keys().map(String::as_str);
    let touched: Vec<&str> = current.chain(settings.iter().map(|(n, _)| n.as_str())).collect();
    finish(context, after, &touched)
}

/// Checks the settings of a topic that is being created.
pub fn check_new_topic(broker: &BrokerConfig, settings: &Texts) -> Result<(), AlterError> {
    check_lengths(settings)?;
    validate::topic(broker, settings)
}

fn check_request(alterations: &[Alteration]) -> Result<(), AlterError> {
    let mut seen = BTreeSet::new();
    if alterations.iter().any(|a| !seen.insert(a.name.as_str())) {
        return Err(AlterError::invalid_request("Error due to duplicate config keys"));
    }
    let nulls: Vec<&str> = alterations
        .iter()
        .filter(|a| a.op != AlterOp::Delete && a.value.is_none())
        .map(|a| a.name.as_str())
        .collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for : {}", nulls.join(","));
        return Err(AlterError::invalid_request(message));
    }
    Ok(())
}

fn check_lengths(settings: &Texts) -> Result<(), AlterError> {
    if settings.values().any(|value| value.len() > MAX_VALUE_BYTES) {
        return Err(AlterError::invalid_config(format!(
            "The configuration value cannot be added because it exceeds the maximum value size \
             of {MAX_VALUE_BYTES} bytes."
        )));
    }
    Ok(())
}

fn finish(
    context: AlterContext<'_>,
    after: Texts,
    touched: &[&str],
) -> Result<Vec<Change>, AlterError> {
    let AlterContext { target, current, broker, elr } = context;
    let min_isr = "min.insync.replicas";
    match target {
        Target::Topic => validate::topic(broker, &after)?,
        Target::Group => validate::group(broker, &after)?,
        Target::ClientMetrics(name) => validate::client_metrics(name, &after)?,
        Target::Broker | Target::Cluster => validate::broker(target, broker, &after)?,
    }
    check_lengths(&after)?;
    if elr == Elr::Enabled && target == Target::Broker && touched.contains(&min_isr) {
        return Err(AlterError::invalid_config(
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ));
    }
    let removed = target == Target::Cluster && !after.contains_key(min_isr);
    if elr == Elr::Enabled && removed && touched.contains(&min_isr) {
        return Err(AlterError::invalid_config(
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ));
    }
    let mut names: Vec<&str> = touched.to_vec();
    names.sort_unstable();
    names.dedup();
    Ok(names
        .into_iter()
        .filter(|name| current.get(*name) != after.get(*name))
        .map(|name| Change { name: name.to_owned(), value: after.get(name).cloned() })
        .collect())
}

fn spec_of(target: Target<'_>, name: &str) -> Option<&'static Spec> {
    match target {
        Target::Topic => catalog::topic_keys().find(|spec| spec.name == name),
        Target::Group => catalog::group_keys().find(|spec| spec.name == name),
        Target::ClientMetrics(_) => catalog::client_metrics_keys().find(|spec| spec.name == name),
        Target::Broker | Target::Cluster => catalog::broker_keys().find(|spec| spec.name == name),
    }
}

/// The spec of a key that is a list. Kafka's controller does not know the keys of client metrics
/// here, so it takes none of them for one.
fn list_spec(target: Target<'_>, name: &str, op: AlterOp) -> Result<&'static Spec, AlterError> {
    let spec = match target {
        Target::ClientMetrics(_) => None,
        _ => spec_of(target, name),
    };
    let list = spec.filter(|spec| spec.kind == ConfigType::List);
    list.ok_or_else(|| {
        AlterError::invalid_config(match (target, spec) {
            (Target::Broker | Target::Cluster, None) => format!("Unknown config name: {name}"),
            (Target::Broker | Target::Cluster, Some(_)) => format!(
                "Config value {} is not allowed for config key: {name}",
                op.name().to_lowercase()
            ),
            _ => format!("Can't {} to key {name} because its type is not LIST.", op.name()),
        })
    })
}

/// What a list is edited from when nothing is stored for it: what the file gives a topic or group,
/// or the default. A broker's list is edited from its default, whatever its file says.
fn behind(context: AlterContext<'_>, spec: &Spec) -> String {
    let given = spec.synonyms.iter().find_map(|name| context.broker.given().get(*name));
    match (given, spec.default) {
        (Some(given), _) => given.value.clone(),
        (None, DefaultValue::Text(text)) => text.to_owned(),
        (None, DefaultValue::Null | DefaultValue::Required) => String::new(),
    }
}

fn parts(text: &str) -> Vec<&str> {
    text.split(',').map(trim).collect()
}

fn edit_list(old: &str, op: AlterOp, text: &str) -> String {
    let mut entries = if trim(old).is_empty() { Vec::new() } else { parts(old) };
    for part in parts(text) {
        match op {
            AlterOp::Subtract => entries.retain(|entry| *entry != part),
            _ if !entries.contains(&part) => entries.push(part),
            _ => {}
        }
    }
    entries.join(",")
}

#[cfg(test)]
mod tests;
