//! Open files, kept in a cache of bounded size that all logs of a process share.
//!
//! Each file that may be wanted has a [`Slot`], which costs some bytes; only a bounded number of
//! slots hold an open file at any time. When one too many is opened, a clock hand walks over the
//! open ones and closes the first that was not used since it came by last. The way to a file that
//! is open takes one uncontended lock and touches nothing that other logs touch.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, Open};
use crate::error::{DiskError, Result};

/// The cache of open files.
#[derive(Debug)]
pub struct FileCache {
    disk: Arc<dyn Disk>,
    capacity: usize,
    ring: Mutex<VecDeque<(Weak<dyn Slots>, u8)>>,
    opened: AtomicU64,
    closed: AtomicU64,
}

/// One file's place in the cache, empty while the file is not open.
#[derive(Debug, Default)]
pub struct Slot {
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    used: AtomicBool,
}

/// What owns slots, so that the cache can empty them.
pub trait Slots: Send + Sync + std::fmt::Debug {
    /// The slot of this number.
    fn slot(&self, number: u8) -> Option<&Slot>;
}

/// How many files were opened and closed again, and how many are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStats {
    /// Slots that hold an open file (those of dropped logs may still be counted for a while).
    pub open: usize,
    /// Files opened since the start.
    pub opened: u64,
    /// Files closed to make room.
    pub evicted: u64,
}

impl FileCache {
    /// A cache that holds at most `capacity` files open, at least 8.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, capacity: usize) -> Arc<Self> {
        let capacity = capacity.max(8);
        let (opened, closed) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { disk, capacity, ring: Mutex::default(), opened, closed })
    }

    /// The disk the files are on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            open: self.ring.lock().len(),
            opened: self.opened.load(Ordering::Relaxed),
            evicted: self.closed.load(Ordering::Relaxed),
        }
    }

    /// Puts a freshly opened file into `slot`, which is number `number` of `owner`.
    ///
    /// `owner` must be a weak pointer to what holds `slot`; the slot must be empty.
    fn insert(&self, owner: Weak<dyn Slots>, number: u8) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let mut evicted = Vec::new();
        let mut ring = self.ring.lock();
        ring.push_back((owner, number));
        let mut steps = 2 * ring.len();
        while ring.len() > self.capacity && steps > 0 {
            steps -= 1;
            let Some((owner, number)) = ring.pop_front() else { break };
            let Some(strong) = owner.upgrade() else { continue };
            let Some(slot) = strong.slot(number) else { continue };
            if slot.used.swap(false, Ordering::Relaxed) {
                ring.push_back((owner, number));
                continue;
            }
            // A slot whose lock is held is in use; the hand comes by again.
            match slot.file.try_lock().map(|mut file| file.take()) {
                Some(Some(file)) => evicted.push(file),
                Some(None) => {}
                None => ring.push_back((owner, number)),
            }
        }
        drop(ring);
        self.closed.fetch_add(evicted.len() as u64, Ordering::Relaxed);
    }

    /// Opens a file that is not kept in the cache, closing others when the process may open no
    /// more. `op` is what an error says was tried.
    pub(crate) fn open(
        &self,
        op: &'static str,
        path: &Path,
        how: Open,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        let open = || self.disk.open(path, how).map_err(DiskError::at(op, path));
        match open() {
            Err(e) if e.is_out_of_resources() && self.make_room() > 0 => open(),
            other => other,
        }
    }

    /// Closes the older half of the open files, because the process may open no more; returns how
    /// many.
    pub(crate) fn make_room(&self) -> usize {
        let mut evicted = Vec::new();
        let mut ring = self.ring.lock();
        for _ in 0..ring.len().div_ceil(2) {
            let Some((owner, number)) = ring.pop_front() else { break };
            let Some(strong) = owner.upgrade() else { continue };
            let Some(slot) = strong.slot(number) else { continue };
            match slot.file.try_lock().map(|mut file| file.take()) {
                Some(file) => evicted.extend(file),
                None => ring.push_back((owner, number)),
            }
        }
        drop(ring);
        self.closed.fetch_add(evicted.len() as u64, Ordering::Relaxed);
        evicted.len()
    }
}

impl Slot {
    /// The open file, if it is open.
    #[must_use]
    pub fn get(&self) -> Option<Arc<dyn DiskFile>> {
        let file = self.file.lock().clone();
        if file.is_some() && !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        file
    }

    /// The open file, opened when it is not. `path` is asked only then, and may block renames of
    /// the file until it is open.
    pub fn get_or_open<P: AsRef<Path>>(
        &self,
        cache: &FileCache,
        owner: impl FnOnce() -> Weak<dyn Slots>,
        number: u8,
        how: Open,
        path: impl FnOnce() -> P,
    ) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.get() {
            return Ok(file);
        }
        let opened = {
            let mut place = self.file.lock();
            if let Some(file) = &*place {
                return Ok(Arc::clone(file));
            }
            let path = path();
            let path = path.as_ref();
            let file = cache.open("open", path, how)?;
            *place = Some(Arc::clone(&file));
            self.used.store(true, Ordering::Relaxed);
            file
        };
        cache.insert(owner(), number);
        Ok(opened)
    }

    /// Closes the file as soon as nobody uses it any more.
    pub fn close(&self) {
        drop(self.file.lock().take());
    }
}

/// Whether an error says that the file is not there.
pub(crate) fn is_missing(error: &DiskError) -> bool {
    error.source.kind() == io::ErrorKind::NotFound
}
