//! Listeners, connections and one handler an API: what turns frames into questions to the engine,
//! and its answers into frames.
//!
//! Invariant: this room holds no state of its own. A handler is three paragraphs: authorize, ask
//! the engine, translate; what it answers depends on its request, the published image and the
//! engine alone.
//!
//! Start reading at [`routes`], the one table of what is served where; then any file of [`api`].

pub mod api;

mod answer;
mod call;
mod connection;
mod context;
mod files;
mod http;
mod line;
mod loggers;
pub mod node;
mod peers;
mod producer_ids;
mod routes;
mod telemetry;
mod vigil;

pub use answer::{Answer, Holds};
pub use call::{Call, Session, Software};
pub use connection::{Connection, Opener};
pub use context::Context;
pub use line::Line;
pub use loggers::Loggers;
pub use node::{Bound, Node, StartError};
pub use ottla_wire::api::Listener as ListenerKind;
pub use routes::served;
pub use telemetry::ClientTelemetry;
pub use vigil::Heard;
