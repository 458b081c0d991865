//! Addresses of the metadata quorum: `id@host:port` of a voter and `host:port` of a server.

use std::fmt;

use crate::error::ValueError;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A name or an address, an IPv6 address without its brackets; may be empty.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port` or `[ipv6]:port`.
    pub fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => host,
        };
        let known = |c: char| c.is_ascii_alphanumeric() || "-._%:".contains(c);
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) || !host.chars().all(known)
        {
            return None;
        }
        Some(HostPort { host: host.to_owned(), port: port.parse().ok()? })
    }

    pub(crate) fn parse_for(key: &str, entry: &str) -> Result<HostPort, ValueError> {
        HostPort::parse(entry).ok_or_else(|| {
            let rule = format!(
                "Failed to parse host name from {entry} for the configuration {key}. Each entry \
                 should be in the form \"{{host}}:{{port}}\""
            );
            ValueError::sentence(key, entry, rule)
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One entry of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The voter's node id.
    pub id: i32,
    /// Where it listens.
    pub address: HostPort,
}

impl Voter {
    /// Reads `id@host:port`, naming `key` in the error.
    pub fn parse(key: &str, entry: &str) -> Result<Voter, ValueError> {
        let bad_address = || {
            let rule = format!(
                "Failed to parse host name from entry {entry} for the configuration {key}. Each \
                 entry should be in the form `{{id}}@{{host}}:{{port}}`."
            );
            ValueError::sentence(key, entry, rule)
        };
        let (id, address) = entry.split_once('@').unwrap_or((entry, ""));
        let id = id.parse().map_err(|_| {
            let rule = format!("Failed to parse voter ID as an integer from {id}");
            ValueError::sentence(key, entry, rule)
        })?;
        Ok(Voter { id, address: HostPort::parse(address).ok_or_else(bad_address)? })
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        let v6 = HostPort::parse("[::1]:90").expect("IPv6");
        assert_eq!((v6.host.as_str(), v6.port), ("::1", 90));
        assert_eq!(v6.to_string(), "[::1]:90");
        assert_eq!(HostPort::parse(":9").expect("empty host").host, "");
        for bad in ["h", "h:", "h:x", "h:99999", "[::1:9", "a b:1"] {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn voters_answer_as_kafka_does() {
        let voter = Voter::parse("controller.quorum.voters", "3@h:1").expect("a voter");
        assert_eq!((voter.id, voter.address.to_string().as_str()), (3, "h:1"));
        let error = Voter::parse("controller.quorum.voters", "x@h:1").expect_err("no id");
        assert_eq!(error.to_string(), "Failed to parse voter ID as an integer from x");
        assert!(Voter::parse("controller.quorum.voters", "1@h").is_err());
    }
}
