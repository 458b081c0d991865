//! What a log needs to know of a batch of records: the fixed part at its start.
//!
//! Batches of format 2 and the messages of formats 0 and 1, which old segments hold, are read
//! into the same [`Batch`].

/// Bytes before the part that a batch's length counts: offset and length.
pub const OVERHEAD: usize = 12;
/// Bytes of the fixed part of a batch of format 2.
pub const HEADER: usize = 61;
/// Bytes that tell every format's [`Batch`].
pub const PEEK: usize = HEADER;
/// Smallest value of the length field: that of an empty message of format 0.
const MIN_LENGTH: i32 = 14;
/// Largest value of the length field.
pub const MAX_LENGTH: i32 = i32::MAX - OVERHEAD as i32;

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// Attribute bit: the base timestamp is the time when tombstones and markers may go.
pub const DELETE_HORIZON: i16 = 1 << 6;

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
    pub attributes: i16,
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

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(array(bytes, at))
}

impl Batch {
    /// Reads the fixed part of the batch at the start of `bytes`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Parsed {
        if bytes.len() < OVERHEAD + 5 {
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
        match bytes[16] as i8 {
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
        let delta = i32_at(bytes, 23);
        let count = i32_at(bytes, 57);
        let Some(last_offset) = base_offset.checked_add(i64::from(delta)) else {
            return Parsed::Invalid("offset out of bounds");
        };
        if delta < 0 || count < 0 {
            return Parsed::Invalid("negative number of records");
        }
        Parsed::Batch(Self {
            base_offset,
            last_offset,
            size,
            leader_epoch: i32_at(bytes, 12),
            magic: 2,
            crc: i32_at(bytes, 17) as u32,
            attributes: i16_at(bytes, 21),
            base_timestamp: i64_at(bytes, 27),
            max_timestamp: i64_at(bytes, 35),
            producer_id: i64_at(bytes, 43),
            producer_epoch: i16_at(bytes, 51),
            base_sequence: i32_at(bytes, 53),
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
        Parsed::Batch(Self {
            base_offset: offset,
            last_offset: offset,
            size,
            leader_epoch: -1,
            magic,
            crc: i32_at(bytes, 12) as u32,
            attributes: i16::from(bytes[17]),
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
            2 => crc32c::crc32c(&bytes[21..]) == self.crc,
            _ => crc32(&bytes[16..]) == self.crc,
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.magic == 2 && self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records instead of a client's.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.magic == 2 && self.attributes & CONTROL != 0
    }

    /// Whether records are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.attributes & 7 != 0
    }

    /// When tombstones and markers of this batch may go, if that was decided.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.magic == 2 && self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
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

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records count.
    Commit,
    /// Its records are to be skipped.
    Abort,
}

/// Reads the one record of a control batch, `records` being what follows the fixed part. `None`
/// when the batch is empty, or its record is no transaction marker.
#[must_use]
pub fn parse_marker(batch: &Batch, records: &[u8]) -> Option<Marker> {
    let mut at = records;
    varint(&mut at)?; // length
    at = at.get(1..)?; // attributes
    let timestamp_delta = varint(&mut at)?;
    varint(&mut at)?; // offset delta
    let key_len = usize::try_from(varint(&mut at)?).ok()?;
    let key = at.get(..key_len)?;
    at = at.get(key_len..)?;
    let value_len = usize::try_from(varint(&mut at)?).ok()?;
    let value = at.get(..value_len)?;
    if key.len() < 4 || value.len() < 6 {
        return None;
    }
    let outcome = match i16_at(key, 2) {
        0 => Outcome::Abort,
        1 => Outcome::Commit,
        _ => return None,
    };
    let timestamp = if batch.attributes & 8 != 0 {
        batch.max_timestamp
    } else {
        batch.base_timestamp.saturating_add(timestamp_delta)
    };
    Some(Marker { outcome, coordinator_epoch: i32_at(value, 2), timestamp })
}

fn varint(at: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = at.split_first()?;
        *at = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// CRC-32 of the old formats, polynomial 0xEDB88320, by a table of 256 entries.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let mut c = i as u32;
            let mut bit = 0;
            while bit < 8 {
                c = if c & 1 != 0 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
                bit += 1;
            }
            table[i] = c;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, b| TABLE[((crc ^ u32::from(*b)) & 0xff) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_the_check_string() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

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
