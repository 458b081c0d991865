//! What whole brokers send over the wires: commands to controllers, and fetches to leaders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_controller::Command;
use ottla_engine::{
    Answered, Answering, Asker, Lane, PeerError, PeerFuture, Peers, RemoteController,
};
use ottla_quorum::BoxFuture;
use ottla_wire::ErrorCode;
use ottla_wire::api::fetch::{FetchRequest, FetchResponse};
use ottla_wire::api::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use tokio::time::timeout;

use super::broker::Engine;
use super::host::Part;
use super::wires::{Plug, Turn, Wires};

/// How long a controller's answer is waited for.
pub const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long a broker's answer is waited for, beside what it may wait itself.
const PEER_PATIENCE: Duration = Duration::from_millis(1_000);

/// The lines of a broker, one for each of its fetchers.
#[derive(Debug, Default)]
pub struct Lines(Mutex<BTreeMap<Lane, Arc<tokio::sync::Mutex<()>>>>);

impl Lines {
    /// Waits for a line to be free. Those who wait are served in the order in which they came.
    async fn turn(&self, lane: Lane) -> Turn {
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.entry(lane).or_default().clone()
        };
        line.lock_owned().await
    }

    fn close(&self, lane: Lane) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane);
    }
}

/// A plug, as the engine's parts share it.
#[derive(Clone, Debug)]
pub struct Carrier(pub Arc<Plug>);

impl Carrier {
    fn wires(&self) -> &Arc<Wires> {
        &self.0.wires
    }

    /// Has another broker's engine do something.
    async fn ask_peer<T: Send + 'static>(
        &self,
        lane: Lane,
        what: String,
        patience: Duration,
        job: impl Fn(Arc<Engine>) -> BoxFuture<'static, T> + Clone + Send + Sync + 'static,
    ) -> Result<T, PeerError> {
        let failed = |why: &str| PeerError(format!("broker {}: {why}", lane.leader));
        let turn = self.0.lines.turn(lane).await;
        let job = move |part: Part| -> BoxFuture<'static, Result<T, &'static str>> {
            let job = job.clone();
            Box::pin(async move {
                let Part::Broker(broker) = part else { return Err("it is no broker") };
                let Some(engine) = broker.engine() else { return Err("it does not serve yet") };
                Ok(job(engine).await)
            })
        };
        let way = (self.0.id, lane.leader);
        let carried = self.wires().carry(way, what, patience, Some(turn), job);
        match timeout(patience, carried).await {
            Ok(Ok(answer)) => answer.map_err(failed),
            Ok(Err(_)) => Err(failed("nobody is there")),
            Err(_) => Err(failed("no answer")),
        }
    }
}

impl RemoteController for Carrier {
    fn submit(&self, leader: i32, _: Option<Asker>, command: Command) -> Answering {
        let this = self.clone();
        Box::pin(async move {
            let Plug { wires, id, ledger, .. } = &*this.0;
            let text = format!("{command:?}");
            let name = text.split(['(', ' ']).next().unwrap_or_default();
            let what = format!("asks for {name}");
            let (from, ledger) = (*id, ledger.clone());
            let job = move |part: Part| -> BoxFuture<'static, Answered> {
                let (ledger, command) = (ledger.clone(), command.clone());
                Box::pin(async move { ledger.ask(leader, part, command).await })
            };
            let carried = wires.carry((from, leader), what, PATIENCE, None, job);
            match timeout(PATIENCE, carried).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(ErrorCode::NOT_CONTROLLER),
            }
        })
    }
}

impl Peers for Carrier {
    fn fetch(&self, lane: Lane, request: FetchRequest) -> PeerFuture<FetchResponse> {
        let this = self.clone();
        Box::pin(async move {
            let wait = u64::try_from(request.max_wait_ms).unwrap_or_default();
            let patience = Duration::from_millis(wait) + PEER_PATIENCE;
            let what = format!("fetches {} of {}", request.session_epoch, request.session_id);
            let job = move |engine: Arc<Engine>| -> BoxFuture<'static, FetchResponse> {
                Box::pin(engine.fetch(request.clone()))
            };
            this.ask_peer(lane, what, patience, job).await
        })
    }

    fn list_offsets(
        &self,
        lane: Lane,
        request: ListOffsetsRequest,
    ) -> PeerFuture<ListOffsetsResponse> {
        let this = self.clone();
        Box::pin(async move {
            let job = move |engine: Arc<Engine>| -> BoxFuture<'static, ListOffsetsResponse> {
                let request = request.clone();
                Box::pin(async move { engine.list_offsets(&request) })
            };
            this.ask_peer(lane, "asks for ends".to_owned(), PEER_PATIENCE, job).await
        })
    }

    fn close(&self, lane: Lane) {
        self.0.lines.close(lane);
    }
}
