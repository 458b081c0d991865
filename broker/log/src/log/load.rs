//! Creating a log, and opening one that is on disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::trust::{Follows, Trust};
use super::{Log, NONE, Segments, Shared, State, Writer};
use crate::batch::{Batch, HEADER, Marker, Outcome, parse_marker};
use crate::checkpoint::epochs::Epochs;
use crate::checkpoint::offsets::TopicPartition;
use crate::disk::Disk;
use crate::error::{DiskError, LogError, Result};
use crate::index::txn::AbortedTxn;
use crate::names;
use crate::place::Place;
use crate::plan::recover::{self, Listing, TxnIndexes};
use crate::plan::roll;
use crate::producers::{CompletedTxn, Guard, Producers, Rules, Staged, snapshot};
use crate::scan::{Next, Placed, Whole};
use crate::segment::{FileState, Growth, IndexBuilder, Segment};
use crate::settings::LogSettings;

/// How the log was left when it was open last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything was flushed and closed.
    Clean,
    /// The process or the machine died.
    Unclean,
}

/// What the checkpoints of the log's directory say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// How it was left.
    pub shutdown: Shutdown,
    /// Everything below is flushed; `None` when that is unknown.
    pub recovery_point: Option<i64>,
    /// The log start offset; 0 when unknown.
    pub log_start: i64,
    /// The high watermark; 0 when unknown.
    pub high_watermark: i64,
    /// Up to where it was compacted; `None` when it never was.
    pub cleaner_point: Option<i64>,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
    /// What may be cut off.
    pub trust: Trust,
}

/// What opening a log did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Segments whose checksums were checked.
    pub recovered_segments: usize,
    /// Their bytes.
    pub recovered_bytes: u64,
    /// Bytes that were no valid batches and were cut off, in the segment where they began.
    pub truncated_bytes: u64,
    /// Whole segments that lay behind invalid bytes and were removed.
    pub removed_segments: usize,
}

impl Log {
    /// Creates a log that has no records: a directory with `partition.metadata` in it. Other
    /// files are created when there is something to write.
    ///
    /// Nothing is flushed: after a power loss the cluster's metadata creates the log again.
    pub fn create(
        shared: &Shared,
        dir: PathBuf,
        name: TopicPartition,
        topic_id: Option<&str>,
        settings: Arc<LogSettings>,
        now_ms: i64,
    ) -> Result<Self> {
        let log = Self::begin(shared, dir, name, topic_id, settings, now_ms)?;
        log.make_dir()?;
        Ok(log)
    }

    /// Begins a log that has no records, like [`create`](Self::create), but leaves the directory
    /// to [`make_dir`](Self::make_dir) or to the first append, whichever comes first.
    ///
    /// # Errors
    /// The disk's, as when there is something of that name.
    pub fn begin(
        shared: &Shared,
        dir: PathBuf,
        name: TopicPartition,
        topic_id: Option<&str>,
        settings: Arc<LogSettings>,
        now_ms: i64,
    ) -> Result<Self> {
        if shared.cache.disk().exists(&dir).map_err(DiskError::at("look for", &dir))? {
            let taken = std::io::ErrorKind::AlreadyExists.into();
            return Err(DiskError::at("create", &dir)(taken).into());
        }
        let place = Place::due(&shared.cache, dir, topic_id);
        let segments = vec![Segment::create(Arc::clone(&place), 0, FileState::Live)];
        let parts = Parts {
            segments,
            producers: Producers::at(0),
            snapshots: Vec::new(),
            epochs: Epochs::default(),
            start: 0,
            end: 0,
            high_watermark: 0,
            recovery_point: 0,
            since_entry: 0,
            may_have_aborted: false,
            born: false,
        };
        Ok(Self::assemble(shared, place, name, settings, parts, now_ms))
    }

    /// Opens a log. After an unclean shutdown, what lies behind the recovery point is checked,
    /// the first invalid batch and all behind it is cut off, and indexes are made again.
    ///
    /// `scratch` is a buffer that may be used for one log after the other.
    pub fn open(
        shared: &Shared,
        dir: PathBuf,
        name: TopicPartition,
        settings: Arc<LogSettings>,
        from: &Start,
        scratch: &mut Vec<u8>,
    ) -> Result<(Self, LoadReport)> {
        let place = Place::found(&shared.cache, dir.clone());
        let disk = &**shared.cache.disk();
        let listing = tidy(disk, &place, &dir)?;
        let mut loading = Loading {
            disk,
            place: &place,
            dir: &dir,
            settings: &settings,
            from,
            scratch,
            aborted: false,
        };
        let (parts, report) = loading.load(&listing)?;
        Ok((Self::assemble(shared, place, name, settings, parts, from.now_ms), report))
    }

    fn assemble(
        shared: &Shared,
        place: Arc<Place>,
        name: TopicPartition,
        settings: Arc<LogSettings>,
        parts: Parts,
        now_ms: i64,
    ) -> Self {
        let writer = Writer {
            producers: parts.producers,
            last_guard: Guard::default(),
            snapshots: parts.snapshots,
            since_entry: parts.since_entry,
            created_ms: now_ms,
            jitter_ms: 0,
            state: State::Open,
        };
        let log = Self {
            name,
            shared: shared.clone(),
            place,
            settings: ArcSwap::new(settings),
            segments: ArcSwap::new(Arc::new(parts.segments)),
            start: AtomicI64::new(parts.start),
            end: AtomicI64::new(parts.end),
            high_watermark: AtomicI64::new(parts.high_watermark),
            first_unstable: AtomicI64::new(NONE),
            recovery_point: AtomicI64::new(parts.recovery_point),
            may_have_aborted: AtomicBool::new(parts.may_have_aborted),
            last_flush_ms: AtomicI64::new(now_ms),
            cuts: AtomicU64::new(0),
            born: AtomicBool::new(parts.born),
            writer: Mutex::new(writer),
            epochs: Mutex::new(parts.epochs),
            flushing: Mutex::new(()),
            cleaning: Mutex::new(()),
        };
        {
            let mut writer = log.writer.lock();
            writer.jitter_ms =
                roll::jitter(&log.settings.load(), log.seed(log.active().base_offset));
            log.publish_unstable(&writer.producers);
        }
        log
    }
}

/// What a log is made of.
struct Parts {
    segments: Segments,
    producers: Producers,
    snapshots: Vec<i64>,
    epochs: Epochs,
    start: i64,
    end: i64,
    high_watermark: i64,
    recovery_point: i64,
    since_entry: u32,
    may_have_aborted: bool,
    born: bool,
}

/// Removes what was left over, and finishes replacing segments by cleaned ones.
fn tidy(disk: &dyn Disk, place: &Arc<Place>, dir: &Path) -> Result<Listing> {
    let names: Vec<String> = disk
        .list(dir)
        .map_err(DiskError::at("list", dir))?
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    let mut listing = recover::sort(names.iter().map(String::as_str));
    for name in &listing.remove {
        remove(disk, &dir.join(name))?;
    }
    let mut swaps = Vec::new();
    for &base in &listing.swaps {
        let swap = Segment::open(Arc::clone(place), base, FileState::Swap)?;
        swaps.push((base, swap.next_offset()?, swap));
    }
    let spans: Vec<(i64, i64)> = swaps.iter().map(|s| (s.0, s.1)).collect();
    for base in recover::superseded(&listing.segments, &spans) {
        for kind in [names::LOG, names::INDEX, names::TIME_INDEX, names::TXN_INDEX] {
            remove(disk, &dir.join(names::file_name(base, kind, "")))?;
        }
        listing.segments.remove(&base);
    }
    for (base, _, swap) in swaps {
        swap.close_files();
        listing.segments.insert(base);
    }
    for name in &listing.swap_files {
        let Some(live) = name.strip_suffix(names::SWAP) else { continue };
        let from = dir.join(name);
        disk.rename(&from, &dir.join(live)).map_err(DiskError::at("rename", &from))?;
    }
    Ok(listing)
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => Ok(other.map_err(DiskError::at("remove", path))?),
    }
}

struct Loading<'a> {
    disk: &'a dyn Disk,
    place: &'a Arc<Place>,
    dir: &'a Path,
    settings: &'a LogSettings,
    from: &'a Start,
    scratch: &'a mut Vec<u8>,
    /// An aborted transaction was found.
    aborted: bool,
}

impl Loading<'_> {
    fn load(&mut self, listing: &Listing) -> Result<(Parts, LoadReport)> {
        let mut segments = Segments::new();
        for &base in &listing.segments {
            segments.push(Segment::open(Arc::clone(self.place), base, FileState::Live)?);
        }
        let mut report = LoadReport::default();
        let mut epochs = self.read_epochs(&segments)?;
        let stray = recover::stray_snapshots(&listing.snapshots, &listing.segments);
        for offset in &stray {
            remove(self.disk, &self.dir.join(names::file_name(*offset, names::SNAPSHOT, "")))?;
        }
        let snapshots: Vec<i64> =
            listing.snapshots.iter().copied().filter(|s| !stray.contains(s)).collect();
        let first_base = segments.first().map_or(self.from.log_start, |s| s.base_offset);
        let mut start = first_base.max(self.from.log_start).max(0);

        let clean = self.from.shutdown == Shutdown::Clean;
        let intact = match segments.last() {
            Some(active) if clean => self.intact_end(active)?,
            _ => None,
        };
        let (mut end, mut producers, mut snapshots) = match intact {
            Some(end) => {
                let (producers, snapshots) = self.producers_at(&segments, snapshots, start, end)?;
                (end, producers, snapshots)
            }
            None => self.recover_all(&mut segments, snapshots, start, &mut epochs, &mut report)?,
        };
        if segments.is_empty() || end < start {
            // What is there lies below the log start offset.
            for segment in segments.drain(..) {
                segment.remove()?;
            }
            segments.push(Segment::create(Arc::clone(self.place), start, FileState::Live));
            (end, producers, snapshots) = (start, Producers::at(start), Vec::new());
            epochs.clear();
        }
        start = start.min(end);
        epochs.truncate_from_end(end);
        epochs.truncate_from_start(start);
        let high_watermark = self.from.high_watermark.clamp(start, end);
        producers.forget_replicated(high_watermark);
        let recovery_point = match self.flushed() {
            _ if clean => end,
            // From before a cut: it says nothing of what is there.
            flushed if flushed > end => start,
            flushed => flushed.max(start),
        };
        let since_entry = match segments.last() {
            Some(active) if active.size() > 0 => active.bytes_since_entry()?,
            _ => 0,
        };
        let parts = Parts {
            segments,
            producers,
            snapshots,
            epochs,
            start,
            end,
            high_watermark,
            recovery_point,
            since_entry,
            may_have_aborted: self.aborted || listing.txn_indexes == TxnIndexes::Some,
            born: true,
        };
        Ok((parts, report))
    }

    fn flushed(&self) -> i64 {
        self.from.recovery_point.unwrap_or(0)
    }

    /// The epochs by the checkpoint; when it is damaged, by the batches.
    fn read_epochs(&self, segments: &Segments) -> Result<Epochs> {
        let path = self.dir.join(names::EPOCHS);
        let written =
            self.from.shutdown == Shutdown::Unclean && segments.iter().any(|s| s.size() > 0);
        let what = match Epochs::read(self.disk, &path) {
            // Of a file that was not flushed a loss of power may leave nothing.
            Ok(epochs) if epochs.entries().is_empty() && written => "there are none".to_owned(),
            Err(LogError::Corrupt { what, .. }) => what,
            other => return other,
        };
        tracing::warn!(path = %path.display(), what, "reading epochs from the batches");
        let mut epochs = Epochs::default();
        for segment in segments {
            segment.for_each_header(0, |placed| {
                note_epoch(&mut epochs, &placed.batch);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(epochs)
    }

    /// The end of a segment that was closed properly; `None` when it looks otherwise.
    fn intact_end(&self, active: &Arc<Segment>) -> Result<Option<i64>> {
        if let Some(why) = active.check_indexes()? {
            active.rebuild_indexes(why)?;
        }
        let (next, valid) = active.walk_to_end()?;
        if valid == active.size() {
            active.largest()?;
            return Ok(Some(next));
        }
        tracing::warn!(
            path = %active.path(names::LOG).display(),
            "damaged in spite of a clean shutdown"
        );
        Ok(None)
    }

    /// The producers' state as of `end`, from the newest snapshot and the batches behind it.
    fn producers_at(
        &self,
        segments: &Segments,
        snapshots: Vec<i64>,
        start: i64,
        end: i64,
    ) -> Result<(Producers, Vec<i64>)> {
        if snapshots.is_empty() && self.from.shutdown == Shutdown::Clean {
            // Closed without a snapshot: there were no producers.
            return Ok((Producers::at(end), snapshots));
        }
        let (mut producers, snapshots) = self.newest_snapshot(snapshots, start)?;
        self.replay_up_to(segments, &mut producers, end)?;
        producers.set_end_offset(end);
        Ok((producers, snapshots))
    }

    fn newest_snapshot(&self, snapshots: Vec<i64>, start: i64) -> Result<(Producers, Vec<i64>)> {
        let expiration = self.settings.producer_id_expiration_ms;
        newest_snapshot(self.disk, self.dir, snapshots, start, self.from.now_ms, expiration)
    }

    /// Replays the batches of whole segments that begin below `end`.
    fn replay_up_to(&self, segments: &Segments, producers: &mut Producers, end: i64) -> Result<()> {
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map_or(i64::MAX, |s| s.base_offset);
            if next <= producers.end_offset() || segment.base_offset >= end {
                continue;
            }
            let from = producers.end_offset().max(segment.base_offset);
            let Some(first) = segment.locate(from)? else { continue };
            segment.for_each_header(first.position, |placed| {
                replay(producers, segment, &placed)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// Checks what lies behind the recovery point. A log that does not reach it was cut, and the
    /// recovery point is from before: it says nothing of what was written since.
    fn recover_all(
        &mut self,
        segments: &mut Segments,
        snapshots: Vec<i64>,
        start: i64,
        epochs: &mut Epochs,
        report: &mut LoadReport,
    ) -> Result<(i64, Producers, Vec<i64>)> {
        let flushed = self.flushed();
        let found = self.recover(segments, snapshots, (start, flushed), epochs, report)?;
        if found.0 >= flushed || segments.is_empty() {
            return Ok(found);
        }
        self.recover(segments, found.2, (start, 0), epochs, report)
    }

    /// Checks all segments from the one that holds the recovery point on. `bounds` are the log
    /// start and the recovery point.
    fn recover(
        &mut self,
        segments: &mut Segments,
        mut snapshots: Vec<i64>,
        bounds: (i64, i64),
        epochs: &mut Epochs,
        report: &mut LoadReport,
    ) -> Result<(i64, Producers, Vec<i64>)> {
        let (start, flushed) = bounds;
        let first = super::read::floor(segments, flushed);
        let Some(base) = segments.get(first).map(|s| s.base_offset) else {
            self.from.trust.reached(start, || (self.dir.to_path_buf(), 0, "no segment"))?;
            return Ok((start, Producers::at(start), snapshots));
        };
        let newer = snapshots.split_off(snapshots.partition_point(|s| *s <= base));
        for offset in newer {
            remove(self.disk, &self.dir.join(names::file_name(offset, names::SNAPSHOT, "")))?;
        }
        let (mut producers, mut snapshots) = self.newest_snapshot(snapshots, start)?;
        self.replay_up_to(segments, &mut producers, base)?;
        producers.set_end_offset(base.max(producers.end_offset()));
        let (mut index, mut end) = (first, base);
        while let Some(segment) = segments.get(index).cloned() {
            let last = index + 1 == segments.len();
            if index > first {
                self.take_snapshot(&producers, segment.base_offset, &mut snapshots)?;
            }
            let growth = if last { Growth::Active } else { Growth::Complete };
            let more = segments.get(index + 1..).unwrap_or_default().iter().any(|s| s.size() > 0);
            let follows = if more { Follows::Segment } else { Follows::Nothing };
            let checked = self.check(&segment, growth, follows, epochs, &mut producers)?;
            report.recovered_segments += 1;
            report.recovered_bytes += segment.size();
            report.truncated_bytes += checked.cut;
            end = checked.end;
            index += 1;
            let gap = segments.get(index).is_some_and(|next| self.is_loss(&segment, end, next));
            if gap && checked.cut == 0 {
                self.from.trust.reached(end, || {
                    (segment.path(names::LOG), segment.size(), "the end of the segment")
                })?;
            }
            if checked.cut > 0 || gap {
                report.removed_segments += segments.len() - index;
                for gone in segments.drain(index..) {
                    gone.remove()?;
                }
            }
        }
        if let Some(last) = segments.last() {
            self.from
                .trust
                .reached(end, || (last.path(names::LOG), last.size(), "the end of the log"))?;
        }
        producers.set_end_offset(end);
        Ok((end, producers, snapshots))
    }

    /// Whether what is missing between the `end` of a segment and the `next` one was lost with the
    /// power. Compaction leaves gaps too, which stay when the topic is compacted no more, and
    /// flushes what it has looked at. No segment could have held what is missing in a gap that
    /// is wider than its offsets go.
    fn is_loss(&self, segment: &Segment, end: i64, next: &Segment) -> bool {
        let compacted = self.settings.cleanup.compacts() || self.from.cleaner_point.is_some();
        let span = next.base_offset.saturating_sub(segment.base_offset).saturating_sub(1);
        next.base_offset != end
            && self.from.recovery_point.is_some()
            && !compacted
            && span <= i64::from(i32::MAX)
    }

    fn take_snapshot(
        &self,
        producers: &Producers,
        offset: i64,
        snapshots: &mut Vec<i64>,
    ) -> Result<()> {
        if snapshots.last().is_some_and(|s| *s >= offset) {
            return Ok(());
        }
        let path = self.dir.join(names::file_name(offset, names::SNAPSHOT, ""));
        let file = self
            .disk
            .open(&path, crate::disk::Open::Truncate)
            .map_err(DiskError::at("create", &path))?;
        let bytes = snapshot::encode(&producers.list());
        file.write_at(&bytes, 0).map_err(DiskError::at("write", &path))?;
        snapshots.push(offset);
        Ok(())
    }

    /// Checks a segment batch by batch, cuts it where the first invalid one begins, and makes
    /// its indexes again.
    fn check(
        &mut self,
        segment: &Arc<Segment>,
        growth: Growth,
        follows: Follows,
        epochs: &mut Epochs,
        producers: &mut Producers,
    ) -> Result<Checked> {
        let mut builder =
            IndexBuilder::new(segment.base_offset, self.settings.index_interval_bytes);
        let mut end = segment.base_offset;
        let (trust, mut epoch) = (self.from.trust, i32::MIN);
        let size = segment.size();
        segment.clear_aborted()?;
        let mut position = 0;
        if size > 0 {
            let file = segment.log_file()?;
            let mut whole = Whole::new(&*file, 0, size, self.scratch);
            let invalid = loop {
                position = whole.position();
                let next = whole.next().map_err(segment.failed("read", names::LOG))?;
                let (batch, bytes) = match next {
                    Next::Batch(placed, bytes) => (placed.batch, bytes),
                    Next::End => break None,
                    Next::Invalid(why) => break Some(why),
                };
                let far = batch.last_offset - segment.base_offset > i64::from(i32::MAX);
                if let Some(why) = trust.misplaced(&batch, end, epoch) {
                    break Some(why);
                }
                if far {
                    break Some("offset out of order");
                }
                epoch = batch.leader_epoch;
                end = batch.last_offset + 1;
                builder.batch(&batch, position);
                note_epoch(epochs, &batch);
                let marker = match batch.is_control() {
                    true => parse_marker(&batch, bytes.get(HEADER..).unwrap_or_default()),
                    false => None,
                };
                for (txn, stable) in apply(producers, &batch, marker)? {
                    self.aborted |= txn.outcome == Outcome::Abort;
                    note_aborted(segment, &txn, stable)?;
                }
            };
            if let Some(why) = invalid {
                self.from.trust.may_cut(segment, (position, end, why), follows)?;
                let path = segment.path(names::LOG);
                tracing::warn!(path = %path.display(), position, size, why, "cutting a segment");
                file.truncate(position).map_err(segment.failed("truncate", names::LOG))?;
                // As after any cut: it must not come back below what is written next.
                file.sync_data().map_err(segment.failed("flush", names::LOG))?;
                segment.publish(position);
            }
        }
        segment.install(builder, growth)?;
        Ok(Checked { end, cut: size - position.min(size) })
    }
}

/// What [`Loading::check`] found.
struct Checked {
    /// Offset behind the last valid batch.
    end: i64,
    /// Bytes cut off.
    cut: u64,
}

fn note_epoch(epochs: &mut Epochs, batch: &Batch) {
    if epochs.latest().is_none_or(|e| e.epoch < batch.leader_epoch) {
        epochs.assign(batch.leader_epoch, batch.base_offset);
    }
}

fn note_aborted(segment: &Segment, txn: &CompletedTxn, last_stable_offset: i64) -> Result<()> {
    if txn.outcome == Outcome::Commit {
        return Ok(());
    }
    segment.push_aborted(&AbortedTxn {
        producer_id: txn.producer_id,
        first_offset: txn.first_offset,
        last_offset: txn.last_offset,
        last_stable_offset,
    })
}

/// Brings producers up to a batch that is in the log.
fn apply(
    producers: &mut Producers,
    batch: &Batch,
    marker: Option<Marker>,
) -> Result<Vec<(CompletedTxn, i64)>> {
    if batch.producer_id < 0 || batch.last_offset < producers.end_offset() {
        return Ok(Vec::new());
    }
    let mut staged = Staged::default();
    producers.stage(&mut staged, batch, marker, Rules::REPLICATION)?;
    Ok(producers.commit(staged, batch.last_offset + 1))
}

/// Brings producers up to a batch of a segment, whose records are read only when they matter.
pub(super) fn replay(producers: &mut Producers, segment: &Segment, placed: &Placed) -> Result<()> {
    let batch = &placed.batch;
    let mut marker = None;
    if batch.is_control() && batch.producer_id >= 0 {
        let file = segment.log_file()?;
        // A control batch holds one small record; a larger one is none of a transaction.
        let mut bytes = [0; 256];
        let n = file
            .read_at(&mut bytes, placed.position)
            .map_err(segment.failed("read", names::LOG))?
            .min(batch.size as usize);
        marker = parse_marker(batch, bytes.get(HEADER..n).unwrap_or_default());
    }
    apply(producers, batch, marker)?;
    Ok(())
}

/// The producers of the newest snapshot that can be read; those that cannot are removed. Also
/// the offsets of the snapshots that are left.
pub(super) fn newest_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    mut snapshots: Vec<i64>,
    start: i64,
    now_ms: i64,
    expiration_ms: i64,
) -> Result<(Producers, Vec<i64>)> {
    while let Some(&offset) = snapshots.last() {
        let path = dir.join(names::file_name(offset, names::SNAPSHOT, ""));
        let decoded = match disk.read(&path, snapshot::MAX_LEN) {
            Ok(bytes) => snapshot::decode(&bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(DiskError::at("read", &path)(e).into()),
        };
        if let Some(entries) = decoded {
            let producers = Producers::from_snapshot(offset, entries, now_ms, expiration_ms);
            return Ok((producers, snapshots));
        }
        tracing::warn!(path = %path.display(), "removing a damaged snapshot of producers");
        remove(disk, &path)?;
        snapshots.pop();
    }
    Ok((Producers::at(start), snapshots))
}
