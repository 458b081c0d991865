//! Records of configs, quotas, features and producer ids.

use crate::Message;

/// Record type 4.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ConfigRecord {
    pub resource_type: i8,
    pub resource_name: String,
    pub name: String,
    #[field(nullable = "0+")]
    pub value: Option<String>,
}

/// Record type 14.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ClientQuotaRecord {
    pub entity: Vec<EntityData>,
    pub key: String,
    pub value: f64,
    pub remove: bool,
}

/// One element of `entity` in [`ClientQuotaRecord`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EntityData {
    pub entity_type: String,
    #[field(nullable = "0+")]
    pub entity_name: Option<String>,
}

/// Record type 12.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct FeatureLevelRecord {
    pub name: String,
    pub feature_level: i16,
}

/// Record type 15.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ProducerIdsRecord {
    pub broker_id: i32,
    #[field(default = "-1")]
    pub broker_epoch: i64,
    pub next_producer_id: i64,
}
