//! Settings that change while the broker runs (KIP-226): two layers over the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alter::AlterError;
use crate::broker::BrokerConfig;
use crate::catalog;
use crate::custom::listener_key;
use crate::error::Place;
use crate::parse;
use crate::settings::Settings;
use crate::spec::{Spec, UpdateMode};

/// Settings as text, by key: what the metadata log holds for one resource.
pub type Texts = BTreeMap<String, String>;

/// The dynamic settings that concern one broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DynamicLayers {
    /// Those of this broker alone: the stronger layer.
    pub broker: Texts,
    /// Those of every broker of the cluster.
    pub cluster: Texts,
}

/// A dynamic setting, or all of them, that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplied {
    /// The key; none if the settings do not go together.
    pub key: Option<String>,
    /// Why not.
    pub why: String,
}

/// Keys that can only be set with a listener's prefix, though they are dynamic.
pub(crate) const ONLY_WITH_PREFIX: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Keys of a listener that may also be set for all brokers.
const CLUSTER_WIDE_OF_LISTENERS: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// The keys that stand for one thing, strongest first, for a key that is one of them.
pub(crate) fn broker_synonyms(name: &str) -> Vec<&str> {
    const GROUPS: &[&[&str]] = &[
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ];
    match GROUPS.iter().find(|group| group.contains(&name)) {
        Some(group) => group.to_vec(),
        None => vec![name],
    }
}

/// True for keys that only a restart changes.
pub(crate) fn is_read_only(name: &str) -> bool {
    catalog::broker_keys().any(|s| s.name == name && s.mode == UpdateMode::ReadOnly)
}

/// True for keys that change at run time, for one broker or all.
pub(crate) fn is_dynamic(name: &str) -> bool {
    let changes = |s: &&'static Spec| s.mode != UpdateMode::ReadOnly;
    catalog::broker_keys().filter(changes).chain(catalog::throttle_keys()).any(|s| s.name == name)
}

/// True for keys that cannot be set for all brokers at once.
pub(crate) fn is_per_broker(name: &str) -> bool {
    match listener_key(name) {
        Some((_, base)) => !CLUSTER_WIDE_OF_LISTENERS.contains(&base),
        None => catalog::broker_keys().any(|s| s.name == name && s.mode == UpdateMode::PerBroker),
    }
}

impl DynamicLayers {
    /// Takes out what no layer may hold, as a broker does that finds it in the metadata log.
    fn sift(&mut self) -> Vec<NotApplied> {
        let mut dropped = Vec::new();
        let mut drop_where = |layer: &mut Texts, test: &dyn Fn(&str) -> bool, why: &str| {
            layer.retain(|key, _| {
                let bad = test(key);
                if bad {
                    dropped.push(NotApplied { key: Some(key.clone()), why: why.to_owned() });
                }
                !bad
            });
        };
        for layer in [&mut self.broker, &mut self.cluster] {
            drop_where(layer, &is_read_only, "only a restart changes it");
            let bare = |key: &str| ONLY_WITH_PREFIX.contains(&key);
            drop_where(layer, &bare, "it needs a listener's prefix");
        }
        drop_where(&mut self.cluster, &is_per_broker, "it is of one broker alone");
        dropped
    }
}

/// Puts a layer over settings: a key takes its synonyms' place, too.
fn lay_over(settings: &mut Texts, layer: &Texts) {
    for (key, value) in layer {
        for synonym in broker_synonyms(key) {
            settings.remove(synonym);
        }
        settings.insert(key.clone(), value.clone());
    }
}

impl BrokerConfig {
    /// This node's file under other dynamic settings.
    ///
    /// What cannot be applied is told and left out; if the settings do not go together, the node
    /// keeps the values that it has.
    pub fn with_dynamic(&self, mut layers: DynamicLayers) -> (BrokerConfig, Vec<NotApplied>) {
        let mut problems = layers.sift();
        let mut texts = self.static_texts();
        lay_over(&mut texts, &layers.cluster);
        lay_over(&mut texts, &layers.broker);
        let layers = Arc::new(layers);
        let settings = loop {
            match parse_effective(&texts) {
                Ok(settings) => break settings,
                Err(error) => {
                    let why = error.to_string();
                    problems.push(NotApplied { key: Some(error.key().to_owned()), why });
                    // The file's own values were checked at start, so each turn takes a dynamic
                    // value out and the loop ends.
                    let from_file = self.given.get(error.key()).map(|given| given.value.clone());
                    let before = texts.remove(error.key());
                    match from_file.filter(|value| Some(value) != before.as_ref()) {
                        Some(value) => {
                            texts.insert(error.key().to_owned(), value);
                        }
                        None if before.is_none() => return (self.kept(layers), problems),
                        None => {}
                    }
                }
            }
        };
        match parse::build(settings, self.given.clone(), texts) {
            Ok(config) => (BrokerConfig { layers, ..config }, problems),
            Err(failed) => {
                let why = format!("{} {}", failed.conflict.key, failed.conflict.rule);
                problems.push(NotApplied { key: None, why });
                (self.kept(layers), problems)
            }
        }
    }

    /// The values of this configuration, said to be under these layers.
    fn kept(&self, layers: Arc<DynamicLayers>) -> BrokerConfig {
        BrokerConfig { layers, ..self.clone() }
    }

    /// The dynamic settings that this configuration is under.
    pub fn layers(&self) -> &DynamicLayers {
        &self.layers
    }

    pub(crate) fn static_texts(&self) -> Texts {
        self.given.iter().map(|(key, given)| (key.clone(), given.value.clone())).collect()
    }

    /// The file's settings under candidate layers, fully checked: what a change would make.
    pub(crate) fn candidate(
        &self,
        cluster: &Texts,
        broker: &Texts,
    ) -> Result<BrokerConfig, AlterError> {
        let mut texts = self.static_texts();
        lay_over(&mut texts, cluster);
        lay_over(&mut texts, broker);
        let settings = parse_effective(&texts)?;
        parse::build(settings, self.given.clone(), texts)
            .map_err(|failed| AlterError::invalid_request(failed.conflict.kafka()))
    }

    /// True if a key is set in the file, and not merely by the embedded default.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|given| given.place != Place::Default)
    }
}

fn parse_effective(texts: &Texts) -> Result<Settings, crate::error::ValueError> {
    Settings::parse(catalog::broker_keys().chain(catalog::throttle_keys()), |spec| {
        texts.get(spec.name).map(String::as_str)
    })
}
