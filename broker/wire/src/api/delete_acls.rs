//! DeleteAcls, key 31, versions 1-3.

use crate::{ErrorCode, Message};

/// The request of DeleteAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DeleteAclsRequest {
    pub filters: Vec<DeleteAclsFilter>,
}

/// One element of `filters` in [`DeleteAclsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteAclsFilter {
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

/// The response of DeleteAcls.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DeleteAclsResponse {
    pub throttle_time_ms: i32,
    pub filter_results: Vec<DeleteAclsFilterResult>,
}

/// One element of `filter_results` in [`DeleteAclsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteAclsFilterResult {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub matching_acls: Vec<DeleteAclsMatchingAcl>,
}

/// One element of `filter_results.matching_acls` in [`DeleteAclsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteAclsMatchingAcl {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
    #[field(versions = "1+", default = "3")]
    pub pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission_type: i8,
}
