//! DescribeConfigs: each key's value, where it comes from, and what stands behind it.

use crate::broker::BrokerConfig;
use crate::catalog;
use crate::custom::listener_key;
use crate::dynamic::{Texts, broker_synonyms, is_dynamic};
use crate::error::ValueError;
use crate::group_config;
use crate::log_config;
use crate::settings::Settings;
use crate::spec::{ConfigType, DefaultValue, Spec};
use crate::value::Value;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own setting.
    Topic,
    /// A dynamic setting of this broker.
    DynamicBroker,
    /// A dynamic setting of all brokers.
    DynamicDefaultBroker,
    /// The broker's file, or an override.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// A logger's level.
    DynamicBrokerLogger,
    /// The client metrics subscription's own setting.
    ClientMetrics,
    /// The group's own setting.
    Group,
}

impl ConfigSource {
    /// The source's code in a DescribeConfigs answer.
    pub const fn code(self) -> i8 {
        match self {
            ConfigSource::Topic => 1,
            ConfigSource::DynamicBroker => 2,
            ConfigSource::DynamicDefaultBroker => 3,
            ConfigSource::StaticBroker => 4,
            ConfigSource::Default => 5,
            ConfigSource::DynamicBrokerLogger => 6,
            ConfigSource::ClientMetrics => 7,
            ConfigSource::Group => 8,
        }
    }
}

/// One place where a key, or another that stands for it, has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The key there.
    pub name: String,
    /// Its value; none for secrets.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub name: String,
    /// Its value; none if it has none, or is a secret.
    pub value: Option<String>,
    /// Whether only a restart changes it.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is kept back.
    pub sensitive: bool,
    /// Every place that has a value, strongest first; empty unless asked for.
    pub synonyms: Vec<Synonym>,
    /// The type; none for keys that are in no catalog.
    pub kind: Option<ConfigType>,
    /// The key's sentence; none unless asked for.
    pub documentation: Option<String>,
}

impl Described {
    /// The type's code in an answer; 0 for an unknown key.
    pub fn type_code(&self) -> i8 {
        self.kind.map_or(0, ConfigType::code)
    }
}

/// Whether a part of the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct DescribeOptions<'a> {
    /// Only these keys; all if none.
    pub names: Option<&'a [String]>,
    /// With synonyms.
    pub synonyms: Include,
    /// With documentation.
    pub documentation: Include,
}

impl DescribeOptions<'_> {
    fn wants(&self, name: &str) -> bool {
        self.names.is_none_or(|names| names.iter().any(|wanted| wanted == name))
    }

    /// Makes a row, whose source is that of the strongest synonym.
    fn row(&self, row: Row<'_>, synonyms: Vec<Synonym>) -> Described {
        Described {
            name: row.name.to_owned(),
            value: row.value.filter(|_| !row.sensitive),
            read_only: row.read_only,
            source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
            sensitive: row.sensitive,
            synonyms: if self.synonyms == Include::Yes { synonyms } else { Vec::new() },
            kind: row.kind,
            documentation: row
                .doc
                .filter(|_| self.documentation == Include::Yes)
                .map(str::to_owned),
        }
    }
}

struct Row<'a> {
    name: &'a str,
    value: Option<String>,
    kind: Option<ConfigType>,
    sensitive: bool,
    read_only: bool,
    doc: Option<&'static str>,
}

fn text(value: &Value) -> Option<String> {
    (*value != Value::Null).then(|| value.to_string())
}

fn default_text(spec: &Spec) -> Option<&'static str> {
    match spec.default {
        DefaultValue::Text(text) => Some(text),
        DefaultValue::Null | DefaultValue::Required => None,
    }
}

/// Keys of one SASL mechanism of a listener, whose base is without the mechanism.
const OF_MECHANISMS: &[&str] = &[
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// A key and those that stand behind it, strongest first.
fn chain(name: &str) -> Vec<&str> {
    match listener_key(name) {
        Some((_, rest)) => {
            let base = OF_MECHANISMS.iter().find(|key| rest.ends_with(*key));
            vec![name, base.copied().unwrap_or(rest)]
        }
        None => broker_synonyms(name),
    }
}

/// What the catalog says of a broker key, or of the key that a listener's stands for.
fn broker_spec(name: &str) -> Option<&'static Spec> {
    let find = |name: &str| {
        catalog::broker_keys().chain(catalog::throttle_keys()).find(|spec| spec.name == name)
    };
    find(name).or_else(|| chain(name).into_iter().find_map(find))
}

/// Every place that has a value for a broker key, strongest first, beginning with the key itself.
fn broker_places(config: &BrokerConfig, name: &str, sensitive: bool) -> Vec<Synonym> {
    let chain = chain(name);
    let mut found = Vec::new();
    let mut look = |source: ConfigSource, get: &dyn Fn(&str) -> Option<String>| {
        for key in &chain {
            if let Some(value) = get(key) {
                let value = (!sensitive).then_some(value);
                found.push(Synonym { name: (*key).to_owned(), value, source });
            }
        }
    };
    look(ConfigSource::DynamicBroker, &|key| config.layers().broker.get(key).cloned());
    look(ConfigSource::DynamicDefaultBroker, &|key| config.layers().cluster.get(key).cloned());
    look(ConfigSource::StaticBroker, &|key| config.given().get(key).map(|g| g.value.clone()));
    look(ConfigSource::Default, &|key| {
        let spec = catalog::broker_keys().find(|spec| spec.name == key)?;
        default_text(spec).map(str::to_owned)
    });
    // Behind a weaker synonym the answer does not show what the stronger ones would say.
    found.into_iter().skip_while(|synonym| synonym.name != name).collect()
}

fn broker_row<'a>(name: &'a str, value: Option<String>) -> Row<'a> {
    let spec = broker_spec(name);
    let own = catalog::broker_keys().find(|spec| spec.name == name);
    Row {
        name,
        value,
        kind: spec.map(|spec| spec.kind),
        sensitive: spec.is_none_or(Spec::is_sensitive),
        read_only: !is_dynamic(name),
        doc: own.map(|spec| spec.doc),
    }
}

/// The rows of resource BROKER with this broker's id.
pub fn describe_broker(config: &BrokerConfig, options: DescribeOptions<'_>) -> Vec<Described> {
    let known = catalog::broker_keys()
        .filter(|spec| !spec.is_internal() || config.texts.contains_key(spec.name))
        .map(|spec| (spec.name, config.settings().value(spec.name).and_then(text)));
    let others = config
        .texts
        .iter()
        .filter(|(name, _)| !catalog::broker_keys().any(|spec| spec.name == **name))
        .map(|(name, value)| (name.as_str(), Some(value.clone())));
    known
        .chain(others)
        .filter(|(name, _)| options.wants(name))
        .map(|(name, value)| {
            let row = broker_row(name, value);
            let places = broker_places(config, name, row.sensitive);
            options.row(row, places)
        })
        .collect()
}

/// The rows of resource BROKER without an id: the dynamic settings of all brokers.
pub fn describe_cluster_default(
    config: &BrokerConfig,
    options: DescribeOptions<'_>,
) -> Vec<Described> {
    let cluster = &config.layers().cluster;
    cluster
        .iter()
        .filter(|(name, _)| options.wants(name))
        .map(|(name, value)| {
            let row = broker_row(name, Some(value.clone()));
            let mut places = broker_places(config, name, row.sensitive);
            places.retain(|place| place.source == ConfigSource::DynamicDefaultBroker);
            options.row(row, places)
        })
        .collect()
}

/// The rows of resource TOPIC. Fails only for a stored value that its key does not allow.
pub fn describe_topic(
    config: &BrokerConfig,
    overrides: &Texts,
    options: DescribeOptions<'_>,
) -> Result<Vec<Described>, ValueError> {
    let settings = log_config::topic_settings(config, overrides)?;
    let behind = |spec: &Spec| {
        let first = spec.synonyms.first();
        first.map_or_else(Vec::new, |name| broker_places(config, name, spec.is_sensitive()))
    };
    Ok(describe_table(
        catalog::topic_keys(),
        &settings,
        overrides,
        ConfigSource::Topic,
        options,
        behind,
    ))
}

/// The rows of resource GROUP. Fails only for a stored value that its key does not allow.
pub fn describe_group(
    config: &BrokerConfig,
    overrides: &Texts,
    options: DescribeOptions<'_>,
) -> Result<Vec<Described>, ValueError> {
    let settings = group_config::group_settings(config, overrides)?;
    let behind = |spec: &Spec| match spec.synonyms.first() {
        Some(name) => broker_places(config, name, spec.is_sensitive()),
        None => default_text(spec)
            .map(|value| Synonym {
                name: spec.name.to_owned(),
                value: Some(value.to_owned()),
                source: ConfigSource::Default,
            })
            .into_iter()
            .collect(),
    };
    Ok(describe_table(
        catalog::group_keys(),
        &settings,
        overrides,
        ConfigSource::Group,
        options,
        behind,
    ))
}

/// The rows of resource CLIENT_METRICS; a subscription that is not there has the defaults. Fails
/// only for a stored value that its key does not allow.
pub fn describe_client_metrics(
    overrides: &Texts,
    options: DescribeOptions<'_>,
) -> Result<Vec<Described>, ValueError> {
    let settings = Settings::parse(catalog::client_metrics_keys(), |spec| {
        overrides.get(spec.name).map(String::as_str)
    })?;
    let source = ConfigSource::ClientMetrics;
    let table = catalog::client_metrics_keys();
    Ok(describe_table(table, &settings, overrides, source, options, |_| Vec::new()))
}

/// Describes a resource whose own settings stand over something else.
fn describe_table(
    specs: impl Iterator<Item = &'static Spec>,
    settings: &Settings,
    overrides: &Texts,
    source: ConfigSource,
    options: DescribeOptions<'_>,
    behind: impl Fn(&Spec) -> Vec<Synonym>,
) -> Vec<Described> {
    specs
        .filter(|spec| !spec.is_internal() || overrides.contains_key(spec.name))
        .filter(|spec| options.wants(spec.name))
        .map(|spec| {
            let value = settings.value(spec.name).and_then(text);
            let mut places = behind(spec);
            if overrides.contains_key(spec.name) {
                let value = value.clone().filter(|_| !spec.is_sensitive());
                places.insert(0, Synonym { name: spec.name.to_owned(), value, source });
            }
            let row = Row {
                name: spec.name,
                value,
                kind: Some(spec.kind),
                sensitive: spec.is_sensitive(),
                read_only: false,
                doc: Some(spec.doc),
            };
            options.row(row, places)
        })
        .collect()
}

#[cfg(test)]
mod tests;
