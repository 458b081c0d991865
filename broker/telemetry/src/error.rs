//! What can be wrong with pushed metrics.

use ottla_wire::record::RecordError;

/// Why pushed metrics cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// They cannot be decompressed, or give more than may be pushed.
    #[error(transparent)]
    Compression(#[from] RecordError),
    /// They are no OTLP `MetricsData`.
    #[error("no OTLP metrics: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// They are of more pieces than are taken apart.
    #[error("more than {limit} messages and texts")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// Their messages lie in one another too deep, or are cut off.
    #[error("{0}")]
    Malformed(&'static str),
}
