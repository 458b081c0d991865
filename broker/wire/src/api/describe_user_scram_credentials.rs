//! DescribeUserScramCredentials, key 50, versions 0.

use crate::{ErrorCode, Message};

/// The request of DescribeUserScramCredentials.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeUserScramCredentialsRequest {
    #[field(nullable = "0+")]
    pub users: Option<Vec<UserName>>,
}

/// One element of `users` in [`DescribeUserScramCredentialsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct UserName {
    pub name: String,
}

/// The response of DescribeUserScramCredentials.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeUserScramCredentialsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub results: Vec<DescribeUserScramCredentialsResult>,
}

/// One element of `results` in [`DescribeUserScramCredentialsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeUserScramCredentialsResult {
    pub user: String,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
    pub credential_infos: Vec<CredentialInfo>,
}

/// One element of `results.credential_infos` in [`DescribeUserScramCredentialsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct CredentialInfo {
    pub mechanism: i8,
    pub iterations: i32,
}
