//! How each type of field is read and written.

use super::{Decoder, Encoder, Layout, Records, Struct};
use crate::{DecodeError, DecodeErrorKind, EncodeError, ErrorCode, Uuid};
use bytes::Bytes;

/// A type that a field can have.
pub trait Value: Sized {
    /// The least number of bytes a value takes in any layout.
    const MIN_SIZE: usize;
    /// Reads one value.
    fn read(d: &mut Decoder, layout: Layout) -> Result<Self, DecodeError>;
    /// Writes one value.
    fn write(&self, e: &mut Encoder, layout: Layout) -> Result<(), EncodeError>;
}

/// A type that a field can have which may be null.
pub trait Nullable: Value {
    /// Reads one value or null.
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError>;
    /// Writes one value or null.
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError>;
    /// Reads a tagged field, one value or null.
    fn read_tagged(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        Self::read_nullable(d, layout)
    }
    /// Writes a tagged field, one value or null.
    fn write_tagged(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        Self::write_nullable(value, e, layout)
    }
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Value for $t {
            const MIN_SIZE: usize = size_of::<$t>();
            #[inline]
            fn read(d: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
                Ok(<$t>::from_be_bytes(d.array()?))
            }
            #[inline]
            fn write(&self, e: &mut Encoder, _: Layout) -> Result<(), EncodeError> {
                e.raw(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}
numbers!(i8, i16, u16, i32, u32, i64, f64);

impl Value for bool {
    const MIN_SIZE: usize = 1;
    fn read(d: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        Ok(d.array::<1>()? != [0])
    }
    fn write(&self, e: &mut Encoder, _: Layout) -> Result<(), EncodeError> {
        e.raw(&[u8::from(*self)]);
        Ok(())
    }
}

impl Value for ErrorCode {
    const MIN_SIZE: usize = 2;
    fn read(d: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        i16::read(d, layout).map(ErrorCode)
    }
    fn write(&self, e: &mut Encoder, layout: Layout) -> Result<(), EncodeError> {
        self.0.write(e, layout)
    }
}

impl Value for Uuid {
    const MIN_SIZE: usize = 16;
    fn read(d: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        d.array().map(Uuid::from_bytes)
    }
    fn write(&self, e: &mut Encoder, _: Layout) -> Result<(), EncodeError> {
        e.raw(self.as_bytes());
        Ok(())
    }
}

/// `Value` for types whose null is a length of its own, by way of their `Nullable`.
macro_rules! value_by_nullable {
    () => {
        fn read(d: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
            Self::read_nullable(d, layout)?.ok_or_else(|| d.fail(DecodeErrorKind::Null))
        }
        fn write(&self, e: &mut Encoder, layout: Layout) -> Result<(), EncodeError> {
            Self::write_nullable(Some(self), e, layout)
        }
    };
}

impl Value for String {
    const MIN_SIZE: usize = 1;
    value_by_nullable!();
}

impl Nullable for String {
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        d.nullable_string(layout)
    }
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        e.nullable_string(value.map(String::as_str), layout)
    }
}

impl Value for Bytes {
    const MIN_SIZE: usize = 1;
    value_by_nullable!();
}

impl Nullable for Bytes {
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        d.nullable_bytes(layout)
    }
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        e.nullable_bytes(value.map(|b| &b[..]), layout)
    }
}

impl Value for Records {
    const MIN_SIZE: usize = 1;
    value_by_nullable!();
}

impl Nullable for Records {
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        Ok(d.nullable_bytes(layout)?.map(Records::Bytes))
    }
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        e.nullable_records(value, layout)
    }
}

impl<T: Value> Value for Vec<T> {
    const MIN_SIZE: usize = 1;
    value_by_nullable!();
}

impl<T: Value> Nullable for Vec<T> {
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        d.nullable_array(layout)
    }
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        e.nullable_array(value.map(Vec::as_slice), layout)
    }
}

impl<S: Struct> Value for S {
    const MIN_SIZE: usize = S::MIN_SIZE;
    fn read(d: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        S::read(d, layout)
    }
    fn write(&self, e: &mut Encoder, layout: Layout) -> Result<(), EncodeError> {
        S::write(self, e, layout)
    }
}

impl<S: Struct> Nullable for S {
    fn read_nullable(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        if d.presence()? { S::read(d, layout).map(Some) } else { Ok(None) }
    }
    fn write_nullable(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        match value {
            Some(s) => {
                e.raw(&[1]);
                S::write(s, e, layout)
            }
            None => {
                e.raw(&[0xff]);
                Ok(())
            }
        }
    }
    // In a tagged field the byte before a struct is not -1 or 1 but a varint of 0 or 1.
    fn read_tagged(d: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        if d.uvarint()? > 0 { S::read(d, layout).map(Some) } else { Ok(None) }
    }
    fn write_tagged(
        value: Option<&Self>,
        e: &mut Encoder,
        layout: Layout,
    ) -> Result<(), EncodeError> {
        e.uvarint(value.is_some().into());
        value.map_or(Ok(()), |s| S::write(s, e, layout))
    }
}
