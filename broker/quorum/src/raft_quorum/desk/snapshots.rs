//! Receiving a snapshot piece by piece, into a file.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_log::disk::{Disk, DiskFile, Open};
use tokio::sync::Mutex;

use super::{Desk, Done, No};
use crate::error::QuorumError;
use crate::rpc::{MAX_CHUNK, Refusal, SnapshotAnswer, SnapshotBody, WireVote};
use crate::simulated;
use crate::snapshot::{self, Snapshot, SnapshotId};
use crate::state_machine::{RaftSnapshot, Received, SnapshotSource};
use crate::store;
use crate::types::Vote;
use openraft::async_runtime::WatchReceiver;

/// The snapshot that is being received, if one is.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Option<Receiving>>);

#[derive(Debug)]
struct Receiving {
    id: SnapshotId,
    size: u64,
    file: Arc<dyn DiskFile>,
    part: PathBuf,
    /// What is there already.
    position: u64,
}

impl Receiving {
    fn begin(
        disk: &dyn Disk,
        part: PathBuf,
        id: SnapshotId,
        size: u64,
    ) -> Result<Self, QuorumError> {
        let opened = disk.open(&part, Open::Truncate);
        let file = opened.map_err(|e| QuorumError::io("create", &part, e))?;
        Ok(Self { id, size, file, part, position: 0 })
    }

    fn is(&self, body: &SnapshotBody) -> bool {
        let id = SnapshotId { end_offset: body.end_offset, epoch: body.epoch };
        self.id == id && u64::try_from(body.size) == Ok(self.size)
    }
}

impl Desk {
    /// Stores a piece, and installs the snapshot when it was the last one.
    pub(super) async fn take_piece(&self, body: SnapshotBody) -> Done<SnapshotAnswer> {
        let vote = body.vote.vote();
        let mine = self.raft.metrics().borrow_watched().vote;
        let answer = |vote: &Vote, position: u64, done| SnapshotAnswer {
            vote: WireVote::new(vote),
            position: i64::try_from(position).unwrap_or(i64::MAX),
            done,
        };
        // Votes of one epoch for two candidates are neither less nor more than each other.
        if !matches!(vote.partial_cmp(&mine), Some(Ordering::Equal | Ordering::Greater)) {
            return Ok(answer(&mine, 0, false));
        }
        let invalid = |why: String| No(Refusal::Invalid, format!("a snapshot's piece: {why}"));
        let (Some(last), Ok(size), Ok(position)) =
            (body.last.id(), u64::try_from(body.size), u64::try_from(body.position))
        else {
            return Err(invalid("its numbers make no sense".to_owned()));
        };
        let end = position.saturating_add(body.bytes.len() as u64);
        let fits = size <= snapshot::MAX_BYTES && end <= size && body.bytes.len() <= MAX_CHUNK;
        // More than what openraft itself takes for granted.
        if !vote.is_committed() || last.leader_id.term > body.vote.epoch || !fits {
            return Err(invalid("it cannot be one of this leader's".to_owned()));
        }
        let id = SnapshotId { end_offset: body.end_offset, epoch: body.epoch };
        let mut inbox = self.inbox.0.lock().await;
        // Only now: it may have waited for the same snapshot to be installed.
        let applied = self.raft.metrics().borrow_watched().last_applied;
        if applied.is_some_and(|applied| applied >= last) {
            return Ok(answer(&vote, end, true));
        }
        if position == 0 {
            let (disk, part) = (self.store.disk().clone(), self.store.part_path(id));
            let begun = self.blocking(move || Receiving::begin(&*disk, part, id, size)).await?;
            *inbox = Some(begun);
        }
        let Some(receiving) = inbox.as_mut().filter(|r| r.is(&body)) else {
            return Ok(answer(&vote, 0, false));
        };
        if receiving.position != position {
            return Ok(answer(&vote, receiving.position, false));
        }
        let (file, part, bytes) = (receiving.file.clone(), receiving.part.clone(), body.bytes);
        let written = move || {
            let written = file.write_at(&bytes, position);
            written.map_err(|e| QuorumError::io("write", &part, e))
        };
        self.blocking(written).await?;
        receiving.position = end;
        if end < size {
            return Ok(answer(&vote, end, false));
        }
        let Some(whole) = inbox.take() else { return Ok(answer(&vote, 0, false)) };
        let vote = self.install(vote, last, whole).await?;
        Ok(answer(&vote, end, true))
    }

    async fn install(&self, vote: Vote, last: crate::types::LogId, whole: Receiving) -> Done<Vote> {
        let Receiving { id, part, .. } = whole;
        let (disk, path) = (self.store.disk().clone(), part.clone());
        let read = self.blocking(move || snapshot::read(&*disk, &path)).await;
        let contents: Snapshot = match read {
            Ok(contents) => contents,
            Err(no) => {
                self.drop_part(&part).await;
                return Err(no);
            }
        };
        let meta = match store::snapshot_meta(id, &contents) {
            Ok(meta) if meta.last_log_id == Some(last) => meta,
            Ok(_) => {
                self.drop_part(&part).await;
                return Err(No(
                    Refusal::Invalid,
                    format!("snapshot {id} ends elsewhere than told"),
                ));
            }
            Err(why) => {
                self.drop_part(&part).await;
                return Err(No(Refusal::Invalid, format!("snapshot {id}: {why}")));
            }
        };
        tracing::info!("installing the leader's snapshot {id} of the metadata");
        let received = Received { id, part: part.clone(), contents: Arc::new(contents) };
        let snapshot = RaftSnapshot { meta, snapshot: SnapshotSource::Received(received) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        let response = installed.map_err(|e| self.stopped(&e))?;
        self.drop_part(&part).await;
        Ok(response.vote)
    }

    /// Removes a part that was not wanted in the end. Where it became a snapshot there is none.
    async fn drop_part(&self, part: &std::path::Path) {
        let (disk, part) = (self.store.disk().clone(), part.to_owned());
        let removed = simulated::blocking(move || {
            if disk.exists(&part).unwrap_or(false) {
                // What stays is removed at the next start.
                let _ = disk.remove_file(&part);
            }
        });
        let _ = removed.await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, QuorumError> + Send + 'static,
    ) -> Done<T> {
        let done = simulated::blocking(work).await;
        let done = done.map_err(|e| self.stopped(&e))?;
        done.map_err(|e| No(Refusal::Invalid, e.to_string()))
    }
}
