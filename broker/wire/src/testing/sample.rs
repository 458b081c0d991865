//! Values made of entropy, and the text of a value.

use crate::codec::Layout;
use crate::{ErrorCode, Records, Uuid};
use bytes::Bytes;
use std::fmt::Write;

/// The most elements of an array.
const MAX_ELEMENTS: u8 = 3;

/// The most bytes of a string or of bytes.
const MAX_BYTES: u8 = 200;

/// A source of values: bytes of entropy, and zeroes when they are used up.
#[derive(Debug)]
pub struct Gen<'a> {
    entropy: &'a [u8],
}

impl<'a> Gen<'a> {
    /// A source of these bytes.
    pub fn new(entropy: &'a [u8]) -> Self {
        Self { entropy }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.entropy.split_first() else { return 0 };
        self.entropy = rest;
        *first
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// A length: small ones are likely, and nothing is as likely as none.
    fn length(&mut self, max: u8) -> usize {
        usize::from(match self.byte() {
            b if b < 0xe0 => b % 8.min(max + 1),
            b => b % (max + 1),
        })
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.length(MAX_BYTES)).map(|_| self.byte()).collect()
    }

    /// A value.
    pub fn value<T: Sample>(&mut self, layout: Layout) -> T {
        T::sample(self, layout)
    }

    /// A value, or sometimes none if `nullable`.
    pub fn nullable<T: Sample>(&mut self, layout: Layout, nullable: bool) -> Option<T> {
        (!nullable || self.byte() & 3 != 3).then(|| self.value(layout))
    }
}

/// A type of which samples can be made, and whose values have a text.
pub trait Sample: Sized {
    /// A value that can be encoded in this layout, and decodes to itself.
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self;

    /// Appends the value's text: all fields of a struct, in order, present in the layout or not.
    ///
    /// Names have neither underscores nor capitals, so that the text is the same as that of Kafka's
    /// class.
    fn dump(&self, out: &mut String);
}

/// Appends one field of a struct.
pub fn dump_field<T: Sample>(out: &mut String, name: &str, value: &T) {
    out.push_str(name);
    out.push(':');
    value.dump(out);
    out.push(',');
}

/// Appends a number or the like.
fn dump_display(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Sample for $t {
            fn sample(g: &mut Gen<'_>, _: Layout) -> Self {
                <$t>::from_be_bytes(g.array())
            }
            fn dump(&self, out: &mut String) {
                dump_display(out, self);
            }
        }
    )*};
}
numbers!(i8, i16, u16, i32, u32, i64);

impl Sample for f64 {
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self {
        // No NaN, which is not equal to itself.
        i64::sample(g, layout) as f64 / 1024.0
    }
    fn dump(&self, out: &mut String) {
        let _ = write!(out, "{:016x}", self.to_bits());
    }
}

impl Sample for bool {
    fn sample(g: &mut Gen<'_>, _: Layout) -> Self {
        g.byte() & 1 == 1
    }
    fn dump(&self, out: &mut String) {
        dump_display(out, self);
    }
}

impl Sample for ErrorCode {
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self {
        ErrorCode(g.value(layout))
    }
    fn dump(&self, out: &mut String) {
        dump_display(out, self.0);
    }
}

impl Sample for Uuid {
    fn sample(g: &mut Gen<'_>, _: Layout) -> Self {
        Uuid::from_bytes(g.array())
    }
    fn dump(&self, out: &mut String) {
        dump_display(out, self);
    }
}

impl Sample for String {
    fn sample(g: &mut Gen<'_>, _: Layout) -> Self {
        String::from_utf8_lossy(&g.bytes()).into_owned()
    }
    fn dump(&self, out: &mut String) {
        out.push('"');
        out.push_str(self);
        out.push('"');
    }
}

impl Sample for Bytes {
    fn sample(g: &mut Gen<'_>, _: Layout) -> Self {
        g.bytes().into()
    }
    fn dump(&self, out: &mut String) {
        out.push('<');
        for b in self {
            let _ = write!(out, "{b:02x}");
        }
        out.push('>');
    }
}

impl Sample for Records {
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self {
        Records::Bytes(g.value(layout))
    }
    fn dump(&self, out: &mut String) {
        match self {
            Records::Bytes(b) => b.dump(out),
            Records::Hole(n) => dump_display(out, n),
        }
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self {
        (0..g.length(MAX_ELEMENTS)).map(|_| g.value(layout)).collect()
    }
    fn dump(&self, out: &mut String) {
        out.push('[');
        for value in self {
            value.dump(out);
            out.push(',');
        }
        out.push(']');
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(g: &mut Gen<'_>, layout: Layout) -> Self {
        g.nullable(layout, true)
    }
    fn dump(&self, out: &mut String) {
        match self {
            Some(value) => value.dump(out),
            None => out.push_str("null"),
        }
    }
}
