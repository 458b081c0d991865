//! Whether settings may be stored for a resource, with the answers that Kafka gives.

use crate::alter::{AlterError, Target};
use crate::broker::BrokerConfig;
use crate::catalog;
use crate::client_metrics_config::match_entry;
use crate::custom::listener_key;
use crate::dynamic::{ONLY_WITH_PREFIX, Texts, is_per_broker, is_read_only};
use crate::group_config::{self, BOUNDS, GREATER, int};
use crate::key::Key;
use crate::keys;
use crate::listener::{Listener, SecurityProtocol};
use crate::log_config::topic_settings;
use crate::settings::Settings;
use crate::spec::{ConfigType, DefaultValue, Spec};
use crate::topic_keys as t;
use crate::value::Value;

/// What the settings of a topic must be.
pub(crate) fn topic(broker: &BrokerConfig, settings: &Texts) -> Result<(), AlterError> {
    let known = |name: &str| catalog::topic_keys().any(|spec| spec.name == name);
    if let Some(name) = settings.keys().find(|name| !known(name)) {
        return Err(AlterError::invalid_config(format!("Unknown topic config name: {name}")));
    }
    let s = topic_settings(broker, settings)
        .map_err(|error| AlterError::invalid_config(error.to_string()))?;
    let (least, most) = (s.get(t::MIN_COMPACTION_LAG_MS), s.get(t::MAX_COMPACTION_LAG_MS));
    if least > most {
        return Err(AlterError::invalid_config(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > \
             max.compaction.lag.ms ({most})"
        )));
    }
    if s.get(t::REMOTE_STORAGE_ENABLE) {
        remote_topic(broker, &s)?;
    }
    Ok(())
}

fn remote_topic(broker: &BrokerConfig, s: &Settings) -> Result<(), AlterError> {
    if !broker.get(keys::REMOTE_LOG_STORAGE_SYSTEM_ENABLE) {
        return Err(AlterError::invalid_config(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage.",
        ));
    }
    if s.get(t::CLEANUP_POLICY).iter().any(|policy| policy == "compact") {
        return Err(AlterError::invalid_config(
            "Remote log storage only supports topics with cleanup.policy=delete or \
             cleanup.policy being an empty list.",
        ));
    }
    let copies = !s.get(t::REMOTE_LOG_COPY_DISABLE);
    for (local, whole) in
        [(t::LOCAL_RETENTION_MS, t::RETENTION_MS), (t::LOCAL_RETENTION_BYTES, t::RETENTION_BYTES)]
    {
        local_retention(s, local, whole).map_err(AlterError::invalid_config)?;
        if !copies && s.get(local) != -2 && s.get(local) != s.get(whole) {
            return Err(AlterError::invalid_config(format!(
                "When `remote.log.copy.disable` is set to true, the `{}` and `{}` must be set to \
                 the identical value because there will be no more logs copied to the remote \
                 storage.",
                local.name(),
                whole.name()
            )));
        }
    }
    Ok(())
}

/// The limit of local segments must not be above that of all; the error is Kafka's sentence.
fn local_retention(s: &Settings, local: Key<i64>, whole: Key<i64>) -> Result<(), String> {
    retention_within(local.name(), s.get(local), whole.name(), s.get(whole))
}

fn retention_within(name: &str, local: i64, limit: &str, whole: i64) -> Result<(), String> {
    let opening = format!("Invalid value {local} for configuration {name}:");
    if local == -2 || whole < 0 {
        Ok(())
    } else if local == -1 {
        Err(format!("{opening} Value must not be -1 as {limit} value is set as {whole}."))
    } else if local > whole {
        Err(format!("{opening} Value must not be more than {limit} property value: {whole}"))
    } else {
        Ok(())
    }
}

/// What the settings of a group must be.
pub(crate) fn group(broker: &BrokerConfig, settings: &Texts) -> Result<(), AlterError> {
    let known = |name: &str| catalog::group_keys().any(|spec| spec.name == name);
    if let Some(name) = settings.keys().find(|name| !known(name)) {
        return Err(AlterError::invalid_config(format!("Unknown group config name: {name}")));
    }
    let s = group_config::group_settings(broker, settings)
        .map_err(|error| AlterError::invalid_config(error.to_string()))?;
    for (key, least, most) in BOUNDS.iter().filter(|(key, ..)| settings.contains_key(*key)) {
        let value = int(&s, key);
        let bound = |name: &str| int(broker.settings(), name);
        if let Some(least) = least.filter(|least| value < bound(least)) {
            return Err(AlterError::invalid_config(format!(
                "{key} must be greater than or equal to {least}"
            )));
        }
        if value > bound(most) {
            return Err(AlterError::invalid_config(format!(
                "{key} must be less than or equal to {most}"
            )));
        }
    }
    for (greater, lesser) in GREATER {
        let concerned = settings.contains_key(*greater) || settings.contains_key(*lesser);
        if concerned && int(&s, greater) <= int(&s, lesser) {
            return Err(AlterError::invalid_config(format!(
                "{greater} must be greater than {lesser}"
            )));
        }
    }
    Ok(())
}

/// How often clients may push at the most and at the least, in milliseconds.
const PUSH_INTERVALS: std::ops::RangeInclusive<i32> = 100..=3_600_000;

/// What the settings of a client metrics subscription must be.
pub(crate) fn client_metrics(name: &str, settings: &Texts) -> Result<(), AlterError> {
    if name.is_empty() {
        return Err(AlterError::invalid_request("Subscription name can't be empty"));
    }
    let known = |name: &str| catalog::client_metrics_keys().any(|spec| spec.name == name);
    if let Some(name) = settings.keys().find(|name| !known(name)) {
        let message = format!("Unknown client metrics configuration: {name}");
        return Err(AlterError::invalid_request(message));
    }
    let s = Settings::parse(catalog::client_metrics_keys(), |spec| {
        settings.get(spec.name).map(String::as_str)
    })
    .map_err(|error| AlterError::invalid_config(error.to_string()))?;
    let interval = s.get(crate::client_metrics_keys::INTERVAL_MS);
    if !PUSH_INTERVALS.contains(&interval) {
        return Err(AlterError::invalid_request(format!(
            "Invalid value {interval} for interval.ms, interval must be between {} and {} (1 hour)",
            PUSH_INTERVALS.start(),
            PUSH_INTERVALS.end()
        )));
    }
    for entry in s.get(crate::client_metrics_keys::MATCH) {
        if match_entry(entry).is_none() {
            let message = format!("Illegal client matching pattern: {entry}");
            return Err(AlterError::invalid_config(message));
        }
    }
    Ok(())
}

/// Kafka hands some refusals on as the value of another.
fn wrapped(message: impl std::fmt::Display) -> AlterError {
    AlterError::invalid_request(format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {message} for \
         configuration Invalid dynamic configuration"
    ))
}

/// What the dynamic settings of this broker, or of all brokers, must be.
pub(crate) fn broker(
    target: Target<'_>,
    config: &BrokerConfig,
    after: &Texts,
) -> Result<(), AlterError> {
    let refuse = |test: &dyn Fn(&str) -> bool, message: &str| {
        let names: Vec<&str> = after.keys().map(String::as_str).filter(|name| test(name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(AlterError::invalid_request(format!("{message}: [{}]", names.join(", "))))
    };
    refuse(&is_read_only, "Cannot update these configs dynamically")?;
    refuse(
        &|name| ONLY_WITH_PREFIX.contains(&name),
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix",
    )?;
    for (name, text) in after {
        let base = listener_key(name).map_or(name.as_str(), |(_, base)| base);
        let spec = catalog::broker_keys().chain(catalog::throttle_keys()).find(|s| s.name == base);
        if let Some(spec) = spec {
            Value::parse(spec, text)?;
            known_class(spec, text)?;
        }
    }
    let layers = config.layers();
    let candidate = if target == Target::Cluster {
        refuse(
            &is_per_broker,
            "Cannot update these configs at default cluster level, broker id must be specified",
        )?;
        config.candidate(after, &layers.broker)?
    } else {
        config.candidate(&layers.cluster, after)?
    };
    threads(config, &candidate)?;
    connections(config, &candidate)?;
    reporters(config, &candidate)?;
    broker_retention(config, &candidate)?;
    fixed_listeners(config, &candidate)
}

/// A class other than the default cannot be loaded.
fn known_class(spec: &Spec, text: &str) -> Result<(), AlterError> {
    let is_default = matches!(spec.default, DefaultValue::Text(default) if default == text);
    if spec.kind != ConfigType::Class || is_default {
        return Ok(());
    }
    Err(AlterError::invalid_request(format!(
        "Invalid value {text} for configuration {}: Class {text} could not be found.",
        spec.name
    )))
}

/// Reporters are classes, too, but for the one that stands for what is always there.
fn reporters(now: &BrokerConfig, next: &BrokerConfig) -> Result<(), AlterError> {
    let key = keys::METRIC_REPORTERS;
    let known = |name: &String| name.ends_with(".JmxReporter");
    if next.get(key) == now.get(key) || next.get(key).iter().all(known) {
        return Ok(());
    }
    Err(wrapped(
        "Validation of dynamic config update of Set(metric.reporters) failed with class class \
         kafka.server.DynamicMetricsReporters",
    ))
}

/// Limits on connections cannot be lowered to none.
fn connections(now: &BrokerConfig, next: &BrokerConfig) -> Result<(), AlterError> {
    for key in [keys::MAX_CONNECTIONS, keys::MAX_CONNECTION_CREATION_RATE] {
        let name = key.name();
        let refused = |value: i32| wrapped(format!("Invalid {name} {value}"));
        if next.get(key) <= 0 && next.get(key) != now.get(key) {
            return Err(refused(next.get(key)));
        }
        for listener in &next.listeners().all {
            let limit = next.for_listener(&listener.name, name).and_then(|v| v.trim().parse().ok());
            if limit == Some(0) && now.for_listener(&listener.name, name).as_deref() != Some("0") {
                return Err(refused(0));
            }
        }
    }
    Ok(())
}

/// Numbers of threads may at most double or halve at once.
fn threads(now: &BrokerConfig, next: &BrokerConfig) -> Result<(), AlterError> {
    for key in [
        keys::NUM_NETWORK_THREADS,
        keys::NUM_IO_THREADS,
        keys::NUM_REPLICA_FETCHERS,
        keys::NUM_RECOVERY_THREADS_PER_DATA_DIR,
        keys::BACKGROUND_THREADS,
        keys::REMOTE_LOG_READER_THREADS,
        keys::REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE,
        keys::REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE,
        keys::REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE,
    ] {
        let (old, new) = (now.get(key), next.get(key));
        let opening =
            || format!("Dynamic thread count update validation failed for {}={new}", key.name());
        if new < old / 2 {
            return Err(wrapped(format!(
                "{}, value should be at least half the current value {old}",
                opening()
            )));
        }
        if i64::from(new) > i64::from(old) * 2 {
            return Err(wrapped(format!(
                "{}, value should not be greater than double the current value {old}",
                opening()
            )));
        }
    }
    let key = keys::LOG_CLEANER_THREADS;
    let (old, new) = (now.get(key), next.get(key));
    if new < old / 2 {
        return Err(wrapped(format!(
            "Log cleaner threads cannot be reduced to less than half the current value {old}"
        )));
    }
    if i64::from(new) > i64::from(old) * 2 {
        return Err(wrapped(format!(
            "Log cleaner threads cannot be increased to more than double the current value {old}"
        )));
    }
    Ok(())
}

fn broker_retention(now: &BrokerConfig, next: &BrokerConfig) -> Result<(), AlterError> {
    let limits = |config: &BrokerConfig| {
        [
            (config.get(keys::LOG_LOCAL_RETENTION_MS), config.log_retention_ms()),
            (config.get(keys::LOG_LOCAL_RETENTION_BYTES), config.get(keys::LOG_RETENTION_BYTES)),
        ]
    };
    let [time, size] = limits(next);
    if limits(now) == [time, size] {
        return Ok(());
    }
    retention_within("log.local.retention.ms", time.0, "log.retention.ms", time.1)
        .and_then(|()| {
            retention_within("log.local.retention.bytes", size.0, "log.retention.bytes", size.1)
        })
        .map_err(wrapped)
}

/// A listener that is there keeps its address and protocol until the next start, and one that comes
/// must speak what is spoken.
fn fixed_listeners(now: &BrokerConfig, next: &BrokerConfig) -> Result<(), AlterError> {
    let is_new = |l: &&Listener| !now.listeners().all.iter().any(|old| old.name == l.name);
    let mut new = next.listeners().all.iter().filter(is_new);
    if let Some(listener) = new.find(|l| l.protocol != SecurityProtocol::Plaintext) {
        return Err(wrapped(format!(
            "listener {} asks for {}: this version speaks PLAINTEXT only",
            listener.name,
            listener.protocol.name()
        )));
    }
    for old in &now.listeners().all {
        let same = next.listeners().all.iter().find(|new| new.name == old.name);
        if same.is_some_and(|new| new != old) {
            return Err(wrapped(format!(
                "Configs cannot be updated dynamically for existing listener ListenerName({}), \
                 restart broker or create a new listener for update",
                old.name
            )));
        }
    }
    Ok(())
}
