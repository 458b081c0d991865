//! The only door to the operating system's files.
//!
//! [`real::RealDisk`] is what a broker uses; [`sim::SimDisk`] keeps files in memory, forgets what
//! was not flushed when told to crash, and fails on request.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub mod real;
pub mod sim;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; the file must exist.
    Write,
    /// Reading and writing; created when absent.
    Create,
    /// Reading and writing; created when absent, emptied when present.
    Truncate,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file (or a link to one).
    File,
    /// A directory.
    Dir,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the whole file system.
    pub total: u64,
    /// What an unprivileged process may still write.
    pub usable: u64,
}

/// A file system. Paths are absolute, or relative to the process's directory.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file or directory, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; fails when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and those above it; does nothing when it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes creations, renames and removals in a directory survive a power loss.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Takes the exclusive lock of a file, creating it; `None` when another process holds it.
    /// Dropping the guard frees it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
    /// Size and free space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Flushes everything of the file system that holds `path`.
    fn sync_all(&self, path: &Path) -> io::Result<()>;

    /// Reads a whole file, up to `limit` bytes; a longer one is an error.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let len = file.len()?;
        if len > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "file is too large"));
        }
        let mut bytes = vec![0; len as usize];
        let n = file.read_at(&mut bytes, 0)?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

/// An open file. Reads and writes carry their position, so that many threads can share it.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bufs`, one after the other, at `position`.
    fn write_vectored_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// When the content last changed, in milliseconds since 1970.
    fn modified_ms(&self) -> io::Result<i64>;
    /// Says when the content last changed.
    fn set_modified_ms(&self, ms: i64) -> io::Result<()>;
    /// Cuts the file, or fills it with zeroes, to this length.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Reserves space, so that the file has at least this length.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes content and length survive a power loss.
    fn sync_data(&self) -> io::Result<()>;
    /// The descriptor for `sendfile`; `None` when the file is not one of the operating system.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Writes all of `bytes` at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_vectored_at(&mut [IoSlice::new(bytes)], position)
    }
}
