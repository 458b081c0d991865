//! Walking over the batches of a file.

use crate::batch::{Batch, OVERHEAD, PEEK, Parsed};
use crate::disk::DiskFile;

/// Bytes read at once when only the fixed parts are wanted.
const GLIMPSE: usize = 512;
/// Bytes read at once when everything is wanted.
const CHUNK: usize = 1 << 20;

/// Reads the fixed parts of the batches in a region of a file, skipping what lies between.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    start: u64,
    filled: usize,
    window: [u8; GLIMPSE],
}

/// A batch and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) position: u64,
    pub(crate) batch: Batch,
}

impl<'a> Headers<'a> {
    /// The batches of `file` from `position` up to `end`; both must be where batches begin.
    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { file, position, end, start: 0, filled: 0, window: [0; GLIMPSE] }
    }

    /// The next batch; `None` at the end, or where no whole batch begins.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Placed>> {
        if self.position + OVERHEAD as u64 > self.end {
            return Ok(None);
        }
        let wanted = PEEK.min((self.end - self.position) as usize);
        let covered = self.position >= self.start
            && self.position + wanted as u64 <= self.start + self.filled as u64;
        if !covered {
            let room = GLIMPSE.min((self.end - self.position) as usize);
            self.filled = self.file.read_at(&mut self.window[..room], self.position)?;
            self.start = self.position;
        }
        let from = (self.position - self.start) as usize;
        let bytes = self.window.get(from..self.filled).unwrap_or_default();
        let Parsed::Batch(batch) = Batch::parse(bytes) else { return Ok(None) };
        if self.position + u64::from(batch.size) > self.end {
            return Ok(None);
        }
        let position = self.position;
        self.position += u64::from(batch.size);
        Ok(Some(Placed { position, batch }))
    }
}

/// Reads whole batches, checksum included, from a region of a file.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    start: u64,
    filled: usize,
    buffer: &'a mut Vec<u8>,
}

/// What stands at a position.
#[derive(Debug)]
pub(crate) enum Next<'b> {
    /// A whole batch and its bytes.
    Batch(Placed, &'b [u8]),
    /// The region ends here.
    End,
    /// No valid batch, and why.
    Invalid(&'static str),
}

impl<'a> Whole<'a> {
    /// The batches of `file` from `position` up to `end`. `buffer` is scratch space, reused
    /// between calls.
    pub(crate) fn new(
        file: &'a dyn DiskFile,
        position: u64,
        end: u64,
        buffer: &'a mut Vec<u8>,
    ) -> Self {
        Self { file, position, end, start: position, filled: 0, buffer }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn fill(&mut self, wanted: usize) -> std::io::Result<usize> {
        let left = (self.end - self.position).min(usize::MAX as u64) as usize;
        let wanted = wanted.min(left);
        let from = (self.position - self.start) as usize;
        if self.filled >= from + wanted {
            return Ok(wanted);
        }
        let size = wanted.max(CHUNK.min(left));
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let have = self.filled.saturating_sub(from);
        self.buffer.copy_within(from.min(self.filled)..self.filled, 0);
        self.start = self.position;
        self.filled = have;
        let n = self.file.read_at(&mut self.buffer[have..size], self.position + have as u64)?;
        self.filled += n;
        Ok(wanted.min(self.filled))
    }

    /// The next batch, with its checksum checked.
    pub(crate) fn next(&mut self) -> std::io::Result<Next<'_>> {
        if self.position >= self.end {
            return Ok(Next::End);
        }
        let have = self.fill(PEEK)?;
        let from = (self.position - self.start) as usize;
        let batch = match Batch::parse(&self.buffer[from..from + have]) {
            Parsed::Batch(batch) => batch,
            Parsed::Short => return Ok(Next::Invalid("cut short")),
            Parsed::Invalid(why) => return Ok(Next::Invalid(why)),
        };
        let size = batch.size as usize;
        if self.position + u64::from(batch.size) > self.end || self.fill(size)? < size {
            return Ok(Next::Invalid("cut short"));
        }
        let from = (self.position - self.start) as usize;
        let bytes = &self.buffer[from..from + size];
        if !batch.checksum_fits(bytes) {
            return Ok(Next::Invalid("wrong checksum"));
        }
        let position = self.position;
        self.position += size as u64;
        Ok(Next::Batch(Placed { position, batch }, bytes))
    }
}
