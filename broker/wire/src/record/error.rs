//! What can be wrong with the bytes of a batch.

/// A fault in bytes which claim to be record batches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end before the header or the batch does.
    #[error("truncated: {needed} bytes needed, {available} there")]
    Truncated {
        /// Bytes that the structure takes.
        needed: usize,
        /// Bytes that were given.
        available: usize,
    },
    /// The length field is smaller than the header that it covers.
    #[error("batch length {length} is below the minimum of {minimum}")]
    BadLength {
        /// The length field as read.
        length: i32,
        /// The smallest length that is allowed for this magic.
        minimum: i32,
    },
    /// The magic byte names no known message format, or one that is not allowed here.
    #[error("unsupported magic {0}")]
    UnsupportedMagic(i8),
    /// The checksum in the header is not the one of the bytes.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    WrongCrc {
        /// The checksum field as read.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The codec bits of the attributes name no known codec.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    /// A record's structure is broken.
    #[error("malformed record: {0}")]
    Malformed(&'static str),
    /// Compressed bytes are not what their codec allows.
    #[error("corrupt {codec} data: {what}")]
    Corrupt {
        /// Name of the codec.
        codec: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Decompression would give more than is allowed.
    #[error("decompresses to more than {limit} bytes")]
    DecompressedTooLarge {
        /// The number of bytes that were allowed.
        limit: usize,
    },
    /// A batch under construction does not fit into the format's fields.
    #[error("batch does not fit the format: {0}")]
    DoesNotFit(&'static str),
}
