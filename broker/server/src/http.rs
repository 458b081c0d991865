//! The HTTP listener: whether the node is alive, whether it serves, what clients say of themselves,
//! and whether a node may be restarted.

mod connections;
mod restart_safety;

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

use self::connections::Bounded;
use crate::context::Context;
use crate::node::StartError;

/// An HTTP listener. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Http {
    /// Opens all of `http.listeners`, for `most` connections together at a time.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(crate) async fn open(
        config: &BrokerConfig,
        context: &Arc<Context>,
        most: usize,
    ) -> Result<Vec<Self>, StartError> {
        let wanted = config.http_listeners();
        let share = (most / wanted.len().max(1)).max(1);
        let mut open = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let host = if wanted.host.is_empty() { "0.0.0.0" } else { wanted.host.as_str() };
            let failed = |source: io::Error| ListenError::Bind {
                listener: keys::HTTP_LISTENERS.name().to_owned(),
                address: format!("{host}:{}", wanted.port),
                source,
            };
            let listener = TcpListener::bind((host, wanted.port)).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            let router = router(Arc::clone(context));
            let task = tokio::spawn(async move {
                if let Err(error) = axum::serve(Bounded::new(listener, share), router).await {
                    warn!(%error, "the HTTP listener ended");
                }
            });
            open.push(Self { address, task });
        }
        Ok(open)
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
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics/clients", get(clients))
        .route("/api/v1/nodes/{id}/restart-safety", get(restart_safety::get))
        .with_state(context)
}

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What clients pushed of their own metrics (KIP-714). One text is made at a time: it can be long.
async fn clients(State(context): State<Arc<Context>>) -> Response {
    let _turn = context.telemetry.text_turn().await;
    let snapshot = context.telemetry.snapshot(context.core.clock().mono());
    // Many clients make a long text, and this thread is the quorum's too.
    match tokio::task::spawn_blocking(move || snapshot.text()).await {
        Ok(text) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the node does its work, or should be started again. That it answers says that its
/// threads run.
async fn alive(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.publishes() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "it takes in no metadata any more\n")
    }
}

/// Whether the node serves: its listeners accept, and metadata knows of this life of it.
async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.serves() {
        (StatusCode::OK, "serving\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving: fenced, starting or stopping\n")
    }
}
