//! Appending.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Log, State, Writer};
use crate::batch::{Batch, HEADER, Marker, OVERHEAD, Parsed, parse_marker};
use crate::error::{LogError, Result};
use crate::plan::roll::Arriving;
use crate::producers::{BatchMeta, Rules, Staged};
use crate::segment::Segment;

/// Offsets that a segment can hold: those that its indexes can express.
const SEGMENT_SPAN: i64 = 1 << 31;

/// Most batches in one append.
pub const MAX_BATCHES: usize = 65_536;

/// A batch of format 2 to be appended: a copy of its fixed part, and what follows that, untouched.
#[derive(Clone, Debug)]
pub struct AppendBatch {
    /// The fixed part. Base offset and leader epoch, which the checksum does not cover, are
    /// assigned by the log.
    pub header: [u8; HEADER],
    /// The records.
    pub body: Bytes,
}

impl AppendBatch {
    /// Splits a whole batch.
    pub fn split(batch: &Bytes) -> Result<Self> {
        let Some(header) = batch.first_chunk::<HEADER>() else {
            return Err(LogError::InvalidBatch("shorter than its fixed part"));
        };
        Ok(Self { header: *header, body: batch.slice(HEADER..) })
    }
}

/// How a leader appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderAppend {
    /// The leader's epoch, written into the batches.
    pub leader_epoch: i32,
    /// What is checked.
    pub rules: Rules,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The batches are in the log.
    Appended,
    /// They were in the log before, at the offsets told; nothing was written.
    Duplicate,
}

/// Where batches are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// Whether they were written now.
    pub outcome: Outcome,
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The largest timestamp; of a duplicate, as written then.
    pub max_timestamp: i64,
    /// The log start offset.
    pub log_start_offset: i64,
    /// The log end offset now.
    pub end_offset: i64,
    /// Bytes written.
    pub bytes: u64,
    /// A segment was closed: flushing up to its end, this offset, is due when convenient.
    pub rolled_at: Option<i64>,
}

/// What a follower's append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerInfo {
    /// The log end offset now.
    pub end_offset: i64,
    /// Bytes written; a batch that was cut short at the end is left out.
    pub bytes: u64,
    /// Number of batches.
    pub batches: u32,
    /// A segment was closed: flushing up to its end, this offset, is due when convenient.
    pub rolled_at: Option<i64>,
}

/// Batches checked and numbered, ready to be written.
#[derive(Debug)]
struct Prepared {
    batches: Vec<Batch>,
    staged: Staged,
    bytes: u64,
    max_timestamp: i64,
}

impl Prepared {
    fn new() -> Self {
        let (batches, staged) = (Vec::new(), Staged::default());
        Self { batches, staged, bytes: 0, max_timestamp: -1 }
    }

    fn first(&self) -> Option<&Batch> {
        self.batches.first()
    }

    fn add(&mut self, batch: Batch) {
        self.bytes += u64::from(batch.size);
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
        self.batches.push(batch);
    }
}

fn whole(bytes: &[u8]) -> Result<Batch> {
    match Batch::parse(bytes) {
        Parsed::Batch(batch) => Ok(batch),
        Parsed::Short => Err(LogError::InvalidBatch("cut short")),
        Parsed::Invalid(why) => Err(LogError::InvalidBatch(why)),
    }
}

/// The batch at the start of what a leader sent; `None` when it is cut short, or nothing is left.
fn next_whole(bytes: &[u8], expected: i64) -> Result<Option<Batch>> {
    let batch = match Batch::parse(bytes) {
        Parsed::Batch(batch) if batch.size as usize <= bytes.len() => batch,
        Parsed::Batch(_) | Parsed::Short => return Ok(None),
        Parsed::Invalid(why) => return Err(LogError::InvalidBatch(why)),
    };
    if !batch.checksum_fits(&bytes[..batch.size as usize]) {
        return Err(LogError::InvalidBatch("wrong checksum"));
    }
    if batch.base_offset < expected {
        return Err(LogError::UnexpectedOffset { first: batch.base_offset, expected });
    }
    Ok(Some(batch))
}

fn marker_of(batch: &Batch, body: &[u8]) -> Option<Marker> {
    if batch.is_control() { parse_marker(batch, body) } else { None }
}

impl Log {
    /// Appends validated batches, giving them the next offsets and the leader's epoch. All of
    /// them get into the log, or none.
    ///
    /// The bytes are in the page cache when this returns. Checksums are the caller's business.
    pub fn append_as_leader(
        &self,
        batches: &[AppendBatch],
        by: LeaderAppend,
    ) -> Result<AppendInfo> {
        if batches.is_empty() || batches.len() > MAX_BATCHES {
            return Err(LogError::InvalidBatch("no batch, or too many"));
        }
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let mut headers = Vec::with_capacity(batches.len());
        let mut prepared = Prepared::new();
        let first_offset = self.end_offset();
        let mut next = first_offset;
        for given in batches {
            let mut header = given.header;
            header[..8].copy_from_slice(&next.to_be_bytes());
            header[OVERHEAD..16].copy_from_slice(&by.leader_epoch.to_be_bytes());
            let batch = whole(&header)?;
            if batch.magic != 2 || batch.size as usize != HEADER + given.body.len() {
                return Err(LogError::InvalidBatch("length does not fit"));
            }
            let marker = marker_of(&batch, &given.body);
            let staged = &mut prepared.staged;
            let earlier = writer.producers.stage(staged, &batch, marker, by.rules)?;
            if let Some(earlier) = earlier {
                return Ok(self.duplicate(earlier));
            }
            next = batch.last_offset + 1;
            prepared.add(batch);
            headers.push(header);
        }
        if next - first_offset > SEGMENT_SPAN {
            return Err(LogError::InvalidBatch("more offsets than a segment holds"));
        }
        let limit = u64::from(self.settings.load().segment_bytes);
        if prepared.bytes > limit {
            return Err(LogError::TooLarge { size: prepared.bytes, limit });
        }
        let mut bufs = Vec::with_capacity(2 * batches.len());
        for (header, given) in headers.iter().zip(batches) {
            bufs.push(IoSlice::new(header));
            bufs.push(IoSlice::new(&given.body));
        }
        let (bytes, max_timestamp) = (prepared.bytes, prepared.max_timestamp);
        if self.epochs.lock().latest().is_none_or(|e| e.epoch < by.leader_epoch) {
            self.epochs.lock().assign(by.leader_epoch, first_offset);
        }
        let rolled_at = self.write(&mut writer, prepared, &mut bufs, by.now_ms)?;
        Ok(AppendInfo {
            outcome: Outcome::Appended,
            first_offset,
            last_offset: next - 1,
            max_timestamp,
            log_start_offset: self.start_offset(),
            end_offset: next,
            bytes,
            rolled_at,
        })
    }

    fn duplicate(&self, earlier: BatchMeta) -> AppendInfo {
        AppendInfo {
            outcome: Outcome::Duplicate,
            first_offset: earlier.first_offset(),
            last_offset: earlier.last_offset,
            max_timestamp: earlier.timestamp,
            log_start_offset: self.start_offset(),
            end_offset: self.end_offset(),
            bytes: 0,
            rolled_at: None,
        }
    }

    /// Appends batches as a leader sent them, offsets and epochs included. Checksums are checked.
    /// A last batch that is cut short is left out. Offsets must increase, the first being at
    /// least the log's end; compaction on the leader may have left gaps.
    ///
    /// When a batch is refused, those before it may have been appended.
    pub fn append_as_follower(&self, records: &Bytes, now_ms: i64) -> Result<FollowerInfo> {
        let mut writer = self.writer.lock();
        writer.check_open()?;
        let limit = u64::from(self.settings.load().segment_bytes);
        let mut info =
            FollowerInfo { end_offset: self.end_offset(), bytes: 0, batches: 0, rolled_at: None };
        let (mut from, mut at, mut next) = (0, 0usize, self.end_offset());
        let mut group = Prepared::new();
        while let Some(batch) = next_whole(&records[at..], next)? {
            let far =
                group.first().is_some_and(|f| batch.last_offset - f.base_offset >= SEGMENT_SPAN);
            if group.bytes > 0 && (far || group.bytes + u64::from(batch.size) > limit) {
                let bytes = &records[from..at];
                self.write_group(
                    &mut writer,
                    std::mem::replace(&mut group, Prepared::new()),
                    bytes,
                    now_ms,
                    &mut info,
                )?;
                from = at;
            }
            let end = at + batch.size as usize;
            let marker = marker_of(&batch, records.get(at + HEADER..end).unwrap_or_default());
            let staged = &mut group.staged;
            writer.producers.stage(staged, &batch, marker, Rules::REPLICATION)?;
            next = batch.last_offset + 1;
            at = end;
            group.add(batch);
        }
        if group.bytes > 0 {
            self.write_group(&mut writer, group, &records[from..at], now_ms, &mut info)?;
        }
        Ok(info)
    }

    fn write_group(
        &self,
        writer: &mut Writer,
        group: Prepared,
        bytes: &[u8],
        now_ms: i64,
        info: &mut FollowerInfo,
    ) -> Result<()> {
        {
            let mut epochs = self.epochs.lock();
            for batch in &group.batches {
                if epochs.latest().is_none_or(|e| e.epoch < batch.leader_epoch) {
                    epochs.assign(batch.leader_epoch, batch.base_offset);
                }
            }
        }
        info.bytes += group.bytes;
        info.batches += group.batches.len() as u32;
        let rolled_at = self.write(writer, group, &mut [IoSlice::new(bytes)], now_ms)?;
        info.rolled_at = rolled_at.or(info.rolled_at);
        info.end_offset = self.end_offset();
        Ok(())
    }

    /// Writes prepared batches, and makes them visible. Returns the base offset of the segment
    /// that was begun for them, if one was.
    fn write(
        &self,
        writer: &mut Writer,
        prepared: Prepared,
        bufs: &mut [IoSlice<'_>],
        now_ms: i64,
    ) -> Result<Option<i64>> {
        let (Some(first), Some(last)) = (prepared.first(), prepared.batches.last()) else {
            return Ok(None);
        };
        let arriving = Arriving {
            size: prepared.bytes,
            last_offset: last.last_offset,
            max_timestamp: prepared.max_timestamp,
            now_ms,
        };
        let (begin, end) = (self.end_offset(), last.last_offset + 1);
        // Compaction at the leader may have left a gap. The new segment begins where the log ends,
        // so that a gap between segments always means a loss; it must reach the batches, though.
        let base = if end - begin <= SEGMENT_SPAN { begin } else { first.base_offset };
        let rolled_at = self.roll_if_due(writer, base, &arriving)?;
        let segment = self.active();
        // If it cannot be opened now, nothing happened.
        let _open = segment.log_file()?;
        let written = segment.write(bufs).and_then(|()| self.note(writer, &segment, prepared, end));
        if let Err(e) = written {
            writer.state = State::Torn;
            return Err(e);
        }
        Ok(rolled_at)
    }

    /// Brings indexes, producers and offsets up to what was just written to `segment`.
    fn note(
        &self,
        writer: &mut Writer,
        segment: &Arc<Segment>,
        prepared: Prepared,
        end: i64,
    ) -> Result<()> {
        let interval = self.settings.load().index_interval_bytes;
        let mut position = segment.size();
        for batch in &prepared.batches {
            segment.note(batch, position);
            if writer.since_entry > interval {
                segment.index(batch, position)?;
                writer.since_entry = 0;
            }
            writer.since_entry = writer.since_entry.saturating_add(batch.size);
            position += u64::from(batch.size);
        }
        if prepared.staged.is_empty() {
            writer.producers.set_end_offset(end);
        } else {
            for (txn, stable) in writer.producers.commit(prepared.staged, end) {
                self.note_aborted(segment, &txn, stable)?;
            }
            self.publish_unstable(&writer.producers);
        }
        self.end.store(end, Ordering::Release);
        segment.publish(position);
        Ok(())
    }
}
