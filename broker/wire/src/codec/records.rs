//! The type of `records` fields.

use bytes::Bytes;

/// Record batches in a message: the bytes themselves, or the promise of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// The batches. A decoded message holds a slice of its frame.
    Bytes(Bytes),
    /// So many bytes, sent from a file at this place of the frame; see [`super::Encoder::finish`].
    /// Never decoded.
    Hole(u32),
}

impl Records {
    /// The number of bytes on the wire.
    pub fn len(&self) -> usize {
        match self {
            Records::Bytes(b) => b.len(),
            Records::Hole(n) => *n as usize,
        }
    }

    /// Whether there is not one byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, unless they are only promised.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Records::Bytes(b) => Some(b),
            Records::Hole(_) => None,
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Records::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Records::Bytes(bytes)
    }
}
