//! DescribeDelegationToken, key 41, versions 1-3.

use crate::{ErrorCode, Message};
use bytes::Bytes;

/// The request of DescribeDelegationToken.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DescribeDelegationTokenRequest {
    #[field(nullable = "0+")]
    pub owners: Option<Vec<DescribeDelegationTokenOwner>>,
}

/// One element of `owners` in [`DescribeDelegationTokenRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeDelegationTokenOwner {
    pub principal_type: String,
    pub principal_name: String,
}

/// The response of DescribeDelegationToken.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-3", flexible = "2+")]
pub struct DescribeDelegationTokenResponse {
    pub error_code: ErrorCode,
    pub tokens: Vec<DescribedDelegationToken>,
    pub throttle_time_ms: i32,
}

/// One element of `tokens` in [`DescribeDelegationTokenResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedDelegationToken {
    pub principal_type: String,
    pub principal_name: String,
    #[field(versions = "3+")]
    pub token_requester_principal_type: String,
    #[field(versions = "3+")]
    pub token_requester_principal_name: String,
    pub issue_timestamp: i64,
    pub expiry_timestamp: i64,
    pub max_timestamp: i64,
    pub token_id: String,
    pub hmac: Bytes,
    pub renewers: Vec<DescribedDelegationTokenRenewer>,
}

/// One element of `tokens.renewers` in [`DescribeDelegationTokenResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedDelegationTokenRenewer {
    pub principal_type: String,
    pub principal_name: String,
}
