//! One segment: a file of batches, and the indexes beside it.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::batch::Batch;
use crate::cache::{Slot, Slots};
use crate::disk::{DiskFile, Open};
use crate::error::{DiskError, LogError, Result};
use crate::index::file::EntryFile;
use crate::index::offset::{self, OffsetEntry};
use crate::index::time::{self, TimeEntry};
use crate::index::txn::AbortedTxn;
use crate::names;
use crate::place::Place;
use crate::scan::{Headers, Placed};

mod lookup;
mod rebuild;
mod txns;

pub(crate) use rebuild::{Growth, IndexBuilder};

const LOG_SLOT: u8 = 0;
const INDEX_SLOT: u8 = 1;
const TIME_SLOT: u8 = 2;
const TXN_SLOT: u8 = 3;

/// How a segment's file names end, besides their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// Part of the log.
    Live,
    /// Written by cleaning, not finished.
    Cleaned,
    /// Written by cleaning, about to become live.
    Swap,
    /// Removed soon.
    Deleted,
}

impl FileState {
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Cleaned => names::CLEANED,
            Self::Swap => names::SWAP,
            Self::Deleted => names::DELETED,
        }
    }
}

/// No timestamp: of an empty segment, or not looked for yet.
pub(crate) const NO_TIMESTAMP: i64 = -1;

/// One segment of a log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    place: Arc<Place>,
    this: Weak<Segment>,
    state: Mutex<FileState>,
    /// Bytes of whole batches that readers may see.
    size: AtomicU64,
    /// The largest timestamp and the last offset of its batch, as far as it is known.
    largest: Mutex<Largest>,
    /// The largest timestamp of the first batch, or [`NO_TIMESTAMP`] while unknown.
    first_timestamp: AtomicI64,
    /// The last batches appended, where nearly all readers look.
    recent: Mutex<Recent>,
    /// Whether the file is longer than what was written to it.
    reserved: AtomicBool,
    log: Slot,
    offsets: EntryFile<{ offset::ENTRY }>,
    times: EntryFile<{ time::ENTRY }>,
    txns: txns::TxnFile,
}

/// The largest timestamp of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Largest {
    /// It was not looked for.
    Unknown,
    /// It is this one ([`NO_TIMESTAMP`] when there is none), in the batch that ends at `offset`.
    Known { timestamp: i64, offset: i64 },
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Its first offset.
    pub(crate) base_offset: i64,
    /// Its last offset.
    pub(crate) last_offset: i64,
    /// Where it begins.
    pub(crate) position: u64,
    /// Its bytes.
    pub(crate) size: u32,
}

impl From<Placed> for Spot {
    fn from(placed: Placed) -> Self {
        let Batch { base_offset, last_offset, size, .. } = placed.batch;
        Self { base_offset, last_offset, position: placed.position, size }
    }
}

/// How many batches are remembered.
const RECENT: usize = 4;

/// The last batches of a segment, oldest first; those without bytes are none.
#[derive(Debug, Default)]
struct Recent([Spot; RECENT]);

impl Recent {
    fn push(&mut self, spot: Spot) {
        self.0.rotate_left(1);
        self.0[RECENT - 1] = spot;
    }

    /// The first that ends at or behind `offset`, if the one before it is known to end below.
    fn locate(&self, offset: i64) -> Option<Spot> {
        let at = self.0.iter().position(|s| s.size > 0 && s.last_offset >= offset)?;
        let spot = *self.0.get(at)?;
        let follows = at.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|s| s.size > 0);
        (follows || spot.base_offset <= offset).then_some(spot)
    }
}

impl Slots for Segment {
    fn slot(&self, number: u8) -> Option<&Slot> {
        match number {
            LOG_SLOT => Some(&self.log),
            INDEX_SLOT => Some(&self.offsets.slot),
            TIME_SLOT => Some(&self.times.slot),
            TXN_SLOT => Some(&self.txns.slot),
            _ => None,
        }
    }
}

impl Segment {
    /// A segment with no bytes; its files are created when they are written.
    pub(crate) fn create(place: Arc<Place>, base_offset: i64, state: FileState) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            base_offset,
            place,
            this: this.clone(),
            state: Mutex::new(state),
            size: AtomicU64::new(0),
            largest: Mutex::new(Largest::Known { timestamp: NO_TIMESTAMP, offset: base_offset }),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP),
            recent: Mutex::default(),
            reserved: AtomicBool::new(false),
            log: Slot::default(),
            offsets: EntryFile::empty(),
            times: EntryFile::empty(),
            txns: txns::TxnFile::empty(),
        })
    }

    /// A segment that is on disk, with as many bytes as its file has.
    pub(crate) fn open(place: Arc<Place>, base_offset: i64, state: FileState) -> Result<Arc<Self>> {
        let segment = Arc::new_cyclic(|this: &Weak<Self>| Self {
            base_offset,
            place,
            this: this.clone(),
            state: Mutex::new(state),
            size: AtomicU64::new(0),
            largest: Mutex::new(Largest::Unknown),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP),
            recent: Mutex::default(),
            reserved: AtomicBool::new(false),
            log: Slot::default(),
            offsets: EntryFile::on_disk(),
            times: EntryFile::on_disk(),
            txns: txns::TxnFile::on_disk(),
        });
        let len = segment.log_file()?.len().map_err(segment.failed("measure", names::LOG))?;
        segment.size.store(len, Ordering::Release);
        Ok(segment)
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Says that readers may see the first `size` bytes.
    pub(crate) fn publish(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// The path of one of the segment's files, as of now.
    pub(crate) fn path(&self, kind: &str) -> PathBuf {
        let name = names::file_name(self.base_offset, kind, self.state.lock().suffix());
        self.place.dir.read().join(name)
    }

    pub(crate) fn failed(
        &self,
        op: &'static str,
        kind: &str,
    ) -> impl FnOnce(std::io::Error) -> LogError + use<> {
        let path = self.path(kind);
        move |e| DiskError::at(op, &path)(e).into()
    }

    /// The file of the batches, opened (and created) when it is not open.
    pub(crate) fn log_file(&self) -> Result<Arc<dyn DiskFile>> {
        let how = if self.size() == 0 { Open::Create } else { Open::Write };
        self.open_slot(&self.log, LOG_SLOT, names::LOG, how)
    }

    /// Opens a file. Renames of the segment and of its directory wait until it is open, so that
    /// the name found is that of this segment's file.
    fn open_slot(
        &self,
        slot: &Slot,
        number: u8,
        kind: &str,
        how: Open,
    ) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = slot.get() {
            return Ok(file);
        }
        let state = self.state.lock();
        let dir = self.place.dir.read();
        if how == Open::Create {
            self.place.make_in(&dir)?;
        }
        let path = || dir.join(names::file_name(self.base_offset, kind, state.suffix()));
        let owner = || -> Weak<dyn Slots> { self.this.clone() };
        slot.get_or_open(&self.place.cache, owner, number, how, path)
    }

    fn open_index(
        &self,
        slot: &Slot,
        number: u8,
        kind: &str,
        how: Open,
    ) -> Result<Option<Arc<dyn DiskFile>>> {
        match self.open_slot(slot, number, kind, how) {
            Ok(file) => Ok(Some(file)),
            Err(LogError::Disk(e)) if crate::cache::is_missing(&e) && how == Open::Write => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn open_offsets(&self) -> impl Fn(Open) -> Result<Option<Arc<dyn DiskFile>>> {
        |how| self.open_index(&self.offsets.slot, INDEX_SLOT, names::INDEX, how)
    }

    fn open_times(&self) -> impl Fn(Open) -> Result<Option<Arc<dyn DiskFile>>> {
        |how| self.open_index(&self.times.slot, TIME_SLOT, names::TIME_INDEX, how)
    }

    fn open_txns(&self) -> impl Fn(Open) -> Result<Option<Arc<dyn DiskFile>>> {
        |how| self.open_index(&self.txns.slot, TXN_SLOT, names::TXN_INDEX, how)
    }

    /// Writes bytes at the end, without showing them to readers.
    pub(crate) fn write(&self, bufs: &mut [IoSlice<'_>]) -> Result<()> {
        let file = self.log_file()?;
        let position = self.size();
        if let Err(e) = file.write_vectored_at(bufs, position) {
            // What was written of it must not be taken for batches after a restart.
            let cut = file.truncate(position);
            if let Err(e) = cut {
                tracing::warn!(path = %self.path(names::LOG).display(), "cannot undo a write: {e}");
            }
            return Err(self.failed("write", names::LOG)(e));
        }
        Ok(())
    }

    /// Reserves space for a segment of `bytes`.
    pub(crate) fn preallocate(&self, bytes: u64) -> Result<()> {
        self.reserved.store(true, Ordering::Release);
        self.log_file()?.allocate(bytes).map_err(self.failed("allocate", names::LOG))
    }

    /// Cuts the file to its size, if [`preallocate`](Self::preallocate) made it longer.
    pub(crate) fn trim(&self) -> Result<()> {
        if !self.reserved.load(Ordering::Acquire) {
            return Ok(());
        }
        let file = self.log_file()?;
        file.truncate(self.size()).map_err(self.failed("truncate", names::LOG))?;
        self.reserved.store(false, Ordering::Release);
        Ok(())
    }

    /// Flushes the batches and the aborted transactions, and of a complete segment the indexes. Those of an active one
    /// are made again at recovery in any case.
    pub(crate) fn flush(&self, growth: Growth) -> Result<()> {
        if self.size() > 0 {
            self.log_file()?.sync_data().map_err(self.failed("flush", names::LOG))?;
        }
        self.txns.flush(&self.open_txns())?;
        if growth == Growth::Active {
            return Ok(());
        }
        self.settle()?;
        for (slot, number, kind) in [
            (&self.offsets.slot, INDEX_SLOT, names::INDEX),
            (&self.times.slot, TIME_SLOT, names::TIME_INDEX),
        ] {
            if let Some(file) = self.open_index(slot, number, kind, Open::Write)? {
                file.sync_data().map_err(self.failed("flush", kind))?;
            }
        }
        Ok(())
    }

    /// Writes index entries that are only in memory, and gives their memory back.
    pub(crate) fn settle(&self) -> Result<()> {
        self.offsets.settle(&self.open_offsets())?;
        self.times.settle(&self.open_times())
    }

    /// Completes the indexes of a segment that no more batches are appended to: both exist, and
    /// the last entry of the time index is that of the largest timestamp.
    pub(crate) fn close_for_append(&self) -> Result<()> {
        let (timestamp, offset) = self.largest()?;
        self.push_time(timestamp, offset)?;
        for (slot, number, kind) in [
            (&self.offsets.slot, INDEX_SLOT, names::INDEX),
            (&self.times.slot, TIME_SLOT, names::TIME_INDEX),
        ] {
            self.open_index(slot, number, kind, Open::Create)?;
        }
        self.settle()
    }

    /// Closes open files as soon as they are not in use.
    pub(crate) fn close_files(&self) {
        for slot in [&self.log, &self.offsets.slot, &self.times.slot, &self.txns.slot] {
            slot.close();
        }
    }

    /// Notes a batch that was appended behind all others, at `position`.
    pub(crate) fn note(&self, batch: &Batch, position: u64) {
        self.recent.lock().push(Placed { position, batch: *batch }.into());

        let mut largest = self.largest.lock();
        if let Largest::Known { timestamp, offset } = &mut *largest
            && batch.max_timestamp > *timestamp
        {
            (*timestamp, *offset) = (batch.max_timestamp, batch.last_offset);
        }
    }

    /// Appends to both indexes: `batch` begins at `position`.
    pub(crate) fn index(&self, batch: &Batch, position: u64) -> Result<()> {
        let Some(entry) = OffsetEntry::new(self.base_offset, batch.last_offset, position) else {
            return Ok(());
        };
        self.offsets.push(entry.encode(), &self.open_offsets())?;
        // A segment that is appended to knows it.
        if let Largest::Known { timestamp, offset } = *self.largest.lock() {
            self.push_time(timestamp, offset)?;
        }
        Ok(())
    }

    fn push_time(&self, timestamp: i64, offset: i64) -> Result<()> {
        let last = self.times.last(&self.open_times())?.map(|e| TimeEntry::decode(&e).timestamp);
        if timestamp > last.unwrap_or(NO_TIMESTAMP)
            && let Some(entry) = TimeEntry::new(self.base_offset, timestamp, offset)
        {
            self.times.push(entry.encode(), &self.open_times())?;
        }
        Ok(())
    }

    /// Numbers of entries in the offset and time index.
    pub(crate) fn index_lens(&self) -> Result<(u32, u32)> {
        Ok((self.offsets.len(&self.open_offsets())?, self.times.len(&self.open_times())?))
    }

    /// Gives the files another state, and with it other names. What does not exist is skipped.
    /// The batches go first: recovery relies on it.
    pub(crate) fn rename(&self, to: FileState) -> Result<()> {
        let mut state = self.state.lock();
        let dir = self.place.dir.read();
        let disk = self.place.cache.disk();
        for kind in [names::LOG, names::INDEX, names::TIME_INDEX, names::TXN_INDEX] {
            let from = dir.join(names::file_name(self.base_offset, kind, state.suffix()));
            let to = dir.join(names::file_name(self.base_offset, kind, to.suffix()));
            match disk.rename(&from, &to) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(DiskError::at("rename", &from))?,
            }
        }
        *state = to;
        Ok(())
    }

    /// Takes over when another segment was last written.
    pub(crate) fn copy_modified(&self, from: &Segment) -> Result<()> {
        let ms = from.log_file()?.modified_ms().map_err(from.failed("measure", names::LOG))?;
        self.log_file()?.set_modified_ms(ms).map_err(self.failed("date", names::LOG))
    }

    /// Removes the files. What does not exist is skipped.
    pub(crate) fn remove(&self) -> Result<()> {
        self.close_files();
        for kind in [names::LOG, names::INDEX, names::TIME_INDEX, names::TXN_INDEX] {
            let path = self.path(kind);
            match self.place.cache.disk().remove_file(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(DiskError::at("remove", &path))?,
            }
        }
        Ok(())
    }

    /// The fixed parts of the batches from `position` on.
    fn headers<'a>(&self, file: &'a dyn DiskFile, position: u64) -> Headers<'a> {
        Headers::new(file, position, self.size())
    }

    /// All batches from `position` on, for which `each` is called until it says to stop.
    pub(crate) fn for_each_header(
        &self,
        position: u64,
        mut each: impl FnMut(Placed) -> Result<std::ops::ControlFlow<()>>,
    ) -> Result<()> {
        if self.size() == 0 {
            return Ok(());
        }
        let file = self.log_file()?;
        let mut headers = self.headers(&*file, position);
        while let Some(placed) = headers.next().map_err(self.failed("read", names::LOG))? {
            if each(placed)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The aborted transactions whose marker is in this segment.
    pub(crate) fn aborted(&self) -> Result<Vec<AbortedTxn>> {
        self.txns.list(&self.open_txns())
    }

    /// Forgets all aborted transactions.
    pub(crate) fn clear_aborted(&self) -> Result<()> {
        self.txns.truncate(i64::MIN, &self.open_txns())
    }

    /// Adds an aborted transaction.
    pub(crate) fn push_aborted(&self, txn: &AbortedTxn) -> Result<()> {
        self.txns.push(txn, &self.open_txns())
    }
}
