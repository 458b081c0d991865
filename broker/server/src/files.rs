//! From the log's file slices to the network's.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ottla_log::disk::DiskFile;
use ottla_log::log::FetchSlice;
use ottla_net::{FileSlice, FileSource};

/// A file of a log, as the network sends from it.
#[derive(Debug)]
struct LogFile(Arc<dyn DiskFile>);

impl FileSource for LogFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.fd()
    }
}

/// The slice, as the network sends it.
pub(crate) fn slice(found: FetchSlice) -> FileSlice {
    part(found.file, found.position, found.len)
}

/// A part of a file, as the network sends it.
pub(crate) fn part(file: Arc<dyn DiskFile>, offset: u64, len: u32) -> FileSlice {
    FileSlice { file: Arc::new(LogFile(file)), offset, len }
}
