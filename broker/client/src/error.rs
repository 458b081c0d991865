//! What can go wrong between a client and a cluster.

use std::sync::Arc;
use std::time::Duration;

use ottla_wire::record::RecordError;
use ottla_wire::{ApiKey, DecodeError, EncodeError, ErrorCode};

/// An error that a broker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// What the broker said about it, if it did.
    pub message: Option<String>,
}

impl ApiError {
    /// `Ok` for [`ErrorCode::NONE`], else the error.
    pub fn check(code: ErrorCode, message: Option<String>) -> Result<(), Self> {
        if code.is_none() { Ok(()) } else { Err(Self { code, message }) }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.message {
            Some(message) if !message.is_empty() => f.write_str(message),
            _ => write!(f, "{}", self.code),
        }
    }
}

impl std::error::Error for ApiError {}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A list of servers is not one.
    #[error("{0} is no HOST:PORT")]
    Address(String),
    /// A broker cannot be reached.
    #[error("cannot reach {address}: {source}")]
    Connect {
        /// Who was called.
        address: String,
        /// What the system says.
        source: Arc<std::io::Error>,
    },
    /// The connection ended before the answer came.
    #[error("the connection to {address} ended: {why}")]
    Disconnected {
        /// Who was at the other end.
        address: String,
        /// What ended it.
        why: String,
    },
    /// No answer came in time.
    #[error("no answer to {api} from {address} within {} ms", .within.as_millis())]
    NoAnswer {
        /// Who was asked.
        address: String,
        /// What was asked.
        api: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// The broker has no version of an API in common with this client.
    #[error("the broker at {address} does not offer {api:?} in a version known here")]
    Unsupported {
        /// Who was asked.
        address: String,
        /// What it lacks.
        api: ApiKey,
    },
    /// An answer cannot be read.
    #[error("an answer of {address} to {api} cannot be read: {source}")]
    Decode {
        /// Who answered.
        address: String,
        /// What was asked.
        api: &'static str,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A request cannot be written.
    #[error("a request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// An answer breaks the protocol.
    #[error("{address} broke the protocol: {what}")]
    Protocol {
        /// Who answered.
        address: String,
        /// What it did.
        what: &'static str,
    },
    /// The broker answered with an error.
    #[error("{0}")]
    Api(#[from] ApiError),
    /// A batch of records is broken.
    #[error("{partition} offset {offset}: {source}")]
    Records {
        /// Where it lies.
        partition: crate::TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A record cannot be sent, whatever the broker says.
    #[error("a record cannot be sent: {0}")]
    Record(#[from] RecordError),
    /// Tried until the time was up; the last failure.
    #[error("not done within {} ms: {last}", .within.as_millis())]
    Deadline {
        /// How long was tried.
        within: Duration,
        /// Why the last try failed.
        last: Box<ClientError>,
    },
    /// The partition has no leader now.
    #[error("{0} has no leader")]
    NoLeader(crate::TopicPartition),
    /// There is no such broker in the cluster.
    #[error("broker {0} is not in the cluster")]
    NoBroker(i32),
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::NoAnswer { .. }
            | Self::NoLeader(_)
            | Self::NoBroker(_) => true,
            Self::Api(error) => error.code.is_retriable(),
            _ => false,
        }
    }

    /// The broker's code, if it is a broker's error.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Api(error) => Some(error.code),
            Self::Deadline { last, .. } => last.code(),
            _ => None,
        }
    }
}
