//! ListGroups, key 16, versions 0-5.

use crate::{ErrorCode, Message};

/// The request of ListGroups.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ListGroupsRequest {
    #[field(versions = "4+")]
    pub states_filter: Vec<String>,
    #[field(versions = "5+")]
    pub types_filter: Vec<String>,
}

/// The response of ListGroups.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ListGroupsResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub groups: Vec<ListedGroup>,
}

/// One element of `groups` in [`ListGroupsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListedGroup {
    pub group_id: String,
    pub protocol_type: String,
    #[field(versions = "4+", ignorable)]
    pub group_state: String,
    #[field(versions = "5+", ignorable)]
    pub group_type: String,
}
