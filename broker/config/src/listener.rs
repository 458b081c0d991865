//! Listeners: `NAME://host:port`, and which security protocol a name stands for.

use std::collections::BTreeMap;
use std::fmt;

use crate::quorum::HostPort;
use crate::value::{split_list, trim};

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL over plain TCP.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// All of them.
    pub const ALL: [SecurityProtocol; 4] = [
        SecurityProtocol::Plaintext,
        SecurityProtocol::Ssl,
        SecurityProtocol::SaslPlaintext,
        SecurityProtocol::SaslSsl,
    ];

    /// Reads a name in any case.
    pub fn parse(name: &str) -> Option<SecurityProtocol> {
        SecurityProtocol::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(name))
    }

    /// Its name, as in `listener.security.protocol.map`.
    pub const fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// Its code in Metadata and registration records.
    pub const fn code(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    /// True if the bytes on the wire are TLS.
    pub const fn uses_tls(self) -> bool {
        matches!(self, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
    }

    /// True if clients authenticate by SASL.
    pub const fn uses_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A listener's name, always in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName(String);

impl ListenerName {
    /// The name, made upper case.
    pub fn new(name: &str) -> ListenerName {
        ListenerName(name.to_uppercase())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the keys of this listener alone begin with: `listener.name.<name in lower case>.`.
    pub fn config_prefix(&self) -> String {
        format!("listener.name.{}.", self.0.to_lowercase())
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of `listeners` or `advertised.listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// Where it listens; an empty host is every interface, port 0 any free port.
    pub address: HostPort,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.address)
    }
}

/// What is wrong with listeners or with the map of protocols. Displays in our words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListenerError {
    #[error("{0:?} is not NAME://host:port")]
    Syntax(String),
    #[error("listener {0} has no entry in listener.security.protocol.map")]
    NoProtocol(ListenerName),
    #[error("listener {0} is there twice")]
    Twice(ListenerName),
    #[error(
        "listeners {0} and {1} have the same port {2}; only one IPv4 and one IPv6 address may \
         share a port"
    )]
    SamePort(ListenerName, ListenerName, u16),
    #[error("{0:?} is not NAME:PROTOCOL")]
    MapSyntax(String),
    #[error("{0:?} is no security protocol; there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL")]
    UnknownProtocol(String),
}

impl ListenerError {
    /// The answer to a dynamic change of the listeners to these entries.
    pub(crate) fn in_kafka(&self, entries: &[String]) -> String {
        let all = entries.join(", ");
        let why = match self {
            ListenerError::UnknownProtocol(name) => {
                return format!(
                    "Invalid security protocol `{name}` defined in listener.security.protocol.map"
                );
            }
            ListenerError::MapSyntax(_) => {
                return format!(
                    "Error parsing configuration property 'listener.security.protocol.map': {self}"
                );
            }
            ListenerError::Syntax(entry) if !entry.contains("://") && !entry.contains(':') => {
                return format!("Unable to parse a listener name from {entry}");
            }
            ListenerError::Syntax(entry) => {
                format!("Unable to parse {entry} to a broker endpoint")
            }
            ListenerError::NoProtocol(name) => {
                format!("No security protocol defined for listener {name}")
            }
            ListenerError::Twice(_) => {
                format!("Each listener must have a different name, listeners: [{all}]")
            }
            ListenerError::SamePort(..) => {
                format!("Each listener must have a different port, listeners: [{all}]")
            }
        };
        format!("Error creating broker listeners from '[{all}]': {why}")
    }
}

/// Splits `NAME://host:port`.
fn parse_entry(entry: &str) -> Result<(ListenerName, HostPort), ListenerError> {
    let wrong = || ListenerError::Syntax(entry.to_owned());
    let (name, address) = entry.split_once("://").ok_or_else(wrong)?;
    let address = HostPort::parse(address).ok_or_else(wrong)?;
    Ok((ListenerName::new(name), address))
}

/// Which protocol each listener's name stands for.
pub type ProtocolMap = BTreeMap<ListenerName, SecurityProtocol>;

/// Reads `NAME:PROTOCOL` entries; the last of a repeated name wins.
pub(crate) fn parse_protocol_map(text: &str) -> Result<ProtocolMap, ListenerError> {
    let mut map = ProtocolMap::new();
    for entry in split_list(trim(text)) {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(ListenerError::MapSyntax(entry));
        };
        let Some(protocol) = SecurityProtocol::parse(trim(protocol)) else {
            return Err(ListenerError::UnknownProtocol(trim(protocol).to_owned()));
        };
        map.insert(ListenerName::new(trim(name)), protocol);
    }
    Ok(map)
}

/// Parses a list of listeners. Names and ports must differ, but for a pair on one port of which one
/// is IPv4 and the other IPv6, and for port 0. Advertised ports may repeat.
pub(crate) fn parse_listeners(
    entries: &[String],
    protocols: &ProtocolMap,
    ports: PortRule,
) -> Result<Vec<Listener>, ListenerError> {
    let mut listeners: Vec<Listener> = Vec::with_capacity(entries.len());
    for entry in entries {
        let (name, address) = parse_entry(entry)?;
        let Some(protocol) = protocols.get(&name).copied() else {
            return Err(ListenerError::NoProtocol(name));
        };
        for other in &listeners {
            if other.name == name {
                return Err(ListenerError::Twice(name));
            }
            let same_port = other.address.port == address.port && address.port != 0;
            if ports == PortRule::Distinct && same_port && !are_v4_and_v6(&other.address, &address)
            {
                return Err(ListenerError::SamePort(other.name.clone(), name, address.port));
            }
        }
        listeners.push(Listener { name, protocol, address });
    }
    Ok(listeners)
}

/// Whether two listeners may have one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRule {
    /// They may not.
    Distinct,
    /// They may: they are addresses to tell clients, perhaps of a proxy.
    MayRepeat,
}

fn are_v4_and_v6(a: &HostPort, b: &HostPort) -> bool {
    let is_v4 = |a: &HostPort| {
        let parts: Vec<&str> = a.host.split('.').collect();
        parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok())
    };
    let is_v6 = |a: &HostPort| a.host.contains(':');
    (is_v4(a) && is_v6(b)) || (is_v6(a) && is_v4(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "PLAINTEXT:PLAINTEXT,EXT:SSL,CONTROLLER:plaintext";

    fn listeners(text: &str) -> Result<Vec<Listener>, ListenerError> {
        let map = parse_protocol_map(MAP).expect("a map");
        parse_listeners(&split_list(text), &map, PortRule::Distinct)
    }

    #[test]
    fn a_listener_has_a_name_a_host_and_a_port() {
        let all = listeners("plaintext://:9092,EXT://[::1]:9093").expect("two listeners");
        assert_eq!(all[0].to_string(), "PLAINTEXT://:9092");
        assert_eq!((all[1].protocol, all[1].address.host.as_str()), (SecurityProtocol::Ssl, "::1"));
        assert_eq!(all[1].name.config_prefix(), "listener.name.ext.");
    }

    #[test]
    fn what_is_no_listener_is_named() {
        for (text, part) in [
            ("PLAINTEXT://127.0.0.1", "not NAME://host:port"),
            ("PLAINTEXT:9092", "not NAME://host:port"),
            ("PLAINTEXT://h:99999", "not NAME://host:port"),
            ("PLAINTEXT://h:-1", "not NAME://host:port"),
            ("PLAINTEXT://a b:9092", "not NAME://host:port"),
            ("FOO://:9092", "listener.security.protocol.map"),
            ("EXT://:1,ext://:2", "twice"),
            ("EXT://:1,PLAINTEXT://:1", "same port"),
            ("EXT://127.0.0.1:1,PLAINTEXT://127.0.0.2:1", "same port"),
        ] {
            let error = listeners(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn ports_may_be_shared_by_address_families_and_by_port_zero() {
        assert!(listeners("EXT://127.0.0.1:1,PLAINTEXT://[::1]:1").is_ok());
        assert!(listeners("EXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0").is_ok());
    }

    #[test]
    fn a_protocol_map_names_protocols_in_any_case() {
        assert!(parse_protocol_map("A:FOO").expect_err("FOO").to_string().contains("SASL_SSL"));
        assert!(parse_protocol_map("A").expect_err("A").to_string().contains("NAME:PROTOCOL"));
        assert!(parse_protocol_map("").expect("empty").is_empty());
    }
}
