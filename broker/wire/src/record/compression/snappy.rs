//! Snappy: blocks in the framing of the Java library, or one block without any.

use super::{corrupt, grow};
use crate::record::{Compression, RecordError};

/// First bytes of the framing: a magic, then two versions of 4 bytes each.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: usize = 16;
/// What the Java library writes behind the magic: version 1, readable since version 1.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

/// Bytes of input in a block that we write, as the Java library does by default.
const BLOCK: usize = 32 * 1024;

/// No snappy element gives more than 64 bytes for the 3 it takes.
const MAX_RATIO: usize = 22;

#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    framed: bool,
    decoder: snap::raw::Decoder,
}

fn error(what: &'static str) -> RecordError {
    corrupt(Compression::Snappy, what)
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let framed = input.len() >= HEADER && input.starts_with(&MAGIC);
        let rest = if framed { input.get(HEADER..).unwrap_or_default() } else { input };
        Self { rest, framed, decoder: snap::raw::Decoder::new() }
    }

    fn next_block(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.framed {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        // Streams may be joined: a header in the place of a length starts another.
        while self.rest.len() >= HEADER && self.rest.starts_with(&MAGIC) {
            self.rest = self.rest.get(HEADER..).unwrap_or_default();
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_first_chunk().ok_or(error("ends within a length"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| error("block of negative length"))?;
        let (block, rest) = rest.split_at_checked(length).ok_or(error("ends within a block"))?;
        self.rest = rest;
        Ok(Some(block))
    }

    /// Where a block would give more than `left`, the error names `limit`.
    pub(super) fn read(
        &mut self,
        out: &mut Vec<u8>,
        left: usize,
        limit: usize,
    ) -> Result<usize, RecordError> {
        while let Some(block) = self.next_block()? {
            let size = snap::raw::decompress_len(block).map_err(|_| error("bad block header"))?;
            if size > block.len().saturating_mul(MAX_RATIO) {
                return Err(error("claims more than it can hold"));
            }
            if size > left {
                return Err(RecordError::DecompressedTooLarge { limit });
            }
            grow(out, size);
            let n = self.decoder.decompress(block, out).map_err(|_| error("bad block"))?;
            if n > 0 {
                return Ok(n);
            }
        }
        Ok(0)
    }
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = Vec::with_capacity(HEADER + input.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSIONS);
    for block in input.chunks(BLOCK) {
        let packed = encoder.compress_vec(block).map_err(|_| error("compressor failed"))?;
        out.extend_from_slice(&(packed.len() as i32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}
