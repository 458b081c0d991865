//! Kafka's 128-bit ids: topics, directories, members.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The length of an id as text.
const TEXT: usize = 22;

/// An id of 16 bytes, written as 22 characters of URL-safe base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid([u8; 16]);

/// Text that is no [`Uuid`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not an id of 22 characters of url-safe base64")]
pub struct ParseUuidError;

impl Uuid {
    /// No id. Of a directory: from before directories had ids.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The topic id of `__cluster_metadata`. Of a directory: not assigned yet.
    pub const ONE: Uuid = Uuid::from_u128(1);
    /// The topic id of `__cluster_metadata`.
    pub const METADATA_TOPIC: Uuid = Uuid::ONE;
    /// The directory of a replica whose directory went offline (KIP-858).
    pub const LOST_DIRECTORY: Uuid = Uuid::from_u128(2);
    /// The directory of a replica that is not assigned to one yet (KIP-858).
    pub const UNASSIGNED_DIRECTORY: Uuid = Uuid::ONE;
    /// The directory of a replica from before directories had ids (KIP-858).
    pub const MIGRATING_DIRECTORY: Uuid = Uuid::ZERO;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Uuid(bytes)
    }

    /// The id with this number, most significant byte first.
    pub const fn from_u128(value: u128) -> Self {
        Uuid(value.to_be_bytes())
    }

    /// A version 4 id of 16 random bytes. `None` if the bytes make an id that Kafka never gives
    /// out, because it is reserved or its text would begin with `-` and look like an option: draw
    /// again.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        // The first character is the first six bits; `-` is number 62.
        let id = Uuid(bytes);
        (id.0[0] >> 2 != 62 && !id.is_reserved()).then_some(id)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }

    /// Whether the id is one of the first hundred, which Kafka keeps for itself.
    pub fn is_reserved(&self) -> bool {
        u128::from_be_bytes(self.0) < 100
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT];
        for (i, c) in text.iter_mut().enumerate() {
            // 22 characters are 132 bits: the last one carries two bits and four zeroes.
            let six = if i == TEXT - 1 { n << 4 } else { n >> (122 - 6 * i) };
            *c = ALPHABET[(six & 63) as usize];
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    /// Takes 22 characters, or 24 with the padding `==`.
    fn from_str(s: &str) -> Result<Self, ParseUuidError> {
        let s = s.strip_suffix("==").unwrap_or(s).as_bytes();
        if s.len() != TEXT {
            return Err(ParseUuidError);
        }
        let mut n = 0u128;
        for (i, c) in s.iter().enumerate() {
            let six = ALPHABET.iter().position(|a| a == c).ok_or(ParseUuidError)? as u128;
            n = if i == TEXT - 1 { n << 2 | six >> 4 } else { n << 6 | six };
        }
        Ok(Uuid::from_u128(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kafkas() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::ONE.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid::from_bytes([0xff; 16]).to_string(), "_____________________w");
        assert_eq!("_____________________w".parse(), Ok(Uuid::from_bytes([0xff; 16])));
        assert_eq!("_____________________w==".parse(), Ok(Uuid::from_bytes([0xff; 16])));
        let bytes = std::array::from_fn(|i| (i as u8).wrapping_mul(37));
        assert_eq!(Uuid::from_bytes(bytes).to_string().parse(), Ok(Uuid::from_bytes(bytes)));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for s in
            ["", "A", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAAA", "äAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(s.parse::<Uuid>(), Err(ParseUuidError), "{s}");
        }
    }

    #[test]
    fn random_ids_are_of_version_4_and_no_option() {
        let id = Uuid::from_random([0; 16]).expect("a good id");
        assert_eq!(id, Uuid::from_u128(0x4000_8000_0000_0000_0000));
        assert_eq!(Uuid::from_random([62 << 2; 16]), None);
    }
}
