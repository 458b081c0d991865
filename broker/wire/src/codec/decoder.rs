//! Reading values off a frame.

use super::{Layout, Nullable, Value};
use crate::{DecodeError, DecodeErrorKind};
use bytes::Bytes;

/// The longest string in bytes, in either form; Kafka refuses longer ones when reading and when
/// writing.
pub const MAX_STRING: usize = i16::MAX as usize;

/// Array elements for which memory is reserved without looking at the bytes left, in bytes of
/// memory.
const FREE_RESERVE: usize = 4096;

/// A cursor over one frame. Fields of bytes and records are slices of the frame, not copies.
///
/// Every length is checked against the bytes that are left before anything is reserved or sliced.
#[derive(Debug, Clone)]
pub struct Decoder {
    frame: Bytes,
    at: usize,
    /// The end of what may be read: the frame's end, or that of the tagged field being read.
    end: usize,
}

impl Decoder {
    /// A decoder at the first byte of the frame.
    pub fn new(frame: Bytes) -> Self {
        let end = frame.len();
        Self { frame, at: 0, end }
    }

    /// The number of bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// The number of bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// All bytes not read yet, as a slice of the frame; the decoder is at its end afterwards.
    pub fn rest(&mut self) -> Bytes {
        let rest = self.frame.slice(self.at..self.end);
        self.at = self.end;
        rest
    }

    /// An error if bytes are left.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            n => Err(self.fail(DecodeErrorKind::Trailing(n))),
        }
    }

    /// An error at the present position.
    #[cold]
    pub fn fail(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    #[inline]
    fn take(&mut self, n: usize) -> Result<&[u8], DecodeError> {
        match self.frame.get(self.at..self.at.saturating_add(n)) {
            Some(_) if n <= self.end - self.at => {
                let from = self.at;
                self.at += n;
                Ok(&self.frame[from..from + n])
            }
            _ => Err(self.fail(DecodeErrorKind::Truncated { needed: n, left: self.remaining() })),
        }
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// The next `N` bytes, which stay unread.
    pub fn peek<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.array()?;
        self.at -= N;
        Ok(bytes)
    }

    /// The next `n` bytes as a slice of the frame.
    pub fn slice(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        let from = self.at;
        self.take(n)?;
        Ok(self.frame.slice(from..from + n))
    }

    /// The next `n` bytes as text.
    fn text(&mut self, n: usize) -> Result<String, DecodeError> {
        let at = self.at;
        match std::str::from_utf8(self.take(n)?) {
            Ok(s) => Ok(s.to_owned()),
            Err(_) => Err(DecodeError::new(DecodeErrorKind::Utf8, at)),
        }
    }

    /// An unsigned varint of at most five bytes.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let first = self.array::<1>()?[0];
        if first < 0x80 { Ok(u32::from(first)) } else { self.uvarint_tail(first) }
    }

    fn uvarint_tail(&mut self, first: u8) -> Result<u32, DecodeError> {
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let b = self.array::<1>()?[0];
            if shift == 28 && b > 0x0f {
                break;
            }
            value |= u32::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fail(DecodeErrorKind::Varint))
    }

    /// A length of a string (two bytes), or of bytes or an array (four bytes), or compact (varint
    /// of the length plus one). `None` is null.
    fn length(&mut self, layout: Layout, short: Width) -> Result<Option<usize>, DecodeError> {
        let at = self.at;
        let n = match (layout.flexible, short) {
            (true, _) => i64::from(self.uvarint()?) - 1,
            (false, Width::Two) => i64::from(i16::from_be_bytes(self.array()?)),
            (false, Width::Four) => i64::from(i32::from_be_bytes(self.array()?)),
        };
        match n {
            -1 => Ok(None),
            n if n < 0 => Err(DecodeError::new(DecodeErrorKind::Length(n), at)),
            n => Ok(Some(n as usize)),
        }
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, layout: Layout) -> Result<Option<String>, DecodeError> {
        match self.length(layout, Width::Two)? {
            None => Ok(None),
            Some(n) if n > MAX_STRING => Err(self.fail(DecodeErrorKind::Length(n as i64))),
            Some(n) => self.text(n).map(Some),
        }
    }

    /// Bytes that may be null.
    pub fn nullable_bytes(&mut self, layout: Layout) -> Result<Option<Bytes>, DecodeError> {
        match self.length(layout, Width::Four)? {
            None => Ok(None),
            Some(n) => self.slice(n).map(Some),
        }
    }

    /// An array that may be null.
    pub fn nullable_array<T: Value>(
        &mut self,
        layout: Layout,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.array_length(layout, T::MIN_SIZE)? else { return Ok(None) };
        let mut out = Vec::with_capacity(reserve(count, self.remaining(), size_of::<T>()));
        for _ in 0..count {
            out.push(T::read(self, layout)?);
        }
        Ok(Some(out))
    }

    fn array_length(
        &mut self,
        layout: Layout,
        min_size: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let count = self.length(layout, Width::Four)?;
        match count {
            Some(n) if n > self.remaining() / min_size.max(1) => {
                Err(self.fail(DecodeErrorKind::Count { count: n, left: self.remaining() }))
            }
            _ => Ok(count),
        }
    }

    /// The byte before a struct which may be null: whether the struct follows.
    pub fn presence(&mut self) -> Result<bool, DecodeError> {
        Ok(i8::from_be_bytes(self.array()?) >= 0)
    }

    /// One field.
    #[inline]
    pub fn get<T: Value>(&mut self, layout: Layout) -> Result<T, DecodeError> {
        T::read(self, layout)
    }

    /// One field which may be null if `nullable`.
    pub fn get_nullable<T: Nullable>(
        &mut self,
        layout: Layout,
        nullable: bool,
    ) -> Result<Option<T>, DecodeError> {
        if nullable { T::read_nullable(self, layout) } else { T::read(self, layout).map(Some) }
    }

    /// One tagged field which may be null.
    pub fn get_tagged<T: Nullable>(&mut self, layout: Layout) -> Result<Option<T>, DecodeError> {
        T::read_tagged(self, layout)
    }

    /// The tagged fields behind a struct. `known` reads a field whose tag it knows and says true;
    /// others are skipped.
    pub fn tags(
        &mut self,
        known: &mut dyn FnMut(&mut Decoder, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        // No bound on the count is needed: each field takes two bytes at least, or the frame's end
        // stops the loop.
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                let kind = DecodeErrorKind::Truncated { needed: size, left: self.remaining() };
                return Err(self.fail(kind));
            }
            let outer = std::mem::replace(&mut self.end, self.at + size);
            if !known(self, tag)? {
                self.at = self.end;
            }
            if self.at != self.end {
                return Err(self.fail(DecodeErrorKind::Trailing(self.remaining())));
            }
            self.end = outer;
        }
        Ok(())
    }

    /// The tagged fields behind a struct that knows none.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(&mut |_, _| Ok(false))
    }
}

#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}

/// How many elements to reserve memory for: never more memory than there are bytes left, a small
/// array apart. An array whose elements are larger in memory than on the wire grows while its bytes
/// are read.
fn reserve(count: usize, left: usize, size: usize) -> usize {
    count.min(left.max(FREE_RESERVE) / size.max(1))
}
