//! What carries bytes: a TCP socket here, memory in tests, TLS around a socket.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::response::FileSlice;
use crate::stats::NetStats;

/// Whether more bytes of the same answer follow a write at once, so that the system may wait with
/// sending a packet that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// More follows.
    Follows,
    /// This is the end of what there is.
    End,
}

/// A stream of bytes in both directions. All calls are non-blocking: `Pending` has registered the
/// task to be woken.
pub trait Transport: Send + Unpin + 'static {
    /// Whether a read may bring something; so that no buffer is taken before.
    ///
    /// # Errors
    /// When the stream is broken.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Appends to `buffer` at most what its spare capacity takes; 0 means the peer closed.
    ///
    /// # Errors
    /// When the stream is broken.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Writes some of the `pieces`, in order, and returns how many bytes.
    ///
    /// # Errors
    /// When the stream is broken.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        more: More,
    ) -> Poll<io::Result<usize>>;

    /// Writes some bytes of a file and returns how many; 0 means the file ended before the slice.
    ///
    /// # Errors
    /// When the stream is broken or the file cannot be read.
    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        slice: &FileSlice,
    ) -> Poll<io::Result<usize>>;

    /// Tells the peer that nothing more comes.
    fn shutdown(&mut self);
}

/// A plaintext TCP connection.
#[derive(Debug)]
pub struct TcpTransport {
    stream: TcpStream,
    stats: Arc<NetStats>,
}

impl TcpTransport {
    /// Wraps a connected socket that belongs to the runtime this runs on.
    #[must_use]
    pub fn new(stream: TcpStream, stats: Arc<NetStats>) -> Self {
        Self { stream, stats }
    }
}

impl Transport for TcpTransport {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let spare = buffer.capacity() - buffer.len();
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let mut short = None;
            let result = self.stream.try_io(Interest::READABLE, || {
                NetStats::one(&self.stats.reads);
                let n = rustix::io::read(&self.stream, spare_capacity(buffer))?;
                if n == 0 || n == spare {
                    return Ok(n);
                }
                // The socket is empty now: saying so spares the read that would only find that.
                short = Some(n);
                Err(io::ErrorKind::WouldBlock.into())
            });
            match (result, short) {
                (_, Some(n)) | (Ok(n), None) => {
                    NetStats::add(&self.stats.bytes_in, n);
                    return Poll::Ready(Ok(n));
                }
                (Err(e), None) if e.kind() == io::ErrorKind::WouldBlock => {}
                (Err(e), None) if e.kind() == io::ErrorKind::Interrupted => {}
                (Err(e), None) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        more: More,
    ) -> Poll<io::Result<usize>> {
        let all: usize = pieces.iter().map(|p| p.len()).sum();
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more == More::Follows);
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut short = None;
            let result = self.stream.try_io(Interest::WRITABLE, || {
                NetStats::one(&self.stats.writes);
                let n = match pieces {
                    [one] => rustix::net::send(&self.stream, one, flags)?,
                    many => {
                        let mut none = SendAncillaryBuffer::default();
                        rustix::net::sendmsg(&self.stream, many, &mut none, flags)?
                    }
                };
                if n == all {
                    return Ok(n);
                }
                short = Some(n);
                Err(io::ErrorKind::WouldBlock.into())
            });
            match (result, short) {
                (_, Some(n)) | (Ok(n), None) => {
                    NetStats::add(&self.stats.bytes_out, n);
                    return Poll::Ready(Ok(n));
                }
                (Err(e), None) if e.kind() == io::ErrorKind::WouldBlock => {}
                (Err(e), None) if e.kind() == io::ErrorKind::Interrupted => {}
                (Err(e), None) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        slice: &FileSlice,
    ) -> Poll<io::Result<usize>> {
        let Some(file) = slice.file.descriptor() else {
            return poll_copy_file(self, cx, slice);
        };
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let result = self.stream.try_io(Interest::WRITABLE, || {
                NetStats::one(&self.stats.sendfiles);
                let mut offset = slice.offset;
                let len = slice.len as usize;
                Ok(rustix::fs::sendfile(&self.stream, file, Some(&mut offset), len)?)
            });
            match result {
                Ok(n) => {
                    NetStats::add(&self.stats.bytes_out, n);
                    return Poll::Ready(Ok(n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn shutdown(&mut self) {
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write);
    }
}

/// How much of a file is read at once where `sendfile` cannot be used.
const COPY_STEP: usize = 64 << 10;

/// [`Transport::poll_send_file`] for transports and files that know no `sendfile`.
///
/// # Errors
/// When the stream is broken or the file cannot be read.
pub fn poll_copy_file<T>(
    transport: &mut T,
    cx: &mut Context<'_>,
    slice: &FileSlice,
) -> Poll<io::Result<usize>>
where
    T: Transport,
{
    let mut buffer = vec![0; (slice.len as usize).min(COPY_STEP)];
    let n = slice.file.read_at(&mut buffer, slice.offset)?;
    if n == 0 {
        return Poll::Ready(Ok(0));
    }
    buffer.truncate(n);
    transport.poll_write(cx, &[IoSlice::new(&buffer)], More::End)
}
