//! Replication from other brokers, over the listener between brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_client::Connection;
use ottla_config::{BrokerConfig, keys};
use ottla_engine::{Lane, PeerError, PeerFuture, Peers};
use ottla_quorum::Quorum;
use ottla_wire::api::Request;
use ottla_wire::api::fetch::{FetchRequest, FetchResponse};
use ottla_wire::api::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use parking_lot::Mutex;

use super::{Ways, address};
use crate::node::ms;

/// The connection of a lane. Who opens it holds the lock, so that those who come later send later.
type Line = Arc<tokio::sync::Mutex<Lined>>;

#[derive(Debug, Default)]
struct Lined {
    open: Option<Arc<Connection>>,
    /// Tries since it was open last.
    failures: u32,
}

/// The other brokers.
#[derive(Debug)]
pub(crate) struct Brokers {
    quorum: Arc<dyn Quorum>,
    config: Arc<BrokerConfig>,
    ways: Ways,
    lanes: Mutex<BTreeMap<Lane, Line>>,
}

impl Brokers {
    /// The brokers that the metadata of `quorum` name.
    pub(crate) fn new(quorum: Arc<dyn Quorum>, config: Arc<BrokerConfig>) -> Arc<Self> {
        let limit = ms(config.get(keys::REPLICA_SOCKET_TIMEOUT_MS));
        let ways = Ways::new(&config, format!("broker-{}-fetcher", config.node_id()), limit);
        Arc::new(Self { quorum, config, ways, lanes: Mutex::default() })
    }

    fn line(&self, lane: Lane) -> Line {
        Arc::clone(self.lanes.lock().entry(lane).or_default())
    }

    /// Where the leader of a lane listens, as of what is committed now.
    fn address(&self, lane: Lane) -> Result<String, PeerError> {
        let image = self.quorum.updates().image();
        let listener = self.config.listeners().inter_broker.as_str();
        let endpoint = image.endpoint(lane.leader, listener).ok_or_else(|| {
            let broker = lane.leader;
            PeerError(format!("the metadata name no listener {listener} of broker {broker}"))
        })?;
        Ok(address::text(&endpoint.host, endpoint.port))
    }

    async fn connect(&self, lane: Lane) -> Result<Arc<Connection>, PeerError> {
        let line = self.line(lane);
        let mut line = line.lock().await;
        if let Some(open) = line.open.as_ref().filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(open));
        }
        line.open = None;
        let address = self.address(lane)?;
        let failures = line.failures;
        // Until it is known to have gone well: whoever waits may give up before that.
        line.failures = failures.saturating_add(1);
        let opened = self.ways.open(&address, failures).await;
        let opened = Arc::new(opened.map_err(|e| PeerError(e.to_string()))?);
        *line = Lined { open: Some(Arc::clone(&opened)), failures: 0 };
        Ok(opened)
    }

    async fn ask<R: Request>(&self, lane: Lane, request: R) -> Result<R::Response, PeerError> {
        let connection = self.connect(lane).await?;
        // No rest between here and the writing of the request: requests leave in the order in which
        // they came.
        connection.send(&request).await.map_err(|e| PeerError(e.to_string()))
    }
}

/// The way to the brokers, to be kept by many.
#[derive(Clone, Debug)]
pub(crate) struct Replicas(pub(crate) Arc<Brokers>);

impl Peers for Replicas {
    fn fetch(&self, lane: Lane, request: FetchRequest) -> PeerFuture<FetchResponse> {
        let brokers = Arc::clone(&self.0);
        Box::pin(async move { brokers.ask(lane, request).await })
    }

    fn list_offsets(
        &self,
        lane: Lane,
        request: ListOffsetsRequest,
    ) -> PeerFuture<ListOffsetsResponse> {
        let brokers = Arc::clone(&self.0);
        Box::pin(async move { brokers.ask(lane, request).await })
    }

    fn close(&self, lane: Lane) {
        let line = self.0.lanes.lock().remove(&lane);
        // One that is being opened is of no use to anybody when it is open.
        let open = line.as_ref().and_then(|line| line.try_lock().ok()?.open.take());
        if let Some(open) = open {
            open.close();
        }
    }
}
