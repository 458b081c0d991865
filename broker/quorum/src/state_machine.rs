//! What openraft's committed entries are applied to: the metadata image, and its snapshots.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use ottla_log::disk::Disk;
use ottla_metadata::features::KRAFT;
use ottla_metadata::{ApplyError, Image, Loader, Provenance, record_version};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Clock;
use crate::batch;
use crate::control;
use crate::error::QuorumError;
use crate::simulated;
use crate::snapshot::{self, Head, Snapshot, SnapshotId};
use crate::store::Store;
use crate::types::{Applied, LogId, StoredMembership, TypeConfig};
use crate::updates::Publisher;

/// Most entries applied before what they changed is published.
const ENTRIES_PER_PUBLICATION: usize = 256;

pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotSource>;

/// Where a snapshot is.
#[derive(Clone, Debug)]
pub enum SnapshotSource {
    /// A file of this node.
    Stored {
        /// The disk it is on.
        disk: Arc<dyn Disk>,
        /// Where it is.
        path: PathBuf,
    },
    /// Received from the leader, whole and read, but not under its name yet.
    Received(Received),
    /// Nowhere: none could be written.
    Missing,
}

/// A snapshot that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which one.
    pub(crate) id: SnapshotId,
    /// The file it is in for now.
    pub(crate) part: PathBuf,
    /// What it holds.
    pub(crate) contents: Arc<Snapshot>,
}

/// When a snapshot is due.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPolicy {
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub max_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for no bound.
    pub max_interval_ms: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { max_bytes: 20 << 20, max_interval_ms: 3_600_000 }
    }
}

/// What has been applied since the newest snapshot.
#[derive(Debug, Default)]
struct SinceSnapshot {
    bytes: u64,
    /// When the first of it was applied.
    first: Option<Instant>,
    /// Whether the snapshot was asked for.
    asked: bool,
}

/// What the state machine tells the node.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) publisher: Publisher,
    /// The offset up to which the log was applied, and is in the published image: what others may pull.
    pub(crate) high_watermark: watch::Sender<i64>,
    /// The members, by the last entry that was applied.
    pub(crate) membership: watch::Sender<StoredMembership>,
    /// The highest epoch of which the leader's first entry was applied and is in the published image.
    pub(crate) leader_applied: watch::Sender<i32>,
    /// An earlier leader began a metadata transaction and did not end it. Known before `leader_applied` says so.
    pub(crate) orphaned: watch::Sender<bool>,
    /// A snapshot is due.
    pub(crate) snapshot_due: Notify,
    /// When the oldest record that is in no snapshot was applied.
    pub(crate) unsaved_since: watch::Sender<Option<Instant>>,
    /// The last entry that is in the published image, with all before it.
    pub(crate) published: watch::Sender<Option<LogId>>,
    /// Why the state machine cannot go on: what the log or a snapshot says is not to be understood here.
    pub(crate) refusal: OnceLock<String>,
}

impl Signals {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            publisher: Publisher::new(),
            high_watermark: watch::channel(0).0,
            membership: watch::channel(StoredMembership::default()).0,
            leader_applied: watch::channel(0).0,
            orphaned: watch::channel(false).0,
            snapshot_due: Notify::new(),
            unsaved_since: watch::channel(None).0,
            published: watch::channel(None).0,
            refusal: OnceLock::new(),
        })
    }

    /// Notes an error that ends the quorum here, for whoever has to tell of it. The first one counts.
    fn refuse(&self, why: QuorumError) -> io::Error {
        let text = why.to_string();
        // The first one is the cause of those after it.
        let _ = self.refusal.set(text.clone());
        invalid(text)
    }
}

/// The state at a place in the log where no metadata transaction is open: what a snapshot may hold.
#[derive(Clone, Debug, Default)]
struct Point {
    image: Image,
    applied: Option<LogId>,
    membership: StoredMembership,
    timestamp_ms: i64,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct StateMachine {
    store: Arc<Store>,
    loader: Loader,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// The last place where a snapshot could be taken.
    point: Point,
    since: SinceSnapshot,
    policy: SnapshotPolicy,
    timestamp_ms: i64,
    /// The highest epoch of which the leader's first entry was applied.
    led: i32,
    /// An earlier leader began a metadata transaction and did not end it.
    orphaned: bool,
    signals: Arc<Signals>,
    clock: Clock,
}

impl StateMachine {
    /// A state machine that has applied nothing yet. `membership` holds until an entry says otherwise.
    pub(crate) fn new(
        store: Arc<Store>,
        membership: StoredMembership,
        policy: SnapshotPolicy,
        signals: Arc<Signals>,
        clock: Clock,
    ) -> Self {
        let since = SinceSnapshot::default();
        Self {
            store,
            loader: Loader::default(),
            applied: None,
            membership,
            point: Point::default(),
            since,
            policy,
            timestamp_ms: 0,
            led: 0,
            orphaned: false,
            signals,
            clock,
        }
    }

    fn apply_entry(&mut self, entry: &crate::types::Entry) -> io::Result<Applied> {
        let place = self.store.place(entry.log_id.index).ok_or_else(|| {
            io::Error::other(format!("entry {} has no place in the metadata log", entry.log_id))
        })?;
        let last = place.next_offset - 1;
        match &entry.payload {
            EntryPayload::Blank => {
                self.led = self.led.max(entry.log_id.leader_id.term);
                self.orphaned = self.loader.in_transaction();
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                self.apply_kraft_version(entry, place.base_offset)?;
            }
            EntryPayload::Normal(b) => self.apply_batch(b.bytes(), place.base_offset)?,
        }
        self.applied = Some(entry.log_id);
        let timestamp_ms = self.timestamp_ms;
        let epoch = entry.log_id.leader_id.term;
        self.loader.advance(Provenance { offset: last, epoch, timestamp_ms });
        self.since.bytes += u64::from(place.bytes);
        Ok(Applied { offset: last })
    }

    /// Takes over the level of `kraft.version` that stands beside a membership.
    fn apply_kraft_version(&mut self, entry: &crate::types::Entry, offset: i64) -> io::Result<()> {
        let Some(batch) = &entry.batch else { return Ok(()) };
        let level = control::kraft_version(batch).map_err(|why| self.unreadable(offset, &why))?;
        match level.map(|level| self.loader.set_kraft_version(level)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(e)) => Err(self.unknown_level(offset, e)),
        }
    }

    /// Applies entries that follow the last one and are known to be committed, and publishes what they changed.
    pub(crate) fn apply_committed(&mut self, entries: &[crate::types::Entry]) -> io::Result<()> {
        for some in entries.chunks(ENTRIES_PER_PUBLICATION) {
            for entry in some {
                self.apply_entry(entry)?;
            }
            self.publish();
        }
        Ok(())
    }

    fn apply_batch(&mut self, bytes: &Bytes, base_offset: i64) -> io::Result<()> {
        let read = batch::records(bytes).map_err(|why| self.unreadable(base_offset, &why));
        let (header, raw) = read?;
        self.timestamp_ms = header.max_timestamp;
        for (offset, record) in (base_offset..).zip(raw) {
            let decoded = ottla_wire::schema::metadata::MetadataRecord::decode(record.value);
            let decoded = decoded.map_err(|e| self.unreadable(offset, &e.to_string()));
            let (record, _) = decoded?;
            match self.loader.apply(&record, offset) {
                Ok(()) => {}
                // What such a cluster's records mean is not known here, so nothing may be made of them.
                Err(e @ ApplyError::Feature { .. }) => return Err(self.unknown_level(offset, e)),
                Err(e) => {
                    // It is committed, so every node leaves out the same record.
                    tracing::error!(
                        offset,
                        "a committed metadata record does not fit and is left out: {e}"
                    );
                }
            }
        }
        Ok(())
    }

    fn unreadable(&self, offset: i64, why: &str) -> io::Error {
        self.signals.refuse(self.store.corrupt(offset, why))
    }

    fn unknown_level(&self, offset: i64, what: ApplyError) -> io::Error {
        let path = self.store.log().dir();
        self.signals.refuse(QuorumError::UnknownLevel { path, offset, what })
    }

    fn publish(&mut self) {
        if let Some(publication) = self.loader.publish() {
            self.point = Point {
                image: publication.image.clone(),
                applied: self.applied,
                membership: self.membership.clone(),
                timestamp_ms: self.timestamp_ms,
            };
            self.signals.publisher.publish(publication);
            self.orphaned = false;
        }
        let end = self.loader.image().provenance().offset + 1;
        self.store.log().set_high_watermark(end);
        self.signals.membership.send_if_modified(|known| {
            let changed = *known != self.membership;
            if changed {
                known.clone_from(&self.membership);
            }
            changed
        });
        self.signals.high_watermark.send_if_modified(|known| std::mem::replace(known, end) != end);
        self.signals.orphaned.send_if_modified(|known| {
            let changed = *known != self.orphaned;
            *known = self.orphaned;
            changed
        });
        self.signals.published.send_if_modified(|known| {
            let newer = *known != self.point.applied;
            *known = self.point.applied;
            newer
        });
        // Only now: a leader decides on the image it finds when it is told that it leads.
        self.signals.leader_applied.send_if_modified(|e| {
            let newer = self.led > *e;
            *e = self.led.max(*e);
            newer
        });
        if self.since.first.is_none() && self.since.bytes > 0 {
            self.since.first = Some(Instant::now());
            self.signals.unsaved_since.send_replace(self.since.first);
        }
        if self.since.bytes >= self.policy.max_bytes && !self.since.asked {
            self.since.asked = true;
            self.signals.snapshot_due.notify_one();
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QuorumError> + Send + 'static,
) -> io::Result<T> {
    let done = simulated::blocking(work).await;
    done.map_err(io::Error::other)?.map_err(io::Error::other)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotSource;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut next = entries.next().await;
        while next.is_some() {
            let mut answers = Vec::new();
            while let Some(item) = next.take() {
                let (entry, responder) = item?;
                let applied = self.apply_entry(&entry)?;
                answers.extend(responder.map(|r| (r, applied)));
                if answers.len() == ENTRIES_PER_PUBLICATION {
                    break;
                }
                next = entries.next().now_or_never().flatten();
            }
            // Who proposed must find the change in the image when it is told.
            self.publish();
            answers.into_iter().for_each(|(responder, applied)| responder.send(applied));
            next = entries.next().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        self.since = SinceSnapshot::default();
        self.signals.unsaved_since.send_replace(None);
        SnapshotBuilder { store: self.store.clone(), point: self.point.clone(), clock: self.clock }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        source: SnapshotSource,
    ) -> io::Result<()> {
        let path = match &source {
            SnapshotSource::Stored { path, .. } => path.clone(),
            SnapshotSource::Received(Received { id, .. }) => self.store.dir().join(id.file_name()),
            SnapshotSource::Missing => PathBuf::new(),
        };
        let (id, contents) = match source {
            SnapshotSource::Stored { disk, path } => {
                let name = path.file_name().and_then(|n| n.to_str());
                let id = name.and_then(SnapshotId::parse);
                let id = id.ok_or_else(|| invalid("not a snapshot's name".into()))?;
                let read = blocking(move || snapshot::read(&*disk, &path)).await?;
                (id, Arc::new(read))
            }
            SnapshotSource::Received(Received { id, part, contents }) => {
                let store = self.store.clone();
                blocking(move || store.adopt_snapshot(id, &part)).await?;
                (id, contents)
            }
            SnapshotSource::Missing => return Err(invalid("there is no snapshot".into())),
        };
        let refused = |what| {
            let offset = id.end_offset - 1;
            self.signals.refuse(QuorumError::UnknownLevel { path, offset, what })
        };
        let kraft_version = contents.kraft_version.unwrap_or(0);
        let made = Image::from_snapshot(&contents.records, id.end_offset - 1);
        let made = made.and_then(|mut image| {
            image.set_kraft_version(kraft_version)?;
            Ok(image)
        });
        let mut image = made.map_err(|e| match e {
            ApplyError::Feature { .. } => refused(e),
            e => invalid(e.to_string()),
        })?;
        let timestamp_ms = contents.last_contained_ms;
        image.set_provenance(Provenance {
            offset: id.end_offset - 1,
            epoch: id.epoch,
            timestamp_ms,
        });
        self.loader.reset(image);
        self.timestamp_ms = timestamp_ms;
        self.applied = meta.last_log_id;
        if meta.last_membership.voter_ids().next().is_some() {
            self.membership = meta.last_membership.clone();
        }
        self.since = SinceSnapshot::default();
        self.signals.unsaved_since.send_replace(None);
        self.store.keep_snapshot(id, meta.clone(), kraft_version);
        if let Some(last) = meta.last_log_id {
            // Before the high watermark moves: what an overruled leader left in the log would lie below it.
            let store = self.store.clone();
            blocking(move || store.begin_behind(last)).await?;
        }
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        let Some((id, meta)) = self.store.newest_snapshot() else {
            return Ok(None);
        };
        Ok(Some(RaftSnapshot { meta, snapshot: self.store.snapshot_source(id) }))
    }
}

/// Writes one snapshot, of the state machine as it was.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotBuilder {
    store: Arc<Store>,
    point: Point,
    clock: Clock,
}

impl SnapshotBuilder {
    fn build(&self) -> Result<(SnapshotId, SnapshotMeta), QuorumError> {
        let Point { image, applied, membership, timestamp_ms } = &self.point;
        let id = match applied {
            None => SnapshotId::default(),
            Some(last) => {
                SnapshotId { end_offset: image.provenance().offset + 1, epoch: last.leader_id.term }
            }
        };
        let kraft_version = image.features().level(KRAFT);
        let controls =
            control::snapshot_membership(membership, id.end_offset, *applied, kraft_version);
        let head = Head { last_contained_ms: *timestamp_ms, epoch: id.epoch, controls: &controls };
        let version = image.features().version();
        let records = image.snapshot().map(|record| {
            let version = record_version(&record, version);
            (record, version)
        });
        self.store.write_snapshot(id, &head, records, (self.clock)())?;
        let meta = SnapshotMeta { last_log_id: *applied, last_membership: membership.clone() };
        self.store.keep_snapshot(id, meta.clone(), kraft_version);
        if let Err(e) = self.store.clean() {
            tracing::warn!("old snapshots of the metadata stay: {e}");
        }
        Ok((id, meta))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotSource;

    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let this = self.clone();
        let built = simulated::blocking(move || this.build()).await;
        let (id, meta) = match built.map_err(io::Error::other)? {
            Ok(done) => done,
            Err(e) => {
                // Nothing is lost, the log holds everything; an error would end the quorum. It is tried again when the
                // next one is due. A snapshot that is not newer is no news to it.
                tracing::error!("no snapshot of the metadata could be written: {e}");
                match self.store.newest_snapshot() {
                    Some(older) => older,
                    None => {
                        return Ok(RaftSnapshot {
                            meta: SnapshotMeta::default(),
                            snapshot: SnapshotSource::Missing,
                        });
                    }
                }
            }
        };
        Ok(RaftSnapshot { meta, snapshot: self.store.snapshot_source(id) })
    }
}
