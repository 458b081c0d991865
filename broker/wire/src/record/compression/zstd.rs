//! Zstandard frames (RFC 8878), one or several in a row.

use ::zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{CHUNK, corrupt, grow};
use crate::record::{Compression, RecordError};

/// Binary logarithm of the greatest window that is accepted: what the highest level uses. The
/// library maps a window when a frame asks for it, but touches only what the frame fills.
const WINDOW_LOG_MAX: u32 = 27;

/// The level where none is given.
const DEFAULT_LEVEL: i32 = 3;
const LEVELS: (i32, i32) = (-131_072, 22);

fn error(what: &'static str) -> RecordError {
    corrupt(Compression::Zstd, what)
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    decoder: Decoder<'static>,
    /// Whether a frame was begun and has not ended.
    within_frame: bool,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("zstd::Reader")
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Result<Self, RecordError> {
        let failed = |_| error("decompressor failed");
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
        // No input at all is no empty frame.
        Ok(Self { rest: input, decoder, within_frame: true })
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, RecordError> {
        grow(out, CHUNK);
        while !self.rest.is_empty() || self.within_frame {
            let status =
                self.decoder.run_on_buffers(self.rest, out).map_err(|_| error("bad frame"))?;
            self.rest = self.rest.get(status.bytes_read..).unwrap_or_default();
            self.within_frame = status.remaining != 0;
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if status.bytes_read == 0 && self.within_frame {
                return Err(error("ends within a frame"));
            }
        }
        Ok(0)
    }
}

pub(super) fn compress(input: &[u8], level: Option<i32>) -> Result<Vec<u8>, RecordError> {
    let level = level.unwrap_or(DEFAULT_LEVEL).clamp(LEVELS.0, LEVELS.1);
    ::zstd::bulk::compress(input, level).map_err(|_| error("compressor failed"))
}
