//! Connections to other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{ClientError, Connection, Options};
use parking_lot::Mutex;

/// For how long whoever asks is told of the last failure to connect, before the next try.
const REST: Duration = Duration::from_millis(50);

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How nodes connect to each other.
pub(super) fn options(client_id: String, answer_within: Duration) -> Options {
    Options {
        servers: Vec::new(),
        bootstrap: ottla_client::Bootstrap::Brokers,
        client_id,
        connect_timeout: CONNECT.min(answer_within),
        request_timeout: answer_within,
        deadline: answer_within,
        backoff: REST,
        max_backoff: REST,
    }
}

/// Connections by address, each opened when it is first needed and again when it has ended. There
/// are as many as the cluster has nodes.
#[derive(Debug)]
pub(crate) struct Links {
    options: Options,
    all: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Link>>>>,
}

#[derive(Debug, Default)]
struct Link {
    open: Option<Arc<Connection>>,
    failed: Option<(Instant, ClientError)>,
}

impl Links {
    /// No connections yet. `answer_within` is how long an answer may take.
    pub(crate) fn new(client_id: String, answer_within: Duration) -> Arc<Self> {
        Arc::new(Self { options: options(client_id, answer_within), all: Mutex::default() })
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
        match Connection::open(address, &self.options).await {
            Ok(opened) => {
                let opened = Arc::new(opened);
                *link = Link { open: Some(Arc::clone(&opened)), failed: None };
                Ok(opened)
            }
            Err(error) => {
                link.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
