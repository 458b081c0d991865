//! The tools, one file each, with the options, output and exit codes of Kafka's.

mod cluster;
mod formatter;
mod line_reader;

pub(crate) mod console_consumer;
pub(crate) mod console_producer;
pub(crate) mod storage;
pub(crate) mod topics;
