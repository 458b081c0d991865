//! The controller as its shell sees it: commands in, records and replies out.

mod brokers;
mod common;
mod configs;
mod features;
mod laws;
mod partitions;
mod quotas;
mod security;
mod topics;
