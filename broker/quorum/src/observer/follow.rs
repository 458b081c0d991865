//! The task that pulls, writes and applies.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use ottla_log::disk::Open;
use ottla_wire::record::{Batch, BatchHeader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Shared, SnapshotWish};
use crate::error::QuorumError;
use crate::pace::Pace;
use crate::pull::{Found, LeaderHint, Piece, PullAsk, PullError, Pulled, Puller, SnapshotAsk};
use crate::quorum::{Leadership, Role};
use crate::raft_quorum::Options;
use crate::simulated;
use crate::snapshot::{self, SnapshotId};
use crate::state_machine::{RaftSnapshot, Received, Signals, SnapshotSource, StateMachine};
use crate::store::{self, Store};
use crate::types::{CommittedLeaderId, Entry, LogId};
use crate::voter::NodeKey;

/// How long a leader may keep a question open while nothing is committed.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// How much longer than that an answer may take at least.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);

/// How long a piece of a snapshot may take at least.
const PIECE: Duration = Duration::from_secs(10);

/// How often a person is told that no controller answers.
const TELL: Duration = Duration::from_secs(30);

/// How long what was written may be unflushed: the leader has it, so a loss of power costs only asking again.
const FLUSH: Duration = Duration::from_secs(1);

/// Bytes of entries read back at once.
const REPLAY_BYTES: usize = 4 << 20;

/// Why a step did not succeed.
enum Trouble {
    /// It will be tried again.
    Pull(PullError),
    /// The node cannot go on.
    End(QuorumError),
}

impl From<QuorumError> for Trouble {
    fn from(e: QuorumError) -> Self {
        Self::End(e)
    }
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::End(QuorumError::Stopped(e.to_string()))
    }
}

/// The task.
pub(super) struct Follower {
    options: Options,
    store: Arc<Store>,
    signals: Arc<Signals>,
    shared: Arc<Shared>,
    state_machine: StateMachine,
    puller: Arc<dyn Puller>,
    /// Whom to ask.
    whom: Option<LeaderHint>,
    /// The newest epoch this node knows of.
    epoch: i32,
    /// What the first answer said was committed.
    goal: Option<i64>,
    unflushed: Option<Instant>,
    building: Option<JoinHandle<io::Result<RaftSnapshot>>>,
    wishes: Vec<SnapshotWish>,
}

impl Follower {
    pub(super) fn new(
        options: Options,
        store: Arc<Store>,
        signals: Arc<Signals>,
        shared: Arc<Shared>,
        state_machine: StateMachine,
        puller: Arc<dyn Puller>,
    ) -> Self {
        let epoch = store.last().map_or(-1, |id| id.leader_id.term);
        Self {
            options,
            store,
            signals,
            shared,
            state_machine,
            puller,
            whom: None,
            epoch,
            goal: None,
            unflushed: None,
            building: None,
            wishes: Vec::new(),
        }
    }

    /// Applies what is on disk.
    pub(super) async fn replay(&mut self) -> Result<(), QuorumError> {
        let newest = self.store.newest_snapshot();
        let mut next = 0;
        if let Some((id, meta)) = newest {
            next = meta.last_log_id.map_or(0, |id| id.index + 1);
            if self.store.has_voted() {
                // The rest was written as a member of the quorum, and need not be committed.
                self.store.truncate_after(meta.last_log_id)?;
            }
            let source = self.store.snapshot_source(id);
            self.state_machine.install_snapshot(&meta, source).await.map_err(ended)?;
        } else if self.store.has_voted() {
            self.store.truncate_after(None)?;
        }
        loop {
            let entries = self.store.read(next, u64::MAX, REPLAY_BYTES)?;
            let Some(last) = entries.last() else { return Ok(()) };
            next = last.log_id.index + 1;
            self.state_machine.apply_committed(&entries).map_err(ended)?;
        }
    }

    /// Runs until it is stopped, or cannot go on.
    pub(super) async fn run(
        mut self,
        mut wished: mpsc::Receiver<SnapshotWish>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let why = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => "it was shut down".to_owned(),
            e = self.follow(&mut wished) => {
                tracing::error!("the node follows the metadata log no more: {e}");
                e.to_string()
            }
        };
        if let Some(building) = self.building.take() {
            // The file is written whole or not at all, but not while the directory is closed.
            let _ = building.await;
        }
        self.shared.leadership.send_modify(|now| now.leader = None);
        self.shared.ended.send_replace(Some(why));
    }

    async fn follow(&mut self, wished: &mut mpsc::Receiver<SnapshotWish>) -> QuorumError {
        let pace = self.options.pace;
        let mut pause = pace.first_pause;
        let mut failing: Option<Instant> = None;
        let mut told: Option<Instant> = None;
        loop {
            let answer = match self.ask(wished).await {
                Ok(answer) => answer,
                Err(e) => return e,
            };
            let step = match answer {
                Ok(pulled) => self.take(pulled).await,
                Err(e) => Err(Trouble::Pull(e)),
            };
            let trouble = match step {
                Ok(()) => {
                    (pause, failing, told) = (pace.first_pause, None, None);
                    continue;
                }
                Err(Trouble::End(e)) => return e,
                Err(Trouble::Pull(e)) => e,
            };
            let since = *failing.get_or_insert_with(Instant::now);
            let at_once = match self.consider(&trouble) {
                Ok(at_once) => at_once,
                Err(e) => return e,
            };
            if since.elapsed() > Pace::LONGEST_PAUSE
                && told.is_none_or(|told: Instant| told.elapsed() > TELL)
            {
                told = Some(Instant::now());
                tracing::warn!(
                    "the metadata log cannot be followed: {trouble}. Check controller.quorum.bootstrap.servers (or \
                     controller.quorum.voters), and that most controllers run"
                );
            }
            if !(at_once && pause == pace.first_pause) {
                tokio::time::sleep(pause).await;
            }
            pause = pace.after(pause);
        }
    }

    /// Whom to ask next after an error. Whether that may be at once; an error where nothing will help.
    fn consider(&mut self, trouble: &PullError) -> Result<bool, QuorumError> {
        let mut at_once = false;
        match trouble {
            PullError::NotLeader(hint) | PullError::NewerEpoch(hint) => {
                let newer = hint.as_ref().filter(|hint| hint.epoch >= self.epoch);
                at_once =
                    newer.is_some_and(|hint| Some(hint.id) != self.whom.as_ref().map(|w| w.id));
                let newer = newer.cloned();
                match &newer {
                    Some(hint) => self.led_by(hint),
                    None => self.led_by_nobody(),
                }
                self.whom = newer;
            }
            PullError::StaleLeader | PullError::Unreachable(_) => {
                self.led_by_nobody();
                self.whom = None;
            }
            PullError::ForeignCluster(_) => {
                return Err(QuorumError::Contradiction(format!(
                    "this node's directories belong to cluster {}, and the controllers to another one. Mend \
                     controller.quorum.bootstrap.servers (or controller.quorum.voters), or format empty directories with \
                     the cluster id of the controllers",
                    self.options.cluster_id
                )));
            }
            PullError::Diverged { epoch, end_offset } => {
                let (dir, end) = (self.store.dir().display(), self.store.log().end_offset());
                return Err(QuorumError::Contradiction(format!(
                    "the metadata log in {dir} ends at offset {end}, and the controllers do not have that: theirs ends at \
                     offset {end_offset} for epoch {epoch}. If the controllers are right, move {dir} away and start again: \
                     the node gets the log from them. If they lost their disks, restore those first"
                )));
            }
            PullError::NoSnapshot | PullError::Position | PullError::Failed(_) => {}
        }
        Ok(at_once)
    }

    /// Asks, and sees to flushing and snapshots while it waits.
    async fn ask(
        &mut self,
        wished: &mut mpsc::Receiver<SnapshotWish>,
    ) -> Result<Result<Pulled, PullError>, QuorumError> {
        let ask = PullAsk {
            whom: self.whom.clone(),
            cluster_id: self.options.cluster_id.clone(),
            replica: self.options.node,
            epoch: self.epoch,
            offset: self.store.log().end_offset(),
            last_epoch: self.store.last().map_or(-1, |id| id.leader_id.term),
            max_bytes: self.options.pace.pull_bytes,
            max_wait: MAX_WAIT,
        };
        let puller = self.puller.clone();
        let signals = self.signals.clone();
        let mut unsaved = signals.unsaved_since.subscribe();
        let limit = self.options.pace.fetch_within.max(MAX_WAIT + LEAST_PATIENCE);
        let fetch = tokio::time::timeout(limit, puller.fetch(ask));
        tokio::pin!(fetch);
        loop {
            let flush_at = self.unflushed.map(|since| since + FLUSH);
            let since = *unsaved.borrow_and_update();
            let interval = self.options.snapshots.max_interval_ms;
            let save_at = since.filter(|_| interval > 0 && self.building.is_none());
            let save_at = save_at.map(|since| since + Duration::from_millis(interval));
            tokio::select! {
                answer = &mut fetch => {
                    let late = || PullError::Unreachable("no answer came in time".to_owned());
                    return Ok(answer.unwrap_or_else(|_| Err(late())));
                }
                () = at(flush_at) => self.flush().await?,
                () = at(save_at) => self.build().await,
                // While one is being written the wish for the next one is kept.
                () = signals.snapshot_due.notified(), if self.building.is_none() => self.build().await,
                changed = unsaved.changed() => if changed.is_err() {
                    return Err(QuorumError::Stopped("its state is gone".to_owned()));
                },
                Some(wish) = wished.recv() => {
                    self.wishes.push(wish);
                    self.build().await;
                }
                built = done(&mut self.building) => self.built(built).await?,
            }
        }
    }

    /// Takes in an answer.
    async fn take(&mut self, pulled: Pulled) -> Result<(), Trouble> {
        if pulled.leader.epoch < self.epoch {
            return Err(Trouble::Pull(PullError::StaleLeader));
        }
        self.epoch = pulled.leader.epoch;
        self.led_by(&pulled.leader);
        self.whom = Some(pulled.leader.clone());
        let goal = *self.goal.get_or_insert(pulled.high_watermark);
        match pulled.found {
            Found::Snapshot(id) => self.take_snapshot(id).await?,
            Found::Batches(piece) => {
                let bytes = read(piece).await.map_err(|e| Trouble::Pull(failed(&e)))?;
                self.append(bytes, pulled.high_watermark)?;
            }
        }
        if self.store.log().end_offset() >= goal {
            self.shared.caught_up.send_if_modified(|done| !std::mem::replace(done, true));
        }
        Ok(())
    }

    fn append(&mut self, bytes: Bytes, high_watermark: i64) -> Result<(), Trouble> {
        if bytes.is_empty() {
            return Ok(());
        }
        let entries = self.entries(bytes, high_watermark);
        let entries = entries.map_err(|why| Trouble::Pull(PullError::Failed(why)))?;
        self.store.append(entries.clone())?;
        self.unflushed.get_or_insert_with(Instant::now);
        // As they stand in the log.
        self.state_machine.apply_committed(&entries)?;
        Ok(())
    }

    /// The entries of the whole batches that were sent, below the high watermark.
    fn entries(&self, bytes: Bytes, high_watermark: i64) -> Result<Vec<Entry>, String> {
        let mut offset = self.store.log().end_offset();
        let mut index = self.store.next_index();
        let mut entries = Vec::new();
        for batch in store::split_batches(bytes)? {
            let header = BatchHeader::parse(&batch).map_err(|e| e.to_string())?;
            if header.base_offset != offset {
                let got = header.base_offset;
                return Err(format!("a batch at offset {got} came where {offset} is due"));
            }
            if header.next_offset() > high_watermark {
                break;
            }
            Batch::parse(&batch).and_then(|b| b.check_crc()).map_err(|e| e.to_string())?;
            let epoch = CommittedLeaderId::new(header.partition_leader_epoch);
            entries.push(store::parse_entry(LogId::new(epoch, index), &batch)?);
            (offset, index) = (header.next_offset(), index + 1);
        }
        Ok(entries)
    }

    /// Gets a snapshot, and begins the log anew behind it.
    async fn take_snapshot(&mut self, id: SnapshotId) -> Result<(), Trouble> {
        if id.end_offset <= self.store.log().end_offset() {
            let why = format!("snapshot {id} has nothing that this node lacks");
            return Err(Trouble::Pull(PullError::Failed(why)));
        }
        tracing::info!("taking snapshot {id} of the metadata from the controllers");
        let part = self.store.part_path(id);
        let opened = self.store.disk().open(&part, Open::Truncate);
        let file = opened.map_err(|e| QuorumError::io("create", &part, e))?;
        let (mut position, mut size) = (0u64, None);
        while size != Some(position) {
            let ask = SnapshotAsk {
                whom: self.whom.clone(),
                cluster_id: self.options.cluster_id.clone(),
                replica: self.options.node,
                epoch: self.epoch,
                id,
                position: i64::try_from(position).unwrap_or(i64::MAX),
                max_bytes: self.options.pace.piece_bytes,
            };
            let patience = self.options.pace.answer_within.max(PIECE);
            let chunk = tokio::time::timeout(patience, self.puller.snapshot(ask)).await;
            let late = || PullError::Unreachable("no answer came in time".to_owned());
            let chunk = chunk.unwrap_or_else(|_| Err(late())).map_err(Trouble::Pull)?;
            let told = u64::try_from(chunk.size).unwrap_or_default();
            let fits = chunk.id == id
                && u64::try_from(chunk.position) == Ok(position)
                && told <= snapshot::MAX_BYTES
                && size.is_none_or(|size| size == told)
                && !chunk.piece.is_empty()
                && position + chunk.piece.len() as u64 <= told;
            if !fits {
                let why = format!("a piece of snapshot {id} that was not asked for");
                return Err(Trouble::Pull(PullError::Failed(why)));
            }
            size = Some(told);
            let bytes = read(chunk.piece).await.map_err(|e| Trouble::Pull(failed(&e)))?;
            let (file, len) = (file.clone(), bytes.len() as u64);
            let written = simulated::blocking(move || file.write_at(&bytes, position));
            let written = written.await.map_err(io::Error::other)?;
            written.map_err(|e| QuorumError::io("write", &part, e))?;
            position += len;
        }
        let (disk, path) = (self.store.disk().clone(), part.clone());
        let read = simulated::blocking(move || snapshot::read(&*disk, &path)).await;
        let contents = match read.map_err(io::Error::other)? {
            Ok(contents) => Arc::new(contents),
            // It was damaged on its way; it is asked for again.
            Err(e) => return Err(Trouble::Pull(PullError::Failed(e.to_string()))),
        };
        let meta = store::snapshot_meta(id, &contents)
            .map_err(|why| Trouble::Pull(PullError::Failed(why)))?;
        let source = SnapshotSource::Received(Received { id, part, contents });
        self.state_machine.install_snapshot(&meta, source).await?;
        if let Some(last) = meta.last_log_id {
            let store = self.store.clone();
            let purged = simulated::blocking(move || store.purge(last)).await;
            purged.map_err(io::Error::other)??;
        }
        Ok(())
    }

    fn led_by(&self, hint: &LeaderHint) {
        let key = {
            let membership = self.signals.membership.borrow();
            let known = membership.voter_ids().find(|key| key.id == hint.id);
            known.unwrap_or(NodeKey::new(hint.id, ottla_wire::Uuid::ZERO))
        };
        *self.shared.hint.lock() = Some(hint.clone());
        let now = Leadership { epoch: hint.epoch, leader: Some(key), role: Role::Follower };
        self.shared.leadership.send_if_modified(|known| std::mem::replace(known, now) != now);
    }

    fn led_by_nobody(&self) {
        *self.shared.hint.lock() = None;
        self.shared.leadership.send_if_modified(|now| now.leader.take().is_some());
    }

    async fn flush(&mut self) -> Result<(), QuorumError> {
        self.unflushed = None;
        let store = self.store.clone();
        let flushed = simulated::blocking(move || store.flush()).await;
        flushed.map_err(|e| QuorumError::Stopped(e.to_string()))?
    }

    /// Begins to write a snapshot, unless one is being written.
    async fn build(&mut self) {
        if self.building.is_none() {
            let mut builder = self.state_machine.get_snapshot_builder().await;
            self.building = Some(simulated::spawn(async move { builder.build_snapshot().await }));
        }
    }

    /// A snapshot was written: the log behind it is not needed any more.
    async fn built(
        &mut self,
        built: Result<io::Result<RaftSnapshot>, tokio::task::JoinError>,
    ) -> Result<(), QuorumError> {
        let snapshot = built.map_err(io::Error::other).and_then(|built| built).map_err(ended)?;
        if let Some(last) = snapshot.meta.last_log_id {
            let store = self.store.clone();
            let purged = simulated::blocking(move || {
                store.purge(last)?;
                store.clean()
            });
            let purged = purged.await.map_err(|e| QuorumError::Stopped(e.to_string()))?;
            if let Err(e) = purged {
                tracing::warn!("old snapshots of the metadata stay: {e}");
            }
        }
        for wish in self.wishes.drain(..) {
            let path = self.store.newest_snapshot_path().ok_or_else(|| {
                QuorumError::Stopped("nothing was written to the metadata log yet".to_owned())
            });
            // Who wished may have gone.
            let _ = wish.send(path);
        }
        Ok(())
    }
}

fn ended(e: io::Error) -> QuorumError {
    QuorumError::Stopped(e.to_string())
}

fn failed(e: &io::Error) -> PullError {
    PullError::Failed(e.to_string())
}

async fn read(piece: Piece) -> io::Result<Bytes> {
    match piece {
        Piece::Bytes(bytes) => Ok(bytes),
        file => simulated::blocking(move || file.read()).await.map_err(io::Error::other)?,
    }
}

/// Resolves at a time, or never.
async fn at(time: Option<Instant>) {
    match time {
        None => std::future::pending().await,
        Some(time) => tokio::time::sleep_until(time).await,
    }
}

/// Resolves when a task is done, which is taken out then; never where there is none.
async fn done<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result
}
