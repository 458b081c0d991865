//! Client telemetry as the node's tasks reach it: one lock, and one push taken apart at a time.

use std::sync::Arc;

use ottla_config::{BrokerConfig, ClientMetricsConfig, keys};
use ottla_machine::Mono;
use ottla_metadata::{ConfigResource, Image, ResourceType};
use ottla_telemetry::{Points, Pushed, Snapshot, Subscribed, Subscription, Telemetry, decode};
use ottla_wire::api::push_telemetry::PushTelemetryRequest;
use ottla_wire::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::call::Call;

/// How many pushes are taken apart at a time: it bounds the memory that hostile ones can take.
const AT_A_TIME: usize = 1;

/// What clients say of themselves.
#[derive(Debug)]
pub struct ClientTelemetry {
    state: Mutex<Telemetry>,
    turns: Arc<Semaphore>,
    texts: tokio::sync::Mutex<()>,
    max_bytes: i32,
}

impl ClientTelemetry {
    /// Nothing yet.
    #[must_use]
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            state: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            texts: tokio::sync::Mutex::default(),
            max_bytes: config.get(keys::TELEMETRY_MAX_BYTES),
        }
    }

    /// The most bytes of one push, compressed or not.
    #[must_use]
    pub fn max_bytes(&self) -> i32 {
        self.max_bytes
    }

    fn limit(&self) -> usize {
        usize::try_from(self.max_bytes).unwrap_or(0)
    }

    /// Takes the subscriptions among resources whose settings changed.
    pub(crate) fn configure<'a>(
        &self,
        image: &Image,
        changed: impl Iterator<Item = &'a ConfigResource>,
    ) {
        for resource in changed.filter(|r| r.kind == ResourceType::ClientMetrics) {
            let name = &*resource.name;
            let texts = image.configs(resource).filter(|texts| !texts.is_empty());
            let subscription = texts.and_then(|texts| {
                let config = ClientMetricsConfig::parse(texts).map_err(|e| e.to_string());
                let made = config.and_then(|c| Subscription::new(&c).map_err(|e| e.to_string()));
                made.map_err(|why| warn!(name, why, "a client metrics subscription has no effect"))
                    .ok()
            });
            self.state.lock().configure(name, subscription);
        }
    }

    /// What an instance is asked for.
    pub(crate) fn get(&self, call: &Call, asked: Uuid) -> Result<Subscribed, ErrorCode> {
        let now = call.context.core.clock().mono();
        let fresh = fresh(call);
        call.as_client(|client| self.state.lock().get(now, client, asked, fresh))
    }

    /// Whether a push is taken.
    pub(crate) fn push(
        &self,
        call: &Call,
        request: &PushTelemetryRequest,
    ) -> Result<Pushed, ErrorCode> {
        let now = call.context.core.clock().mono();
        call.as_client(|client| self.state.lock().push(now, client, request, self.limit()))
    }

    /// Takes the metrics of a push apart, elsewhere than on a thread of the network, and keeps them.
    pub(crate) async fn keep(
        &self,
        call: &Call,
        pushed: Pushed,
        request: PushTelemetryRequest,
    ) -> Result<(), ErrorCode> {
        let id = request.client_instance_id;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let limit = self.limit();
        // The turn ends with the work: a client that hangs up does not end that.
        let work = move || {
            let decoded = decode(pushed.codec, &request.metrics, limit);
            drop(turn);
            decoded
        };
        let decoded = call.context.control.spawn_blocking(work).await;
        let error = match decoded {
            Ok(Ok(points)) => {
                self.record(call, id, points);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.state.lock().unreadable(id);
        let (client, from) = (&call.client_id, call.session.remote);
        warn!(client, instance = %id, %from, error, "a client pushed metrics that cannot be read");
        Err(ErrorCode::INVALID_RECORD)
    }

    fn record(&self, call: &Call, id: Uuid, points: Points) {
        let now = call.context.core.clock().mono();
        let left_out = self.state.lock().record(now, id, &call.client_id, points);
        if left_out > 0 {
            let client = &call.client_id;
            debug!(client, instance = %id, left_out, "metrics of a client found no place");
        }
    }

    /// A connection ended that had to do with telemetry.
    pub(crate) fn disconnected(&self, connection: u64) {
        self.state.lock().disconnected(connection);
    }

    /// The turn to make a text of all values, which can take much memory.
    pub(crate) async fn text_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.texts.lock().await
    }

    /// The last values of all instances that are alive.
    #[must_use]
    pub fn snapshot(&self, now: Mono) -> Snapshot {
        self.state.lock().snapshot(now)
    }
}

/// The id of a new instance.
fn fresh(call: &Call) -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random(call.context.random().to_be_bytes()) {
            return id;
        }
    }
}
