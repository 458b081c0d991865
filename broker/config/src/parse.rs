//! From a properties file and overrides to a checked [`BrokerConfig`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::{BrokerConfig, Given};
use crate::catalog;
use crate::check::{self, Conflict, GivenKeys};
use crate::custom::{self, Custom};
use crate::dynamic::Texts;
use crate::embedded;
use crate::error::{ConfigError, Place, ValueError};
use crate::keys;
use crate::nearest::nearest;
use crate::properties;
use crate::provider::{Providers, Surroundings};
use crate::quorum::{HostPort, Voter};
use crate::settings::Settings;
use crate::spec::{DefaultValue, Spec, Standing};
use crate::value::Value;
use crate::warning::Warning;

/// A properties file, read by the caller.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A node's settings, and what its operator should know about them.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The settings.
    pub config: BrokerConfig,
    /// In the order of the file.
    pub warnings: Vec<Warning>,
}

/// Parses a file (or, without one, the embedded default) with `KEY=VALUE` overrides over it.
pub fn parse(
    file: Option<File<'_>>,
    overrides: &[String],
    surroundings: &dyn Surroundings,
) -> Result<Parsed, ConfigError> {
    Parser { file, surroundings, warnings: Vec::new() }.run(overrides)
}

struct Parser<'a> {
    file: Option<File<'a>>,
    surroundings: &'a dyn Surroundings,
    warnings: Vec<Warning>,
}

type Raw = BTreeMap<String, Given>;

impl Parser<'_> {
    fn run(mut self, overrides: &[String]) -> Result<Parsed, ConfigError> {
        let mut raw = self.read_file()?;
        read_overrides(overrides, &mut raw)?;
        if self.file.is_none() {
            add_own_quorum(&mut raw);
        }
        self.resolve_references(&mut raw)?;
        self.join_node_ids(&mut raw)?;
        self.warn(&raw);
        let settings = self.parse_values(&raw)?;
        let texts = raw.iter().map(|(key, given)| (key.clone(), given.value.clone())).collect();
        let config = build(settings, Arc::new(raw), texts).map_err(|f| self.conflict_error(*f))?;
        self.check_listener_keys(&config)?;
        Ok(Parsed { config, warnings: self.warnings })
    }

    fn read_file(&mut self) -> Result<Raw, ConfigError> {
        let text = self.file.map_or(embedded::EMBEDDED, |file| file.text);
        let entries = properties::read(text).map_err(|bad| ConfigError::Syntax {
            file: self.file.map_or("", |file| file.name).to_owned(),
            line: bad.line,
            what: "\\u must be followed by four hexadecimal digits",
        })?;
        let mut raw = Raw::new();
        for entry in entries {
            let place = match self.file {
                Some(_) => Place::Line(entry.line),
                None => Place::Default,
            };
            let given = Given { value: entry.value, place };
            if let Some(earlier) = raw.insert(entry.key.clone(), given) {
                let place = self.place(&earlier.place);
                self.warnings.push(Warning::Repeated { place, key: entry.key, line: entry.line });
            }
        }
        Ok(raw)
    }

    fn resolve_references(&self, raw: &mut Raw) -> Result<(), ConfigError> {
        // Where providers are declared there can be no reference.
        let declared: BTreeMap<String, String> = raw
            .iter()
            .filter(|(key, _)| key.starts_with("config.providers"))
            .map(|(key, given)| (key.clone(), given.value.clone()))
            .collect();
        let setting = |key: &str| declared.get(key).map(String::as_str);
        let providers = Providers::new(setting, self.surroundings);
        for (key, given) in raw.iter_mut() {
            given.value =
                providers.resolve(&given.value).map_err(|source| ConfigError::Reference {
                    place: self.place(&given.place),
                    key: key.clone(),
                    value: given.value.clone(),
                    source: Box::new(source),
                })?;
        }
        Ok(())
    }

    /// `broker.id` and `node.id` are one setting under two names.
    fn join_node_ids(&self, raw: &mut Raw) -> Result<(), ConfigError> {
        let (node, broker) = (keys::NODE_ID.name(), keys::BROKER_ID.name());
        match (raw.get(node).cloned(), raw.get(broker).cloned()) {
            (Some(a), Some(b)) if a.value.trim() != b.value.trim() => Err(ConfigError::Conflict {
                place: self.place(&b.place),
                key: broker.to_owned(),
                value: b.value,
                rule: format!("must be the same as node.id={}", a.value),
            }),
            (Some(given), None) => {
                raw.insert(broker.to_owned(), given);
                Ok(())
            }
            (None, Some(given)) => {
                raw.insert(node.to_owned(), given);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn parse_values(&self, raw: &Raw) -> Result<Settings, ConfigError> {
        for spec in catalog::broker_keys() {
            if spec.default == DefaultValue::Required && !raw.contains_key(spec.name) {
                let hint = format!("{} It has no default.", spec.doc);
                return Err(ConfigError::Missing { key: spec.name, hint });
            }
        }
        Settings::parse(catalog::broker_keys().chain(catalog::throttle_keys()), |spec| {
            raw.get(spec.name).map(|given| given.value.as_str())
        })
        .map_err(|error| {
            let spec = catalog::broker_keys().find(|spec| spec.name == error.key());
            self.value_error(spec, error.key(), raw.get(error.key()), &error)
        })
    }

    /// Checks the values of `listener.name.X.` keys, which are typed like the keys they stand for.
    fn check_listener_keys(&self, config: &BrokerConfig) -> Result<(), ConfigError> {
        for (key, given) in config.given() {
            let Custom::Listener { spec: Some(spec), .. } = custom::classify(key, config.given())
            else {
                continue;
            };
            Value::parse(spec, &given.value)
                .map_err(|error| self.value_error(Some(spec), key, Some(given), &error))?;
        }
        Ok(())
    }

    fn value_error(
        &self,
        spec: Option<&Spec>,
        key: &str,
        given: Option<&Given>,
        error: &ValueError,
    ) -> ConfigError {
        let hidden = spec.is_some_and(Spec::is_sensitive);
        let value = given.map_or_else(|| error.given().to_owned(), |given| given.value.clone());
        ConfigError::Value {
            place: given.map_or_else(String::new, |given| self.place(&given.place)),
            key: key.to_owned(),
            value: if hidden { "[hidden]".to_owned() } else { value },
            rule: error.rule().trim_end_matches('.').to_owned(),
            allowed: spec.map_or_else(String::new, allowed),
        }
    }

    fn conflict_error(&self, failed: Failed) -> ConfigError {
        let Failed { given, settings, conflict } = failed;
        let given = given.get(conflict.key);
        let stands = || settings.value(conflict.key).map_or_else(String::new, Value::to_string);
        ConfigError::Conflict {
            place: given.map_or_else(String::new, |given| self.place(&given.place)),
            key: conflict.key.to_owned(),
            value: given.map_or_else(stands, |given| given.value.clone()),
            rule: conflict.rule,
        }
    }

    /// How a place opens a message.
    fn place(&self, place: &Place) -> String {
        match (place, self.file) {
            (Place::Line(line), Some(file)) => format!("{}:{line}: ", file.name),
            (Place::Override, _) => "--override ".to_owned(),
            _ => String::new(),
        }
    }

    fn warn(&mut self, raw: &Raw) {
        let mut found = Vec::new();
        // What nobody wrote needs no warning: the embedded default is not the operator's.
        for (key, given) in raw.iter().filter(|(_, given)| given.place != Place::Default) {
            let place = self.place(&given.place);
            let warning = match catalog::broker_keys().find(|spec| spec.name == key) {
                Some(spec) => standing_warning(spec, &given.value, place),
                None => custom_warning(key, raw, place),
            };
            let line = match given.place {
                Place::Line(line) => line,
                Place::Override | Place::Default => u32::MAX,
            };
            found.extend(warning.map(|warning| (line, warning)));
        }
        found.sort_by_key(|(line, _)| *line);
        self.warnings.extend(found.into_iter().map(|(_, warning)| warning));
    }
}

fn read_overrides(overrides: &[String], raw: &mut Raw) -> Result<(), ConfigError> {
    for given in overrides {
        let Some((key, value)) = given.split_once('=').filter(|(key, _)| !key.trim().is_empty())
        else {
            return Err(ConfigError::Override { given: given.clone() });
        };
        let value = Given { value: value.to_owned(), place: Place::Override };
        raw.insert(key.trim().to_owned(), value);
    }
    Ok(())
}

/// A node without a file, whose overrides name no quorum either, is its own quorum.
fn add_own_quorum(raw: &mut Raw) {
    let bootstrap = keys::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS.name();
    if raw.contains_key(keys::CONTROLLER_QUORUM_VOTERS.name()) || raw.contains_key(bootstrap) {
        return;
    }
    let text = |name: &str| raw.get(name).map_or("", |given| given.value.as_str());
    let own = embedded::own_controller(
        text(keys::LISTENERS.name()),
        text(keys::CONTROLLER_LISTENER_NAMES.name()),
    );
    if let Some(value) = own {
        raw.insert(bootstrap.to_owned(), Given { value, place: Place::Default });
    }
}

/// Settings that do not go together.
#[derive(Debug)]
pub(crate) struct Failed {
    given: Arc<Raw>,
    settings: Settings,
    pub(crate) conflict: Conflict,
}

/// Puts parsed settings together and checks the rules among them. `texts` is what `settings` were
/// parsed of.
pub(crate) fn build(
    settings: Settings,
    given: Arc<Raw>,
    texts: Texts,
) -> Result<BrokerConfig, Box<Failed>> {
    let built = (|| {
        let roles = check::roles(&settings);
        check::values(&settings, roles)?;
        let keys_given = GivenKeys {
            protocol_map: texts.contains_key(keys::LISTENER_SECURITY_PROTOCOL_MAP.name()),
            inter_broker_protocol: texts.contains_key(keys::SECURITY_INTER_BROKER_PROTOCOL.name()),
        };
        let listeners = check::listeners(&settings, roles, keys_given)?;
        check::inter_broker_sasl(&settings, roles, &listeners)?;
        Ok((roles, listeners))
    })();
    let (roles, listeners) = match built {
        Ok(parts) => parts,
        Err(conflict) => return Err(Box::new(Failed { given, settings, conflict })),
    };
    let voters_key = keys::CONTROLLER_QUORUM_VOTERS;
    let voters = settings.get(voters_key);
    let servers = settings.get(keys::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
    Ok(BrokerConfig {
        given,
        texts: Arc::new(texts),
        layers: Arc::default(),
        roles,
        listeners: Arc::new(listeners),
        // Both lists were checked entry by entry when they were parsed.
        voters: voters.iter().filter_map(|v| Voter::parse(voters_key.name(), v).ok()).collect(),
        bootstrap: servers.iter().filter_map(|server| HostPort::parse(server)).collect(),
        log_dirs: check::log_dirs(&settings).into(),
        settings,
    })
}

/// What a key takes, in words: its type, and its limits if it has any.
fn allowed(spec: &Spec) -> String {
    let limits = spec.valid.to_string();
    if limits.is_empty() {
        spec.kind.name().to_owned()
    } else {
        format!("{} {limits}", spec.kind.name())
    }
}

/// A warning for a known key that does nothing, if it was set to anything but its default.
fn standing_warning(spec: &'static Spec, value: &str, place: String) -> Option<Warning> {
    let as_default = match spec.default {
        DefaultValue::Text(default) => {
            Value::parse_type(spec.name, spec.kind, value)
                == Value::parse_type(spec.name, spec.kind, default)
        }
        DefaultValue::Null | DefaultValue::Required => false,
    };
    match spec.standing {
        _ if as_default => None,
        Standing::Works => None,
        Standing::NoEffect(why) => {
            Some(Warning::NoEffect { place, key: spec.name.to_owned(), why })
        }
        Standing::Planned(feature) => {
            Some(Warning::Planned { place, key: spec.name.to_owned(), feature })
        }
    }
}

fn custom_warning(key: &str, raw: &Raw, place: String) -> Option<Warning> {
    let key = key.to_owned();
    let unknown = |key: String, place: String| {
        let (prefix, rest) = custom::listener_key(&key).map_or(("", key.as_str()), |(_, rest)| {
            (key.strip_suffix(rest).unwrap_or_default(), rest)
        });
        let known = catalog::broker_keys().filter(|spec| !spec.is_internal()).map(|s| s.name);
        let nearest = nearest(rest, known.chain(custom::names()));
        let nearest = nearest.map(|name| format!("{prefix}{name}"));
        Some(Warning::Unknown { place, key, nearest })
    };
    match custom::classify(&key, raw) {
        Custom::Plugin => None,
        Custom::Removed(why) => Some(Warning::NoEffect { place, key, why }),
        Custom::Known(Standing::Works) => None,
        Custom::Known(Standing::NoEffect(why)) => Some(Warning::NoEffect { place, key, why }),
        Custom::Known(Standing::Planned(feature)) => Some(Warning::Planned { place, key, feature }),
        Custom::Listener { listens: false, name, .. } => {
            Some(Warning::NoListener { place, key, listener: name })
        }
        Custom::Listener { spec: Some(spec), .. } => match spec.standing {
            Standing::Works => None,
            Standing::NoEffect(why) => Some(Warning::NoEffect { place, key, why }),
            Standing::Planned(feature) => Some(Warning::Planned { place, key, feature }),
        },
        Custom::Listener { spec: None, .. } | Custom::Unknown => unknown(key, place),
    }
}

#[cfg(test)]
mod tests;
