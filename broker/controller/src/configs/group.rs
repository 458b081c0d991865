//! The bounds that brokers set to the configurations of groups.

use super::rules::config;
use crate::error::ApiError;
use crate::settings::Settings;
use ottla_config::catalog::{broker_keys, group_keys};
use ottla_config::{DefaultValue, Spec};
use std::collections::BTreeMap;

/// A group's key, and the broker's keys of its least and greatest value.
struct Bound {
    key: &'static str,
    min: Option<&'static str>,
    max: &'static str,
    /// Whether it is checked only when it is set.
    when_set: bool,
}

const fn bound(key: &'static str, min: &'static str, max: &'static str, when_set: bool) -> Bound {
    Bound { key, min: Some(min), max, when_set }
}

/// In the order in which Kafka checks them.
const BOUNDS: [Bound; 13] = [
    bound(
        "consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
        false,
    ),
    bound(
        "consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
        false,
    ),
    bound(
        "consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
        true,
    ),
    bound(
        "share.heartbeat.interval.ms",
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
        false,
    ),
    bound(
        "share.session.timeout.ms",
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
        false,
    ),
    bound(
        "share.record.lock.duration.ms",
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
        false,
    ),
    bound(
        "share.delivery.count.limit",
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
        false,
    ),
    bound(
        "share.partition.max.record.locks",
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
        false,
    ),
    bound(
        "share.assignment.interval.ms",
        "group.share.min.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
        true,
    ),
    bound(
        "streams.heartbeat.interval.ms",
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
        false,
    ),
    bound(
        "streams.session.timeout.ms",
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
        false,
    ),
    Bound {
        key: "streams.num.standby.replicas",
        min: None,
        max: "group.streams.max.standby.replicas",
        when_set: false,
    },
    bound(
        "streams.assignment.interval.ms",
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
        true,
    ),
];

/// Session timeouts, each with the heartbeat interval it must exceed.
const ABOVE: [(&str, &str); 3] = [
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

/// Checks a group's values, each of its key's type already, against the broker's bounds and each other.
pub(super) fn check(
    settings: &Settings,
    values: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let broker = |key: &str| {
        let given = settings.given.get(key).map(String::as_str);
        number(given.or_else(|| default(broker_keys().find(|s| s.name == key)?)))
    };
    let group = |key: &str| {
        if let Some(value) = values.get(key) {
            return number(Some(value));
        }
        let spec = group_keys().find(|s| s.name == key)?;
        let inherited = spec.synonyms.iter().find_map(|s| settings.given.get(*s));
        number(inherited.map(String::as_str).or_else(|| default(spec)))
    };
    for Bound { key, min, max, when_set } in &BOUNDS {
        if *when_set && !values.contains_key(*key) {
            continue;
        }
        let Some(value) = group(key) else { continue };
        if let Some(min) = min
            && broker(min).is_some_and(|least| value < least)
        {
            return Err(config(format!("{key} must be greater than or equal to {min}")));
        }
        if broker(max).is_some_and(|most| value > most) {
            return Err(config(format!("{key} must be less than or equal to {max}")));
        }
    }
    for (session, heartbeat) in ABOVE {
        if let (Some(s), Some(h)) = (group(session), group(heartbeat))
            && s <= h
        {
            return Err(config(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.trim().parse().ok()
}

fn default(spec: &'static Spec) -> Option<&'static str> {
    match spec.default {
        DefaultValue::Text(text) => Some(text),
        DefaultValue::Null | DefaultValue::Required => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_exists() {
        for Bound { key, min, max, .. } in &BOUNDS {
            assert!(group_keys().any(|s| s.name == *key), "{key}");
            for bound in min.iter().chain([max]) {
                assert!(broker_keys().any(|s| s.name == *bound), "{bound}");
            }
        }
    }

    #[test]
    fn values_are_held_to_the_brokers_bounds() {
        let said = |key: &str, value: &str| {
            let values = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            check(&Settings::default(), &values).err().and_then(|e| e.message)
        };
        let key = "consumer.session.timeout.ms";
        assert_eq!(said(key, "45001"), None);
        let words =
            format!("{key} must be greater than or equal to group.consumer.min.session.timeout.ms");
        assert_eq!(said(key, "5"), Some(words));
        let words =
            format!("{key} must be less than or equal to group.consumer.max.session.timeout.ms");
        assert_eq!(said(key, "99999999"), Some(words));
    }
}
