//! Reading and writing the zigzag varints of which records are made.

use super::RecordError;

/// What is wrong with the structure of a record: one byte, because a result that fits into
/// registers is what makes walking over records fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    EndsEarly,
    VarintTooLong,
    NegativeLength,
    LongerThanItsParts,
    NegativeHeaders,
    HeaderWithoutKey,
    NegativeCount,
    BytesBehind,
}

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(match fault {
            Fault::EndsEarly => "ends within a field",
            Fault::VarintTooLong => "varint is too long",
            Fault::NegativeLength => "record of negative length",
            Fault::LongerThanItsParts => "record is longer than its parts",
            Fault::NegativeHeaders => "negative number of record headers",
            Fault::HeaderWithoutKey => "header without a key",
            Fault::NegativeCount => "negative number of records",
            Fault::BytesBehind => "bytes behind the last record",
        })
    }
}

/// A reader over bytes that never goes behind their end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What is left to read.
    #[inline(always)]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::EndsEarly)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline(always)]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Fault::EndsEarly)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<i32, Fault> {
        // Lengths and deltas below 64 are the common case and take one byte.
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                Ok(zigzag32(u32::from(first)))
            }
            _ => Ok(zigzag32(self.unsigned(5)? as u32)),
        }
    }

    #[inline(always)]
    pub(crate) fn varlong(&mut self) -> Result<i64, Fault> {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                Ok(zigzag64(u64::from(first)))
            }
            _ => Ok(zigzag64(self.unsigned(10)?)),
        }
    }

    /// At most `longest` bytes; bits above the type's width are dropped, as Java does.
    fn unsigned(&mut self, longest: usize) -> Result<u64, Fault> {
        let mut value = 0u64;
        for i in 0..longest {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * i as u32);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::VarintTooLong)
    }

    /// Bytes with a length before them; any negative length means null.
    #[inline(always)]
    pub(crate) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match usize::try_from(self.varint()?) {
            Ok(n) => self.take(n).map(Some),
            Err(_) => Ok(None),
        }
    }
}

#[inline(always)]
pub(crate) fn zigzag32(n: u32) -> i32 {
    (n >> 1) as i32 ^ -((n & 1) as i32)
}

#[inline(always)]
pub(crate) fn zigzag64(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut n = ((value << 1) ^ (value >> 63)) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Bytes that [`put_varlong`] writes.
pub(crate) fn size_of_varlong(value: i64) -> usize {
    let n = ((value << 1) ^ (value >> 63)) as u64;
    (70 - (n | 1).leading_zeros() as usize) / 7
}

pub(crate) fn put_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(b) => {
            put_varlong(out, b.len() as i64);
            out.extend_from_slice(b);
        }
    }
}

/// Bytes that [`put_nullable_bytes`] writes.
pub(crate) fn size_of_nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |b| size_of_varlong(b.len() as i64) + b.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn roundtrip(value: i64) {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            prop_assert_eq!(out.len(), size_of_varlong(value));
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varlong().unwrap(), value);
            prop_assert_eq!(cursor.remaining(), 0);
            let small = value as i32;
            out.clear();
            put_varint(&mut out, small);
            prop_assert_eq!(Cursor::new(&out).varint().unwrap(), small);
        }
    }

    #[test]
    fn known_encodings_and_faults() {
        for (value, bytes) in
            [(0, &[0u8][..]), (-1, &[1]), (63, &[0x7e]), (-64, &[0x7f]), (64, &[0x80, 1])]
        {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
        }
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(Fault::EndsEarly));
        assert_eq!(Cursor::new(&[]).varlong(), Err(Fault::EndsEarly));
        assert_eq!(Cursor::new(&[0x80; 6]).varint(), Err(Fault::VarintTooLong));
        assert_eq!(Cursor::new(&[0xff; 11]).varlong(), Err(Fault::VarintTooLong));
        // Longer than needed is allowed up to the type's own limit.
        assert_eq!(Cursor::new(&[0x8e, 0x80, 0x80, 0x80, 0]).varint(), Ok(7));
        assert_eq!(Cursor::new(&[1, 9]).nullable_bytes(), Ok(None));
        assert_eq!(Cursor::new(&[4, 9]).nullable_bytes(), Err(Fault::EndsEarly));
    }
}
