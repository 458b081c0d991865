//! LeaveGroup, key 13, versions 0-5.

use crate::{ErrorCode, Message};

/// The request of LeaveGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct LeaveGroupRequest {
    pub group_id: String,
    #[field(versions = "0-2")]
    pub member_id: String,
    #[field(versions = "3+")]
    pub members: Vec<MemberIdentity>,
}

/// One element of `members` in [`LeaveGroupRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct MemberIdentity {
    #[field(versions = "3+")]
    pub member_id: String,
    #[field(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
    #[field(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub reason: Option<String>,
}

/// The response of LeaveGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct LeaveGroupResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(versions = "3+")]
    pub members: Vec<MemberResponse>,
}

/// One element of `members` in [`LeaveGroupResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct MemberResponse {
    #[field(versions = "3+")]
    pub member_id: String,
    #[field(versions = "3+", nullable = "3+")]
    pub group_instance_id: Option<String>,
    #[field(versions = "3+")]
    pub error_code: ErrorCode,
}
