//! Message formats 0 and 1, which old segments hold: reading, and making batches of format 2.
//!
//! A message of these formats stands alone, or wraps a compressed set of messages. Clients can
//! no longer produce them (KIP-724).

use bytes::Bytes;

use super::compression::decompress_with;
use super::{
    Batch, BatchBuilder, Compression, Decompressor, LOG_OVERHEAD, Lz4HeaderChecksum, MAGIC_OFFSET,
    MAGIC_V2, NO_TIMESTAMP, Record, RecordError, TimestampType,
};

/// Smallest length fields: checksum, magic, attributes, two lengths, and a timestamp since 1.
const MIN_LENGTH: [i32; 2] = [14, 22];

const CODEC: u8 = 0b111;
const LOG_APPEND_TIME: u8 = 1 << 3;

/// One message of format 0 or 1 with its offset, as it stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMessage {
    /// The message's offset; of a wrapper, the offset of the last message in it.
    pub offset: i64,
    /// 0 or 1.
    pub magic: i8,
    /// CRC-32 of everything from the magic to the end.
    pub crc: u32,
    /// Codec and, since format 1, timestamp type.
    pub attributes: u8,
    /// Milliseconds, or -1; a wrapper has the greatest of the messages in it. Format 0 has none.
    pub timestamp: i64,
    /// The key, or `None` for null.
    pub key: Option<Bytes>,
    /// The value, or `None` for null; of a wrapper, the compressed messages.
    pub value: Option<Bytes>,
    /// The whole message from its offset on; no copy.
    pub bytes: Bytes,
}

/// Takes `n` bytes from the front; an error when there are fewer.
fn take(rest: &mut Bytes, n: usize) -> Result<Bytes, RecordError> {
    if n > rest.len() {
        return Err(RecordError::Malformed("old message ends within a field"));
    }
    Ok(rest.split_to(n))
}

fn array<const N: usize>(rest: &mut Bytes) -> Result<[u8; N], RecordError> {
    let taken = take(rest, N)?;
    taken.first_chunk().copied().ok_or(RecordError::Malformed("old message ends within a field"))
}

fn nullable(rest: &mut Bytes) -> Result<Option<Bytes>, RecordError> {
    match usize::try_from(i32::from_be_bytes(array(rest)?)) {
        Ok(n) => take(rest, n).map(Some),
        Err(_) => Ok(None),
    }
}

impl OldMessage {
    /// Reads the message at the start of `bytes`, which may hold more behind it.
    pub fn parse(bytes: &Bytes) -> Result<Self, RecordError> {
        let available = bytes.len();
        let short = |needed| RecordError::Truncated { needed, available };
        let mut head = bytes.clone();
        let minimum = MAGIC_OFFSET + 1;
        let magic = *bytes.get(MAGIC_OFFSET).ok_or(short(minimum))? as i8;
        let minimum = usize::try_from(magic).ok().and_then(|m| MIN_LENGTH.get(m)).copied();
        let minimum = minimum.ok_or(RecordError::UnsupportedMagic(magic))?;
        let offset = i64::from_be_bytes(array(&mut head)?);
        let length = i32::from_be_bytes(array(&mut head)?);
        if length < minimum {
            return Err(RecordError::BadLength { length, minimum });
        }
        let size = LOG_OVERHEAD + length as usize;
        if size > available {
            return Err(short(size));
        }
        let mut rest = bytes.slice(LOG_OVERHEAD..size);
        let crc = u32::from_be_bytes(array(&mut rest)?);
        let [_, attributes] = array(&mut rest)?;
        let timestamp =
            if magic == 0 { NO_TIMESTAMP } else { i64::from_be_bytes(array(&mut rest)?) };
        let key = nullable(&mut rest)?;
        let value = nullable(&mut rest)?;
        let bytes = bytes.slice(..size);
        Ok(Self { offset, magic, crc, attributes, timestamp, key, value, bytes })
    }

    /// Compares the stored checksum with the one of the bytes.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let computed = crc32fast::hash(self.bytes.get(MAGIC_OFFSET..).unwrap_or_default());
        let stored = self.crc;
        if stored == computed { Ok(()) } else { Err(RecordError::WrongCrc { stored, computed }) }
    }

    /// The codec of a wrapper; [`Compression::None`] for a message that stands alone.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        match Compression::from_id(self.attributes & CODEC)? {
            Compression::Zstd => Err(RecordError::UnknownCodec(Compression::Zstd.id())),
            codec => Ok(codec),
        }
    }

    /// Who set the timestamp; format 0 has none, which counts as the producer's.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The message as a record, or the records in a wrapper, whose messages may give at most
    /// `limit` bytes. Checksums in a wrapper are not compared.
    pub fn records(&self, limit: usize) -> Result<Vec<Record>, RecordError> {
        match self.compression()? {
            Compression::None => Ok(vec![self.record(self.offset, self.timestamp)]),
            codec => self.wrapped(codec, limit),
        }
    }

    fn record(&self, offset: i64, timestamp: i64) -> Record {
        let (key, value) = (self.key.clone(), self.value.clone());
        Record { offset, timestamp, key, value, headers: Vec::new() }
    }

    fn wrapped(&self, codec: Compression, limit: usize) -> Result<Vec<Record>, RecordError> {
        let set = self.value.as_ref().ok_or(RecordError::Malformed("wrapper without a value"))?;
        let checksum = match self.magic {
            0 => Lz4HeaderChecksum::Ignored,
            _ => Lz4HeaderChecksum::Checked,
        };
        let stream = Decompressor::with_lz4_checksum(codec, set, limit, checksum)?;
        let mut rest = Bytes::from(decompress_with(stream)?);
        let mut inner = Vec::new();
        while !rest.is_empty() {
            let message = match Self::parse(&rest) {
                Ok(message) => message,
                // Old producers left a cut message at the end.
                Err(RecordError::Truncated { .. }) => break,
                Err(error) => return Err(error),
            };
            if message.magic != self.magic {
                return Err(RecordError::Malformed("wrapped message of another format"));
            }
            if message.compression()? != Compression::None {
                return Err(RecordError::Malformed("wrapper within a wrapper"));
            }
            rest = rest.split_off(message.bytes.len());
            inner.push(message);
        }
        let last = inner.last().ok_or(RecordError::Malformed("wrapper without messages"))?.offset;
        let base = self.base_offset(last)?;
        let timestamp = |m: &Self| match self.timestamp_type() {
            TimestampType::LogAppendTime => self.timestamp,
            TimestampType::CreateTime => m.timestamp,
        };
        Ok(inner.iter().map(|m| m.record(base.wrapping_add(m.offset), timestamp(m))).collect())
    }

    /// What is to be added to the offsets in a wrapper: since format 1 they are relative, and
    /// the wrapper has the last one's absolute offset. A wrapper at 0 came from a producer and
    /// got no offset yet.
    fn base_offset(&self, last: i64) -> Result<i64, RecordError> {
        if self.magic == 0 || self.offset == 0 {
            return Ok(0);
        }
        let base = self.offset.checked_sub(last).filter(|base| *base >= 0);
        base.ok_or(RecordError::Malformed("wrapper's offset is below its last message's"))
    }

    /// The same records as a batch of format 2, under the same codec.
    pub fn to_batch(&self, limit: usize) -> Result<Batch, RecordError> {
        let records = self.records(limit)?;
        let base = records.first().map_or(self.offset, |r| r.offset);
        let mut builder = BatchBuilder::new(base).compression(self.compression()?);
        if self.timestamp_type() == TimestampType::LogAppendTime {
            builder = builder.log_append_time(self.timestamp);
        }
        for record in &records {
            builder.append_record(record);
        }
        builder.build()
    }
}

/// What a segment of any age holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredBatch {
    /// A batch of format 2.
    Current(Batch),
    /// A message of format 0 or 1.
    Old(OldMessage),
}

impl StoredBatch {
    /// Reads the batch or message at the start of `bytes`, which may hold more behind it.
    pub fn parse(bytes: &Bytes) -> Result<Self, RecordError> {
        match bytes.get(MAGIC_OFFSET) {
            Some(magic) if *magic as i8 != MAGIC_V2 => OldMessage::parse(bytes).map(Self::Old),
            _ => Batch::parse(bytes).map(Self::Current),
        }
    }

    /// The whole of it; no copy.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Current(batch) => &batch.bytes,
            Self::Old(message) => &message.bytes,
        }
    }

    /// Compares the stored checksum with the one of the bytes.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        match self {
            Self::Current(batch) => batch.check_crc(),
            Self::Old(message) => message.check_crc(),
        }
    }

    /// All its records; `limit` bounds what decompression may give, in bytes.
    pub fn records(&self, limit: usize) -> Result<Vec<Record>, RecordError> {
        match self {
            Self::Current(batch) => batch.decode(limit),
            Self::Old(message) => message.records(limit),
        }
    }
}

#[cfg(test)]
mod tests;
