//! Compaction: of the records with the same key only the newest stays.
//!
//! First the newest offset of each key in the dirty part is noted, as far as memory goes. Then
//! all segments up to there are written anew, in groups, without the records that are not the
//! newest of their key, without tombstones whose time has come, and without the records of
//! aborted transactions. Batches keep their offsets. At last the new segments take the place of
//! the old ones.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use ottla_wire::record;

use crate::batch::{Batch, HEADER, parse_marker};
use crate::error::{LogError, Result};
use crate::log::Log;
use crate::names;
use crate::plan::clean::{self, Bounds, Dirt, Facts, Part};
use crate::scan::{Next, Whole};
use crate::segment::{FileState, Segment};

mod filter;
pub mod offset_map;
#[cfg(test)]
mod tests;
pub(crate) mod txns;

use filter::{Filter, Filtered, LastRecord};
use offset_map::{OffsetMap, Put};
use txns::{CleanedTxns, Verdict};

/// Most bytes that one batch may have when it is decompressed.
const MAX_DECOMPRESSED: usize = 1 << 30;
/// Bytes collected before they are written.
const WRITE_CHUNK: usize = 1 << 20;

/// Who holds a cleaning back, and who can end it.
pub trait Governor: Debug {
    /// Told of bytes read or written; may wait, so that `log.cleaner.io.max.bytes.per.second` is
    /// kept. Returns whether to go on.
    fn spent(&mut self, bytes: u64) -> Go;
}

/// Whether a cleaning goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It does.
    On,
    /// It ends; what it has done so far is undone.
    Stop,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// Everything below is compacted now: the new cleaner point.
    pub end_offset: i64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Records read while writing anew.
    pub records_before: u64,
    /// Records kept.
    pub records_after: u64,
    /// Records without a key, which a compacted log cannot keep.
    pub without_key: u64,
    /// Keys that were noted.
    pub keys: usize,
}

/// Compacts logs, one after the other.
#[derive(Debug)]
pub struct Cleaner {
    map: OffsetMap,
    scratch: Vec<u8>,
}

impl Cleaner {
    /// A cleaner whose map of keys takes at most `memory` bytes
    /// (`log.cleaner.dedupe.buffer.size` divided by `log.cleaner.threads`), filled up to `load`
    /// (`log.cleaner.io.buffer.load.factor`).
    #[must_use]
    pub fn new(memory: usize, load: f64) -> Self {
        Self { map: OffsetMap::new(memory, load), scratch: Vec::new() }
    }

    /// Compacts what of a log is `dirt`. Returns `None` when it was stopped, or when the log was
    /// changed under it.
    pub fn clean(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        now_ms: i64,
        governor: &mut dyn Governor,
    ) -> Result<Option<CleanReport>> {
        let Some(_alone) = log.cleaning.try_lock() else { return Ok(None) };
        let before = log.segment_list();
        let cleaned = self.clean_alone(log, dirt, now_ms, governor);
        self.map.clear();
        self.scratch = Vec::new();
        match cleaned {
            Err(Stopped::ByGovernor) => Ok(None),
            // What it read was cut off under it, and the files are removed.
            Err(Stopped::By(e)) if Segment::is_gone(&e) && !before.iter().all(|s| log.has(s)) => {
                Ok(None)
            }
            Err(Stopped::By(e)) => Err(e),
            Ok(report) => Ok(report),
        }
    }

    fn clean_alone(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        now_ms: i64,
        governor: &mut dyn Governor,
    ) -> Result<Option<CleanReport>, Stopped> {
        // Recovery tells by it what it must not take for a loss.
        log.flush(dirt.first_uncleanable, now_ms)?;
        self.note_keys(log, dirt, governor)?;
        let end_offset = self.map.latest() + 1;
        let segments: Vec<_> = log
            .segment_list()
            .iter()
            .filter(|s| s.base_offset < end_offset.min(dirt.first_uncleanable))
            .cloned()
            .collect();
        let mut parts = Vec::with_capacity(segments.len());
        for (i, segment) in segments.iter().enumerate() {
            let (offsets, times) = segment.index_lens()?;
            parts.push(Part {
                base_offset: segment.base_offset,
                next_offset: segments.get(i + 1).map_or(dirt.first_uncleanable, |s| s.base_offset),
                size: segment.size(),
                index_size: u64::from(offsets) * 8,
                time_index_size: u64::from(times) * 12,
            });
        }
        let mut report = CleanReport { end_offset, keys: self.map.len(), ..CleanReport::default() };
        let mut round = Round {
            log,
            now_ms,
            round_end: dirt.first_uncleanable,
            producers: log.producers().iter().map(|p| (p.producer_id, LastRecord::of(p))).collect(),
            txns: CleanedTxns::default(),
        };
        let mut from = 0;
        for count in clean::groups(&log.settings(), &parts) {
            let group = segments.get(from..from + count).unwrap_or_default();
            from += count;
            let bytes = group.iter().map(|s| s.size()).sum();
            let new = self.write_group(&mut round, group, &mut report, governor)?;
            if !log.replace(group, bytes, &new, now_ms)? {
                new.remove()?;
                return Ok(None);
            }
        }
        Ok(Some(report))
    }

    /// Notes where the newest record of each key is, from the first dirty offset on.
    fn note_keys(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        governor: &mut dyn Governor,
    ) -> Result<(), Stopped> {
        self.map.clear();
        self.map.set_latest(dirt.first_dirty - 1);
        let mut txns = CleanedTxns::default();
        txns.add(&log.aborted(dirt.first_dirty..dirt.first_uncleanable)?);
        let segments = log.segment_list();
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map_or(i64::MAX, |s| s.base_offset);
            if next <= dirt.first_dirty || segment.base_offset >= dirt.first_uncleanable {
                continue;
            }
            let from = segment.locate(dirt.first_dirty)?.map_or(segment.size(), |p| p.position);
            let map = &mut self.map;
            let full = walk(segment, from, &mut self.scratch, governor, |batch, bytes| {
                note_batch(map, &mut txns, &batch, bytes, dirt.first_dirty)
            })?;
            if full == Walked::Ended {
                break;
            }
            // What gap there may be at the segment's end holds nothing either.
            self.map.set_latest(next.min(dirt.first_uncleanable) - 1);
        }
        Ok(())
    }

    /// Writes what stays of some segments into a new one.
    fn write_group(
        &mut self,
        round: &mut Round<'_>,
        group: &[Arc<Segment>],
        report: &mut CleanReport,
        governor: &mut dyn Governor,
    ) -> Result<Arc<Segment>, Stopped> {
        let Some(first) = group.first() else { return Err(LogError::Closed.into()) };
        let place = Arc::clone(round.log.place());
        let new = Segment::create(place, first.base_offset, FileState::Cleaned);
        // An earlier attempt may have left files behind.
        new.remove()?;
        new.log_file()?;
        let written = self.fill(round, group, &new, report, governor);
        if written.is_err() {
            new.remove()?;
        }
        written.map(|()| new)
    }

    fn fill(
        &mut self,
        round: &mut Round<'_>,
        group: &[Arc<Segment>],
        new: &Arc<Segment>,
        report: &mut CleanReport,
        governor: &mut dyn Governor,
    ) -> Result<(), Stopped> {
        let settings = round.log.settings();
        let mut out = Output::new(new, settings.index_interval_bytes);
        for (i, segment) in group.iter().enumerate() {
            let next = match group.get(i + 1) {
                Some(next) => next.base_offset,
                None => segment.next_offset()?,
            };
            round.txns.add(&round.log.aborted(segment.base_offset..next.max(segment.base_offset))?);
            let mut filter = Filter {
                map: &self.map,
                txns: &mut round.txns,
                producers: &round.producers,
                round_end: round.round_end,
                now_ms: round.now_ms,
                delete_retention_ms: settings.delete_retention_ms,
                report: &mut *report,
                aborted: None,
            };
            walk(segment, 0, &mut self.scratch, governor, |batch, bytes| {
                match filter.batch(&batch, bytes)? {
                    Filtered::Gone => {}
                    Filtered::Whole => out.push(&batch, bytes)?,
                    Filtered::Rewritten(new_batch) => {
                        let batch = reparse(&new_batch)?;
                        out.push(&batch, &new_batch)?;
                    }
                }
                if let Some(txn) = filter.aborted.take() {
                    new.push_aborted(&txn)?;
                }
                Ok(Walked::On)
            })?;
            report.bytes_before += segment.size();
        }
        out.flush()?;
        report.bytes_after += new.size();
        go_on(governor.spent(new.size()))?;
        new.close_for_append()?;
        if let Some(last) = group.last() {
            new.copy_modified(last)?;
        }
        new.flush(crate::segment::Growth::Complete)?;
        Ok(())
    }
}

/// What stays the same while the groups of one cleaning are written.
struct Round<'a> {
    log: &'a Log,
    now_ms: i64,
    /// The first offset that is not cleaned; the batch before it keeps the place of it.
    round_end: i64,
    producers: std::collections::BTreeMap<i64, LastRecord>,
    txns: CleanedTxns,
}

/// Why a cleaning ended early.
enum Stopped {
    ByGovernor,
    By(LogError),
}

impl<E: Into<LogError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::By(error.into())
    }
}

fn go_on(verdict: Go) -> Result<(), Stopped> {
    match verdict {
        Go::On => Ok(()),
        Go::Stop => Err(Stopped::ByGovernor),
    }
}

/// Whether a walk over batches goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walked {
    On,
    Ended,
}

/// Calls `each` for every batch of a segment from a position on.
fn walk(
    segment: &Segment,
    from: u64,
    scratch: &mut Vec<u8>,
    governor: &mut dyn Governor,
    mut each: impl FnMut(Batch, &[u8]) -> Result<Walked>,
) -> Result<Walked, Stopped> {
    if segment.size() <= from {
        return Ok(Walked::On);
    }
    let file = segment.log_file()?;
    let mut whole = Whole::new(&*file, from, segment.size(), scratch);
    loop {
        let position = whole.position();
        match whole.next().map_err(segment.failed("read", names::LOG))? {
            Next::End => return Ok(Walked::On),
            Next::Invalid(why) => {
                let what = format!("{why} at position {position}");
                return Err(LogError::Corrupt { path: segment.path(names::LOG), what }.into());
            }
            Next::Batch(placed, bytes) => {
                go_on(governor.spent(u64::from(placed.batch.size)))?;
                if each(placed.batch, bytes)? == Walked::Ended {
                    return Ok(Walked::Ended);
                }
            }
        }
    }
}

fn note_batch(
    map: &mut OffsetMap,
    txns: &mut CleanedTxns,
    batch: &Batch,
    bytes: &[u8],
    from: i64,
) -> Result<Walked> {
    if batch.is_control() {
        let marker = parse_marker(batch, bytes.get(HEADER..).unwrap_or_default());
        txns.control(batch, marker);
    } else if txns.data(batch) == Verdict::Keep && batch.magic == 2 {
        let full = with_records(bytes, |records| {
            for record in records {
                if record.offset >= from
                    && let Some(key) = record.key
                    && map.put(key, record.offset) == Put::Full
                {
                    return Walked::Ended;
                }
            }
            Walked::On
        })?;
        if full == Walked::Ended {
            return Ok(Walked::Ended);
        }
    }
    map.set_latest(batch.last_offset);
    Ok(Walked::On)
}

/// Calls `with` with the records of a whole batch of format 2.
fn with_records<T>(bytes: &[u8], with: impl FnOnce(&[record::RecordRef<'_>]) -> T) -> Result<T> {
    let invalid = |_| LogError::InvalidBatch("records that cannot be read");
    let header = record::BatchHeader::parse(bytes).map_err(invalid)?;
    let section = bytes.get(HEADER..).unwrap_or_default();
    let unpacked;
    let section = match header.compression().map_err(invalid)? {
        record::Compression::None => section,
        codec => {
            unpacked = record::decompress(codec, section, MAX_DECOMPRESSED).map_err(invalid)?;
            &unpacked
        }
    };
    let records: Result<Vec<_>, _> = record::RecordIter::new(&header, section).collect();
    Ok(with(&records.map_err(invalid)?))
}

fn reparse(bytes: &Bytes) -> Result<Batch> {
    match Batch::parse(bytes) {
        crate::batch::Parsed::Batch(batch) => Ok(batch),
        _ => Err(LogError::InvalidBatch("rewritten batch")),
    }
}

/// Batches on their way into a new segment.
struct Output<'a> {
    segment: &'a Arc<Segment>,
    interval: u32,
    since_entry: u32,
    buffer: Vec<u8>,
}

impl<'a> Output<'a> {
    fn new(segment: &'a Arc<Segment>, interval: u32) -> Self {
        Self { segment, interval, since_entry: 0, buffer: Vec::new() }
    }

    fn push(&mut self, batch: &Batch, bytes: &[u8]) -> Result<()> {
        let position = self.segment.size() + self.buffer.len() as u64;
        self.segment.note(batch, position);
        if self.since_entry > self.interval {
            self.segment.index(batch, position)?;
            self.since_entry = 0;
        }
        self.since_entry = self.since_entry.saturating_add(batch.size);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.segment.write(&mut [std::io::IoSlice::new(&self.buffer)])?;
        self.segment.publish(self.segment.size() + self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}

impl Log {
    /// What of the log could be compacted. `cleaner_point` is up to where it was compacted
    /// before, as [`LogDir::cleaner_point`](crate::dir::LogDir::cleaner_point) says.
    pub fn dirt(&self, cleaner_point: Option<i64>, now_ms: i64) -> Result<Dirt> {
        self.retrying(|segments| self.dirt_of(segments, cleaner_point, now_ms))
    }

    fn dirt_of(
        &self,
        segments: &[Arc<Segment>],
        cleaner_point: Option<i64>,
        now_ms: i64,
    ) -> Result<Dirt> {
        let Some((active, closed)) = segments.split_last() else { return Err(LogError::Closed) };
        let mut facts = Vec::with_capacity(closed.len());
        for segment in closed {
            facts.push(Facts {
                base_offset: segment.base_offset,
                size: segment.size(),
                largest_timestamp: segment.age_timestamp()?,
                first_timestamp: segment.first_timestamp()?,
            });
        }
        let bounds = Bounds {
            cleaner_point,
            start_offset: self.start_offset(),
            end_offset: self.end_offset(),
            stable_offset: self.last_stable_offset(),
            active_base: active.base_offset,
            now_ms,
        };
        Ok(clean::dirt(&self.settings(), &bounds, &facts))
    }
}
