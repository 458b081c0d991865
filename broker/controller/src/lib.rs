//! The cluster's controller: a pure machine over the cluster's metadata.
//!
//! Invariant: what is decided for a command is a function of the state, the waits, the time and the command, and
//! changes nothing but the waits; its records, applied, are the only change of state. The room knows neither the
//! log that keeps the records nor the quorum that agrees on them, and does no authorization.
//!
//! Start reading at [`Controller`], then [`Command`]; `draft.rs` is how a decision grows, `partitions/change.rs` how
//! a partition changes. [`plan`](mod@plan) and [`restart`] only look: they say what to ask for, and change nothing.

mod acls;
mod activate;
mod bootstrap;
mod brokers;
mod command;
mod configs;
mod draft;
mod error;
mod features;
mod machine;
mod partitions;
mod placement;
pub mod plan;
mod producer_ids;
mod quotas;
pub mod restart;
mod rng;
mod scram;
mod settings;
mod state;
mod topics;
mod waits;

pub use bootstrap::{BootstrapError, bootstrap_records, check_level};
pub use command::{Command, Reply};
pub use draft::{MAX_BATCH_BYTES, MAX_RECORDS_PER_BATCH, batches};
pub use error::ApiError;
pub use machine::Controller;
pub use producer_ids::PRODUCER_ID_BLOCK;
pub use settings::{DeleteTopics, Settings};
pub use state::State;
pub use topics::{MAX_PARTITIONS_PER_REQUEST, MAX_TOPIC_NAME, check_topic_name};
pub use waits::Waits;
