//! Client telemetry (KIP-714): which clients push which metrics how often, and what they last said.
//!
//! Invariant: this room has no clock, no lock and no socket, and whatever clients send, it holds no
//! more than [`MAX_INSTANCES`] instances and [`MAX_STORE_BYTES`] of their metrics.
//!
//! Start reading at [`Telemetry`], which puts together [`instances`] (the subscriptions, and what an
//! instance may do when) and [`store`] (the last values). `payload.rs` takes a push apart,
//! `text.rs` writes the store for Prometheus.

mod error;
pub mod instances;
mod payload;
mod point;
pub mod store;
mod subscription;
mod telemetry;
mod text;
mod weigh;

pub use error::PayloadError;
pub use instances::{Client, MAX_INSTANCES, Pushed, Subscribed};
pub use payload::{Points, decode};
pub use point::{Point, Shape, Temporality};
pub use store::{MAX_SERIES, MAX_STORE_BYTES, Snapshot};
pub use subscription::Subscription;
pub use telemetry::Telemetry;
