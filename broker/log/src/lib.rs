//! One partition on disk: segments, indexes, producer state, epochs; and what stands beside the
//! partitions in a log directory. The formats of all files are Apache Kafka's.
//!
//! Invariant: what a log says was appended is in the page cache in one piece, and what lies below
//! its recovery point is on the disk; a log that is opened again holds a prefix of what was
//! appended that includes at least the latter. Everything goes through [`disk::Disk`]; nothing
//! here asks for the time, knows a topic's meaning, or spawns a thread but for recovery.
//!
//! Start reading at [`log::Log`] and [`dir::LogDir`], then [`segment`](crate) and `plan`.

pub mod batch;
pub mod cache;
pub mod checkpoint;
pub mod clean;
pub mod dir;
pub mod disk;
pub mod error;
pub mod graveyard;
pub mod index;
pub mod log;
pub mod names;
mod place;
pub mod plan;
pub mod producers;
mod scan;
mod segment;
pub mod settings;
#[cfg(test)]
mod testing;

pub use dir::LogDir;
pub use error::{DiskError, LogError, Result};
pub use log::Log;
pub use settings::LogSettings;
