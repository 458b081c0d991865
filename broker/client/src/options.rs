//! How a client behaves.

use std::time::Duration;

use crate::ClientError;

/// What kind of nodes a client knows the addresses of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bootstrap {
    /// Brokers.
    #[default]
    Brokers,
    /// Controllers (KIP-919). Requests go to the one that leads.
    Controllers,
}

/// Where the cluster is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of brokers to ask first, in this order.
    pub servers: Vec<String>,
    /// What those servers are.
    pub bootstrap: Bootstrap,
    /// The name by which brokers know this client in their logs and quotas.
    pub client_id: String,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long to wait for one answer.
    pub request_timeout: Duration,
    /// How long to try a call again before it fails.
    pub deadline: Duration,
    /// The pause before the first repetition; it doubles up to [`Options::max_backoff`].
    pub backoff: Duration,
    /// The longest pause between repetitions.
    pub max_backoff: Duration,
}

impl Options {
    /// The usual options for brokers given as `host:port,host:port`.
    pub fn new(servers: &str, client_id: impl Into<String>) -> Result<Self, ClientError> {
        Ok(Self {
            servers: parse_servers(servers)?,
            bootstrap: Bootstrap::default(),
            client_id: client_id.into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
        })
    }
}

/// The addresses of a list separated by commas, such as `a:9092,[::1]:9092`.
pub fn parse_servers(list: &str) -> Result<Vec<String>, ClientError> {
    let entries = list.split(',').map(str::trim).filter(|e| !e.is_empty());
    let servers = entries.map(parse_server).collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() { Err(ClientError::Address(format!("'{list}'"))) } else { Ok(servers) }
}

fn parse_server(entry: &str) -> Result<String, ClientError> {
    let wrong = || ClientError::Address(format!("'{entry}'"));
    // A listener name in front, as in PLAINTEXT://host:port, is allowed and says nothing.
    let address = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if host.is_empty() || port == 0 || (bare.is_none() && host.contains(':')) {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_servers() {
        assert_eq!(parse_servers("a:9092, b:1,").unwrap(), ["a:9092", "b:1"]);
        assert_eq!(parse_servers("PLAINTEXT://[::1]:9092").unwrap(), ["[::1]:9092"]);
        for wrong in ["", ",", "a", "a:", ":9092", "a:0", "a:65536", "::1:9092", "a:b"] {
            assert!(parse_servers(wrong).is_err(), "{wrong}");
        }
    }
}
