//! Answers on their way out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::response::{FileSlice, Part, Response};
use crate::transport::{More, Transport};

/// File slices up to this size are read into memory and leave in one write with what stands around
/// them; larger ones go by `sendfile`.
pub const INLINE_FILE_SLICE: usize = 32 << 10;

/// How much of a peer's answers is held in memory before small file slices are sent from the file too: a peer that does not read
/// is not to cost more.
const INLINE_TOTAL: usize = 256 << 10;

/// Parts in memory up to this size are copied behind each other; larger ones are written from where
/// they are.
const COPIED_PART: usize = 4 << 10;

/// How many pieces one write takes.
const MAX_PIECES: usize = 32;

/// How much one connection writes before others get their turn, in bytes.
const TURN: usize = 4 << 20;

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>, usize),
    Bytes(Bytes),
    File(FileSlice),
}

/// Bytes and file slices that the peer has not taken yet.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    memory: usize,
    written: u64,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of memory that wait to be taken (file slices take none).
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes that the peer took since the beginning.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether everything was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Queues a response behind its length prefix.
    ///
    /// # Errors
    /// When a small file slice cannot be read, or the response does not fit a frame.
    pub fn push(&mut self, response: Response) -> io::Result<()> {
        let len = i32::try_from(response.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.copy(&len.to_be_bytes(), response.head.len());
        self.push_bytes(response.head);
        for part in response.rest {
            match part {
                Part::Bytes(bytes) => self.push_bytes(bytes),
                Part::File(slice)
                    if slice.len as usize <= INLINE_FILE_SLICE && self.memory < INLINE_TOTAL =>
                {
                    self.read_in(&slice)?;
                }
                Part::File(slice) => self.pieces.push_back(Piece::File(slice)),
            }
        }
        Ok(())
    }

    fn push_bytes(&mut self, bytes: Bytes) {
        if bytes.len() <= COPIED_PART {
            self.copy(&bytes, 0);
        } else {
            self.memory += bytes.len();
            self.pieces.push_back(Piece::Bytes(bytes));
        }
    }

    fn own(&mut self, room: usize) -> &mut Vec<u8> {
        if !matches!(self.pieces.back(), Some(Piece::Own(..))) {
            self.pieces.push_back(Piece::Own(Vec::with_capacity(room), 0));
        }
        match self.pieces.back_mut() {
            Some(Piece::Own(own, _)) => own,
            _ => unreachable!("an own piece was just pushed"),
        }
    }

    fn copy(&mut self, bytes: &[u8], follows: usize) {
        if bytes.is_empty() {
            return;
        }
        self.memory += bytes.len();
        let room = bytes.len() + follows.min(COPIED_PART);
        self.own(room).extend_from_slice(bytes);
    }

    fn read_in(&mut self, slice: &FileSlice) -> io::Result<()> {
        let len = slice.len as usize;
        self.memory += len;
        let own = self.own(len);
        let start = own.len();
        own.resize(start + len, 0);
        let mut done = 0;
        while done < len {
            match slice.file.read_at(&mut own[start + done..], slice.offset + done as u64) {
                Ok(0) => return Err(truncated(slice)),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes what the peer takes. `Ready` when everything left.
    ///
    /// # Errors
    /// When the stream broke, or a file ended before a slice that was promised of it.
    pub fn poll_flush<T>(&mut self, transport: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: Transport,
    {
        let mut written = 0;
        while let Some(front) = self.pieces.front_mut() {
            if written >= TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Piece::File(slice) = front {
                let n = ready!(transport.poll_send_file(cx, slice))?;
                let Some(taken) = u32::try_from(n).ok().filter(|n| *n > 0) else {
                    return Poll::Ready(Err(truncated(slice)));
                };
                slice.offset += u64::from(taken);
                slice.len -= taken.min(slice.len);
                if slice.len == 0 {
                    self.pieces.pop_front();
                }
                written += n;
                self.written += n as u64;
            } else {
                let n = ready!(self.poll_write(transport, cx))?;
                self.taken(n);
                written += n;
                self.written += n as u64;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write<T>(&self, transport: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        T: Transport,
    {
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let mut count = 0;
        let mut more = More::End;
        for piece in &self.pieces {
            let bytes = match piece {
                Piece::Own(own, taken) => &own[*taken..],
                Piece::Bytes(bytes) => &bytes[..],
                Piece::File(_) => {
                    more = More::Follows;
                    break;
                }
            };
            if count == MAX_PIECES {
                more = More::Follows;
                break;
            }
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        transport.poll_write(cx, &slices[..count], more)
    }

    fn taken(&mut self, mut n: usize) {
        self.memory = self.memory.saturating_sub(n);
        while n > 0 {
            let left = match self.pieces.front_mut() {
                Some(Piece::Own(own, taken)) => {
                    let step = n.min(own.len() - *taken);
                    *taken += step;
                    n -= step;
                    own.len() - *taken
                }
                Some(Piece::Bytes(bytes)) => {
                    let step = n.min(bytes.len());
                    bytes.advance(step);
                    n -= step;
                    bytes.len()
                }
                Some(Piece::File(_)) | None => return,
            };
            if left == 0 {
                self.pieces.pop_front();
            }
        }
    }
}

fn truncated(slice: &FileSlice) -> io::Error {
    let text =
        format!("file ended before a promised slice: {} bytes at {}", slice.len, slice.offset);
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

#[cfg(test)]
#[path = "outbox/tests.rs"]
mod tests;
