//! The four codecs: streams of bounded chunks when reading, whole blocks when writing.
//!
//! Invariant: memory follows what the input can really hold, never a size that it claims, and
//! output stops at a limit that the caller names.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use super::{Compression, RecordError};

/// What a decompressor hands out at a time where the format has no block size of its own.
const CHUNK: usize = 32 * 1024;

/// How a batch is to be compressed: a codec and, where it has them, a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Compressor {
    codec: Compression,
    level: Option<i32>,
}

impl Compressor {
    /// No compression.
    pub const NONE: Self = Self { codec: Compression::None, level: None };

    /// The codec at its default level.
    pub fn new(codec: Compression) -> Self {
        Self { codec, level: None }
    }

    /// The codec at a level: gzip 1 to 9 or -1 for its default, lz4 1 to 17 with 9 for its fast
    /// mode, zstd -131072 to 22. Levels outside are drawn to the nearest (KIP-390). None and
    /// snappy have no levels.
    pub fn with_level(codec: Compression, level: i32) -> Self {
        Self { codec, level: Some(level) }
    }

    /// The codec.
    pub fn codec(self) -> Compression {
        self.codec
    }

    /// Compresses the whole of `input`.
    pub fn compress(self, input: &[u8]) -> Result<Vec<u8>, RecordError> {
        match self.codec {
            Compression::None => Ok(input.to_vec()),
            Compression::Gzip => gzip::compress(input, self.level),
            Compression::Snappy => snappy::compress(input),
            Compression::Lz4 => lz4::compress(input, self.level),
            Compression::Zstd => zstd::compress(input, self.level),
        }
    }
}

impl From<Compression> for Compressor {
    fn from(codec: Compression) -> Self {
        Self::new(codec)
    }
}

/// Whether an LZ4 frame's header checksum has to be right. Producers of message format 0
/// computed it over the wrong bytes (KIP-57).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lz4HeaderChecksum {
    /// As the frame format says.
    #[default]
    Checked,
    /// Not looked at.
    Ignored,
}

#[derive(Debug)]
enum Stream<'a> {
    Plain(&'a [u8]),
    Gzip(Box<gzip::Reader<'a>>),
    Snappy(snappy::Reader<'a>),
    Lz4(lz4::Reader<'a>),
    Zstd(Box<zstd::Reader<'a>>),
}

/// A stream of decompressed bytes, in chunks of at most 4 MiB (one LZ4 block) except where a
/// snappy block without framing is larger; what it gives in all is bounded by a limit.
#[derive(Debug)]
pub struct Decompressor<'a> {
    stream: Stream<'a>,
    /// Bytes that may still come.
    left: usize,
    limit: usize,
}

impl<'a> Decompressor<'a> {
    /// Decompresses `input`, which gives an error once it would give more than `limit` bytes.
    pub fn new(codec: Compression, input: &'a [u8], limit: usize) -> Result<Self, RecordError> {
        Self::with_lz4_checksum(codec, input, limit, Lz4HeaderChecksum::Checked)
    }

    /// The same for the old message formats.
    pub fn with_lz4_checksum(
        codec: Compression,
        input: &'a [u8],
        limit: usize,
        checksum: Lz4HeaderChecksum,
    ) -> Result<Self, RecordError> {
        let stream = match codec {
            Compression::None => Stream::Plain(input),
            Compression::Gzip => Stream::Gzip(Box::new(gzip::Reader::new(input))),
            Compression::Snappy => Stream::Snappy(snappy::Reader::new(input)),
            Compression::Lz4 => Stream::Lz4(lz4::Reader::new(input, checksum)?),
            Compression::Zstd => Stream::Zstd(Box::new(zstd::Reader::new(input)?)),
        };
        Ok(Self { stream, left: limit, limit })
    }

    /// The next bytes, until the next call; empty at the end, and after it.
    pub fn next_chunk(&mut self) -> Result<&[u8], RecordError> {
        let chunk = match &mut self.stream {
            Stream::Plain(rest) => std::mem::take(rest),
            Stream::Gzip(reader) => reader.next_chunk()?,
            Stream::Snappy(reader) => reader.next_chunk(self.left, self.limit)?,
            Stream::Lz4(reader) => reader.next_chunk()?,
            Stream::Zstd(reader) => reader.next_chunk()?,
        };
        match self.left.checked_sub(chunk.len()) {
            Some(left) => self.left = left,
            None => return Err(RecordError::DecompressedTooLarge { limit: self.limit }),
        }
        Ok(chunk)
    }
}

/// Decompresses the whole of `input`; an error when that gives more than `limit` bytes.
pub fn decompress(codec: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, RecordError> {
    decompress_with(Decompressor::new(codec, input, limit)?)
}

/// Collects what a stream gives.
pub(crate) fn decompress_with(mut stream: Decompressor<'_>) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::new();
    loop {
        let chunk = stream.next_chunk()?;
        if chunk.is_empty() {
            return Ok(out);
        }
        out.extend_from_slice(chunk);
    }
}

/// The error of input that is not what its codec allows.
fn corrupt(codec: Compression, what: &'static str) -> RecordError {
    RecordError::Corrupt { codec: codec.name(), what }
}

#[cfg(test)]
mod tests;
