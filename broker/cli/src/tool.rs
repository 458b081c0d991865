//! The tools, one file each, with the options, output and exit codes of Kafka's.

mod cluster;
mod connect;
mod formatter;
mod line_reader;
mod picture;

pub(crate) mod cluster_tool;
pub(crate) mod configs;
pub(crate) mod console_consumer;
pub(crate) mod console_producer;
pub(crate) mod features;
pub(crate) mod leader_election;
pub(crate) mod log_dirs;
pub(crate) mod metadata_quorum;
pub(crate) mod reassign_partitions;
pub(crate) mod restart_safety;
pub(crate) mod storage;
pub(crate) mod topics;
