//! Looking at the records of a batch without building them: what a leader must know of each
//! before an append.

use super::varint::{Cursor, Fault, zigzag32, zigzag64};
use super::{Compression, Decompressor, Lz4HeaderChecksum, RecordError, Workspace};

/// What is looked at in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

/// Where a record's bytes come from.
trait Input {
    fn byte(&mut self) -> Result<u8, Fault>;
    fn skip(&mut self, n: usize) -> Result<(), Fault>;

    #[inline(always)]
    fn varint(&mut self) -> Result<i32, Fault> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(zigzag32(u32::from(first)));
        }
        Ok(zigzag32(unsigned(self, first, 5)? as u32))
    }

    #[inline(always)]
    fn varlong(&mut self) -> Result<i64, Fault> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(zigzag64(u64::from(first)));
        }
        Ok(zigzag64(unsigned(self, first, 10)?))
    }

    /// Skips bytes with a length before them; whether they were there, and not null.
    #[inline(always)]
    fn skip_nullable(&mut self) -> Result<bool, Fault> {
        match usize::try_from(self.varint()?) {
            Ok(n) => self.skip(n).map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

/// Goes on with a varint whose first byte says that it does.
fn unsigned<I: Input + ?Sized>(input: &mut I, first: u8, longest: u32) -> Result<u64, Fault> {
    let mut value = u64::from(first & 0x7f);
    for i in 1..longest {
        let byte = input.byte()?;
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * i);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::VarintTooLong)
}

impl Input for Cursor<'_> {
    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Fault> {
        Cursor::byte(self)
    }

    #[inline(always)]
    fn skip(&mut self, n: usize) -> Result<(), Fault> {
        self.take(n).map(|_| ())
    }
}

/// Reads what stands behind a record's length.
#[inline(always)]
fn body<I: Input>(input: &mut I) -> Result<Shape, Fault> {
    input.byte()?; // attributes of a record: nothing is defined
    let timestamp_delta = input.varlong()?;
    let offset_delta = input.varint()?;
    let has_key = input.skip_nullable()?;
    input.skip_nullable()?;
    let headers = input.varint()?;
    if headers != 0 {
        skip_headers(input, headers)?;
    }
    Ok(Shape { timestamp_delta, offset_delta, has_key })
}

fn skip_headers<I: Input>(input: &mut I, count: i32) -> Result<(), Fault> {
    if count < 0 {
        return Err(Fault::NegativeHeaders);
    }
    for _ in 0..count {
        if !input.skip_nullable()? {
            return Err(Fault::HeaderWithoutKey);
        }
        input.skip_nullable()?;
    }
    Ok(())
}

/// Reads one record of a buffer.
#[inline(always)]
fn in_buffer(cursor: &mut Cursor<'_>) -> Result<Shape, Fault> {
    if let Some((shape, rest)) = plain(cursor.rest()) {
        *cursor = Cursor::new(rest);
        return Ok(shape);
    }
    any(cursor)
}

/// A varint of at most three bytes as it stands, zigzag, and the position behind it.
#[inline(always)]
fn short(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.get(at)?);
    if first < 0x80 {
        return Some((first, at + 1));
    }
    let second = u32::from(*bytes.get(at + 1)?);
    if second < 0x80 {
        return Some((first & 0x7f | second << 7, at + 2));
    }
    let third = u32::from(*bytes.get(at + 2)?);
    (third < 0x80).then_some((first & 0x7f | (second & 0x7f) << 7 | third << 14, at + 3))
}

/// Bytes behind a length that stands in zigzag; null has none.
#[inline(always)]
fn behind(length: u32) -> usize {
    if length & 1 == 0 { (length >> 1) as usize } else { 0 }
}

/// The quick way for nearly all records: all numbers short, and no headers. Whatever else it
/// meets, a fault too, it leaves to [`any`]. What stands behind the record is given with it.
#[inline(always)]
fn plain(bytes: &[u8]) -> Option<(Shape, &[u8])> {
    let (length, at) = short(bytes, 0)?;
    let (record, rest) = bytes.split_at_checked(at + behind(length))?;
    let (timestamp, at) = short(record, at + 1)?;
    let (offset, at) = short(record, at)?;
    let (key, at) = short(record, at)?;
    let (value, at) = short(record, at + behind(key))?;
    let headers = record.get(at + behind(value)..)?;
    let shape = Shape {
        timestamp_delta: i64::from(zigzag32(timestamp)),
        offset_delta: zigzag32(offset),
        has_key: key & 1 == 0,
    };
    (headers == [0]).then_some((shape, rest))
}

/// Reads any record.
#[inline(never)]
fn any(cursor: &mut Cursor<'_>) -> Result<Shape, Fault> {
    let length = usize::try_from(Input::varint(cursor)?).map_err(|_| Fault::NegativeLength)?;
    let mut record = Cursor::new(cursor.take(length)?);
    let shape = body(&mut record)?;
    if record.remaining() != 0 {
        return Err(Fault::LongerThanItsParts);
    }
    Ok(shape)
}

/// A records section.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Section<'a> {
    /// Without compression.
    Plain(&'a [u8]),
    /// Compressed, and the most bytes that it may decompress to.
    Packed(Compression, &'a [u8], usize),
}

impl Section<'_> {
    /// Calls `see` with each record and its index. The section must hold exactly `count`
    /// records.
    #[inline(always)]
    pub(crate) fn each(
        self,
        workspace: &mut Workspace,
        count: i32,
        see: impl FnMut(i32, Shape),
    ) -> Result<(), RecordError> {
        match self {
            Section::Plain(bytes) => each_in_buffer(bytes, count, see),
            Section::Packed(codec, bytes, limit) => {
                let checksum = Lz4HeaderChecksum::Checked;
                let mut stream = Decompressor::open(workspace, codec, bytes, limit, checksum)?;
                let seen = each_in_stream(&mut stream, count, see);
                stream.close(workspace);
                seen
            }
        }
    }

    /// Looks at all records.
    pub(crate) fn summary(
        self,
        workspace: &mut Workspace,
        count: i32,
    ) -> Result<Summary, RecordError> {
        let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
        let (mut keyless, mut gaps) = (0u32, 0);
        self.each(workspace, count, |i, shape| {
            earliest = earliest.min(shape.timestamp_delta);
            latest = latest.max(shape.timestamp_delta);
            keyless |= u32::from(!shape.has_key);
            gaps |= shape.offset_delta ^ i;
        })?;
        Ok(Summary { earliest, latest, keyless: keyless != 0, offsets_count_up: gaps == 0 })
    }
}

/// What is to be known of all records of a section together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// Smallest timestamp delta.
    pub(crate) earliest: i64,
    /// Greatest timestamp delta.
    pub(crate) latest: i64,
    /// Whether a key is null.
    pub(crate) keyless: bool,
    /// Whether the offset deltas are 0, 1, 2, …
    pub(crate) offsets_count_up: bool,
}

#[inline(always)]
fn each_in_buffer(
    section: &[u8],
    count: i32,
    mut see: impl FnMut(i32, Shape),
) -> Result<(), RecordError> {
    let mut cursor = Cursor::new(section);
    for i in 0..count {
        see(i, in_buffer(&mut cursor)?);
    }
    match cursor.remaining() {
        0 => Ok(()),
        _ => Err(Fault::BytesBehind.into()),
    }
}

/// Holds only a chunk at a time.
fn each_in_stream(
    stream: &mut Decompressor<'_>,
    count: i32,
    mut see: impl FnMut(i32, Shape),
) -> Result<(), RecordError> {
    let mut seen = 0;
    while seen < count {
        // Records that lie in one chunk are read from it; one that does not, byte by byte.
        let chunk = stream.fill()?;
        let mut cursor = Cursor::new(chunk);
        let mut used = 0;
        while seen < count {
            let Some(shape) = whole(&mut cursor)? else { break };
            used = chunk.len() - cursor.remaining();
            see(seen, shape);
            seen += 1;
        }
        stream.consume(used);
        if seen < count {
            see(seen, across_chunks(stream)?);
            seen += 1;
        }
    }
    match stream.fill()? {
        [] => Ok(()),
        _ => Err(Fault::BytesBehind.into()),
    }
}

/// Reads a record if the whole of it is there.
fn whole(cursor: &mut Cursor<'_>) -> Result<Option<Shape>, Fault> {
    let mut ahead = *cursor;
    let there = Input::varint(&mut ahead)
        .is_ok_and(|n| usize::try_from(n).is_ok_and(|n| n <= ahead.remaining()));
    if there { in_buffer(cursor).map(Some) } else { Ok(None) }
}

/// A record's bytes, across the chunks of a stream.
struct Limited<'s, 'a> {
    stream: &'s mut Decompressor<'a>,
    left: usize,
    /// The stream's own error, where there was one.
    error: Option<RecordError>,
}

impl Limited<'_, '_> {
    fn there(&mut self) -> Result<&[u8], Fault> {
        match self.stream.fill() {
            Ok([]) => Err(Fault::EndsEarly),
            Ok(chunk) => Ok(chunk),
            Err(error) => {
                self.error = Some(error);
                Err(Fault::EndsEarly)
            }
        }
    }
}

impl Input for Limited<'_, '_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = self.there()?.first().copied().ok_or(Fault::EndsEarly)?;
        self.left = self.left.checked_sub(1).ok_or(Fault::EndsEarly)?;
        self.stream.consume(1);
        Ok(byte)
    }

    fn skip(&mut self, mut n: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(n).ok_or(Fault::EndsEarly)?;
        while n > 0 {
            let there = self.there()?.len().min(n);
            self.stream.consume(there);
            n -= there;
        }
        Ok(())
    }
}

fn across_chunks(stream: &mut Decompressor<'_>) -> Result<Shape, RecordError> {
    let mut input = Limited { stream, left: LONGEST_VARINT, error: None };
    let read = read_across(&mut input);
    read.map_err(|fault| input.error.unwrap_or(fault.into()))
}

/// Bytes of the longest 32-bit varint.
const LONGEST_VARINT: usize = 5;

fn read_across(input: &mut Limited<'_, '_>) -> Result<Shape, Fault> {
    input.left = usize::try_from(input.varint()?).map_err(|_| Fault::NegativeLength)?;
    let shape = body(input)?;
    if input.left != 0 {
        return Err(Fault::LongerThanItsParts);
    }
    Ok(shape)
}
