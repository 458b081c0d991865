//! One record, borrowed from its batch or owned.

use bytes::Bytes;

use super::varint::{
    Cursor, Fault, put_nullable_bytes, put_varint, put_varlong, size_of_nullable_bytes,
    size_of_varlong,
};
use super::{BatchHeader, RecordError, TimestampType};

/// A header of a record: a key which is text by convention, and a value or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value, or `None` for null.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record whose structure was checked when the record was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadersRef<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> HeadersRef<'a> {
    /// Number of headers.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in their order; keys may repeat.
    pub fn iter(&self) -> impl Iterator<Item = HeaderRef<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        (0..self.count).map_while(move |_| read_header(&mut cursor).ok())
    }
}

impl PartialEq for HeadersRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<HeaderRef<'a>, Fault> {
    let key = cursor.nullable_bytes()?.ok_or(Fault::HeaderWithoutKey)?;
    Ok(HeaderRef { key, value: cursor.nullable_bytes()? })
}

/// A record whose key, value and headers are slices of the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecordRef<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds, or -1.
    pub timestamp: i64,
    /// The key, or `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, or `None` for null (a tombstone).
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: HeadersRef<'a>,
}

/// A header that owns its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordHeader {
    /// The key's bytes.
    pub key: Bytes,
    /// The value, or `None` for null.
    pub value: Option<Bytes>,
}

/// A record that owns its parts, or shares them with the buffer it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds, or -1.
    pub timestamp: i64,
    /// The key, or `None` for null.
    pub key: Option<Bytes>,
    /// The value, or `None` for null (a tombstone).
    pub value: Option<Bytes>,
    /// The headers in their order.
    pub headers: Vec<RecordHeader>,
}

impl RecordRef<'_> {
    /// The record with copies of its parts.
    pub fn to_record(&self) -> Record {
        let copy = |b: &[u8]| Bytes::copy_from_slice(b);
        self.own(copy)
    }

    /// The record sharing `buffer`, from which it was read.
    pub(crate) fn share(&self, buffer: &Bytes) -> Record {
        self.own(|part| buffer.slice_ref(part))
    }

    fn own(&self, own: impl Fn(&[u8]) -> Bytes) -> Record {
        let header = |h: HeaderRef<'_>| RecordHeader { key: own(h.key), value: h.value.map(&own) };
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(&own),
            value: self.value.map(&own),
            headers: self.headers.iter().map(header).collect(),
        }
    }
}

/// The numbers before a record's key, as they stand in the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: HeadersRef<'a>,
}

/// Reads one record with its length; its parts must fill that length exactly.
#[inline(always)]
pub(crate) fn read_record<'a>(cursor: &mut Cursor<'a>) -> Result<RawRecord<'a>, Fault> {
    let length = usize::try_from(cursor.varint()?).map_err(|_| Fault::NegativeLength)?;
    let mut body = Cursor::new(cursor.take(length)?);
    body.byte()?; // attributes of a record: nothing is defined
    let timestamp_delta = body.varlong()?;
    let offset_delta = body.varint()?;
    let key = body.nullable_bytes()?;
    let value = body.nullable_bytes()?;
    let headers = read_headers(&mut body)?;
    if body.remaining() != 0 {
        return Err(Fault::LongerThanItsParts);
    }
    Ok(RawRecord { timestamp_delta, offset_delta, key, value, headers })
}

#[inline(always)]
fn read_headers<'a>(body: &mut Cursor<'a>) -> Result<HeadersRef<'a>, Fault> {
    let count = usize::try_from(body.varint()?).map_err(|_| Fault::NegativeHeaders)?;
    if count == 0 {
        return Ok(HeadersRef::default());
    }
    let bytes = body.take(body.remaining())?;
    let mut cursor = Cursor::new(bytes);
    for _ in 0..count {
        read_header(&mut cursor)?;
    }
    *body = cursor;
    Ok(HeadersRef { bytes, count })
}

/// Iterator over the records of an uncompressed records section. It checks each record's
/// structure, that there are as many as the header says, and that nothing stands behind them;
/// it ends after its first error.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    cursor: Cursor<'a>,
    base_offset: i64,
    base_timestamp: i64,
    log_append_time: Option<i64>,
    left: i32,
}

impl<'a> RecordIter<'a> {
    /// Iterates over `section`, the uncompressed bytes behind `header`.
    pub fn new(header: &BatchHeader, section: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(section),
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            log_append_time: (header.timestamp_type() == TimestampType::LogAppendTime)
                .then_some(header.max_timestamp),
            left: header.records_count,
        }
    }

    fn read(&mut self) -> Result<RecordRef<'a>, Fault> {
        let raw = read_record(&mut self.cursor)?;
        if self.left == 1 && self.cursor.remaining() != 0 {
            return Err(Fault::BytesBehind);
        }
        let timestamp = self.base_timestamp.wrapping_add(raw.timestamp_delta);
        Ok(RecordRef {
            offset: self.base_offset.wrapping_add(i64::from(raw.offset_delta)),
            timestamp: self.log_append_time.unwrap_or(timestamp),
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let negative = self.left < 0;
            self.left = 0;
            return negative.then_some(Err(Fault::NegativeCount.into()));
        }
        let read = self.read();
        self.left = if read.is_ok() { self.left - 1 } else { 0 };
        Some(read.map_err(RecordError::from))
    }
}

/// Appends one record to a records section.
pub(crate) fn write_record<'h>(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = HeaderRef<'h>> + Clone,
) {
    let mut count = 0;
    let mut size = 1
        + size_of_varlong(timestamp_delta)
        + size_of_varlong(i64::from(offset_delta))
        + size_of_nullable_bytes(key)
        + size_of_nullable_bytes(value);
    for h in headers.clone() {
        size += size_of_nullable_bytes(Some(h.key)) + size_of_nullable_bytes(h.value);
        count += 1;
    }
    size += size_of_varlong(count);
    out.reserve(size + 5);
    put_varlong(out, size as i64);
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable_bytes(out, key);
    put_nullable_bytes(out, value);
    put_varlong(out, count);
    for h in headers {
        put_nullable_bytes(out, Some(h.key));
        put_nullable_bytes(out, h.value);
    }
}
