//! The HTTP listener: whether the node is alive, whether it serves, and what clients say of
//! themselves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ottla_config::{BrokerConfig, keys};
use ottla_net::ListenError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::context::Context;
use crate::node::StartError;

/// An HTTP listener. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Http {
    /// Opens the first of `http.listeners`; `None` when there is none.
    ///
    /// # Errors
    /// When its address cannot be had.
    pub(crate) async fn open(
        config: &BrokerConfig,
        context: &Arc<Context>,
    ) -> Result<Option<Self>, StartError> {
        let Some(wanted) = config.get(keys::HTTP_LISTENERS).first().cloned() else {
            return Ok(None);
        };
        let address = wanted.strip_prefix("http://").unwrap_or(&wanted).to_owned();
        let failed = |source: io::Error| ListenError::Bind {
            listener: wanted.clone(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            source,
        };
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(Arc::clone(context));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                warn!(%error, "the HTTP listener ended");
            }
        });
        Ok(Some(Self { address, task }))
    }

    /// Where it answers.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics/clients", get(clients))
        .with_state(context)
}

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What clients pushed of their own metrics (KIP-714).
async fn clients(State(context): State<Arc<Context>>) -> Response {
    let snapshot = context.telemetry.snapshot(context.core.clock().mono());
    // Many clients make a long text, and this thread is the quorum's too.
    match tokio::task::spawn_blocking(move || snapshot.text()).await {
        Ok(text) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the node serves: it is registered and not fenced.
async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.image().is_active(context.node_id) {
        (StatusCode::OK, "serving\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving: fenced, or still starting\n")
    }
}
