//! Reading from a disk ahead of `sendfile`, so that a network thread does not wait for it.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

use ottla_log::log::FetchSlice;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

/// Slices up to this size at the end of a log were written just now.
const JUST_WRITTEN: u32 = 256 << 10;

/// A slice is looked at in steps of so many bytes, and at its last one: what the system reads ahead and what it drops are
/// stretches. Each look touches a page that `sendfile` would not touch, 2 us: in steps of 128 KiB they were 7 % of all that
/// consumers cost.
const LOOK_STEP: u64 = 512 << 10;

/// A slice is read in steps of so many bytes, the least that the system reads ahead.
const READ_STEP: u64 = 128 << 10;

/// How many bytes behind a cold slice are asked for too: the reader will want them next.
const AHEAD: u64 = 4 << 20;

/// Whether some of a slice is probably not in memory. Costs a few microseconds a megabyte, and nothing
/// for what was written just now: `end` is how far the reader may see.
pub(crate) fn is_cold(slice: &FetchSlice, end: i64) -> bool {
    if slice.len <= JUST_WRITTEN && slice.bound >= end {
        return false;
    }
    let Some(file) = slice.file.fd() else { return false };
    positions(slice, LOOK_STEP).any(|position| is_page_cold(file, position))
}

/// Every step of a slice, and its last byte.
fn positions(slice: &FetchSlice, step: u64) -> impl Iterator<Item = u64> + use<> {
    let (first, last) = (slice.position, slice.position + u64::from(slice.len.max(1)) - 1);
    (first..last).step_by(step as usize).chain([last])
}

fn is_page_cold(file: BorrowedFd<'_>, position: u64) -> bool {
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    // Other errors are found by those who read.
    preadv2(file, &mut buffers, position, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
}

/// Brings a slice into memory. Blocks on the disk. Errors are left to those who read.
pub(crate) fn warm(slice: &FetchSlice) {
    let Some(file) = slice.file.fd() else { return };
    let len = std::num::NonZeroU64::new(u64::from(slice.len) + AHEAD);
    let _ = rustix::fs::fadvise(file, slice.position, len, Advice::WillNeed);
    for position in positions(slice, READ_STEP) {
        let mut byte = [0];
        if !matches!(pread(file, &mut byte, position), Ok(1)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use ottla_log::disk::real::RealDisk;
    use ottla_log::disk::{Disk, Open};

    use super::*;

    fn slice(path: &Path, len: u32) -> FetchSlice {
        let file = RealDisk.open(path, Open::Read).unwrap();
        FetchSlice { file: Arc::clone(&file), position: 0, len, first_offset: 0, bound: 5 }
    }

    #[test]
    fn what_was_dropped_from_memory_is_cold_until_warmed() {
        // Not on a file system in memory, which is never cold.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        let slice = slice(&path, 3 << 20);
        assert!(!is_cold(&slice, 5), "it was written just now");
        let file = std::fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        if !is_cold(&slice, 5) {
            // The system kept the pages, as some file systems do: nothing to be seen here.
            return;
        }
        assert!(is_cold(&slice, 10));
        warm(&slice);
        assert!(!is_cold(&slice, 5));
        let small = FetchSlice { len: 10, ..slice.clone() };
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        assert!(!is_cold(&small, 5), "the end of a log is not looked at");
        assert!(is_cold(&small, 6));
    }
}
