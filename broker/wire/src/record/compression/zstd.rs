//! Zstandard frames (RFC 8878), one or several in a row.

use ::zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

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

/// The library's state, which costs more to make than a small batch to decompress.
pub(super) struct Context(DCtx<'static>);

impl Context {
    fn new() -> Result<Self, RecordError> {
        let mut context = DCtx::try_create().ok_or(error("decompressor failed"))?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|_| error("decompressor failed"))?;
        Ok(Self(context))
    }

    /// Memory that the library holds for it, in bytes.
    pub(super) fn size(&self) -> usize {
        self.0.sizeof()
    }
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    context: Context,
    /// Whether a frame was begun and has not ended.
    within_frame: bool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("zstd::Context")
    }
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("zstd::Reader")
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8], used: Option<Context>) -> Result<Self, RecordError> {
        let mut context = used.map_or_else(Context::new, Ok)?;
        // What was read before may have ended within a frame.
        let reset = context.0.reset(ResetDirective::SessionOnly);
        reset.map_err(|_| error("decompressor failed"))?;
        // No input at all is no empty frame.
        Ok(Self { rest: input, context, within_frame: true })
    }

    pub(super) fn into_context(self) -> Context {
        self.context
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, RecordError> {
        grow(out, CHUNK);
        while !self.rest.is_empty() || self.within_frame {
            let mut input = InBuffer::around(self.rest);
            let mut output = OutBuffer::around(out.as_mut_slice());
            let step = self.context.0.decompress_stream(&mut output, &mut input);
            self.within_frame = step.map_err(|_| error("bad frame"))? != 0;
            let (read, written) = (input.pos(), output.pos());
            self.rest = self.rest.get(read..).unwrap_or_default();
            if written > 0 {
                return Ok(written);
            }
            if read == 0 && self.within_frame {
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
