//! DescribeConfigs, key 32, versions 1-4.

use crate::{ErrorCode, Message};

/// The request of DescribeConfigs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsRequest {
    pub resources: Vec<DescribeConfigsResource>,
    #[field(versions = "1+")]
    pub include_synonyms: bool,
    #[field(versions = "3+")]
    pub include_documentation: bool,
}

/// One element of `resources` in [`DescribeConfigsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResource {
    pub resource_type: i8,
    pub resource_name: String,
    #[field(nullable = "0+")]
    pub configuration_keys: Option<Vec<String>>,
}

/// The response of DescribeConfigs.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DescribeConfigsResult>,
}

/// One element of `results` in [`DescribeConfigsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResult {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
    pub configs: Vec<DescribeConfigsResourceResult>,
}

/// One element of `results.configs` in [`DescribeConfigsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResourceResult {
    pub name: String,
    #[field(nullable = "0+")]
    pub value: Option<String>,
    pub read_only: bool,
    #[field(versions = "1+", default = "-1", ignorable)]
    pub config_source: i8,
    pub is_sensitive: bool,
    #[field(versions = "1+", ignorable)]
    pub synonyms: Vec<DescribeConfigsSynonym>,
    #[field(versions = "3+", ignorable)]
    pub config_type: i8,
    #[field(versions = "3+", nullable = "0+", ignorable)]
    pub documentation: Option<String>,
}

/// One element of `results.configs.synonyms` in [`DescribeConfigsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsSynonym {
    #[field(versions = "1+")]
    pub name: String,
    #[field(versions = "1+", nullable = "0+")]
    pub value: Option<String>,
    #[field(versions = "1+")]
    pub source: i8,
}
