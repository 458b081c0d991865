//! The two framings of record families, each as a macro over the list of a family's records.

use crate::codec::Struct;
use crate::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Message};
use bytes::Bytes;

/// The version of the frame around records of the metadata log and of the remote log.
const FRAME_VERSION: u32 = 1;

/// Reads the frame before a record's body: its type and version.
pub(super) fn read_frame(d: &mut Decoder) -> Result<(u32, i16), DecodeError> {
    let frame = d.uvarint()?;
    if frame != FRAME_VERSION {
        return Err(d.fail(DecodeErrorKind::FrameVersion(frame)));
    }
    let kind = d.uvarint()?;
    let version = d.uvarint()?;
    let version = i16::try_from(version).map_err(|_| d.fail(DecodeErrorKind::Version(i16::MAX)))?;
    Ok((kind, version))
}

/// Reads the record behind its frame, to the end of the bytes.
pub(super) fn read_body<M: Message>(mut d: Decoder, version: i16) -> Result<M, DecodeError> {
    let message = M::decode(&mut d, version)?;
    d.expect_end().map_err(|e| e.within(M::NAME))?;
    Ok(message)
}

/// Writes a record with its frame.
pub(super) fn write_framed<M: Message>(
    kind: u32,
    m: &M,
    version: i16,
) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    e.uvarint(FRAME_VERSION);
    e.uvarint(kind);
    e.uvarint(version.unsigned_abs().into());
    m.encode(&mut e, version)?;
    e.into_bytes()
}

/// Reads the two bytes before a coordinator's key (its type) or value (its version).
pub(super) fn read_prefix(d: &mut Decoder) -> Result<i16, DecodeError> {
    d.array().map(i16::from_be_bytes)
}

/// Writes a coordinator's key or value behind its two bytes.
pub(super) fn write_prefixed<M: Message + Struct>(
    prefix: i16,
    m: &M,
    version: i16,
) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    e.raw(&prefix.to_be_bytes());
    m.encode(&mut e, version)?;
    e.into_bytes()
}

/// An enum over records that carry a frame of varints: frame version, type, version.
macro_rules! framed_records {
    ($(#[$doc:meta])* $family:ident { $($kind:literal $name:ident($record:ident),)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum $family {
            $(#[doc = concat!("Record type ", $kind, ".")] $name($record),)*
        }

        impl $family {
            /// All record types in ascending order, with their versions.
            pub const TYPES: &'static [(u32, &'static str, crate::Versions)] = &[$(
                ($kind, <$record as crate::Message>::NAME, <$record as crate::Message>::VERSIONS),
            )*];

            /// The number of the record's type.
            pub const fn kind(&self) -> u32 {
                match self {
                    $($family::$name(_) => $kind,)*
                }
            }

            /// The versions of the record's type.
            pub const fn versions(&self) -> crate::Versions {
                match self {
                    $($family::$name(_) => <$record as crate::Message>::VERSIONS,)*
                }
            }

            /// Reads the value of a record, all its bytes; gives the version too.
            pub fn decode(value: bytes::Bytes) -> Result<(Self, i16), crate::DecodeError> {
                let mut d = crate::Decoder::new(value);
                let (kind, version) = crate::schema::family::read_frame(&mut d)?;
                let record = match kind {
                    $($kind => crate::schema::family::read_body(d, version).map($family::$name)?,)*
                    _ => return Err(d.fail(crate::DecodeErrorKind::RecordType(kind))),
                };
                Ok((record, version))
            }

            /// The value of a record, in a version of its type.
            pub fn encode(&self, version: i16) -> Result<bytes::Bytes, crate::EncodeError> {
                match self {
                    $($family::$name(r) => crate::schema::family::write_framed($kind, r, version),)*
                }
            }
        }

        #[cfg(feature = "testing")]
        impl $family {
            pub(crate) const PROBES: &'static [crate::testing::Probe] =
                &[$(crate::testing::probe::<$record>()),*];
        }

        $(
            impl From<$record> for $family {
                fn from(record: $record) -> Self {
                    $family::$name(record)
                }
            }
        )*
    };
}
pub(super) use framed_records;

/// Two enums, over the keys and the values of a coordinator's records.
///
/// A key is its type in two bytes and its fields, a value its version in two bytes and its fields.
macro_rules! coordinator_records {
    (
        $(#[$key_doc:meta])* $keys:ident,
        $(#[$value_doc:meta])* $values:ident
        { $($kind:literal $name:ident($key:ident, $value:ident),)* }
    ) => {
        $(#[$key_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $keys {
            $(#[doc = concat!("Record type ", $kind, ".")] $name($key),)*
        }

        $(#[$value_doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum $values {
            $(#[doc = concat!("Record type ", $kind, ".")] $name($value),)*
        }

        impl $keys {
            /// All record types in ascending order, with the versions of their values.
            pub const TYPES: &'static [(i16, &'static str, crate::Versions)] = &[$(
                ($kind, stringify!($name), <$value as crate::Message>::VERSIONS),
            )*];

            /// The number of the record's type.
            pub const fn kind(&self) -> i16 {
                match self {
                    $($keys::$name(_) => $kind,)*
                }
            }

            /// Reads the key of a record, all its bytes. A type unknown here is
            /// [`crate::DecodeErrorKind::RecordType`]: a newer version may have written it.
            pub fn decode(key: bytes::Bytes) -> Result<Self, crate::DecodeError> {
                let mut d = crate::Decoder::new(key);
                match crate::schema::family::read_prefix(&mut d)? {
                    $($kind => crate::schema::family::read_body(d, 0).map($keys::$name),)*
                    kind => Err(d.fail(crate::DecodeErrorKind::RecordType(kind as u16 as u32))),
                }
            }

            /// The key of a record.
            pub fn encode(&self) -> Result<bytes::Bytes, crate::EncodeError> {
                match self {
                    $($keys::$name(k) => crate::schema::family::write_prefixed($kind, k, 0),)*
                }
            }

            /// Reads the value of the record with this key, all its bytes; gives the version too.
            pub fn decode_value(
                &self,
                value: bytes::Bytes,
            ) -> Result<($values, i16), crate::DecodeError> {
                let mut d = crate::Decoder::new(value);
                let version = crate::schema::family::read_prefix(&mut d)?;
                let value = match self {
                    $($keys::$name(_) => {
                        crate::schema::family::read_body(d, version).map($values::$name)?
                    })*
                };
                Ok((value, version))
            }
        }

        impl $values {
            /// The number of the record's type.
            pub const fn kind(&self) -> i16 {
                match self {
                    $($values::$name(_) => $kind,)*
                }
            }

            /// The versions of the record's type.
            pub const fn versions(&self) -> crate::Versions {
                match self {
                    $($values::$name(_) => <$value as crate::Message>::VERSIONS,)*
                }
            }

            /// The value of a record, in a version of its type.
            pub fn encode(&self, version: i16) -> Result<bytes::Bytes, crate::EncodeError> {
                match self {
                    $($values::$name(v) => {
                        crate::schema::family::write_prefixed(version, v, version)
                    })*
                }
            }
        }

        #[cfg(feature = "testing")]
        impl $keys {
            pub(crate) const PROBES: &'static [crate::testing::Probe] =
                &[$(crate::testing::probe::<$key>(), crate::testing::probe::<$value>()),*];
        }

        $(
            impl From<$key> for $keys {
                fn from(key: $key) -> Self {
                    $keys::$name(key)
                }
            }
            impl From<$value> for $values {
                fn from(value: $value) -> Self {
                    $values::$name(value)
                }
            }
        )*
    };
}
pub(super) use coordinator_records;
