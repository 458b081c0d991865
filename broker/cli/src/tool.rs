//! The tools, one file each, with the options, output and exit codes of Kafka's.

pub(crate) mod storage;
