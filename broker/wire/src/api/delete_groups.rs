//! DeleteGroups, key 42, versions 0-2.

use crate::{ErrorCode, Message};

/// The request of DeleteGroups.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsRequest {
    pub groups_names: Vec<String>,
}

/// The response of DeleteGroups.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DeletableGroupResult>,
}

/// One element of `results` in [`DeleteGroupsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeletableGroupResult {
    pub group_id: String,
    pub error_code: ErrorCode,
}
