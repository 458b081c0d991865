//! Entries of `.timeindex`: a timestamp, 8 bytes, and an offset relative to the segment's base,
//! 4 bytes. Batches behind that offset may have larger timestamps, those up to it have not.

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 12;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp so far, milliseconds.
    pub(crate) timestamp: i64,
    /// Last offset of the batch that has it, minus the base offset of the segment.
    pub(crate) relative: u32,
}

impl TimeEntry {
    /// An entry; `None` where the offset is too far from the base offset.
    pub(crate) fn new(base_offset: i64, timestamp: i64, offset: i64) -> Option<Self> {
        let relative = super::offset::relative(base_offset, offset)?;
        Some(Self { timestamp, relative })
    }

    pub(crate) fn decode(b: &[u8; ENTRY]) -> Self {
        Self {
            timestamp: i64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            relative: u32::from_be_bytes([b[8], b[9], b[10], b[11]]),
        }
    }

    pub(crate) fn encode(self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..].copy_from_slice(&self.relative.to_be_bytes());
        out
    }
}
