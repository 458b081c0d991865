//! What the members of the quorum say among themselves, over their controller listeners. The one
//! conversation that is not Kafka's: a request has a key that Kafka does not use, and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_client::{ClientError, Connection};
use ottla_config::BrokerConfig;
use ottla_net::{CloseReason, Outcome, Reply, Response};
use ottla_quorum::{BoxFuture, Member, NodeKey, Transport, TransportError};
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::{Decoder, Encoder, Message};
use parking_lot::Mutex;
use tracing::debug;

use super::{Ways, address};
use crate::context::Context;

/// The key of such a request. Not advertised: only members know that it exists.
pub(crate) const KEY: i16 = 20_308;

/// The versions of the headers around the bytes: those with tagged fields.
const REQUEST_HEADER: i16 = 2;
const RESPONSE_HEADER: i16 = 1;

/// What errors and logs call it.
const NAME: &str = "QuorumExchange";

/// Connections to one address that are kept open while nobody uses them.
const KEPT: usize = 3;

/// The way to the other members.
#[derive(Debug)]
pub(crate) struct Members {
    config: Arc<BrokerConfig>,
    ways: Ways,
    idle: Mutex<BTreeMap<String, Vec<Arc<Connection>>>>,
}

impl Members {
    pub(crate) fn new(config: Arc<BrokerConfig>) -> Arc<Self> {
        let ways = Ways::new(&config, format!("quorum-{}", config.node_id()), PATIENCE);
        Arc::new(Self { config, ways, idle: Mutex::default() })
    }

    /// An open connection that nobody uses, or a new one: an exchange waits behind no other.
    async fn take(&self, address: &str) -> Result<Arc<Connection>, ClientError> {
        loop {
            let idle = self.idle.lock().get_mut(address).and_then(Vec::pop);
            match idle {
                Some(open) if open.is_closed() => {}
                Some(open) => return Ok(open),
                // Exchanges say themselves for how long they try.
                None => return Ok(Arc::new(self.ways.open(address, 0).await?)),
            }
        }
    }

    fn give_back(&self, address: &str, connection: Arc<Connection>) {
        let mut idle = self.idle.lock();
        let kept = idle.entry(address.to_owned()).or_default();
        if kept.len() < KEPT && !connection.is_closed() {
            kept.push(connection);
        }
    }

    async fn carry(
        &self,
        address: &str,
        request: Bytes,
        patience: Duration,
    ) -> Result<Bytes, TransportError> {
        let opened = tokio::time::timeout(patience, self.take(address)).await;
        let opened = opened
            .map_err(|_| TransportError::Unreachable(format!("{address} does not answer")))?;
        let connection = opened.map_err(|e| TransportError::Unreachable(e.to_string()))?;
        let answer = connection.send_bytes(KEY, NAME, &request, patience).await;
        match answer {
            Ok(answer) => {
                self.give_back(address, connection);
                Ok(answer)
            }
            Err(ClientError::NoAnswer { within, .. }) => Err(TransportError::Timeout(within)),
            Err(error) => Err(TransportError::Broken(error.to_string())),
        }
    }
}

/// How long a connection may take to agree on versions; exchanges say themselves how long they wait.
const PATIENCE: Duration = Duration::from_secs(2);

impl Transport for Members {
    fn exchange(
        &self,
        _: NodeKey,
        member: &Member,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        let Some(address) = address::of_controller(&self.config, &member.endpoints) else {
            let nowhere = "nobody says where it listens".to_owned();
            return Box::pin(std::future::ready(Err(TransportError::Unreachable(nowhere))));
        };
        Box::pin(async move { self.carry(&address, request, patience).await })
    }
}

/// Whether a frame is one member's request to another.
pub(crate) fn is_exchange(frame: &[u8]) -> bool {
    frame.first_chunk::<2>().is_some_and(|key| i16::from_be_bytes(*key) == KEY)
}

/// Hands such a request to this node's member of the quorum.
pub(crate) fn receive(context: &Arc<Context>, frame: Bytes) -> Outcome {
    // The frame is a slice of a read buffer, and the request may wait for the disk.
    let frame = Bytes::copy_from_slice(&frame);
    let holds = frame.len();
    let mut d = Decoder::new(frame);
    let header = match RequestHeader::decode(&mut d, REQUEST_HEADER) {
        Ok(header) => header,
        Err(error) => return Outcome::Close(CloseReason(format!("{NAME}: {error}"))),
    };
    let Some(raft) = context.raft.clone() else {
        return Outcome::Close(CloseReason(format!(
            "{NAME}: this node is no member of the quorum"
        )));
    };
    let (request, correlation_id) = (d.rest(), header.correlation_id);
    // Where the quorum's own tasks run: what it answers may not wait behind clients.
    let answered = context.control.spawn(async move { raft.receive(request).await });
    let reply = Box::pin(async move {
        let closed = |why: String| {
            debug!(why, "a request of another member is not answered");
            Reply::Close(CloseReason(format!("{NAME}: {why}")))
        };
        let answer = match answered.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return closed(error.to_string()),
            Err(error) => return closed(error.to_string()),
        };
        let mut e = Encoder::with_capacity(answer.len() + 16);
        if let Err(error) = (ResponseHeader { correlation_id }).encode(&mut e, RESPONSE_HEADER) {
            return closed(error.to_string());
        }
        e.raw(&answer);
        match e.into_bytes() {
            Ok(bytes) => Reply::Response(Response::bytes(bytes)),
            Err(error) => closed(error.to_string()),
        }
    });
    Outcome::Pending { reply, holds }
}
