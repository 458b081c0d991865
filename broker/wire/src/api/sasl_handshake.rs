//! SaslHandshake, key 17, versions 0-1.

use crate::{ErrorCode, Message};

/// The request of SaslHandshake.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1")]
pub struct SaslHandshakeRequest {
    pub mechanism: String,
}

/// The response of SaslHandshake.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1")]
pub struct SaslHandshakeResponse {
    pub error_code: ErrorCode,
    pub mechanisms: Vec<String>,
}
