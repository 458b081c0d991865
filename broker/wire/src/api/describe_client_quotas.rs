//! DescribeClientQuotas, key 48, versions 0-1.

use crate::{ErrorCode, Message};

/// The request of DescribeClientQuotas.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct DescribeClientQuotasRequest {
    pub components: Vec<ComponentData>,
    pub strict: bool,
}

/// One element of `components` in [`DescribeClientQuotasRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ComponentData {
    pub entity_type: String,
    pub match_type: i8,
    #[field(nullable = "0+")]
    pub r#match: Option<String>,
}

/// The response of DescribeClientQuotas.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct DescribeClientQuotasResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    #[field(nullable = "0+")]
    pub entries: Option<Vec<EntryData>>,
}

/// One element of `entries` in [`DescribeClientQuotasResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EntryData {
    pub entity: Vec<EntityData>,
    pub values: Vec<ValueData>,
}

/// One element of `entries.entity` in [`DescribeClientQuotasResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EntityData {
    pub entity_type: String,
    #[field(nullable = "0+")]
    pub entity_name: Option<String>,
}

/// One element of `entries.values` in [`DescribeClientQuotasResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ValueData {
    pub key: String,
    pub value: f64,
}
