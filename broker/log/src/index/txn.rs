//! Entries of `.txnindex`: the aborted transactions whose marker is in the segment.

/// Bytes of an entry.
pub const ENTRY: usize = 34;
const VERSION: i16 = 0;

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of the abort marker.
    pub last_offset: i64,
    /// The last stable offset as of the marker: no transaction that ended later begins below it.
    pub last_stable_offset: i64,
}

impl AbortedTxn {
    /// Reads an entry; `None` for another version.
    #[must_use]
    pub fn decode(b: &[u8; ENTRY]) -> Option<Self> {
        let i64_at = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&b[at..at + 8]);
            i64::from_be_bytes(bytes)
        };
        (b[..2] == VERSION.to_be_bytes()).then(|| Self {
            producer_id: i64_at(2),
            first_offset: i64_at(10),
            last_offset: i64_at(18),
            last_stable_offset: i64_at(26),
        })
    }

    /// Writes an entry.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..2].copy_from_slice(&VERSION.to_be_bytes());
        out[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        out[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        out[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        out[26..].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        out
    }
}
