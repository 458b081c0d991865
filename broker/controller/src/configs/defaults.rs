//! What a topic's configuration comes to, with what it inherits.

use crate::settings::Settings;
use ottla_config::catalog::topic_keys;
use ottla_config::{DefaultValue, Spec};
use ottla_metadata::{ConfigResource, ConfigValues, Image};
use std::collections::BTreeMap;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set at run time on the one broker.
    Broker = 2,
    /// Set at run time on all brokers.
    AllBrokers = 3,
    /// Given in the node's file.
    File = 4,
    /// Kafka's default.
    Default = 5,
}

impl Source {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One key's value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The key.
    pub name: &'static str,
    /// The value as text; `None` where a key has neither value nor default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// The layers below a topic's own values.
pub(crate) struct Defaults<'a> {
    broker: Option<&'a ConfigValues>,
    all_brokers: Option<&'a ConfigValues>,
    given: &'a BTreeMap<String, String>,
}

impl<'a> Defaults<'a> {
    /// The layers as this node sees them.
    pub(crate) fn new(image: &'a Image, settings: &'a Settings) -> Self {
        let values = |r: &ConfigResource| image.configs(r).map(|v| v.as_ref());
        Self {
            broker: values(&ConfigResource::broker(settings.node_id)),
            all_brokers: values(&ConfigResource::all_brokers()),
            given: &settings.given,
        }
    }

    /// Every key of a topic that has `own` values, in the order of the keys. Internal keys only when set.
    pub(crate) fn topic<'b>(
        &'b self,
        own: &'b BTreeMap<String, String>,
    ) -> impl Iterator<Item = Effective> + 'b {
        let mut specs: Vec<&'static Spec> = topic_keys().collect();
        specs.sort_unstable_by_key(|s| s.name);
        let shown = move |s: &&'static Spec| !s.is_internal() || own.contains_key(s.name);
        specs.into_iter().filter(shown).map(|spec| self.resolve(spec, own))
    }

    /// One key of a topic.
    pub(crate) fn resolve(&self, spec: &'static Spec, own: &BTreeMap<String, String>) -> Effective {
        let name = spec.name;
        let found = |value: String, source| Effective { name, value: Some(value), source };
        if let Some(value) = own.get(name) {
            return found(value.clone(), Source::Topic);
        }
        let layers = [
            (self.broker, Source::Broker),
            (self.all_brokers, Source::AllBrokers),
            (Some(self.given), Source::File),
        ];
        for (values, source) in layers {
            let Some(values) = values else { continue };
            for synonym in spec.synonyms {
                if let Some(value) = values.get(*synonym) {
                    return found(in_own_unit(synonym, value), source);
                }
            }
        }
        let value = match spec.default {
            DefaultValue::Text(text) => Some(text.to_owned()),
            DefaultValue::Null | DefaultValue::Required => None,
        };
        Effective { name, value, source: Source::Default }
    }

    /// One key of a topic by name; `None` for a key that topics do not have, or that has no value.
    pub(crate) fn value(&self, name: &str, own: &BTreeMap<String, String>) -> Option<String> {
        self.resolve(topic_keys().find(|s| s.name == name)?, own).value
    }
}

/// Broker keys in hours or minutes, as the milliseconds of the topic's key.
fn in_own_unit(key: &str, value: &str) -> String {
    let unit: i64 = if key.ends_with(".hours") {
        3_600_000
    } else if key.ends_with(".minutes") {
        60_000
    } else {
        return value.to_owned();
    };
    match value.trim().parse::<i64>() {
        Ok(n) if n < 0 => "-1".to_owned(),
        Ok(n) => n.saturating_mul(unit).to_string(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::schema::metadata::ConfigRecord;

    fn effective(image: &Image, settings: &Settings, own: &[(&str, &str)], key: &str) -> Effective {
        let own = own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let all: Vec<_> = Defaults::new(image, settings).topic(&own).collect();
        all.into_iter().find(|e| e.name == key).expect("a topic key")
    }

    #[test]
    fn layers_hide_those_below() {
        let mut image = Image::default();
        let mut settings = Settings { node_id: 1, ..Settings::default() };
        let key = "retention.ms";
        let now = |image: &Image, settings: &Settings, own: &[(&str, &str)]| {
            let e = effective(image, settings, own, key);
            (e.value.expect("a value"), e.source)
        };
        assert_eq!(now(&image, &settings, &[]), ("604800000".into(), Source::Default));
        settings.given.insert("log.retention.hours".into(), "2".into());
        assert_eq!(now(&image, &settings, &[]), ("7200000".into(), Source::File));
        for (resource, source) in [("", Source::AllBrokers), ("1", Source::Broker)] {
            let record = ConfigRecord {
                resource_type: 4,
                resource_name: resource.into(),
                name: "log.retention.ms".into(),
                value: Some("77".into()),
            };
            image.apply(&record.into(), 0).expect("fits");
            assert_eq!(now(&image, &settings, &[]), ("77".into(), source));
        }
        assert_eq!(now(&image, &settings, &[(key, "5")]), ("5".into(), Source::Topic));
    }

    #[test]
    fn keys_come_in_order_and_internal_ones_are_hidden() {
        let (image, settings) = (Image::default(), Settings::default());
        let none = BTreeMap::new();
        let defaults = Defaults::new(&image, &settings);
        let names: Vec<_> = defaults.topic(&none).map(|e| e.name).collect();
        assert!(names.is_sorted());
        assert_eq!(names.len(), 33);
        assert!(!names.contains(&"internal.segment.bytes"));
    }
}
