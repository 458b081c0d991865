//! The settings of one group: its own over the broker's.

use crate::broker::BrokerConfig;
use crate::catalog;
use crate::dynamic::Texts;
use crate::error::ValueError;
use crate::settings::Settings;
use crate::value::Value;

/// Between which broker keys a group key must lie: the key, the least, the greatest.
pub(crate) const BOUNDS: &[(&str, Option<&str>, &str)] = &[
    (
        "consumer.heartbeat.interval.ms",
        Some("group.consumer.min.heartbeat.interval.ms"),
        "group.consumer.max.heartbeat.interval.ms",
    ),
    (
        "consumer.session.timeout.ms",
        Some("group.consumer.min.session.timeout.ms"),
        "group.consumer.max.session.timeout.ms",
    ),
    (
        "consumer.assignment.interval.ms",
        Some("group.consumer.min.assignment.interval.ms"),
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        "share.heartbeat.interval.ms",
        Some("group.share.min.heartbeat.interval.ms"),
        "group.share.max.heartbeat.interval.ms",
    ),
    (
        "share.session.timeout.ms",
        Some("group.share.min.session.timeout.ms"),
        "group.share.max.session.timeout.ms",
    ),
    (
        "share.record.lock.duration.ms",
        Some("group.share.min.record.lock.duration.ms"),
        "group.share.max.record.lock.duration.ms",
    ),
    (
        "share.delivery.count.limit",
        Some("group.share.min.delivery.count.limit"),
        "group.share.max.delivery.count.limit",
    ),
    (
        "share.partition.max.record.locks",
        Some("group.share.min.partition.max.record.locks"),
        "group.share.max.partition.max.record.locks",
    ),
    (
        "share.assignment.interval.ms",
        Some("group.share.min.assignment.interval.ms"),
        "group.share.max.assignment.interval.ms",
    ),
    (
        "streams.heartbeat.interval.ms",
        Some("group.streams.min.heartbeat.interval.ms"),
        "group.streams.max.heartbeat.interval.ms",
    ),
    (
        "streams.session.timeout.ms",
        Some("group.streams.min.session.timeout.ms"),
        "group.streams.max.session.timeout.ms",
    ),
    ("streams.num.standby.replicas", None, "group.streams.max.standby.replicas"),
    (
        "streams.assignment.interval.ms",
        Some("group.streams.min.assignment.interval.ms"),
        "group.streams.max.assignment.interval.ms",
    ),
];

/// Pairs of which the first must be greater than the second.
pub(crate) const GREATER: &[(&str, &str)] = &[
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

/// The group's keys as they stand: its own values, else what the broker's keys give.
pub fn group_settings(broker: &BrokerConfig, overrides: &Texts) -> Result<Settings, ValueError> {
    let mut settings = Settings::parse(catalog::group_keys(), |spec| {
        overrides.get(spec.name).map(String::as_str)
    })?;
    for spec in catalog::group_keys().filter(|spec| !overrides.contains_key(spec.name)) {
        let given = spec.synonyms.first().and_then(|name| broker.settings().value(name));
        if let Some(value) = given {
            settings.replace(spec.name, value.clone());
        }
    }
    Ok(settings)
}

/// An INT of a table, by name.
pub(crate) fn int(settings: &Settings, name: &str) -> Option<i32> {
    match settings.value(name) {
        Some(Value::Int(value)) => Some(*value),
        _ => None,
    }
}

/// As `group_settings`, with values that lie outside of the broker's bounds moved to them: a group
/// may have been set before the bounds were.
pub fn bounded_group_settings(
    broker: &BrokerConfig,
    overrides: &Texts,
) -> Result<Settings, ValueError> {
    let mut settings = group_settings(broker, overrides)?;
    for (key, least, most) in BOUNDS {
        let Some(value) = int(&settings, key) else { continue };
        let most = int(broker.settings(), most).unwrap_or(i32::MAX);
        let least = least.and_then(|name| int(broker.settings(), name)).unwrap_or(i32::MIN);
        settings.replace(key, Value::Int(value.min(most).max(least)));
    }
    Ok(settings)
}
