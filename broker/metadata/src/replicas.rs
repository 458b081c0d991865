//! A short list of broker ids, kept small because there are two of them in every partition.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Ids that fit without an allocation: nearly all partitions have three replicas or fewer.
const INLINE: usize = 3;

/// An immutable list of broker ids in order. 16 bytes; up to three ids need no allocation, and a clone never does.
#[derive(Clone)]
pub struct Replicas(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, ids: [i32; INLINE] },
    // Two steps to the ids, so that the pointer is a thin one: long lists are rare.
    Shared(Arc<Vec<i32>>),
}

impl Replicas {
    /// No ids.
    pub const EMPTY: Self = Self(Repr::Inline { len: 0, ids: [0; INLINE] });

    /// A list of these ids.
    #[must_use]
    pub fn new(ids: &[i32]) -> Self {
        if ids.len() <= INLINE {
            let mut inline = [0; INLINE];
            inline[..ids.len()].copy_from_slice(ids);
            // At most INLINE, so it fits.
            Self(Repr::Inline { len: ids.len() as u8, ids: inline })
        } else {
            Self(Repr::Shared(Arc::new(ids.to_vec())))
        }
    }

    /// The ids in order.
    #[must_use]
    pub fn as_slice(&self) -> &[i32] {
        match &self.0 {
            Repr::Inline { len, ids } => &ids[..usize::from(*len)],
            Repr::Shared(ids) => ids,
        }
    }
}

impl Deref for Replicas {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.as_slice()
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Replicas {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Replicas {}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl From<&[i32]> for Replicas {
    fn from(ids: &[i32]) -> Self {
        Self::new(ids)
    }
}

impl From<Vec<i32>> for Replicas {
    fn from(ids: Vec<i32>) -> Self {
        Self::new(&ids)
    }
}

impl From<&Vec<i32>> for Replicas {
    fn from(ids: &Vec<i32>) -> Self {
        Self::new(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Replicas>(), 16);
    }

    #[test]
    fn short_and_long_lists_hold_their_ids() {
        for n in 0..6 {
            let ids: Vec<i32> = (0..n).collect();
            assert_eq!(Replicas::new(&ids).as_slice(), ids);
            assert_eq!(Replicas::new(&ids).clone(), Replicas::from(ids));
        }
        assert_ne!(Replicas::new(&[1]), Replicas::new(&[1, 0]));
    }
}
