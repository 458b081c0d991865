//! The controller as its shell sees it: commands in, records and replies out.

mod brokers;
mod common;
mod topics;
