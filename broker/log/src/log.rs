//! One partition: a list of segments, of which the last is appended to.
//!
//! One writer at a time holds the writer's lock. Readers take no lock: they take the list of
//! segments as it is, and each segment says how many of its bytes may be seen. The log's end is
//! published before the segment's new size, and read after it, so that a reader's bytes never
//! reach behind the end it knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::cache::FileCache;
use crate::checkpoint::Durability;
use crate::checkpoint::epochs::{EpochEnd, EpochStart, Epochs};
use crate::checkpoint::offsets::TopicPartition;
use crate::disk::Disk;
use crate::error::{DiskError, LogError, Result};
use crate::graveyard::{Graveyard, Remains};
use crate::names;
use crate::place::Place;
use crate::producers::{Beginning, Guard, ProducerEntry, Producers};
use crate::segment::{FileState, Segment};
use crate::settings::LogSettings;

mod adopt;
mod append;
mod flush;
mod load;
mod read;
mod replace;
mod retain;
mod roll;
#[cfg(test)]
mod tests;
mod truncate;
mod trust;

pub use append::{AppendBatch, AppendInfo, FollowerInfo, LeaderAppend, MAX_BATCHES, Outcome};
pub use flush::FlushDue;
pub use load::{LoadReport, Shutdown, Start};
pub use read::{AtLeast, FetchSlice, ReadResult, TimestampMatch};
pub use truncate::Truncated;
pub use trust::Trust;

/// The first unstable offset while there is no unfinished transaction.
const NONE: i64 = i64::MAX;

/// Segments, oldest first; never empty.
pub(crate) type Segments = Vec<Arc<Segment>>;

/// What logs of one directory share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Open files.
    pub cache: Arc<FileCache>,
    /// Files to be removed later.
    pub graveyard: Arc<Graveyard>,
}

/// One partition on disk.
#[derive(Debug)]
pub struct Log {
    name: TopicPartition,
    shared: Shared,
    place: Arc<Place>,
    settings: ArcSwap<LogSettings>,
    segments: ArcSwap<Segments>,
    start: AtomicI64,
    end: AtomicI64,
    high_watermark: AtomicI64,
    first_unstable: AtomicI64,
    recovery_point: AtomicI64,
    /// Whether any segment may list an aborted transaction; stays once it is.
    may_have_aborted: AtomicBool,
    last_flush_ms: AtomicI64,
    /// How often records were cut off: what is flushed meanwhile may be others than those there.
    cuts: AtomicU64,
    /// Whether the log's own name survives a power loss.
    born: AtomicBool,
    writer: Mutex<Writer>,
    epochs: Mutex<Epochs>,
    /// Serialises flushes, which take long and need not the writer's lock.
    flushing: Mutex<()>,
    /// Serialises cleaning with other replacements of closed segments.
    pub(crate) cleaning: Mutex<()>,
}

/// What only the writer touches.
#[derive(Debug)]
struct Writer {
    producers: Producers,
    /// The guard given out last.
    last_guard: Guard,
    /// Offsets of the snapshots on disk, ascending.
    snapshots: Vec<i64>,
    /// Bytes appended since the last index entry.
    since_entry: u32,
    /// When the active segment was created.
    created_ms: i64,
    jitter_ms: i64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Closed or deleted.
    Closed,
    /// A change failed half-way, so that memory and disk may differ.
    Torn,
}

impl Writer {
    fn check_open(&self) -> Result<()> {
        match self.state {
            State::Open => Ok(()),
            State::Closed | State::Torn => Err(LogError::Closed),
        }
    }
}

impl Log {
    /// Topic and partition.
    #[must_use]
    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The directory, as of now.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.place.dir.read().clone()
    }

    /// The settings, as of now.
    #[must_use]
    pub fn settings(&self) -> Arc<LogSettings> {
        self.settings.load_full()
    }

    /// Changes the settings.
    pub fn set_settings(&self, settings: Arc<LogSettings>) {
        self.settings.store(settings);
    }

    /// The log start offset: the first that may be read.
    #[must_use]
    pub fn start_offset(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// The log end offset: the next that will be written.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// The high watermark, as told by [`set_high_watermark`](Self::set_high_watermark).
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Everything below this offset survives a power loss.
    #[must_use]
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point.load(Ordering::Acquire)
    }

    /// The last stable offset: the first that belongs to an unfinished transaction, at most the
    /// high watermark.
    #[must_use]
    pub fn last_stable_offset(&self) -> i64 {
        // In this order: a transaction that begins meanwhile begins at or above this high
        // watermark, and one that ended meanwhile ended below the one that let it go.
        let high_watermark = self.high_watermark();
        self.first_unstable.load(Ordering::Acquire).min(high_watermark)
    }

    /// First offset of the oldest unfinished transaction.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<i64> {
        Some(self.first_unstable.load(Ordering::Acquire)).filter(|o| *o != NONE)
    }

    /// Says how far the replicas have the log. Offsets outside of the log are brought into it.
    /// Returns the high watermark that holds now.
    pub fn set_high_watermark(&self, offset: i64) -> i64 {
        let offset = offset.min(self.end_offset()).max(self.start_offset());
        self.high_watermark.store(offset, Ordering::Release);
        if self.first_unstable.load(Ordering::Acquire) != NONE {
            let mut writer = self.writer.lock();
            writer.producers.forget_replicated(offset);
            self.publish_unstable(&writer.producers);
        }
        offset
    }

    fn publish_unstable(&self, producers: &Producers) {
        // A transaction that began below the start is unstable from the start on, as in Kafka.
        let first = producers.first_unstable_offset();
        let first = first.map_or(NONE, |first| first.max(self.start_offset()));
        self.first_unstable.store(first, Ordering::Release);
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments.load().iter().map(|s| s.size()).sum()
    }

    /// Number of segments.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.load().len()
    }

    /// Base offsets and bytes of the segments, oldest first.
    #[must_use]
    pub fn segment_sizes(&self) -> Vec<(i64, u64)> {
        self.segments.load().iter().map(|s| (s.base_offset, s.size())).collect()
    }

    /// The producers known, by id; what DescribeProducers lists.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerEntry> {
        self.writer.lock().producers.list()
    }

    /// Number of producers known.
    #[must_use]
    pub fn producer_count(&self) -> usize {
        self.writer.lock().producers.len()
    }

    /// Whether this producer's transaction is open, with this epoch.
    #[must_use]
    pub fn has_ongoing_txn(&self, producer_id: i64, epoch: i16) -> bool {
        self.writer.lock().producers.has_ongoing_txn(producer_id, epoch)
    }

    /// A transaction is about to begin in this log: what is to go with its first batch once its
    /// coordinator has said that it knows of it. `None` when it is open already.
    ///
    /// # Errors
    /// [`LogError::Closed`].
    pub fn begin_verification(&self, beginning: &Beginning, now_ms: i64) -> Result<Option<Guard>> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let Writer { producers, last_guard, .. } = &mut *writer;
        Ok(producers.begin_verification(beginning, last_guard, now_ms))
    }

    /// Whether a transaction has been open for longer than `longest_ms`.
    #[must_use]
    pub fn has_late_txn(&self, now_ms: i64, longest_ms: i64) -> bool {
        self.first_unstable.load(Ordering::Acquire) != NONE
            && self.writer.lock().producers.has_late_txn(now_ms, longest_ms)
    }

    /// Forgets producers that have not written for `producer.id.expiration.ms`; returns how many.
    pub fn remove_expired_producers(&self, now_ms: i64) -> usize {
        let expiration = self.settings.load().producer_id_expiration_ms;
        self.writer.lock().producers.remove_expired(now_ms, expiration)
    }

    /// The newest leader epoch the log knows.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.lock().latest().map(|e| e.epoch)
    }

    /// All leader epochs and where they begin, oldest first.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochStart> {
        self.epochs.lock().entries().to_vec()
    }

    /// Notes that this node leads in `epoch` from the log's end on.
    ///
    /// Epochs are kept in memory until records are flushed: opening the log finds those of
    /// records that are not flushed in the batches, and before an epoch's first record nobody can
    /// tell the difference.
    pub fn begin_epoch(&self, epoch: i32) {
        let end = self.end_offset();
        self.epochs.lock().assign(epoch, end);
    }

    /// Where a leader epoch ends, for OffsetForLeaderEpoch; `None` when it is unknown.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd> {
        let end = self.end_offset();
        self.epochs.lock().end_of(epoch, end)
    }

    /// The leader epoch in which the record at `offset` was written.
    #[must_use]
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.epochs.lock().epoch_of(offset)
    }

    fn write_epochs(&self, how: Durability) -> Result<()> {
        if !self.has_dir() {
            return Ok(());
        }
        // Held so that the directory keeps its name meanwhile.
        let dir = self.place.dir.read();
        self.epochs.lock().write_if_changed(&**self.disk(), &dir.join(names::EPOCHS), how)
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        self.place.cache.disk()
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(crate) fn segment_list(&self) -> Arc<Segments> {
        self.segments.load_full()
    }

    /// Whether a segment is in the list still.
    pub(crate) fn has(&self, segment: &Arc<Segment>) -> bool {
        self.segments.load().iter().any(|s| Arc::ptr_eq(s, segment))
    }

    /// Removes segments from the list, which must be the writer's doing, and their files after
    /// `file.delete.delay.ms`.
    fn bury(&self, gone: &[Arc<Segment>], now_ms: i64) -> Result<()> {
        let due = now_ms.saturating_add(self.settings.load().file_delete_delay_ms);
        for segment in gone {
            segment.rename(FileState::Deleted)?;
            self.shared.graveyard.bury(due, OldSegment(Arc::clone(segment)));
        }
        Ok(())
    }

    /// Whether the log's directory was made. One that was not has no records.
    #[must_use]
    pub fn has_dir(&self) -> bool {
        self.place.is_made()
    }

    /// Makes the log's directory, if that was not done yet. It is not flushed.
    ///
    /// # Errors
    /// [`LogError::Closed`] when the log is out of service, or the disk's; then it may be tried
    /// again.
    pub fn make_dir(&self) -> Result<()> {
        self.place.make()
    }

    /// Renames the log's directory; open files stay usable. One that was not made yet never will
    /// be.
    pub fn rename_dir(&self, to: &Path) -> Result<()> {
        self.place.rename(to)
    }

    /// Takes no more appends, without flushing: the log is to be removed, or its disk failed.
    pub fn abandon(&self) {
        self.writer.lock().state = State::Closed;
        for segment in self.segments.load().iter() {
            segment.close_files();
        }
    }

    /// Removes a log that was [abandoned](Self::abandon), directory and all.
    pub fn remove_dir(&self) -> Result<()> {
        let dir = self.dir();
        match self.disk().remove_dir_all(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => Ok(other.map_err(DiskError::at("remove", &dir))?),
        }
    }
}

/// A segment that waits to be removed.
#[derive(Debug)]
struct OldSegment(Arc<Segment>);

impl Remains for OldSegment {
    fn remove(&self) -> Result<()> {
        self.0.remove()
    }
}
