//! DescribeAcls, key 29, versions 1-3.

use crate::{ErrorCode, Message};

/// The request of DescribeAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DescribeAclsRequest {
    pub resource_type_filter: i8,
    #[field(nullable = "0+")]
    pub resource_name_filter: Option<String>,
    #[field(versions = "1+", default = "3")]
    pub pattern_type_filter: i8,
    #[field(nullable = "0+")]
    pub principal_filter: Option<String>,
    #[field(nullable = "0+")]
    pub host_filter: Option<String>,
    pub operation: i8,
    pub permission_type: i8,
}

/// The response of DescribeAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DescribeAclsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub resources: Vec<DescribeAclsResource>,
}

/// One element of `resources` in [`DescribeAclsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeAclsResource {
    pub resource_type: i8,
    pub resource_name: String,
    #[field(versions = "1+", default = "3")]
    pub pattern_type: i8,
    pub acls: Vec<AclDescription>,
}

/// One element of `resources.acls` in [`DescribeAclsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AclDescription {
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission_type: i8,
}
