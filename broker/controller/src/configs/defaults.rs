//! What a topic's configuration comes to, with what it inherits.

use crate::settings::Settings;
use ottla_config::catalog::topic_keys;
use ottla_config::{BrokerConfig, ConfigSource as Source, DefaultValue, Spec};
use ottla_metadata::{ConfigResource, ConfigValues, Image};
use std::collections::BTreeMap;

/// One key's value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    /// The key.
    pub(crate) name: &'static str,
    /// The value as text; `None` where a key has neither value nor default.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// The layers below a topic's own values.
pub(crate) struct Defaults<'a> {
    broker: Option<&'a ConfigValues>,
    all_brokers: Option<&'a ConfigValues>,
    file: &'a BrokerConfig,
}

impl<'a> Defaults<'a> {
    /// The layers as this node sees them.
    pub(crate) fn new(image: &'a Image, settings: &'a Settings) -> Self {
        let values = |r: &ConfigResource| image.configs(r).map(|v| v.as_ref());
        Self {
            broker: values(&ConfigResource::broker(settings.node_id)),
            all_brokers: values(&ConfigResource::all_brokers()),
            file: &settings.broker,
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
        for (values, source) in
            [(self.broker, Source::DynamicBroker), (self.all_brokers, Source::DynamicDefaultBroker)]
        {
            let Some(values) = values else { continue };
            if let Some((key, v)) = spec.synonyms.iter().find_map(|s| values.get_key_value(*s)) {
                return found(in_own_unit(key, v), source);
            }
        }
        let given = self.file.given();
        let given = spec
            .synonyms
            .iter()
            .filter(|s| self.file.is_given(s))
            .find_map(|s| given.get_key_value(*s));
        if let Some((key, given)) = given {
            return found(in_own_unit(key, &given.value), Source::StaticBroker);
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
        let settings = Settings::default();
        let key = "retention.ms";
        let now = |image: &Image, settings: &Settings, own: &[(&str, &str)]| {
            let e = effective(image, settings, own, key);
            (e.value.expect("a value"), e.source)
        };
        assert_eq!(now(&image, &settings, &[]), ("604800000".into(), Source::Default));
        let file = ["log.retention.hours=2".to_owned()];
        let parsed = ottla_config::parse(None, &file, &ottla_config::NoSurroundings);
        let settings = Settings::from_broker(&parsed.expect("a configuration").config, "id");
        assert_eq!(now(&image, &settings, &[]), ("7200000".into(), Source::StaticBroker));
        for (resource, source) in [("", Source::DynamicDefaultBroker), ("1", Source::DynamicBroker)]
        {
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
