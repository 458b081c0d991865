//! From bytes to frames: four bytes of length, then the body.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::buffer;
use crate::error::FrameError;
use crate::transport::Transport;

/// How much one read asks for at least, in bytes.
pub const READ_CHUNK: usize = buffer::SMALL;

/// Frames up to this size are copied out of the read buffer, so that a small request that waits
/// long does not hold a whole buffer; larger ones are slices of it.
pub const MAX_COPIED_FRAME: usize = 4 << 10;

/// A buffer that is full with part of one frame grows to at most this many times what arrived.
const GROWTH: usize = 8;

/// Up to this much of a frame that has not all arrived is moved to a buffer of its own size while
/// the connection waits.
const MAX_CARRIED: usize = 32 << 10;

/// The length prefix.
const PREFIX: usize = 4;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes.
    Data(usize),
    /// The end: the peer closed.
    End,
}

/// Reads frames with as few system calls and copies as possible: each read takes all that fits in
/// a buffer lent by the thread, and frames are slices of it. Nothing is reserved on the word of a
/// length alone: a buffer grows only as its bytes arrive.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Option<Arc<Vec<u8>>>,
    /// `buffer` as shared bytes, while frames are taken from it.
    shared: Option<Bytes>,
    position: usize,
    seen_frame: bool,
}

impl FrameReader {
    /// A reader that holds no buffer yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn rest(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => buffer.get(self.position..).unwrap_or_default(),
            None => &[],
        }
    }

    fn announced(&self) -> Option<i32> {
        self.rest().first_chunk::<PREFIX>().map(|prefix| i32::from_be_bytes(*prefix))
    }

    /// Whether part of a frame has arrived.
    #[must_use]
    pub fn in_frame(&self) -> bool {
        !self.rest().is_empty()
    }

    /// Bytes that have arrived and were not handed out yet.
    pub(crate) fn arrived(&self) -> usize {
        self.rest().len()
    }

    /// Bytes the frame under way needs in all, its prefix included; 0 while unknown.
    #[must_use]
    pub fn needs(&self) -> usize {
        self.announced().and_then(|n| usize::try_from(n).ok()).map_or(0, |n| n + PREFIX)
    }

    /// The next frame that has arrived whole, without its prefix.
    ///
    /// # Errors
    /// [`FrameError`] if the length is negative, above `max`, or no length at all but TLS or HTTP.
    pub fn next_frame(&mut self, max: u32) -> Result<Option<Bytes>, FrameError> {
        let Some(announced) = self.announced() else { return Ok(None) };
        if !self.seen_frame {
            foreign(self.rest())?;
        }
        let size = u32::try_from(announced).map_err(|_| FrameError::Negative(announced))?;
        if size > max {
            return Err(FrameError::TooLarge { size, max });
        }
        let size = size as usize;
        let Some(body) = self.rest().get(PREFIX..PREFIX + size) else { return Ok(None) };
        let frame = if size <= MAX_COPIED_FRAME {
            Bytes::copy_from_slice(body)
        } else {
            let from = self.position + PREFIX;
            self.share().slice(from..from + size)
        };
        self.position += PREFIX + size;
        self.seen_frame = true;
        Ok(Some(frame))
    }

    fn share(&mut self) -> Bytes {
        let buffer = &self.buffer;
        let make = || buffer.as_ref().map_or_else(Bytes::new, buffer::share);
        self.shared.get_or_insert_with(make).clone()
    }

    /// Reads once, as much as the buffer takes. While it waits, no more memory is held than
    /// arrived. Call it when [`next_frame`](Self::next_frame) has no more.
    ///
    /// # Errors
    /// What the transport says.
    pub fn poll_fill<T>(
        &mut self,
        transport: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Fill>>
    where
        T: Transport,
    {
        if transport.poll_readable(cx)?.is_pending() {
            self.settle();
            return Poll::Pending;
        }
        let buffer = self.writable();
        match transport.poll_read(cx, buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Fill::End)),
            Poll::Ready(Ok(n)) => Poll::Ready(Ok(Fill::Data(n))),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => {
                self.settle();
                Poll::Pending
            }
        }
    }

    /// A buffer with what is left of the last one at its front, and room behind it.
    fn writable(&mut self) -> &mut Vec<u8> {
        self.shared = None;
        let (needs, position) = (self.needs(), std::mem::take(&mut self.position));
        let mut buffer = match self.buffer.take() {
            None => buffer::take(buffer::SMALL),
            Some(mut old) => {
                let rest = old.len() - position;
                let capacity = grown(old.capacity(), rest, needs);
                match Arc::get_mut(&mut old).filter(|b| b.capacity() == capacity) {
                    Some(vec) => {
                        vec.copy_within(position.., 0);
                        vec.truncate(rest);
                        old
                    }
                    None => {
                        let mut new = buffer::take(capacity);
                        Arc::make_mut(&mut new).extend_from_slice(&old[position..]);
                        buffer::give(old);
                        new
                    }
                }
            }
        };
        debug_assert!(Arc::get_mut(&mut buffer).is_some_and(|b| b.len() < b.capacity()));
        Arc::make_mut(self.buffer.insert(buffer))
    }

    /// Holds no more than it must while nothing is read: a large buffer with little left in it goes.
    pub(crate) fn rests(&mut self) {
        let held = self.buffer.as_ref().map_or(0, |b| b.capacity());
        let rest = self.arrived();
        if held > buffer::LARGE && rest > MAX_CARRIED && rest <= held / 2 {
            self.buffer = Some(Arc::new(self.rest().to_vec()));
            self.position = 0;
        }
        self.settle();
    }

    /// Gives the buffer back when nothing is in it, and carries little in little.
    fn settle(&mut self) {
        self.shared = None;
        let Some(buffer) = self.buffer.take() else { return };
        let rest = buffer.len() - self.position;
        if rest == 0 {
            self.position = 0;
            buffer::give(buffer);
        } else if rest <= MAX_CARRIED && buffer.capacity() > rest {
            self.buffer = Some(Arc::new(buffer[self.position..].to_vec()));
            self.position = 0;
            buffer::give(buffer);
        } else {
            self.buffer = Some(buffer);
        }
    }
}

/// The capacity for `rest` bytes of a frame that needs `needs` in all.
fn grown(capacity: usize, rest: usize, needs: usize) -> usize {
    let outsized = capacity > buffer::LARGE && needs <= buffer::LARGE;
    if rest < capacity && capacity >= buffer::SMALL && !outsized {
        return capacity;
    }
    let least =
        if rest < buffer::SMALL { buffer::SMALL } else { needs.max(rest + 1).min(rest * GROWTH) };
    match least {
        n if n <= buffer::SMALL => buffer::SMALL,
        n if n <= buffer::LARGE => buffer::LARGE,
        n => n,
    }
}

/// Recognises those who are not Kafka clients by the first bytes they send.
fn foreign(first: &[u8]) -> Result<(), FrameError> {
    const VERBS: [&str; 6] = ["GET ", "POST", "PUT ", "HEAD", "OPTI", "PRI "];
    if first.starts_with(&[0x16, 0x03]) && first.get(2).is_some_and(|minor| *minor <= 4) {
        return Err(FrameError::Tls);
    }
    match VERBS.iter().find(|verb| first.starts_with(verb.as_bytes())) {
        Some(verb) => Err(FrameError::Http(verb.trim())),
        None => Ok(()),
    }
}

/// Reads until a whole frame is there; for tests and simple clients of the trait.
impl FrameReader {
    /// Waits for the next frame; `None` when the peer closed.
    ///
    /// # Errors
    /// What the transport says, or a bad frame as [`io::ErrorKind::InvalidData`].
    pub fn poll_frame<T>(
        &mut self,
        transport: &mut T,
        max: u32,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>>
    where
        T: Transport,
    {
        loop {
            let frame = self.next_frame(max);
            match frame.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))? {
                Some(frame) => return Poll::Ready(Ok(Some(frame))),
                None => match ready!(self.poll_fill(transport, cx))? {
                    Fill::Data(_) => {}
                    Fill::End => return Poll::Ready(Ok(None)),
                },
            }
        }
    }
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
