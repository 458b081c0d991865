//! Entries of `.index`: offset relative to the segment's base, and position, 4 bytes each. An
//! entry holds the last offset of a batch and where the batch begins.

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 8;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch minus the base offset of the segment.
    pub(crate) relative: u32,
    /// Where the batch begins in the segment.
    pub(crate) position: u32,
}

impl OffsetEntry {
    pub(crate) fn decode(b: &[u8; ENTRY]) -> Self {
        Self {
            relative: u32::from_be_bytes([b[0], b[1], b[2], b[3]]),
            position: u32::from_be_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    pub(crate) fn encode(self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..4].copy_from_slice(&self.relative.to_be_bytes());
        out[4..].copy_from_slice(&self.position.to_be_bytes());
        out
    }
}
