//! The 61 bytes that stand before the records of a version 2 batch.

use super::{
    BATCH_HEADER_SIZE, CRC_START, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2, NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, RecordError, crc,
};

/// Smallest value of a batch's length field: a header without records.
const MIN_BATCH_LENGTH: i32 = (BATCH_HEADER_SIZE - LOG_OVERHEAD) as i32;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the framing of the Java library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// Zstandard frames (KIP-110).
    Zstd,
}

impl Compression {
    /// All codecs, by rising id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec's number in the attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The codec of that number, if there is one.
    pub fn from_id(id: u8) -> Result<Self, RecordError> {
        Self::ALL.get(usize::from(id)).copied().ok_or(RecordError::UnknownCodec(id))
    }

    /// The name that configuration values and tools use.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Who set the timestamps of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TimestampType {
    /// The producer, record by record.
    #[default]
    CreateTime,
    /// The leader at the append: the header's maximum holds for every record.
    LogAppendTime,
}

/// The attributes field of a version 2 batch; unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// The codec; an error when the bits name none.
    pub fn compression(self) -> Result<Compression, RecordError> {
        Compression::from_id((self.0 & Self::CODEC) as u8)
    }

    /// Who set the timestamps.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds markers of the broker instead of a client's records.
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is the time after which tombstones and markers may be
    /// removed (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same with another codec.
    #[must_use]
    pub fn with_compression(self, codec: Compression) -> Self {
        Self((self.0 & !Self::CODEC) | i16::from(codec.id()))
    }

    /// The same with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, kind: TimestampType) -> Self {
        match kind {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// The same, marked as part of a transaction.
    #[must_use]
    pub fn transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// The same, marked as a control batch.
    #[must_use]
    pub fn control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    /// The same, with the base timestamp marked as a delete horizon.
    #[must_use]
    pub fn delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// The same, with the base timestamp marked as one.
    #[must_use]
    pub fn without_delete_horizon(self) -> Self {
        Self(self.0 & !Self::DELETE_HORIZON)
    }
}

/// All fields of a version 2 batch's header. The magic is not one of them: it is 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record that the batch had when it was written; compaction keeps it.
    pub base_offset: i64,
    /// Bytes of the batch after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch, or [`NO_LEADER_EPOCH`].
    pub partition_leader_epoch: i32,
    /// CRC-32C of everything from the attributes to the end of the batch.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// Distance from the base offset to the last; compaction keeps it.
    pub last_offset_delta: i32,
    /// Milliseconds to which the records' timestamps are relative, or the delete horizon.
    pub base_timestamp: i64,
    /// Greatest timestamp of the records in milliseconds, or the time of the append.
    pub max_timestamp: i64,
    /// Producer id, or [`NO_PRODUCER_ID`].
    pub producer_id: i64,
    /// Producer epoch, or [`NO_PRODUCER_EPOCH`].
    pub producer_epoch: i16,
    /// Sequence number of the first record, or [`NO_SEQUENCE`].
    pub base_sequence: i32,
    /// Number of records.
    pub records_count: i32,
}

impl Default for BatchHeader {
    /// An empty batch at offset 0 of no producer.
    fn default() -> Self {
        Self {
            base_offset: 0,
            batch_length: MIN_BATCH_LENGTH,
            partition_leader_epoch: NO_LEADER_EPOCH,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            records_count: 0,
        }
    }
}

fn field<const N: usize>(bytes: &[u8; BATCH_HEADER_SIZE], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Size in bytes.
    pub const SIZE: usize = BATCH_HEADER_SIZE;

    /// Reads the header at the start of `bytes`, which may be longer or end within the batch.
    ///
    /// Afterwards the magic was 2 and [`Self::size_in_bytes`] is at least [`Self::SIZE`];
    /// nothing else was checked, the checksum neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some(b) = bytes.first_chunk::<BATCH_HEADER_SIZE>() else {
            // A short old message is no truncated batch: say so when the magic can be seen.
            return match bytes.get(MAGIC_OFFSET).map(|m| *m as i8) {
                Some(magic) if magic != MAGIC_V2 => Err(RecordError::UnsupportedMagic(magic)),
                _ => Err(RecordError::Truncated {
                    needed: BATCH_HEADER_SIZE,
                    available: bytes.len(),
                }),
            };
        };
        if b[MAGIC_OFFSET] as i8 != MAGIC_V2 {
            return Err(RecordError::UnsupportedMagic(b[MAGIC_OFFSET] as i8));
        }
        let batch_length = i32::from_be_bytes(field(b, 8));
        if batch_length < MIN_BATCH_LENGTH {
            return Err(RecordError::BadLength { length: batch_length, minimum: MIN_BATCH_LENGTH });
        }
        Ok(Self {
            base_offset: i64::from_be_bytes(field(b, 0)),
            batch_length,
            partition_leader_epoch: i32::from_be_bytes(field(b, 12)),
            crc: u32::from_be_bytes(field(b, 17)),
            attributes: Attributes(i16::from_be_bytes(field(b, 21))),
            last_offset_delta: i32::from_be_bytes(field(b, 23)),
            base_timestamp: i64::from_be_bytes(field(b, 27)),
            max_timestamp: i64::from_be_bytes(field(b, 35)),
            producer_id: i64::from_be_bytes(field(b, 43)),
            producer_epoch: i16::from_be_bytes(field(b, 51)),
            base_sequence: i32::from_be_bytes(field(b, 53)),
            records_count: i32::from_be_bytes(field(b, 57)),
        })
    }

    /// The header's bytes, checksum as it stands in the field.
    pub fn encode(&self) -> [u8; BATCH_HEADER_SIZE] {
        let mut b = [0; BATCH_HEADER_SIZE];
        b[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        b[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        b[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        b[MAGIC_OFFSET] = MAGIC_V2 as u8;
        b[17..21].copy_from_slice(&self.crc.to_be_bytes());
        b[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        b[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        b[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        b[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        b[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        b[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        b[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        b[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        b
    }

    /// Size of the whole batch with its header, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length.max(MIN_BATCH_LENGTH) as usize
    }

    /// Offset of the last record that the batch had when it was written.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the batch that follows, when there is no gap.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, or [`NO_SEQUENCE`]. Sequence numbers go from the
    /// greatest i32 to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        sum.rem_euclid(i64::from(i32::MAX) + 1) as i32
    }

    /// Whether an idempotent producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The codec; an error when the bits name none.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        self.attributes.compression()
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the batch holds markers instead of a client's records.
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// The time after which tombstones and markers of the batch may go, in milliseconds.
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// Changes the fields that the checksum covers by `change` and sets the checksum that the
    /// batch then has, without reading its records. The checksum has to be right before; the
    /// length must not change.
    pub fn patch(&mut self, change: impl FnOnce(&mut Self)) {
        let old = self.encode();
        change(self);
        let new = self.encode();
        let rest = self.size_in_bytes() - BATCH_HEADER_SIZE;
        self.crc = crc::replace_prefix(self.crc, &old[CRC_START..], &new[CRC_START..], rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BatchHeader {
        BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 1234,
            partition_leader_epoch: 7,
            crc: 0xdead_beef,
            attributes: Attributes(0x7f00).with_compression(Compression::Zstd).transactional(),
            last_offset_delta: 41,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_999,
            producer_id: 4711,
            producer_epoch: 3,
            base_sequence: i32::MAX - 1,
            records_count: 42,
        }
    }

    #[test]
    fn survives_its_own_bytes() {
        let header = sample();
        assert_eq!(BatchHeader::parse(&header.encode()).unwrap(), header);
        assert_eq!(header.size_in_bytes(), 1246);
        assert_eq!(header.last_sequence(), 39);
        assert_eq!(header.last_offset(), header.base_offset + 41);
        assert!(header.is_transactional() && !header.is_control());
    }

    #[test]
    fn short_or_lying_input_is_an_error() {
        let bytes = sample().encode();
        for n in 0..bytes.len() {
            let error = BatchHeader::parse(&bytes[..n]).unwrap_err();
            assert_eq!(error, RecordError::Truncated { needed: 61, available: n });
        }
        for length in [i32::MIN, -1, 0, 48] {
            let header = BatchHeader { batch_length: length, ..sample() };
            let error = BatchHeader::parse(&header.encode()).unwrap_err();
            assert_eq!(error, RecordError::BadLength { length, minimum: 49 });
        }
        for magic in [-1i8, 0, 1, 3] {
            let mut bytes = sample().encode();
            bytes[MAGIC_OFFSET] = magic as u8;
            let error = BatchHeader::parse(&bytes).unwrap_err();
            assert_eq!(error, RecordError::UnsupportedMagic(magic));
        }
    }

    #[test]
    fn offsets_do_not_overflow() {
        let header = BatchHeader { base_offset: i64::MAX, last_offset_delta: 5, ..sample() };
        assert_eq!(header.next_offset(), i64::MAX);
    }

    #[test]
    fn attributes_keep_what_they_do_not_know() {
        let a = Attributes(!0).with_compression(Compression::Snappy);
        assert_eq!(a.compression().unwrap(), Compression::Snappy);
        assert_eq!(a.0 | 0b111, !0);
        assert_eq!(a.with_timestamp_type(TimestampType::CreateTime).0, a.0 & !8);
        for id in 5..8 {
            let error = Attributes(i16::from(id)).compression().unwrap_err();
            assert_eq!(error, RecordError::UnknownCodec(id));
        }
    }

    #[test]
    fn patch_keeps_the_checksum_right() {
        let body = vec![0x5a; 1246 - 61];
        let mut header = sample();
        let sum = |h: &BatchHeader| crc::crc32c(&[&h.encode()[CRC_START..], &body].concat());
        header.crc = sum(&header);
        header.patch(|h| {
            h.attributes = h.attributes.with_timestamp_type(TimestampType::LogAppendTime);
            h.max_timestamp = 99;
        });
        assert_eq!(header.max_timestamp, 99);
        assert_eq!(header.crc, sum(&header));
    }
}
