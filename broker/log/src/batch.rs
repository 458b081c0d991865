//! What a log needs to know of a batch of records: the fixed part at its start.
//!
//! Batches of format 2 and the messages of formats 0 and 1, which old segments hold, are read
//! into the same [`Batch`].

use ottla_wire::record::{
    Attributes, BATCH_HEADER_SIZE, BatchHeader, CRC_START, EndTxnMarker, LOG_OVERHEAD,
    MAGIC_OFFSET, RecordIter, crc32c,
};

pub use ottla_wire::record::TransactionResult as Outcome;

/// Bytes before the part that a batch's length counts: offset and length.
pub const OVERHEAD: usize = LOG_OVERHEAD;
/// Bytes of the fixed part of a batch of format 2.
pub const HEADER: usize = BATCH_HEADER_SIZE;
/// Bytes that tell every format's [`Batch`].
pub const PEEK: usize = HEADER;
/// Smallest value of the length field: that of an empty message of format 0.
const MIN_LENGTH: i32 = 14;
/// Largest value of the length field.
pub const MAX_LENGTH: i32 = i32::MAX - OVERHEAD as i32;

/// The fixed part of a batch (format 2) or of one message, compressed or not (formats 0 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of the first record; of the last in formats 0 and 1.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Bytes of the whole batch.
    pub size: u32,
    /// Leader epoch, -1 in formats 0 and 1.
    pub leader_epoch: i32,
    /// Format: 0, 1 or 2.
    pub magic: i8,
    /// Checksum as written.
    pub crc: u32,
    /// Attribute bits.
    pub attributes: Attributes,
    /// Base timestamp, or the delete horizon; -1 in formats 0 and 1.
    pub base_timestamp: i64,
    /// Largest timestamp in milliseconds, -1 when there is none.
    pub max_timestamp: i64,
    /// Producer id, -1 when there is none.
    pub producer_id: i64,
    /// Producer epoch, -1 when there is none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 when there is none.
    pub base_sequence: i32,
    /// Number of records; 1 for each message of formats 0 and 1.
    pub count: i32,
}

/// What [`Batch::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The fixed part of a batch; the rest may be missing.
    Batch(Batch),
    /// Too few bytes to say.
    Short,
    /// No batch, and why.
    Invalid(&'static str),
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        out.copy_from_slice(found);
    }
    out
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array(bytes, at))
}

impl Batch {
    /// Reads the fixed part of the batch at the start of `bytes`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Parsed {
        if bytes.len() <= MAGIC_OFFSET {
            return Parsed::Short;
        }
        let (offset, length) = (i64_at(bytes, 0), i32_at(bytes, 8));
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            return Parsed::Invalid("length out of bounds");
        }
        let size = (length as u32) + OVERHEAD as u32;
        if offset < 0 {
            return Parsed::Invalid("negative offset");
        }
        match bytes[MAGIC_OFFSET] as i8 {
            2 => Self::parse_v2(bytes, offset, size),
            magic @ 0..=1 => Self::parse_old(bytes, offset, size, magic),
            _ => Parsed::Invalid("unknown format"),
        }
    }

    fn parse_v2(bytes: &[u8], base_offset: i64, size: u32) -> Parsed {
        if (size as usize) < HEADER {
            return Parsed::Invalid("shorter than its fixed part");
        }
        if bytes.len() < HEADER {
            return Parsed::Short;
        }
        let Ok(header) = BatchHeader::parse(bytes) else {
            return Parsed::Invalid("no batch of format 2");
        };
        let (delta, count) = (header.last_offset_delta, header.records_count);
        let last_offset = base_offset.checked_add(i64::from(delta));
        // One comes behind it.
        let Some(last_offset) = last_offset.filter(|offset| *offset < i64::MAX) else {
            return Parsed::Invalid("offset out of bounds");
        };
        if delta < 0 || count < 0 {
            return Parsed::Invalid("negative number of records");
        }
        Parsed::Batch(Self {
            base_offset,
            last_offset,
            size,
            leader_epoch: header.partition_leader_epoch,
            magic: 2,
            crc: header.crc,
            attributes: header.attributes,
            base_timestamp: header.base_timestamp,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            count,
        })
    }

    fn parse_old(bytes: &[u8], offset: i64, size: u32, magic: i8) -> Parsed {
        if magic == 1 && (size as usize) < OVERHEAD + 22 {
            return Parsed::Invalid("shorter than its fixed part");
        }
        if bytes.len() < OVERHEAD + 14 {
            return Parsed::Short;
        }
        if offset == i64::MAX {
            return Parsed::Invalid("offset out of bounds");
        }
        Parsed::Batch(Self {
            base_offset: offset,
            last_offset: offset,
            size,
            leader_epoch: -1,
            magic,
            crc: i32_at(bytes, 12) as u32,
            attributes: Attributes(i16::from(bytes[MAGIC_OFFSET + 1])),
            base_timestamp: -1,
            max_timestamp: if magic == 1 { i64_at(bytes, 18) } else { -1 },
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: 1,
        })
    }

    /// Whether the checksum fits `bytes`, which are the whole batch.
    #[must_use]
    pub fn checksum_fits(&self, bytes: &[u8]) -> bool {
        if bytes.len() != self.size as usize {
            return false;
        }
        match self.magic {
            2 => crc32c(&bytes[CRC_START..]) == self.crc,
            _ => crc32fast::hash(&bytes[MAGIC_OFFSET..]) == self.crc,
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.magic == 2 && self.attributes.is_transactional()
    }

    /// Whether the batch holds control records instead of a client's.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.magic == 2 && self.attributes.is_control()
    }

    /// When tombstones and markers of this batch may go, if that was decided.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.magic == 2 && self.attributes.has_delete_horizon()).then_some(self.base_timestamp)
    }

    /// Sequence number of the last record: counted from the base, going on at 0 behind 2^31-1.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        self.base_sequence.wrapping_add((self.last_offset - self.base_offset) as i32) & i32::MAX
    }
}

/// What a transaction's end marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// How the transaction ended.
    pub outcome: Outcome,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
    /// Timestamp of the record.
    pub timestamp: i64,
}

/// Reads the one record of a control batch, `records` being what follows the fixed part. `None`
/// when the batch is empty, or its record is no transaction marker.
#[must_use]
pub fn parse_marker(batch: &Batch, records: &[u8]) -> Option<Marker> {
    let header = BatchHeader {
        base_offset: batch.base_offset,
        attributes: batch.attributes,
        base_timestamp: batch.base_timestamp,
        max_timestamp: batch.max_timestamp,
        records_count: batch.count,
        ..BatchHeader::default()
    };
    let record = RecordIter::new(&header, records).next()?.ok()?;
    let EndTxnMarker { result, coordinator_epoch } =
        EndTxnMarker::from_record(record.key?, record.value?).ok()??;
    Some(Marker { outcome: result, coordinator_epoch, timestamp: record.timestamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_batch() {
        assert_eq!(Batch::parse(&[0; 16]), Parsed::Short);
        assert_eq!(Batch::parse(&[0; 61]), Parsed::Invalid("length out of bounds"));
        let mut bytes = [0; 61];
        bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
        bytes[16] = 2;
        assert!(matches!(Batch::parse(&bytes), Parsed::Batch(b) if b.size == 61));
        assert_eq!(Batch::parse(&bytes[..60]), Parsed::Short);
        bytes[16] = 3;
        assert_eq!(Batch::parse(&bytes), Parsed::Invalid("unknown format"));
        bytes[16] = 2;
        bytes[8..12].copy_from_slice(&48i32.to_be_bytes());
        assert_eq!(Batch::parse(&bytes), Parsed::Invalid("shorter than its fixed part"));
        bytes[0] = 0x80;
        assert_eq!(Batch::parse(&bytes), Parsed::Invalid("negative offset"));
    }

    #[test]
    fn refuses_offsets_that_nothing_can_follow() {
        let mut bytes = [0; 61];
        bytes[..8].copy_from_slice(&i64::MAX.to_be_bytes());
        bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
        for magic in 0..3 {
            bytes[16] = magic;
            assert_eq!(Batch::parse(&bytes), Parsed::Invalid("offset out of bounds"), "{magic}");
        }
        bytes[7] = 0xfe;
        assert!(matches!(Batch::parse(&bytes), Parsed::Batch(_)));
    }

    #[test]
    fn sequences_wrap() {
        let mut bytes = [0; 61];
        bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
        bytes[16] = 2;
        bytes[23..27].copy_from_slice(&3i32.to_be_bytes());
        bytes[53..57].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
        let Parsed::Batch(batch) = Batch::parse(&bytes) else { panic!("no batch") };
        assert_eq!(batch.last_sequence(), 1);
    }
}
