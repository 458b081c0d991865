//! Entries of `.index`: offset relative to the segment's base, and position, 4 bytes each. An
//! entry holds the last offset of a batch and where the batch begins.

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 8;

/// An offset as entries hold it: at most what Apache Kafka's signed numbers can.
pub(crate) fn relative(base_offset: i64, offset: i64) -> Option<u32> {
    let relative = i32::try_from(offset.checked_sub(base_offset)?).ok()?;
    u32::try_from(relative).ok()
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch minus the base offset of the segment.
    pub(crate) relative: u32,
    /// Where the batch begins in the segment.
    pub(crate) position: u32,
}

impl OffsetEntry {
    /// The entry of the batch at `position` that ends at `last_offset`; `None` where that is too
    /// far from the base offset. Segments of long ago can hold such batches: they are found by
    /// walking, and numbers that went round would point elsewhere.
    pub(crate) fn new(base_offset: i64, last_offset: i64, position: u64) -> Option<Self> {
        let relative = relative(base_offset, last_offset)?;
        let position = u32::try_from(position).ok()?;
        Some(Self { relative, position })
    }

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
