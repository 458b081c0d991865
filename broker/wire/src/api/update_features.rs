//! UpdateFeatures, key 57, versions 0-2.

use crate::{ErrorCode, Message};

/// The request of UpdateFeatures.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct UpdateFeaturesRequest {
    #[field(default = "60000")]
    pub timeout_ms: i32,
    pub feature_updates: Vec<FeatureUpdateKey>,
    #[field(versions = "1+")]
    pub validate_only: bool,
}

/// One element of `feature_updates` in [`UpdateFeaturesRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct FeatureUpdateKey {
    pub feature: String,
    pub max_version_level: i16,
    #[field(versions = "0")]
    pub allow_downgrade: bool,
    #[field(versions = "1+", default = "1")]
    pub upgrade_type: i8,
}

/// The response of UpdateFeatures.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct UpdateFeaturesResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    #[field(versions = "0-1", ignorable)]
    pub results: Vec<UpdatableFeatureResult>,
}

/// One element of `results` in [`UpdateFeaturesResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct UpdatableFeatureResult {
    pub feature: String,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
}
