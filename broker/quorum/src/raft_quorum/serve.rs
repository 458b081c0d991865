//! Giving the committed log to nodes that are no members, and remembering them.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_log::disk::Open;
use ottla_log::log::AtLeast;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::RaftQuorum;
use crate::pull::{
    Found, LeaderHint, MAX_PULL_BYTES, Piece, PullAsk, PullError, Pulled, SnapshotAsk,
    SnapshotChunk,
};
use crate::quorum::{BoxFuture, Replica};
use crate::simulated;
use crate::voter::{Member, NodeKey};

/// Most nodes that are remembered.
const MAX_OBSERVERS: usize = 20_000;

/// How long one is remembered after it asked last, as Kafka has it.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The longest an answer waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The nodes that pull, as the leader knows them.
#[derive(Debug, Default)]
pub(super) struct Observers(Mutex<BTreeMap<NodeKey, Observer>>);

#[derive(Clone, Copy, Debug)]
struct Observer {
    end_offset: i64,
    heard: Instant,
    caught_up: Option<Instant>,
}

impl Observers {
    fn note(&self, key: NodeKey, end_offset: i64, high_watermark: i64) {
        let now = Instant::now();
        let mut all = self.0.lock();
        if all.len() >= MAX_OBSERVERS && !all.contains_key(&key) {
            all.retain(|_, o| o.heard.elapsed() < REMEMBERED);
            if all.len() >= MAX_OBSERVERS {
                return;
            }
        }
        // A node with another directory is another node, and the one it was is gone.
        all.retain(|known, _| known.id != key.id || *known == key);
        let known = all.get(&key).and_then(|o| o.caught_up);
        let caught_up = if end_offset >= high_watermark { Some(now) } else { known };
        all.insert(key, Observer { end_offset, heard: now, caught_up });
    }

    /// Those that asked not long ago.
    pub(super) fn list(&self) -> Vec<Replica> {
        let mut all = self.0.lock();
        all.retain(|_, o| o.heard.elapsed() < REMEMBERED);
        let ago = |at: Instant| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let replica = |(key, o): (&NodeKey, &Observer)| Replica {
            key: *key,
            member: Member::default(),
            log_end_offset: Some(o.end_offset),
            last_heard_ms_ago: Some(ago(o.heard)),
            caught_up_ms_ago: o.caught_up.map(ago),
        };
        all.iter().map(replica).collect()
    }

    pub(super) fn forget_all(&self) {
        self.0.lock().clear();
    }
}

impl RaftQuorum {
    /// Gives committed batches to a node that is no member. Without any the answer waits, at most as long as it may, and
    /// comes when something is committed.
    pub fn pull(&self, ask: PullAsk) -> BoxFuture<'_, Result<Pulled, PullError>> {
        Box::pin(self.serve(ask))
    }

    /// Gives a piece of a snapshot.
    pub fn snapshot_chunk(
        &self,
        ask: SnapshotAsk,
    ) -> BoxFuture<'_, Result<SnapshotChunk, PullError>> {
        Box::pin(self.serve_snapshot(ask))
    }

    /// The nodes that pull from this one, while it leads.
    #[must_use]
    pub fn observers(&self) -> Vec<Replica> {
        self.observers.list()
    }

    /// Who leads, and where it is.
    pub(super) fn hint(&self) -> Option<LeaderHint> {
        let now = *self.leadership.borrow();
        let leader = now.leader?;
        let membership = self.store.membership();
        // Of itself this node knows better than the log where it is.
        let own = (leader == self.node).then_some(&self.member);
        let own = own.filter(|member| !member.endpoints.is_empty());
        let member = own.or_else(|| membership.get_node(&leader));
        let endpoints = member.map(|member| member.endpoints.clone()).unwrap_or_default();
        Some(LeaderHint { id: leader.id, epoch: now.epoch, endpoints })
    }

    /// Whether the asking node may be served here.
    fn check(&self, cluster_id: &str, epoch: i32) -> Result<LeaderHint, PullError> {
        if cluster_id != self.cluster_id && !cluster_id.is_empty() {
            return Err(PullError::ForeignCluster(self.cluster_id.clone()));
        }
        let hint = self.hint();
        match hint {
            Some(hint) if self.leadership.borrow().leader == Some(self.node) => {
                if epoch > hint.epoch {
                    return Err(PullError::StaleLeader);
                }
                Ok(hint)
            }
            hint => Err(PullError::NotLeader(hint)),
        }
    }

    async fn serve(&self, ask: PullAsk) -> Result<Pulled, PullError> {
        let mut high_watermark = self.signals.high_watermark.subscribe();
        let mut leadership = self.leadership.clone();
        let deadline = Instant::now() + ask.max_wait.min(LONGEST_WAIT);
        loop {
            let leader = self.check(&ask.cluster_id, ask.epoch)?;
            leadership.borrow_and_update();
            let reached = *high_watermark.borrow_and_update();
            self.observers.note(ask.replica, ask.offset, reached);
            let log = self.store.log();
            let log_start = log.start_offset();
            let answer = |found| {
                Ok(Pulled { leader: leader.clone(), high_watermark: reached, log_start, found })
            };
            let snapshot = self.store.newest_snapshot().map(|(id, _)| id);
            if ask.offset < log_start {
                let id = snapshot.ok_or_else(|| {
                    PullError::Failed(format!("the log begins at {log_start}, without a snapshot"))
                })?;
                return answer(Found::Snapshot(id));
            }
            self.check_end(&ask)?;
            // An observer that was told of more by an earlier leader waits for this one to commit its first entry.
            if ask.offset < reached {
                let max_bytes = ask.max_bytes.clamp(1, MAX_PULL_BYTES);
                let read = log.read(ask.offset, max_bytes, reached, AtLeast::OneBatch);
                let slice = match read {
                    Ok(found) => found.slice,
                    // The log's beginning was cut off meanwhile.
                    Err(_) if ask.offset < log.start_offset() => continue,
                    Err(e) => return Err(PullError::Failed(e.to_string())),
                };
                if let Some(slice) = slice {
                    let (position, len) = (slice.position, slice.len);
                    let piece = Piece::File { file: slice.file, position, len };
                    return answer(Found::Batches(piece));
                }
            }
            tokio::select! {
                changed = high_watermark.changed() => if changed.is_err() {
                    return Err(PullError::NotLeader(None));
                },
                changed = leadership.changed() => if changed.is_err() {
                    return Err(PullError::NotLeader(None));
                },
                () = tokio::time::sleep_until(deadline) => {
                    return answer(Found::Batches(Piece::Bytes(bytes::Bytes::new())));
                }
            }
        }
    }

    /// Whether this log holds what the asking node's ends with. What it has was committed, so anything else means that
    /// one of the two belongs to another cluster, or lost what it had.
    fn check_end(&self, ask: &PullAsk) -> Result<(), PullError> {
        let log = self.store.log();
        let end_offset = log.end_offset();
        let mine = if ask.offset > end_offset || ask.offset == 0 {
            None
        } else {
            log.epoch_of(ask.offset - 1)
        };
        let fits = ask.offset <= end_offset
            && (ask.last_epoch < 0 || mine.is_none_or(|mine| mine == ask.last_epoch));
        if fits {
            return Ok(());
        }
        let (epoch, end_offset) = match log.end_of_epoch(ask.last_epoch) {
            Some(end) => (end.epoch, end.end),
            None => (log.latest_epoch().unwrap_or(-1), end_offset),
        };
        Err(PullError::Diverged { epoch, end_offset })
    }

    async fn serve_snapshot(&self, ask: SnapshotAsk) -> Result<SnapshotChunk, PullError> {
        self.check(&ask.cluster_id, ask.epoch)?;
        let (disk, path) = (self.store.disk().clone(), self.store.dir().join(ask.id.file_name()));
        let opened = simulated::blocking(move || {
            if !disk.exists(&path)? {
                return Ok(None);
            }
            let file = disk.open(&path, Open::Read)?;
            let size = file.len()?;
            Ok::<_, std::io::Error>(Some((file, size)))
        });
        let opened = opened.await.map_err(|e| PullError::Failed(e.to_string()))?;
        let opened = opened.map_err(|e| PullError::Failed(e.to_string()))?;
        let (file, size) = opened.ok_or(PullError::NoSnapshot)?;
        let position = u64::try_from(ask.position).map_err(|_| PullError::Position)?;
        let left =
            size.checked_sub(position).filter(|left| *left > 0).ok_or(PullError::Position)?;
        let most = u64::from(ask.max_bytes.clamp(1, MAX_PULL_BYTES));
        let len = u32::try_from(left.min(most)).unwrap_or(MAX_PULL_BYTES);
        Ok(SnapshotChunk {
            id: ask.id,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            position: ask.position,
            piece: Piece::File { file, position, len },
        })
    }
}
