//! Record batches of the metadata log: records into bytes, and back.
//!
//! Built here without an offset and an epoch; [`stamp`] gives both when a batch is appended. They lie outside the
//! checksum, as Kafka's leaders count on.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_wire::record::{
    Attributes, Batch, BatchHeader, CRC_START, Compression, LOG_OVERHEAD, crc32c,
};
use ottla_wire::schema::metadata::MetadataRecord;

use crate::error::QuorumError;
use crate::types::MetadataBatch;

/// Most bytes of one batch: what KRaft allows too, so that Kafka's tools read every batch of ours.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

/// Most records of one batch, so that its last offset fits beside its first.
const MAX_RECORDS: usize = 1 << 20;

/// A record of the metadata log with the version it is written in.
pub type VersionedRecord = (MetadataRecord, i16);

/// What is wrong with a batch that was read.
pub(crate) type Flaw = String;

/// Builds a batch at offset 0 of no epoch.
#[derive(Debug)]
pub(crate) struct Builder {
    bytes: BytesMut,
    count: usize,
    attributes: Attributes,
    timestamp_ms: i64,
}

impl Builder {
    pub(crate) fn new(timestamp_ms: i64) -> Self {
        let mut bytes = BytesMut::with_capacity(512);
        bytes.put_bytes(0, BatchHeader::SIZE);
        Self { bytes, count: 0, attributes: Attributes::default(), timestamp_ms }
    }

    pub(crate) fn control(timestamp_ms: i64) -> Self {
        Self { attributes: Attributes::default().control(), ..Self::new(timestamp_ms) }
    }

    pub(crate) fn push(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let mut body = BytesMut::with_capacity(value.len() + 32);
        body.put_u8(0);
        put_varint(&mut body, 0);
        put_varint(&mut body, self.count as i64);
        match key {
            None => put_varint(&mut body, -1),
            Some(key) => {
                put_varint(&mut body, key.len() as i64);
                body.put_slice(key);
            }
        }
        put_varint(&mut body, value.len() as i64);
        body.put_slice(value);
        put_varint(&mut body, 0);
        put_varint(&mut self.bytes, body.len() as i64);
        self.bytes.put_slice(&body);
        self.count += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn finish(mut self) -> Bytes {
        debug_assert!(self.count > 0 && self.count <= MAX_RECORDS);
        let mut header = BatchHeader {
            batch_length: (self.bytes.len() - LOG_OVERHEAD) as i32,
            attributes: self.attributes,
            last_offset_delta: self.count as i32 - 1,
            base_timestamp: self.timestamp_ms,
            max_timestamp: self.timestamp_ms,
            records_count: self.count as i32,
            ..BatchHeader::default()
        };
        self.bytes[..BatchHeader::SIZE].copy_from_slice(&header.encode());
        header.crc = crc32c(&self.bytes[CRC_START..]);
        self.bytes[..BatchHeader::SIZE].copy_from_slice(&header.encode());
        self.bytes.freeze()
    }
}

/// A batch of metadata records.
pub(crate) fn encode(
    records: &[VersionedRecord],
    timestamp_ms: i64,
) -> Result<MetadataBatch, QuorumError> {
    if records.is_empty() {
        return Err(QuorumError::Encode("a batch needs a record".into()));
    }
    let mut builder = Builder::new(timestamp_ms);
    for (record, version) in records {
        let value = record.encode(*version).map_err(|e| QuorumError::Encode(e.to_string()))?;
        builder.push(None, &value);
        if builder.len() > MAX_BATCH_BYTES || builder.count() > MAX_RECORDS {
            return Err(QuorumError::TooLarge { bytes: builder.len(), limit: MAX_BATCH_BYTES });
        }
    }
    Ok(MetadataBatch(builder.finish()))
}

/// The batch with its place in the log: the header's bytes, to be written before the rest.
pub(crate) fn stamp(batch: &Bytes, base_offset: i64, epoch: i32) -> Result<Bytes, Flaw> {
    let mut header = BatchHeader::parse(batch).map_err(|e| e.to_string())?;
    header.base_offset = base_offset;
    header.partition_leader_epoch = epoch;
    let mut bytes = BytesMut::from(&batch[..]);
    bytes[..BatchHeader::SIZE].copy_from_slice(&header.encode());
    Ok(bytes.freeze())
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Bytes,
}

/// The records of one whole batch, its checksum checked.
pub(crate) fn records(batch: &Bytes) -> Result<(BatchHeader, Vec<Raw>), Flaw> {
    let batch = Batch::parse(batch).map_err(|e| e.to_string())?;
    batch.check_crc().map_err(|e| e.to_string())?;
    let header = batch.header.clone();
    if header.compression().map_err(|e| e.to_string())? != Compression::None {
        return Err("metadata batches are never compressed".into());
    }
    let mut rest = batch.records();
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(take_record(&mut rest).ok_or("a record ends too early")?);
    }
    let counted = usize::try_from(header.records_count).ok();
    if counted != Some(records.len()) || header.last_offset_delta != header.records_count - 1 {
        return Err(format!(
            "{} records instead of {}, last offset delta {}",
            records.len(),
            header.records_count,
            header.last_offset_delta
        ));
    }
    Ok((header, records))
}

/// The metadata records of one batch.
pub(crate) fn decode(batch: &Bytes) -> Result<Vec<MetadataRecord>, Flaw> {
    let (_, raw) = records(batch)?;
    let decoded = raw.into_iter().map(|r| MetadataRecord::decode(r.value));
    decoded.map(|r| r.map(|(record, _)| record).map_err(|e| e.to_string())).collect()
}

fn take_record(rest: &mut Bytes) -> Option<Raw> {
    let length = take_length(rest)??;
    let mut body = take(rest, length)?;
    take(&mut body, 1)?;
    take_varint(&mut body)?;
    take_varint(&mut body)?;
    let key = match take_length(&mut body)? {
        None => None,
        Some(n) => Some(take(&mut body, n)?),
    };
    let value = match take_length(&mut body)? {
        None => Bytes::new(),
        Some(n) => take(&mut body, n)?,
    };
    let headers = take_varint(&mut body)?;
    (headers == 0 && body.is_empty()).then_some(Raw { key, value })
}

fn take(rest: &mut Bytes, n: usize) -> Option<Bytes> {
    (n <= rest.len()).then(|| rest.split_to(n))
}

/// A length: `Some(None)` for -1, `None` when there is none to read.
fn take_length(rest: &mut Bytes) -> Option<Option<usize>> {
    match take_varint(rest)? {
        -1 => Some(None),
        n => usize::try_from(n).ok().map(Some),
    }
}

fn take_varint(rest: &mut Bytes) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *rest.first()?;
        let _ = rest.split_to(1);
        value |= u64::from(byte & 0x7f) << shift.min(63);
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn put_varint(out: &mut BytesMut, value: i64) {
    let mut v = (value << 1 ^ value >> 63) as u64;
    while v >= 0x80 {
        out.put_u8(v as u8 | 0x80);
        v >>= 7;
    }
    out.put_u8(v as u8);
}
