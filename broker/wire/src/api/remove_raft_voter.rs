//! RemoveRaftVoter, key 81, versions 0.

use crate::{ErrorCode, Message, Uuid};

/// The request of RemoveRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoveRaftVoterRequest {
    #[field(nullable = "0+")]
    pub cluster_id: Option<String>,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
}

/// The response of RemoveRaftVoter.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RemoveRaftVoterResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", ignorable)]
    pub error_message: Option<String>,
}
