//! What a request is refused with.

use ottla_wire::ErrorCode;
use thiserror::Error;

/// An error as a client sees it: a code and perhaps a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code:?}: {}", message.as_deref().unwrap_or("no message"))]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The message, where there is more to say than the code does.
    pub message: Option<String>,
}

impl ApiError {
    /// An error with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// An error that its code says all of.
    #[must_use]
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// Code and message of a result; no error is code 0.
    pub fn parts<T>(result: Result<T, Self>) -> (ErrorCode, Option<String>) {
        match result {
            Ok(_) => (ErrorCode::NONE, None),
            Err(e) => (e.code, e.message),
        }
    }
}
