//! The headers of requests and responses.

use super::ApiKey;
use crate::{DecodeError, DecodeErrorKind, Decoder, Message};

/// What stands before every request.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "2+")]
pub struct RequestHeader {
    pub request_api_key: i16,
    pub request_api_version: i16,
    pub correlation_id: i32,
    #[field(versions = "1+", nullable = "1+", flexible = "none")]
    pub client_id: Option<String>,
}

/// What stands before every response.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct ResponseHeader {
    pub correlation_id: i32,
}

impl RequestHeader {
    /// Reads the header at the beginning of a frame, in the version that the request's key and
    /// version call for.
    ///
    /// The version may be one that is not served: ApiVersions is answered even then (KIP-511).
    pub fn decode_at_start(d: &mut Decoder) -> Result<(ApiKey, Self), DecodeError> {
        let [a, b, c, e] = d.peek()?;
        let (code, version) = (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, e]));
        let key = ApiKey::from_code(code).ok_or_else(|| d.fail(DecodeErrorKind::ApiKey(code)))?;
        let header = key.spec().request_header(version);
        Ok((key, Self::decode(d, header)?))
    }
}
