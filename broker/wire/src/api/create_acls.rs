//! CreateAcls, key 30, versions 1-3.

use crate::{ErrorCode, Message};

/// The request of CreateAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct CreateAclsRequest {
    pub creations: Vec<AclCreation>,
}

/// One element of `creations` in [`CreateAclsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AclCreation {
    pub resource_type: i8,
    pub resource_name: String,
    #[field(versions = "1+", default = "3")]
    pub resource_pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission_type: i8,
}

/// The response of CreateAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct CreateAclsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<AclCreationResult>,
}

/// One element of `results` in [`CreateAclsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AclCreationResult {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
}
