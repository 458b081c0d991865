//! ListConfigResources, key 74, versions 0-1.

use crate::{ErrorCode, Message};

/// The request of ListConfigResources.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ListConfigResourcesRequest {
    #[field(versions = "1+")]
    pub resource_types: Vec<i8>,
}

/// The response of ListConfigResources.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
pub struct ListConfigResourcesResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub config_resources: Vec<ConfigResource>,
}

/// One element of `config_resources` in [`ListConfigResourcesResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConfigResource {
    pub resource_name: String,
    #[field(versions = "1+", default = "16", ignorable)]
    pub resource_type: i8,
}
