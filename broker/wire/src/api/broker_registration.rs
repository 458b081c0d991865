//! BrokerRegistration, key 62, versions 0-4.

use crate::{ErrorCode, Message, Uuid};

/// The request of BrokerRegistration.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "0+")]
pub struct BrokerRegistrationRequest {
    pub broker_id: i32,
    pub cluster_id: String,
    pub incarnation_id: Uuid,
    pub listeners: Vec<Listener>,
    pub features: Vec<Feature>,
    #[field(nullable = "0+")]
    pub rack: Option<String>,
    #[field(versions = "1+")]
    pub is_migrating_zk_broker: bool,
    #[field(versions = "2+", ignorable)]
    pub log_dirs: Vec<Uuid>,
    #[field(versions = "3+", default = "-1", ignorable)]
    pub previous_broker_epoch: i64,
}

/// One element of `listeners` in [`BrokerRegistrationRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

/// One element of `features` in [`BrokerRegistrationRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Feature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

/// The response of BrokerRegistration.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "0+")]
pub struct BrokerRegistrationResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(default = "-1")]
    pub broker_epoch: i64,
}
