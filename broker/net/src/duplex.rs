//! A connection in memory, with bounded buffers, for tests of services and of the connection itself.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::response::FileSlice;
use crate::transport::{More, Transport, poll_copy_file};

/// One direction.
#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    writes: usize,
}

impl Pipe {
    fn wake(slot: &mut Option<Waker>) {
        if let Some(waker) = slot.take() {
            waker.wake();
        }
    }
}

type Shared = Arc<Mutex<Pipe>>;

fn lock(pipe: &Shared) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pipe(capacity: usize) -> Shared {
    let bytes = VecDeque::new();
    let (closed, reader, writer, writes) = (false, None, None, 0);
    Arc::new(Mutex::new(Pipe { bytes, capacity, closed, reader, writer, writes }))
}

/// The broker's end.
#[derive(Debug)]
pub struct Duplex {
    input: Shared,
    output: Shared,
}

/// The client's end.
#[derive(Debug)]
pub struct DuplexPeer {
    input: Shared,
    output: Shared,
}

/// Two ends of a connection that holds at most `capacity` bytes a direction.
#[must_use]
pub fn duplex(capacity: usize) -> (Duplex, DuplexPeer) {
    let (a, b) = (pipe(capacity), pipe(capacity));
    let near = Duplex { input: Arc::clone(&a), output: Arc::clone(&b) };
    (near, DuplexPeer { input: b, output: a })
}

fn poll_read(pipe: &Shared, cx: &Context<'_>, into: &mut Vec<u8>, max: usize) -> Poll<usize> {
    let mut pipe = lock(pipe);
    if pipe.bytes.is_empty() && !pipe.closed {
        pipe.reader = Some(cx.waker().clone());
        return Poll::Pending;
    }
    let n = max.min(pipe.bytes.len());
    into.extend(pipe.bytes.drain(..n));
    Pipe::wake(&mut pipe.writer);
    Poll::Ready(n)
}

fn poll_write(pipe: &Shared, cx: &Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let mut pipe = lock(pipe);
    if pipe.closed {
        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
    }
    let mut room = pipe.capacity - pipe.bytes.len();
    if room == 0 {
        pipe.writer = Some(cx.waker().clone());
        return Poll::Pending;
    }
    let mut n = 0;
    for piece in pieces {
        let step = room.min(piece.len());
        pipe.bytes.extend(&piece[..step]);
        n += step;
        room -= step;
    }
    pipe.writes += 1;
    Pipe::wake(&mut pipe.reader);
    Poll::Ready(Ok(n))
}

fn close(pipe: &Shared) {
    let mut pipe = lock(pipe);
    pipe.closed = true;
    Pipe::wake(&mut pipe.reader);
    Pipe::wake(&mut pipe.writer);
}

impl Transport for Duplex {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.input);
        if pipe.bytes.is_empty() && !pipe.closed {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let max = buffer.capacity() - buffer.len();
        poll_read(&self.input, cx, buffer, max).map(Ok)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        _: More,
    ) -> Poll<io::Result<usize>> {
        poll_write(&self.output, cx, pieces)
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        slice: &FileSlice,
    ) -> Poll<io::Result<usize>> {
        poll_copy_file(self, cx, slice)
    }

    fn shutdown(&mut self) {
        close(&self.output);
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        close(&self.input);
        close(&self.output);
    }
}

impl DuplexPeer {
    /// Sends all of `bytes`, waiting while the other end does not read.
    ///
    /// # Errors
    /// When the other end closed.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let slice = [IoSlice::new(rest)];
            let n = std::future::poll_fn(|cx| poll_write(&self.output, cx, &slice)).await?;
            rest = &rest[n..];
        }
        Ok(())
    }

    /// Receives at most `max` bytes; none means the other end closed.
    pub async fn receive(&self, max: usize) -> Vec<u8> {
        let mut into = Vec::new();
        std::future::poll_fn(|cx| poll_read(&self.input, cx, &mut into, max)).await;
        into
    }

    /// Receives one frame with its prefix taken off; `None` when the other end closed.
    pub async fn receive_frame(&self) -> Option<Vec<u8>> {
        let prefix = self.receive_exact(4).await?;
        let len = u32::from_be_bytes(prefix.try_into().ok()?);
        self.receive_exact(len as usize).await
    }

    async fn receive_exact(&self, len: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < len {
            let step = self.receive(len - all.len()).await;
            if step.is_empty() {
                return None;
            }
            all.extend(step);
        }
        Some(all)
    }

    /// How many writes the other end made.
    #[must_use]
    pub fn writes(&self) -> usize {
        lock(&self.input).writes
    }

    /// Bytes that wait to be received.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.input).bytes.len()
    }

    /// Tells the other end that nothing more comes; receiving goes on.
    pub fn finish(&self) {
        close(&self.output);
    }
}

impl Drop for DuplexPeer {
    fn drop(&mut self) {
        close(&self.input);
        close(&self.output);
    }
}
