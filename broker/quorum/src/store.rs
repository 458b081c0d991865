//! The raft log and vote of one node: an ottla-log, the file `quorum-state`, and the node's snapshots.
//!
//! One raft entry is one batch. [`Index`] is the one place that knows which index stands at which offset: it begins at
//! the newest snapshot and is made again from the batches behind it at start, so there is no file that could disagree
//! with the log.

mod entries;
mod flusher;
mod index;
mod open;
mod raft;
mod reached;
mod snapshots;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use openraft::entry::RaftEntry;
use ottla_log::Log;
use ottla_log::disk::Disk;
use ottla_log::graveyard::Graveyard;
use ottla_log::log::AtLeast;
use ottla_wire::Uuid;
use parking_lot::Mutex;

use crate::Clock;
use crate::control;
use crate::error::QuorumError;
use crate::quorum_state::{Election, QuorumStateFile};
use crate::snapshot::SnapshotId;
use crate::state_machine::SnapshotMeta;
use crate::types::{CommittedLeaderId, Entry, LogId, Membership};
use crate::voter::NodeKey;

pub(crate) use entries::{parse as parse_entry, split as split_batches};
pub(crate) use flusher::Flusher;
pub(crate) use index::{Index, Place};
pub(crate) use open::{Opened, StoreOptions, snapshot_meta};
pub(crate) use raft::LogStore;
pub(crate) use reached::Reached;

/// Bytes of the newest entries kept in memory, for the state machine and for followers that keep up.
const CACHE_BYTES: usize = 8 << 20;

/// Bytes of entries read from the log at once.
const READ_BYTES: u32 = 1 << 20;

/// The log store of one node.
#[derive(Debug)]
pub(crate) struct Store {
    node: NodeKey,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Arc<Log>,
    reached: Arc<Reached>,
    graveyard: Arc<Graveyard>,
    retention: Retention,
    clock: Clock,
    state: Mutex<State>,
    vote: Mutex<QuorumStateFile>,
    /// The epoch of the last entry at start: no vote is older, even where the file with it is gone.
    least_epoch: i32,
    flusher: Flusher,
    /// One cleans at a time.
    cleaning: Mutex<()>,
}

/// How long snapshots are kept once there is a newer one.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// `metadata.max.retention.bytes`, of log and snapshots together; `None` for no bound.
    pub bytes: Option<u64>,
    /// `metadata.max.retention.ms`; `None` for no bound.
    pub ms: Option<i64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { bytes: Some(100 << 20), ms: Some(7 * 24 * 3_600_000) }
    }
}

#[derive(Debug)]
struct State {
    index: Index,
    cache: VecDeque<Entry>,
    cached_bytes: usize,
    /// Memberships in the log, by index, and the one before them.
    memberships: Vec<(u64, Membership)>,
    /// The level of `kraft.version`, by the newest snapshot or the log behind it. It never goes down.
    kraft_version: i16,
    snapshots: Vec<Kept>,
}

/// A snapshot on disk. Those from before the node's start are known by name only, but for the newest.
#[derive(Clone, Debug)]
struct Kept {
    id: SnapshotId,
    meta: Option<SnapshotMeta>,
    kraft_version: i16,
}

impl State {
    fn remember(&mut self, entry: Entry) {
        self.cached_bytes += entry.batch.as_ref().map_or(0, Bytes::len);
        self.cache.push_back(entry);
        while self.cached_bytes > CACHE_BYTES && self.cache.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.cache.pop_front() {
            self.cached_bytes -= entry.batch.as_ref().map_or(0, Bytes::len);
        }
    }

    fn membership(&self) -> Membership {
        self.memberships.last().map(|(_, m)| m.clone()).unwrap_or_default()
    }

    fn truncate(&mut self, next: u64) {
        self.index.truncate(next);
        while self.cache.back().is_some_and(|e| e.log_id.index >= next) {
            if let Some(entry) = self.cache.pop_back() {
                self.cached_bytes -= entry.batch.as_ref().map_or(0, Bytes::len);
            }
        }
        // The first one is from the snapshot, or from before everything.
        while self.memberships.len() > 1
            && self.memberships.last().is_some_and(|(index, _)| *index >= next)
        {
            self.memberships.pop();
        }
    }
}

impl Store {
    /// The metadata log.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Where an entry stands.
    pub(crate) fn place(&self, index: u64) -> Option<Place> {
        self.state.lock().index.place(index)
    }

    /// The offset behind an entry: of one that is there, or of the last one that is not any more.
    pub(crate) fn offset_after(&self, id: LogId) -> Option<i64> {
        self.state.lock().index.offset_after(id)
    }

    /// The directory of the metadata partition.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The index the next entry will have.
    pub(crate) fn next_index(&self) -> u64 {
        self.state.lock().index.next_index()
    }

    /// Whether no entry was ever written.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().index.last().is_none()
    }

    /// The last entry, committed or not.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.state.lock().index.last()
    }

    /// The newest membership of the log, committed or not.
    pub(crate) fn membership(&self) -> Membership {
        self.state.lock().membership()
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// The vote that was last saved.
    pub(crate) fn election(&self) -> Option<Election> {
        let saved = self.vote.lock().last();
        if saved.is_some_and(|e| e.epoch >= self.least_epoch) || self.least_epoch == 0 {
            return saved;
        }
        let candidate = NodeKey::new(-1, Uuid::ZERO);
        Some(Election { epoch: self.least_epoch, candidate, granted: false })
    }

    /// Whether this node has ever been a member that votes or is led by vote: the end of its log may not be committed.
    pub(crate) fn has_voted(&self) -> bool {
        self.vote.lock().last().is_some_and(|vote| vote.epoch > 0)
    }

    /// Flushes the log, and notes how far.
    pub(crate) fn flush(&self) -> Result<(), QuorumError> {
        self.log.flush(i64::MAX, (self.clock)())?;
        self.reached.note(|| self.log.recovery_point())?;
        self.reached.settle()
    }

    /// Saves a vote, behind all that was appended before it.
    fn save_election(&self, election: Election) -> std::io::Result<()> {
        self.log.flush(i64::MAX, (self.clock)()).map_err(std::io::Error::other)?;
        self.vote.lock().save(election)
    }

    /// Appends entries that follow the last one without a gap. They are in the page cache when this returns.
    pub(crate) fn append(&self, entries: Vec<Entry>) -> Result<(), QuorumError> {
        let mut state = self.state.lock();
        let mut offset = self.log.end_offset();
        let mut index = state.index.next_index();
        let mut membership = None;
        let mut bytes = BytesMut::new();
        let mut placed = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.log_id.index != index {
                let got = entry.log_id;
                return Err(QuorumError::Stopped(format!("entry {got} does not follow {index}")));
            }
            let current = membership.get_or_insert_with(|| state.membership());
            if let Some(m) = entry.get_membership() {
                *current = m;
            }
            let leader = self.leader_of(entry.log_id.leader_id);
            let (kraft_version, now_ms) = (state.kraft_version, (self.clock)());
            let (entry, next) =
                entries::stamp(entry, offset, leader, current, kraft_version, now_ms)?;
            if let Some(batch) = &entry.batch {
                bytes.extend_from_slice(batch);
            }
            placed.push((entry, offset));
            (offset, index) = (next, index + 1);
        }
        self.log.append_as_follower(&bytes.freeze(), (self.clock)())?;
        if self.log.end_offset() != offset {
            let end = self.log.end_offset();
            return Err(QuorumError::Stopped(format!("the log ends at {end} instead of {offset}")));
        }
        for (entry, base) in placed {
            let size = entry.batch.as_ref().map_or(0, Bytes::len);
            state.index.push(entry.log_id, base, size);
            if let Some(m) = entry.get_membership() {
                state.memberships.push((entry.log_id.index, m));
                let batch = entry.batch.as_ref();
                let level = batch.map_or(Ok(None), control::kraft_version);
                let level = level.map_err(|why| self.corrupt(base, &why))?;
                state.kraft_version = level.unwrap_or(state.kraft_version);
            }
            state.remember(entry);
        }
        state.index.set_end(offset);
        Ok(())
    }

    fn leader_of(&self, epoch: CommittedLeaderId) -> NodeKey {
        match self.election() {
            Some(e) if e.epoch == epoch.term => e.candidate,
            _ => self.node,
        }
    }

    /// Removes all entries behind `last`.
    pub(crate) fn truncate_after(&self, last: Option<LogId>) -> Result<(), QuorumError> {
        let mut state = self.state.lock();
        let next = last.map_or(0, |id| id.index + 1);
        if next >= state.index.next_index() {
            return Ok(());
        }
        let Some(place) = state.index.place(next) else {
            return Err(QuorumError::Stopped(format!(
                "entry {next} left the log before it was cut"
            )));
        };
        let offset = place.base_offset;
        self.reached.lower(offset, || self.log.truncate_to(offset, (self.clock)()))?;
        state.truncate(next);
        Ok(())
    }

    /// Begins the log anew behind a snapshot up to `upto`, unless it has that entry.
    pub(crate) fn begin_behind(&self, upto: LogId) -> Result<(), QuorumError> {
        if upto.index < self.next_index() { Ok(()) } else { self.purge(upto) }
    }

    /// Forgets all entries up to `upto`. When the log does not reach it, as after the snapshot of a leader was
    /// installed, the log begins anew behind it.
    pub(crate) fn purge(&self, upto: LogId) -> Result<(), QuorumError> {
        let mut state = self.state.lock();
        if upto.index < state.index.next_index() {
            state.index.purge(upto);
            while state.cache.front().is_some_and(|e| e.log_id.index <= upto.index) {
                state.forget_oldest();
            }
            return Ok(());
        }
        let snapshot = state
            .snapshots
            .iter()
            .find(|kept| kept.meta.as_ref().is_some_and(|meta| meta.last_log_id == Some(upto)));
        let Some(kept) = snapshot else {
            return Err(QuorumError::Stopped(format!("no snapshot reaches entry {upto}")));
        };
        let offset = kept.id.end_offset;
        let membership = kept.meta.as_ref().map(|m| m.last_membership.membership().clone());
        let kraft_version = kept.kraft_version;
        let start = || self.log.truncate_fully_and_start_at(offset, (self.clock)());
        self.reached.lower(offset, start)?;
        state.index = Index::after(Some(upto), offset);
        state.cache.clear();
        state.cached_bytes = 0;
        state.memberships = vec![(upto.index, membership.unwrap_or_default())];
        state.kraft_version = kraft_version;
        Ok(())
    }

    /// Whether an entry, and with it those behind it, is read from memory.
    pub(crate) fn has_cached(&self, index: u64) -> bool {
        self.state.lock().cache.front().is_some_and(|e| e.log_id.index <= index)
    }

    /// The entries with these indexes that the log has, at least one when there is one; stops after `most` bytes.
    pub(crate) fn read(&self, from: u64, to: u64, most: usize) -> Result<Vec<Entry>, QuorumError> {
        let state = self.state.lock();
        let to = to.min(state.index.next_index());
        let from = from.max(state.index.first_index());
        if from >= to {
            return Ok(Vec::new());
        }
        let first_cached = state.cache.front().map_or(u64::MAX, |e| e.log_id.index);
        let mut entries = Vec::new();
        let mut bytes = 0;
        if first_cached <= from {
            let skip = usize::try_from(from - first_cached).unwrap_or(usize::MAX);
            let take = usize::try_from(to - from).unwrap_or(usize::MAX);
            for entry in state.cache.iter().skip(skip).take(take) {
                bytes += entry.batch.as_ref().map_or(0, Bytes::len);
                if bytes > most && !entries.is_empty() {
                    break;
                }
                entries.push(entry.clone());
            }
            return Ok(entries);
        }
        // The log's lock is not needed while reading: entries that are wanted are neither cut nor purged meanwhile.
        let mut planned = 0;
        let places = (from..to).map_while(|i| state.index.at(i)).take_while(|(_, place)| {
            let wanted = planned < most;
            planned = planned.saturating_add(place.bytes as usize);
            wanted
        });
        let places: Vec<_> = places.collect();
        drop(state);
        let (Some((_, first)), Some((_, last))) = (places.first(), places.last()) else {
            return Ok(Vec::new());
        };
        let (mut offset, end) = (first.base_offset, last.next_offset);
        let mut ids = places.iter();
        while offset < end && (bytes < most || entries.is_empty()) {
            let batches = self.read_batches(offset, end)?;
            for batch in batches {
                let Some((id, place)) = ids.next() else { break };
                let entry =
                    entries::parse(*id, &batch).map_err(|why| self.corrupt(offset, &why))?;
                if batch_offset(&batch) != Some(place.base_offset) {
                    return Err(self.corrupt(offset, "it is not where it was written"));
                }
                offset = place.next_offset;
                bytes += batch.len();
                entries.push(entry);
                if bytes >= most {
                    break;
                }
            }
        }
        Ok(entries)
    }

    /// Whole batches from an offset on.
    fn read_batches(&self, offset: i64, end: i64) -> Result<Vec<Bytes>, QuorumError> {
        let found = self.log.read(offset, READ_BYTES, end, AtLeast::OneBatch)?;
        let Some(slice) = found.slice else {
            return Err(self.corrupt(offset, "there is nothing to read"));
        };
        let path = self.log.dir();
        let bytes = slice.read().map_err(|e| QuorumError::io("read", &path, e))?;
        let batches = entries::split(Bytes::from(bytes));
        batches.map_err(|why| self.corrupt(offset, &why))
    }

    /// That what stands at an offset cannot be read.
    pub(crate) fn corrupt(&self, offset: i64, why: &str) -> QuorumError {
        QuorumError::Corrupt {
            path: self.log.dir(),
            why: format!("the batch at offset {offset}: {why}"),
        }
    }

    /// Flushes the log and takes no more appends.
    pub(crate) fn close(&self) -> Result<(), QuorumError> {
        self.flusher.stop();
        self.log.close((self.clock)())?;
        self.reached.note(|| self.log.recovery_point())?;
        self.reached.settle()
    }
}

fn batch_offset(batch: &Bytes) -> Option<i64> {
    batch.first_chunk::<8>().map(|b| i64::from_be_bytes(*b))
}
