//! What a service answers with: bytes and slices of files.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// A file that a response may take bytes from.
pub trait FileSource: Send + Sync + 'static {
    /// Reads at `offset` into `buf` and returns how many bytes came; 0 means the file ends there.
    ///
    /// # Errors
    /// What the system says of the read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The descriptor for `sendfile`, where there is one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

impl FileSource for std::fs::File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

/// `len` bytes of a file from `offset` on. The file must have them: one that turns out shorter
/// closes the connection, since the length was already promised.
#[derive(Clone)]
pub struct FileSlice {
    /// The file.
    pub file: Arc<dyn FileSource>,
    /// Where the slice begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u32,
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSlice({}+{})", self.offset, self.len)
    }
}

/// A piece of a response.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file.
    File(FileSlice),
}

impl Part {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(slice) => slice.len as usize,
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One answer, without its length prefix, which the connection writes.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Sent first. Most answers are this and nothing else.
    pub head: Bytes,
    /// Sent after `head`, in order.
    pub rest: Vec<Part>,
    /// For how long no further request of this connection is read after this answer (quotas).
    pub mute: Option<Duration>,
}

impl Response {
    /// An answer that is all in memory.
    #[must_use]
    pub fn bytes(head: impl Into<Bytes>) -> Self {
        Self { head: head.into(), ..Self::default() }
    }

    /// Adds a part at the end.
    pub fn push(&mut self, part: Part) {
        self.rest.push(part);
    }

    /// The frame's length in bytes, as its prefix says it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.rest.iter().map(Part::len).sum::<usize>()
    }

    /// Whether the frame is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it holds in memory (file slices hold none).
    pub(crate) fn memory(&self) -> usize {
        let rest = self.rest.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.len(),
            Part::File(_) => 0,
        });
        self.head.len() + rest.sum::<usize>()
    }
}
