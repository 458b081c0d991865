//! AddRaftVoter, key 80, versions 0-1.

use crate::{ErrorCode, Message, Uuid};

/// The request of AddRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct AddRaftVoterRequest {
    #[field(nullable = "0+")]
    pub cluster_id: Option<String>,
    pub timeout_ms: i32,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub listeners: Vec<Listener>,
    #[field(versions = "1+", default = "true")]
    pub ack_when_committed: bool,
}

/// One element of `listeners` in [`AddRaftVoterRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// The response of AddRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct AddRaftVoterResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", ignorable)]
    pub error_message: Option<String>,
}
