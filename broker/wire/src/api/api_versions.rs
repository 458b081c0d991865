//! ApiVersions, key 18, versions 0-4.

use crate::{ErrorCode, Message};

/// The request of ApiVersions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "3+")]
pub struct ApiVersionsRequest {
    #[field(versions = "3+", ignorable)]
    pub client_software_name: String,
    #[field(versions = "3+", ignorable)]
    pub client_software_version: String,
}

/// The response of ApiVersions.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "3+")]
pub struct ApiVersionsResponse {
    pub error_code: ErrorCode,
    pub api_keys: Vec<ApiVersion>,
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[field(tag = 0, tagged = "3+", ignorable)]
    pub supported_features: Vec<SupportedFeatureKey>,
    #[field(tag = 1, tagged = "3+", default = "-1", ignorable)]
    pub finalized_features_epoch: i64,
    #[field(tag = 2, tagged = "3+", ignorable)]
    pub finalized_features: Vec<FinalizedFeatureKey>,
    #[field(tag = 3, tagged = "3+", ignorable)]
    pub zk_migration_ready: bool,
}

/// One element of `api_keys` in [`ApiVersionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ApiVersion {
    pub api_key: i16,
    pub min_version: i16,
    pub max_version: i16,
}

/// One element of `supported_features` in [`ApiVersionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct SupportedFeatureKey {
    #[field(versions = "3+")]
    pub name: String,
    #[field(versions = "3+")]
    pub min_version: i16,
    #[field(versions = "3+")]
    pub max_version: i16,
}

/// One element of `finalized_features` in [`ApiVersionsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FinalizedFeatureKey {
    #[field(versions = "3+")]
    pub name: String,
    #[field(versions = "3+")]
    pub max_version_level: i16,
    #[field(versions = "3+")]
    pub min_version_level: i16,
}
