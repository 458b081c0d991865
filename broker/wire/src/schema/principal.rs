//! The principal that Envelope and delegation tokens carry.

use std::fmt;

use bytes::Bytes;

use crate::{DecodeError, Decoder, EncodeError, Encoder, Message};

/// The version in which a principal is written.
const VERSION: i16 = 0;

/// The principal of a forwarded request in Envelope; its version stands before it in two bytes.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DefaultPrincipalData {
    pub r#type: String,
    pub name: String,
    pub token_authenticated: bool,
}

impl DefaultPrincipalData {
    /// Who did not say who they are: `User:ANONYMOUS`, as Kafka calls them.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { r#type: "User".to_owned(), name: "ANONYMOUS".to_owned(), token_authenticated: false }
    }

    /// As Envelope carries it, with the version before it.
    ///
    /// # Errors
    /// If a name is longer than the format can say.
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut e = Encoder::new();
        e.raw(&VERSION.to_be_bytes());
        self.encode(&mut e, VERSION)?;
        e.into_bytes()
    }

    /// Out of what an Envelope carries.
    ///
    /// # Errors
    /// If it is cut short, longer than a principal, or of a version that is not known.
    pub fn from_bytes(data: Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(data);
        let version = i16::from_be_bytes(d.array::<2>()?);
        let principal = Self::decode(&mut d, version)?;
        d.expect_end()?;
        Ok(principal)
    }
}

impl fmt::Display for DefaultPrincipalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.r#type, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_carries_it_and_nothing_else() {
        let alice = DefaultPrincipalData {
            r#type: "User".to_owned(),
            name: "alice".to_owned(),
            token_authenticated: true,
        };
        let bytes = alice.to_bytes().expect("a short name");
        assert_eq!(&bytes[..], b"\0\0\x05User\x06alice\x01\0");
        assert_eq!(DefaultPrincipalData::from_bytes(bytes.clone()), Ok(alice.clone()));
        assert_eq!(alice.to_string(), "User:alice");
        for end in 0..bytes.len() {
            assert!(DefaultPrincipalData::from_bytes(bytes.slice(..end)).is_err(), "cut at {end}");
        }
        for wrong in [[&bytes[..], b"x"].concat(), [&b"\0\x01"[..], &bytes[2..]].concat()] {
            assert!(DefaultPrincipalData::from_bytes(wrong.into()).is_err());
        }
    }
}
