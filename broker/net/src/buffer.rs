//! Read buffers, lent to a connection while data is in flight and kept by threads meanwhile.
//!
//! A buffer is an `Arc<Vec<u8>>`: frames are slices of it without a copy, and it can be written
//! again, without being cleared, as soon as nobody holds a slice.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;

/// How many buffers a thread keeps of each size.
const KEPT_PER_THREAD: usize = 4;

/// Sizes kept: the chunk that every read starts with, and room for a frame of a megabyte.
pub(crate) const SMALL: usize = 128 << 10;
pub(crate) const LARGE: usize = (1 << 20) + (16 << 10);

thread_local! {
    static KEPT: RefCell<[Vec<Arc<Vec<u8>>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

fn class(capacity: usize) -> Option<usize> {
    match capacity {
        SMALL => Some(0),
        LARGE => Some(1),
        _ => None,
    }
}

/// An empty buffer that can hold `capacity` bytes.
pub(crate) fn take(capacity: usize) -> Arc<Vec<u8>> {
    if let Some(class) = class(capacity)
        && let Some(buffer) = KEPT.with_borrow_mut(|kept| kept[class].pop())
    {
        return buffer;
    }
    Arc::new(Vec::with_capacity(capacity))
}

/// Gives a buffer back. It is kept only if nobody holds a slice of it.
pub(crate) fn give(mut buffer: Arc<Vec<u8>>) {
    let Some(class) = class(buffer.capacity()) else { return };
    let Some(vec) = Arc::get_mut(&mut buffer) else { return };
    vec.clear();
    KEPT.with_borrow_mut(|kept| {
        if kept[class].len() < KEPT_PER_THREAD {
            kept[class].push(buffer);
        }
    });
}

/// A handle by which [`Bytes`] keeps a buffer alive.
struct Owner(Arc<Vec<u8>>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// All that was read into the buffer, as shared bytes.
pub(crate) fn share(buffer: &Arc<Vec<u8>>) -> Bytes {
    Bytes::from_owner(Owner(Arc::clone(buffer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_only_when_nobody_holds_a_slice() {
        let mut a = take(SMALL);
        Arc::get_mut(&mut a).unwrap().extend_from_slice(b"abc");
        let address = a.as_ptr();
        let held = share(&a);
        give(a);
        let b = take(SMALL);
        assert_ne!(b.as_ptr(), address);
        assert_eq!(&held[..], b"abc");
        let address = b.as_ptr();
        give(b);
        let c = take(SMALL);
        assert_eq!(c.as_ptr(), address);
        assert!(c.is_empty());
    }
}
