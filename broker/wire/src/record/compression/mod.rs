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

/// Most memory that a [`Workspace`] keeps of one kind: what an ordinary batch needs.
const KEPT: usize = 4 << 20;

/// Buffers and states which decompression needs, kept from one batch to the next: making them
/// costs more than decompressing a small batch does.
#[derive(Debug, Default)]
pub struct Workspace {
    buffer: Vec<u8>,
    zstd: Option<zstd::Context>,
}

/// A stream of decompressed bytes. Its buffer is at most 4 MiB (one LZ4 block) except where a
/// snappy block without framing is larger; what it gives in all is bounded by a limit.
#[derive(Debug)]
pub struct Decompressor<'a> {
    stream: Stream<'a>,
    /// Grows to the size of a chunk and stays so.
    buffer: Vec<u8>,
    /// Bytes of the buffer that are the current chunk, and how many of them were consumed.
    filled: usize,
    consumed: usize,
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
        Self::open(&mut Workspace::default(), codec, input, limit, checksum)
    }

    /// Takes what it needs out of `workspace`; [`Decompressor::close`] puts it back.
    pub(crate) fn open(
        workspace: &mut Workspace,
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
            Compression::Zstd => {
                Stream::Zstd(Box::new(zstd::Reader::new(input, workspace.zstd.take())?))
            }
        };
        let buffer = std::mem::take(&mut workspace.buffer);
        Ok(Self { stream, buffer, filled: 0, consumed: 0, left: limit, limit })
    }

    /// Puts buffer and state back for the next batch, unless they have grown large.
    pub(crate) fn close(self, workspace: &mut Workspace) {
        if self.buffer.capacity() <= KEPT {
            workspace.buffer = self.buffer;
        }
        if let Stream::Zstd(reader) = self.stream {
            workspace.zstd = Some(reader.into_context()).filter(|c| c.size() <= KEPT);
        }
    }

    /// What was decompressed and not yet consumed; decompresses more when that is nothing.
    /// Empty only at the end.
    pub fn fill(&mut self) -> Result<&[u8], RecordError> {
        if self.consumed == self.filled {
            self.consumed = 0;
            // Set before a fault can be seen, so that no stale chunk is given after it.
            self.filled = 0;
            let n = self.read()?;
            let limit = self.limit;
            self.left =
                self.left.checked_sub(n).ok_or(RecordError::DecompressedTooLarge { limit })?;
            self.filled = n;
        }
        Ok(self.buffer.get(self.consumed..self.filled).unwrap_or_default())
    }

    /// Marks `n` bytes of what [`Decompressor::fill`] gave as consumed.
    pub fn consume(&mut self, n: usize) {
        self.consumed = self.consumed.saturating_add(n).min(self.filled);
    }

    /// Puts the next chunk at the buffer's start.
    fn read(&mut self) -> Result<usize, RecordError> {
        match &mut self.stream {
            Stream::Plain(rest) => {
                let n = rest.len().min(CHUNK);
                let (chunk, behind) = rest.split_at(n);
                *rest = behind;
                self.buffer.clear();
                self.buffer.extend_from_slice(chunk);
                Ok(n)
            }
            Stream::Gzip(reader) => reader.read(&mut self.buffer),
            Stream::Snappy(reader) => reader.read(&mut self.buffer, self.left, self.limit),
            Stream::Lz4(reader) => reader.read(&mut self.buffer),
            Stream::Zstd(reader) => reader.read(&mut self.buffer),
        }
    }
}

/// Makes a buffer at least that long.
fn grow(buffer: &mut Vec<u8>, size: usize) {
    if buffer.len() < size {
        buffer.resize(size, 0);
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
        let chunk = stream.fill()?;
        if chunk.is_empty() {
            return Ok(out);
        }
        out.extend_from_slice(chunk);
        let n = chunk.len();
        stream.consume(n);
    }
}

/// The error of input that is not what its codec allows.
fn corrupt(codec: Compression, what: &'static str) -> RecordError {
    RecordError::Corrupt { codec: codec.name(), what }
}

#[cfg(test)]
mod tests;
