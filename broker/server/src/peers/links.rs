//! Connections to other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{ClientError, Connection, Options};
use ottla_config::{BrokerConfig, keys};
use parking_lot::Mutex;

use crate::node::ms;

/// For how long whoever asks is told of the last failure to connect, before the next try.
const REST: Duration = Duration::from_millis(50);

/// How a node connects to others.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    options: Options,
    /// `socket.connection.setup.timeout.ms`
    setup: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    longest_setup: Duration,
}

impl Ways {
    /// With the node's configuration; `answer_within` is how long an answer may take.
    pub(crate) fn new(config: &BrokerConfig, client_id: String, answer_within: Duration) -> Self {
        let setup = ms(config.get(keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MS));
        let options = Options {
            servers: Vec::new(),
            bootstrap: ottla_client::Bootstrap::Brokers,
            client_id,
            connect_timeout: setup,
            request_timeout: answer_within,
            deadline: answer_within,
            backoff: REST,
            max_backoff: REST,
        };
        let longest_setup = ms(config.get(keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS));
        Self { options, setup, longest_setup }
    }

    /// How long a connection may take to come about after so many that did not: the time doubles
    /// with each (KIP-601).
    fn patience(&self, failures: u32) -> Duration {
        let doubled = self.setup.saturating_mul(1 << failures.min(16));
        doubled.min(self.longest_setup.max(self.setup))
    }

    /// Connects to `host:port`, after so many tries that failed.
    pub(super) async fn open(
        &self,
        address: &str,
        failures: u32,
    ) -> Result<Connection, ClientError> {
        let connect_timeout = self.patience(failures);
        let options = Options { connect_timeout, ..self.options.clone() };
        Connection::open(address, &options).await
    }
}

/// Connections by address, each opened when it is first needed and again when it has ended. There
/// are as many as the cluster has nodes.
#[derive(Debug)]
pub(crate) struct Links {
    ways: Ways,
    all: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Link>>>>,
}

#[derive(Debug, Default)]
struct Link {
    open: Option<Arc<Connection>>,
    failed: Option<(Instant, ClientError)>,
    failures: u32,
}

impl Links {
    /// No connections yet.
    pub(crate) fn new(ways: Ways) -> Arc<Self> {
        Arc::new(Self { ways, all: Mutex::default() })
    }

    /// A connection to `host:port`. Those who ask at the same time share one try.
    pub(crate) async fn get(&self, address: &str) -> Result<Arc<Connection>, ClientError> {
        let link = Arc::clone(self.all.lock().entry(address.to_owned()).or_default());
        let mut link = link.lock().await;
        if let Some(open) = link.open.as_ref().filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(open));
        }
        link.open = None;
        if let Some((at, error)) = &link.failed
            && at.elapsed() < REST
        {
            return Err(error.clone());
        }
        match self.ways.open(address, link.failures).await {
            Ok(opened) => {
                let opened = Arc::new(opened);
                *link = Link { open: Some(Arc::clone(&opened)), ..Link::default() };
                Ok(opened)
            }
            Err(error) => {
                link.failed = Some((Instant::now(), error.clone()));
                link.failures = link.failures.saturating_add(1);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gets_more_time_after_each_failure() {
        let options = Options::new("a:1", "test").unwrap();
        let (setup, longest_setup) = (Duration::from_millis(100), Duration::from_millis(350));
        let ways = Ways { options, setup, longest_setup };
        let all = [0, 1, 2, 3, u32::MAX].map(|failures| ways.patience(failures).as_millis());
        assert_eq!(all, [100, 200, 350, 350, 350]);
    }
}
