//! AlterUserScramCredentials, key 51, versions 0.

use crate::{ErrorCode, Message};
use bytes::Bytes;

/// The request of AlterUserScramCredentials.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AlterUserScramCredentialsRequest {
    pub deletions: Vec<ScramCredentialDeletion>,
    pub upsertions: Vec<ScramCredentialUpsertion>,
}

/// One element of `deletions` in [`AlterUserScramCredentialsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ScramCredentialDeletion {
    pub name: String,
    pub mechanism: i8,
}

/// One element of `upsertions` in [`AlterUserScramCredentialsRequest`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ScramCredentialUpsertion {
    pub name: String,
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

/// The response of AlterUserScramCredentials.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct AlterUserScramCredentialsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<AlterUserScramCredentialsResult>,
}

/// One element of `results` in [`AlterUserScramCredentialsResponse`].
#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterUserScramCredentialsResult {
    pub user: String,
    pub error_code: ErrorCode,
    #[field(nullable = "0+")]
    pub error_message: Option<String>,
}
