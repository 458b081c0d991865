//! The settings of one client metrics subscription (KIP-714).

use crate::catalog;
use crate::client_metrics_keys as keys;
use crate::dynamic::Texts;
use crate::error::ValueError;
use crate::settings::Settings;
use crate::value::trim;

/// What a client metrics subscription can match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientAttribute {
    /// The id of the client's instance, as 22 characters of base64.
    InstanceId,
    /// What the client calls itself.
    ClientId,
    /// The name of the client's library (KIP-511).
    SoftwareName,
    /// The version of the client's library (KIP-511).
    SoftwareVersion,
    /// The address that the client comes from.
    SourceAddress,
    /// The port that the client comes from.
    SourcePort,
}

impl ClientAttribute {
    /// The attribute of this name, if there is one.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "client_instance_id" => Self::InstanceId,
            "client_id" => Self::ClientId,
            "client_software_name" => Self::SoftwareName,
            "client_software_version" => Self::SoftwareVersion,
            "client_source_address" => Self::SourceAddress,
            "client_source_port" => Self::SourcePort,
            _ => return None,
        })
    }
}

/// One entry of `match`: an attribute, and the pattern that all of it must match. `None` when the
/// entry is no such thing, or its pattern is none.
pub(crate) fn match_entry(entry: &str) -> Option<(ClientAttribute, String)> {
    // Kafka takes the entry apart at every sign and lets empty parts at the end go.
    let mut parts: Vec<&str> = entry.split('=').collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    let [name, pattern] = parts.as_slice() else { return None };
    let attribute = ClientAttribute::named(trim(name))?;
    let pattern = trim(pattern);
    regex_syntax::parse(pattern).ok()?;
    Some((attribute, pattern.to_owned()))
}

/// The settings of one client metrics subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetricsConfig {
    /// How often the clients push, in milliseconds.
    pub interval_ms: i32,
    /// What a client must be like to be meant: attributes, each with a pattern for the whole of its
    /// value. Every client is when there are none; the last entry of an attribute counts.
    pub matches: Vec<(ClientAttribute, String)>,
    /// Prefixes of the metrics that are asked for; `*` is all, and none asks for none.
    pub metrics: Vec<String>,
}

impl ClientMetricsConfig {
    /// Reads the values that are set on a subscription; the others have their defaults.
    ///
    /// # Errors
    /// When a value is not of its key's type.
    pub fn parse(texts: &Texts) -> Result<Self, ValueError> {
        let table = catalog::client_metrics_keys();
        let s = Settings::parse(table, |spec| texts.get(spec.name).map(String::as_str))?;
        let entries = s.get(keys::MATCH);
        Ok(Self {
            interval_ms: s.get(keys::INTERVAL_MS),
            matches: entries.iter().filter_map(|entry| match_entry(entry)).collect(),
            metrics: s.get(keys::METRICS).to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_apart_as_kafka_does() {
        let id = |pattern: &str| Some((ClientAttribute::ClientId, pattern.to_owned()));
        assert_eq!(match_entry("client_id=a.*"), id("a.*"));
        assert_eq!(match_entry(" client_id = a "), id("a"));
        assert_eq!(match_entry("client_id=a=="), id("a"));
        for bad in ["client_id", "client_id=", "=a", "client_id=a=b", "other=a", "client_id=(", ""]
        {
            assert_eq!(match_entry(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let found = ClientMetricsConfig::parse(&Texts::new()).expect("defaults are good");
        let empty = ClientMetricsConfig { interval_ms: 300_000, matches: vec![], metrics: vec![] };
        assert_eq!(found, empty);
        let texts =
            [("interval.ms", "100"), ("metrics", "a,b"), ("match", "client_source_port=1.*")];
        let texts = texts.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let found = ClientMetricsConfig::parse(&texts).expect("values are good");
        assert_eq!((found.interval_ms, found.metrics), (100, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(found.matches, [(ClientAttribute::SourcePort, "1.*".to_owned())]);
    }
}
