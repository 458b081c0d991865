//! AlterClientQuotas, key 49, versions 0-1.

use crate::{ErrorCode, Message};

/// The request of AlterClientQuotas.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct AlterClientQuotasRequest {
    pub entries: Vec<AlterClientQuotasRequestEntryData>,
    pub validate_only: bool,
}

/// One element of `entries` in [`AlterClientQuotasRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasRequestEntryData {
    pub entity: Vec<AlterClientQuotasRequestEntityData>,
    pub ops: Vec<OpData>,
}

/// One element of `entries.entity` in [`AlterClientQuotasRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasRequestEntityData {
    pub entity_type: String,
    #[field(nullable = "0+")]
    pub entity_name: Option<String>,
}

/// One element of `entries.ops` in [`AlterClientQuotasRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct OpData {
    pub key: String,
    pub value: f64,
    pub remove: bool,
}

/// The response of AlterClientQuotas.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct AlterClientQuotasResponse {
    pub throttle_time_ms: i32,
    pub entries: Vec<AlterClientQuotasResponseEntryData>,
}

/// One element of `entries` in [`AlterClientQuotasResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasResponseEntryData {
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub entity: Vec<AlterClientQuotasResponseEntityData>,
}

/// One element of `entries.entity` in [`AlterClientQuotasResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasResponseEntityData {
    pub entity_type: String,
    #[field(nullable = "0+")]
    pub entity_name: Option<String>,
}
