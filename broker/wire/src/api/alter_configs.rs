//! AlterConfigs, key 33, versions 0-2.

use crate::{ErrorCode, Message};

/// The request of AlterConfigs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct AlterConfigsRequest {
    pub resources: Vec<AlterConfigsResource>,
    pub validate_only: bool,
}

/// One element of `resources` in [`AlterConfigsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterConfigsResource {
    pub resource_type: i8,
    pub resource_name: String,
    pub configs: Vec<AlterableConfig>,
}

/// One element of `resources.configs` in [`AlterConfigsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterableConfig {
    pub name: String,
    #[field(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of AlterConfigs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct AlterConfigsResponse {
    pub throttle_time_ms: i32,
    pub responses: Vec<AlterConfigsResourceResponse>,
}

/// One element of `responses` in [`AlterConfigsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterConfigsResourceResponse {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
}
