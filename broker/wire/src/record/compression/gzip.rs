//! Gzip (RFC 1952): one member or several in a row.

use std::io::{Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::{CHUNK, corrupt, grow};
use crate::record::{Compression, RecordError};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Smallest and greatest level; -1 stands for the library's default.
const LEVELS: (i32, i32) = (1, 9);

/// Decompresses members until the input ends or what follows is none: Java ignores such a rest,
/// and there are producers that leave one.
pub(super) struct Reader<'a> {
    decoder: Option<GzDecoder<&'a [u8]>>,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gzip::Reader")
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { decoder: Some(GzDecoder::new(input)) }
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, RecordError> {
        grow(out, CHUNK);
        while let Some(decoder) = &mut self.decoder {
            let n =
                decoder.read(out).map_err(|_| corrupt(Compression::Gzip, "not a gzip stream"))?;
            if n > 0 {
                return Ok(n);
            }
            let rest = *decoder.get_ref();
            self.decoder = rest.starts_with(&MAGIC).then(|| GzDecoder::new(rest));
        }
        Ok(0)
    }
}

pub(super) fn compress(input: &[u8], level: Option<i32>) -> Result<Vec<u8>, RecordError> {
    let level = match level {
        None | Some(-1) => flate2::Compression::default(),
        Some(level) => flate2::Compression::new(level.clamp(LEVELS.0, LEVELS.1) as u32),
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(input.len() / 2 + 64), level);
    let failed = |_| corrupt(Compression::Gzip, "compressor failed");
    encoder.write_all(input).map_err(failed)?;
    encoder.finish().map_err(failed)
}
