//! Records of brokers and controllers.

use crate::{Message, Uuid};

/// Record type 0.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "0+")]
pub struct RegisterBrokerRecord {
    pub broker_id: i32,
    #[field(versions = "2+")]
    pub is_migrating_zk_broker: bool,
    pub incarnation_id: Uuid,
    pub broker_epoch: i64,
    pub end_points: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    #[field(nullable = "0+")]
    pub rack: Option<String>,
    #[field(default = "true")]
    pub fenced: bool,
    #[field(versions = "1+")]
    pub in_controlled_shutdown: bool,
    #[field(tag = 0, tagged = "3+")]
    pub log_dirs: Vec<Uuid>,
    #[field(tag = 1, tagged = "4+", nullable = "4+", default = "null")]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// One element of `end_points` in [`RegisterBrokerRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BrokerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

/// One element of `features` in [`RegisterBrokerRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct BrokerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

/// Record type 1.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct UnregisterBrokerRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
}

/// Record type 7.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct FenceBrokerRecord {
    pub id: i32,
    pub epoch: i64,
}

/// Record type 8.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct UnfenceBrokerRecord {
    pub id: i32,
    pub epoch: i64,
}

/// Record type 17.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3", flexible = "0+")]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    #[field(tag = 0, tagged = "0+")]
    pub fenced: i8,
    #[field(tag = 1, tagged = "1+")]
    pub in_controlled_shutdown: i8,
    #[field(tag = 2, tagged = "2+")]
    pub log_dirs: Vec<Uuid>,
    #[field(tag = 3, tagged = "3+", nullable = "3+", default = "null")]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// Record type 27.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct RegisterControllerRecord {
    pub controller_id: i32,
    pub incarnation_id: Uuid,
    pub zk_migration_ready: bool,
    pub end_points: Vec<ControllerEndpoint>,
    pub features: Vec<ControllerFeature>,
}

/// One element of `end_points` in [`RegisterControllerRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ControllerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

/// One element of `features` in [`RegisterControllerRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ControllerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}
