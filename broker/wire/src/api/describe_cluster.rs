//! DescribeCluster, key 60, versions 0-2.

use crate::{ErrorCode, Message};

/// The request of DescribeCluster.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeClusterRequest {
    pub include_cluster_authorized_operations: bool,
    #[field(versions = "1+", default = "1")]
    pub endpoint_type: i8,
    #[field(versions = "2+")]
    pub include_fenced_brokers: bool,
}

/// The response of DescribeCluster.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeClusterResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[field(versions = "1+", default = "1")]
    pub endpoint_type: i8,
    pub cluster_id: String,
    #[field(default = "-1")]
    pub controller_id: i32,
    pub brokers: Vec<DescribeClusterBroker>,
    #[field(default = "-2147483648")]
    pub cluster_authorized_operations: i32,
}

/// One element of `brokers` in [`DescribeClusterResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClusterBroker {
    pub broker_id: i32,
    pub host: String,
    pub port: i32,
    #[field(nullable = "0+", default = "null")]
    pub rack: Option<String>,
    #[field(versions = "2+")]
    pub is_fenced: bool,
}
