//! The codec: [`Decoder`] and [`Encoder`], and the traits that the derived code is written against.
//!
//! A message is a [`Message`]; the structs inside it are [`Struct`]s, which know no version of
//! their own and take the [`Layout`] from the message they stand in.

mod decoder;
mod encoder;
mod records;
mod value;
mod version;

use std::fmt::Debug;

pub use decoder::{Decoder, MAX_STRING};
pub use encoder::{Encoded, Encoder, Hole, Part, Tags};
pub use records::Records;
pub use value::{Nullable, Value};
pub use version::{Layout, Versions};

use crate::{DecodeError, EncodeError};

/// A whole message: a request, a response, a header or a record body.
pub trait Message: Default + Clone + PartialEq + Debug {
    /// Kafka's name of the message.
    const NAME: &'static str;
    /// The versions which exist.
    const VERSIONS: Versions;
    /// The versions with compact lengths and tagged fields ([`Versions::NONE`] where there are
    /// none; KIP-482).
    const FLEXIBLE: Versions;

    /// Reads one message and leaves the decoder behind its last byte; see [`Decoder::remaining`]
    /// for bytes left over.
    fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message. A field that this version lacks must hold its default, unless it is
    /// ignorable.
    ///
    /// After an error the encoder holds a torn message and is to be dropped.
    fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError>;
}

/// The fields of a struct, in a message or of a message itself. Made by `#[derive(Message)]`.
pub trait Struct: Default + Clone + PartialEq + Debug {
    /// The least number of bytes the struct takes in any version.
    const MIN_SIZE: usize;

    /// Reads the fields which exist in this layout; the others get their default.
    fn read(d: &mut Decoder, layout: Layout) -> Result<Self, DecodeError>;

    /// Writes the fields which exist in this layout.
    fn write(&self, e: &mut Encoder, layout: Layout) -> Result<(), EncodeError>;
}

/// The body of every derived [`Message::decode`].
#[doc(hidden)]
pub fn decode_message<M: Message + Struct>(
    d: &mut Decoder,
    version: i16,
) -> Result<M, DecodeError> {
    let layout = Layout::of::<M>(version)
        .ok_or_else(|| d.fail(crate::DecodeErrorKind::Version(version)).within(M::NAME))?;
    M::read(d, layout).map_err(|e| e.within(M::NAME))
}

/// The body of every derived [`Message::encode`].
#[doc(hidden)]
pub fn encode_message<M: Message + Struct>(
    m: &M,
    e: &mut Encoder,
    version: i16,
) -> Result<(), EncodeError> {
    let layout =
        Layout::of::<M>(version).ok_or(EncodeError::Version { message: M::NAME, version })?;
    m.write(e, layout)
}

#[cfg(test)]
mod tests;
