//! The store as openraft sees it.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures_util::{Stream, stream};
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::vote::{RaftLeaderId, RaftVote};

use super::Store;
use crate::error::QuorumError;
use crate::quorum_state::Election;
use crate::simulated;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Most bytes of entries that are sent to a follower at once; one larger entry goes alone.
const SEND_BYTES: usize = 1 << 20;

/// Most bytes of entries that are read at once to be applied; one larger entry is read alone.
const APPLY_BYTES: usize = 1 << 20;

/// The writing end.
#[derive(Debug)]
pub(crate) struct LogStore(pub(crate) Arc<Store>);

/// A reading end; there may be many.
#[derive(Clone, Debug)]
pub(crate) struct LogReader(Arc<Store>);

/// The first index of a range and the one behind its last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

/// Entries of the log, of which no more than a chunk is in memory.
struct Chunks {
    store: Arc<Store>,
    next: u64,
    to: u64,
    ready: VecDeque<Entry>,
}

impl Chunks {
    async fn take(&mut self) -> io::Result<Option<Entry>> {
        if self.ready.is_empty() && self.next < self.to {
            self.ready = self.read().await?.into();
        }
        let entry = self.ready.pop_front();
        if let Some(entry) = &entry {
            self.next = entry.log_id.index + 1;
        }
        Ok(entry)
    }

    async fn read(&self) -> io::Result<Vec<Entry>> {
        let (from, to) = (self.next, self.to);
        if self.store.has_cached(from) {
            return self.store.read(from, to, APPLY_BYTES).map_err(io::Error::other);
        }
        // The disk is not waited for where the quorum's own messages are handled.
        let store = self.store.clone();
        let read = move || store.read(from, to, APPLY_BYTES);
        let read = simulated::blocking(read).await;
        read.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

fn to_vote(election: Election) -> Vote {
    let leader = <Vote as RaftVote>::LeaderId::new(election.epoch, election.candidate);
    Vote::from_leader_id(leader, election.granted)
}

fn from_vote(vote: &Vote) -> Election {
    let leader = vote.leader_id();
    Election { epoch: leader.term(), candidate: *leader.node_id(), granted: vote.is_committed() }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (from, to) = bounds(&range);
        self.0.read(from, to, usize::MAX).map_err(io::Error::other)
    }

    /// Entries to apply. What is far behind, as after a start, comes from the disk a chunk at a time.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        let chunks = Chunks { store: self.0.clone(), next: from, to, ready: VecDeque::new() };
        Box::pin(stream::try_unfold(chunks, |mut chunks| async move {
            Ok(chunks.take().await?.map(|entry| (entry, chunks)))
        }))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.0.read(start, end, SEND_BYTES).map_err(io::Error::other)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.election().map(to_vote))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.0.state.lock();
        let (last_purged_log_id, last_log_id) = (state.index.purged(), state.index.last());
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(self.0.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (store, election) = (self.0.clone(), from_vote(vote));
        let saved = simulated::blocking(move || store.save_election(election)).await;
        saved.map_err(io::Error::other)?
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.0.append(entries.into_iter().collect()).map_err(io::Error::other)?;
        self.0.flusher.flush(callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.0.truncate_after(last).map_err(io::Error::other)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let store = self.0.clone();
        let purged = simulated::blocking(move || {
            store.purge(upto)?;
            // Only now is it known what of the log goes: when the snapshot was written, these entries were still wanted.
            if let Err(e) = store.clean() {
                tracing::warn!("what of the metadata log lies before its snapshots stays: {e}");
            }
            Ok::<_, QuorumError>(())
        });
        purged.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}
