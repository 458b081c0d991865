//! What can go wrong between bytes and values.

use thiserror::Error;

/// Bytes that are not the message they should be. The peer's fault, always.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at byte {position} of {message}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The byte of the frame, counted from 0, where it was seen.
    pub position: usize,
    /// The message being read, or "the frame".
    pub message: &'static str,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The frame ends before the value does.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// Bytes the value takes.
        needed: usize,
        /// Bytes left in the frame, or in the tagged field.
        left: usize,
    },
    /// A length below -1, or above what its type allows.
    #[error("length {0} out of bounds")]
    Length(i64),
    /// An array longer than the bytes left could hold.
    #[error("array of {count} elements in {left} bytes")]
    Count {
        /// Elements the array claims to have.
        count: usize,
        /// Bytes left in the frame, or in the tagged field.
        left: usize,
    },
    /// Null where the version has none.
    #[error("null in a field that cannot be null")]
    Null,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A varint of more bits than its type has.
    #[error("varint too long")]
    Varint,
    /// Bytes left where there should be none.
    #[error("{0} bytes left over")]
    Trailing(usize),
    /// The message has no such version.
    #[error("no version {0}")]
    Version(i16),
    /// There is no API with this key.
    #[error("no api key {0}")]
    ApiKey(i16),
    /// The family of records has no such type.
    #[error("no record type {0}")]
    RecordType(u32),
    /// The frame around a record is of a version unknown here.
    #[error("no record frame version {0}")]
    FrameVersion(u32),
}

impl DecodeError {
    /// An error at a byte of the frame.
    pub fn new(kind: DecodeErrorKind, position: usize) -> Self {
        Self { kind, position, message: "the frame" }
    }

    /// The same error, said of a message.
    #[must_use]
    pub fn within(self, message: &'static str) -> Self {
        Self { message, ..self }
    }
}

/// A value that cannot be written. Our own fault, or a peer's version that is too old for what must
/// be said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    Version {
        /// The message's name.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field that this version lacks holds something else than its default, and may not be left
    /// out.
    #[error("{message} cannot carry {field} in version {version}")]
    Unsupported {
        /// The struct's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null in a field that cannot be null in this version.
    #[error("{field} is null, which version {version} cannot carry")]
    Null {
        /// The field's name.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string of more than 32,767 bytes, or something of more than 2 GiB.
    #[error("a value of {len} bytes is too long")]
    TooLong {
        /// The value's length.
        len: usize,
    },
    /// Bytes that are only promised, where all bytes are needed.
    #[error("records come from a file where bytes are needed")]
    Hole,
}
