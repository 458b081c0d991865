//! Bytes to values and back: the Kafka protocol, record batches and record schemas.
//!
//! A struct with `#[derive(Message)]` is a message, and its attributes are the whole schema: there
//! is no other place that says which version has which field. [`api`] holds requests and responses,
//! one file a key; [`schema`] the records that Kafka keeps in its own topics and files; [`record`]
//! the batches they travel in; [`codec`] what the derived code calls.
//!
//! Invariant: pure. No I/O, no clock, no randomness, no thread. A decoder takes any bytes whatever,
//! and answers with a value or a [`DecodeError`]: it does not panic, and never reserves more memory
//! than the bytes that are left could hold.
//!
//! Start reading at [`codec::Message`], then any file of [`api`].

extern crate self as ottla_wire;

pub mod api;
pub mod codec;
pub mod record;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;

mod error;
mod error_code;
mod uuid;

pub use api::ApiKey;
pub use codec::{Decoder, Encoder, Message, Records, Versions};
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use error_code::ErrorCode;
pub use ottla_wire_derive::Message;
pub use uuid::{ParseUuidError, Uuid};
