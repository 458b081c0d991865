//! Writing values into a frame.

use super::{Layout, MAX_STRING, Nullable, Records, Value};
use crate::EncodeError;
use bytes::{BufMut, Bytes, BytesMut};

/// A growing frame, and the holes in it that are filled from files when it is sent.
#[derive(Debug, Default)]
pub struct Encoder {
    buf: BytesMut,
    holes: Vec<Hole>,
}

/// A place in a frame where bytes of a file go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The number of encoded bytes before it (other holes are not counted).
    pub at: usize,
    /// The number of bytes that go there.
    pub len: u32,
}

/// A finished frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The encoded bytes, holes left out.
    pub bytes: Bytes,
    /// The holes, in ascending order of place.
    pub holes: Vec<Hole>,
}

/// A piece of a finished frame, in the order of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Encoded bytes; never empty.
    Bytes(Bytes),
    /// The next hole, of so many bytes. There is one for each [`Records::Hole`], empty ones too.
    Hole(u32),
}

impl Encoded {
    /// The number of bytes on the wire, holes filled.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.holes.iter().map(|h| h.len as usize).sum::<usize>()
    }

    /// Whether nothing goes on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame's pieces: slices of the encoded bytes, and holes between them.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut from = 0;
        let end = (self.bytes.len(), None);
        let stops = self.holes.iter().map(|h| (h.at, Some(h.len))).chain([end]);
        stops.flat_map(move |(at, hole)| {
            let bytes = self.bytes.slice(from..at);
            from = at;
            let bytes = (!bytes.is_empty()).then_some(Part::Bytes(bytes));
            bytes.into_iter().chain(hole.map(Part::Hole))
        })
    }
}

/// The section of tagged fields being written: where its count stands, and the count so far.
#[derive(Debug)]
pub struct Tags {
    at: usize,
    count: u8,
}

impl Encoder {
    /// An empty frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty frame with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buf: BytesMut::with_capacity(bytes), holes: Vec::new() }
    }

    /// The number of bytes written so far, holes not counted.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing was written, not even a hole.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty() && self.holes.is_empty()
    }

    /// The finished frame.
    pub fn finish(self) -> Encoded {
        Encoded { bytes: self.buf.freeze(), holes: self.holes }
    }

    /// The finished frame of a message that has no holes; an error if there is one.
    pub fn into_bytes(self) -> Result<Bytes, EncodeError> {
        if self.holes.is_empty() { Ok(self.buf.freeze()) } else { Err(EncodeError::Hole) }
    }

    /// Writes bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.put_slice(bytes);
    }

    /// Writes an unsigned varint.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buf.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.put_u8(value as u8);
    }

    /// The length of bytes or of an array; `None` is null.
    fn length(&mut self, n: Option<usize>, layout: Layout) -> Result<(), EncodeError> {
        if n.is_some_and(|n| n >= i32::MAX as usize) {
            return Err(EncodeError::TooLong { len: n.unwrap_or(0) });
        }
        if layout.flexible {
            self.uvarint(n.map_or(0, |n| n as u32 + 1));
        } else {
            self.buf.put_i32(n.map_or(-1, |n| n as i32));
        }
        Ok(())
    }

    /// Writes a string that may be null.
    pub fn nullable_string(
        &mut self,
        value: Option<&str>,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        let len = value.map(str::len);
        match len {
            Some(len) if len > MAX_STRING => return Err(EncodeError::TooLong { len }),
            _ if layout.flexible => self.length(len, layout)?,
            _ => self.buf.put_i16(len.map_or(-1, |n| n as i16)),
        }
        self.raw(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Writes bytes that may be null.
    pub fn nullable_bytes(
        &mut self,
        value: Option<&[u8]>,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        self.length(value.map(<[u8]>::len), layout)?;
        self.raw(value.unwrap_or_default());
        Ok(())
    }

    /// Writes records that may be null.
    pub fn nullable_records(
        &mut self,
        value: Option<&Records>,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        self.length(value.map(Records::len), layout)?;
        match value {
            Some(Records::Bytes(b)) => self.raw(b),
            Some(Records::Hole(len)) => self.holes.push(Hole { at: self.buf.len(), len: *len }),
            None => {}
        }
        Ok(())
    }

    /// Writes an array that may be null.
    pub fn nullable_array<T: Value>(
        &mut self,
        value: Option<&[T]>,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        self.length(value.map(<[T]>::len), layout)?;
        value.unwrap_or_default().iter().try_for_each(|v| v.write(self, layout))
    }

    /// Writes one field.
    #[inline]
    pub fn put<T: Value>(&mut self, value: &T, layout: Layout) -> Result<(), EncodeError> {
        value.write(self, layout)
    }

    /// Writes one field which may be null if `nullable`.
    pub fn put_nullable<T: Nullable>(
        &mut self,
        value: Option<&T>,
        layout: Layout,
        nullable: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match value {
            _ if nullable => T::write_nullable(value, self, layout),
            Some(value) => value.write(self, layout),
            None => Err(EncodeError::Null { field, version: layout.version }),
        }
    }

    /// Begins the tagged fields behind a struct.
    pub fn open_tags(&mut self) -> Tags {
        let tags = Tags { at: self.buf.len(), count: 0 };
        self.buf.put_u8(0);
        tags
    }

    /// Ends the tagged fields behind a struct. No struct declares more than 127, so that the count
    /// is one byte.
    pub fn close_tags(&mut self, tags: Tags) {
        debug_assert!(tags.count < 0x80);
        if let Some(count) = self.buf.get_mut(tags.at) {
            *count = tags.count;
        }
    }

    /// Writes one tagged field. Tags must come in ascending order.
    pub fn tag<T: Value>(
        &mut self,
        tags: &mut Tags,
        tag: u32,
        value: &T,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        let from = self.begin_tag(tags, tag);
        value.write(self, layout)?;
        self.end_tag(from)
    }

    /// Writes one tagged field that may be null.
    pub fn tag_nullable<T: Nullable>(
        &mut self,
        tags: &mut Tags,
        tag: u32,
        value: Option<&T>,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        let from = self.begin_tag(tags, tag);
        T::write_tagged(value, self, layout)?;
        self.end_tag(from)
    }

    fn begin_tag(&mut self, tags: &mut Tags, tag: u32) -> (usize, usize) {
        tags.count += 1;
        self.uvarint(tag);
        (self.buf.len(), self.holes.len())
    }

    /// Puts the field's size before its bytes, by moving them: tagged fields are few and small.
    fn end_tag(&mut self, (from, holes): (usize, usize)) -> Result<(), EncodeError> {
        if self.holes.len() != holes {
            return Err(EncodeError::Hole);
        }
        let size = self.buf.len() - from;
        let size32 = u32::try_from(size).map_err(|_| EncodeError::TooLong { len: size })?;
        self.uvarint(size32);
        let width = self.buf.len() - from - size;
        self.buf[from..].rotate_right(width);
        Ok(())
    }

    /// A field holds a value that this version cannot carry.
    #[cold]
    pub fn unsupported(
        &self,
        message: &'static str,
        field: &'static str,
        l: Layout,
    ) -> EncodeError {
        EncodeError::Unsupported { message, field, version: l.version }
    }
}
