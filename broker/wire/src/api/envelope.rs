//! Envelope, key 58, versions 0.

use crate::{ErrorCode, Message};
use bytes::Bytes;

/// The request of Envelope.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct EnvelopeRequest {
    pub request_data: Bytes,
    #[field(nullable = "0+")]
    pub request_principal: Option<Bytes>,
    pub client_host_address: Bytes,
}

/// The response of Envelope.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct EnvelopeResponse {
    #[field(nullable = "0+", default = "null")]
    pub response_data: Option<Bytes>,
    pub error_code: ErrorCode,
}
