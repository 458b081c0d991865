//! The records that Kafka keeps in its own topics and files, and the messages that clients hide in
//! byte fields.

// The attributes of a field say what the schema says of it; a sentence for each would only repeat
// its name.
#![allow(missing_docs)]

pub mod consumer_protocol;
mod family;
pub mod group;
pub mod log;
pub mod metadata;
pub mod principal;
pub mod raft;
pub mod remote_log;
pub mod share;
pub mod txn;
