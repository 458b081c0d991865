//! Opening what a node has on disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::identity;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::disk::Disk;
use ottla_log::graveyard::Graveyard;
use ottla_log::log::{AtLeast, LoadReport, Shared, Shutdown, Start, Trust};
use ottla_log::settings::Cleanup;
use ottla_log::{Log, LogError, LogSettings};
use ottla_wire::Uuid;
use ottla_wire::record::BatchHeader;
use parking_lot::Mutex;

use super::{Flusher, Index, Kept, READ_BYTES, Reached, Retention, State, Store, entries};
use crate::Clock;
use crate::control;
use crate::directories::METADATA_PARTITION;
use crate::error::QuorumError;
use crate::quorum_state::QuorumStateFile;
use crate::snapshot::{self, SnapshotId};
use crate::state_machine::SnapshotMeta;
use crate::types::{CommittedLeaderId, Entry, LogId, Membership, StoredMembership};
use crate::voter::{NodeKey, Voter};

/// Files of the metadata log that are held open.
const OPEN_FILES: usize = 16;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    pub(crate) node: NodeKey,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) metadata_dir: PathBuf,
    pub(crate) segment_bytes: u32,
    pub(crate) segment_ms: i64,
    pub(crate) retention: Retention,
    pub(crate) clock: Clock,
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    /// The voters a fresh node was formatted with; empty when there are none.
    pub(crate) formatted_voters: Vec<Voter>,
}

impl Store {
    /// Opens or creates the metadata log of a node.
    pub(crate) fn open(options: StoreOptions) -> Result<Opened, QuorumError> {
        let StoreOptions { node, disk, metadata_dir, retention, clock, .. } = options.clone();
        let dir = metadata_dir.join(METADATA_PARTITION);
        let failed = |what, e| QuorumError::io(what, &dir, e);
        disk.create_dir_all(&dir).map_err(|e| failed("create", e))?;
        disk.sync_dir(&metadata_dir).map_err(|e| failed("flush", e))?;
        snapshot::remove_parts(&*disk, &dir)?;
        let vote = QuorumStateFile::open(disk.clone(), &dir)?;
        let ids = snapshot::list(&*disk, &dir)?;
        let begin = Begin::read(&*disk, &dir, &ids)?;
        let (reached, flushed) = Reached::open(&*disk, &dir)?;
        let trust = Trust::Flushed {
            // What the snapshot holds need not be in the log.
            up_to: flushed.map(|offset| if offset > begin.id.end_offset { offset } else { 0 }),
            newest_epoch: vote.last().map(|e| e.epoch),
        };
        let (log, shared) = open_log(&options, &dir, begin.id.end_offset, trust)?;
        let log = Arc::new(log);
        if log.start_offset() > begin.id.end_offset {
            return Err(QuorumError::NoSnapshot { dir, log_start: log.start_offset() });
        }
        if !follows(&log, begin.id)? {
            // The node ended while it installed a leader's snapshot: the log is older than that.
            let end = begin.id.end_offset;
            reached.lower(end, || log.truncate_fully_and_start_at(end, clock()))?;
        }
        if flushed.is_none() && log.end_offset() == log.start_offset() {
            // A new log. What comes is unflushed until something else is noted: without a word, a hole in it would pass
            // for damage.
            reached.begin(log.end_offset())?;
        }
        // What a process left in the page cache counts as flushed from now on.
        log.flush(i64::MAX, clock())?;
        reached.note(|| log.recovery_point())?;
        reached.settle()?;
        disk.sync_dir(&dir).map_err(|e| failed("flush", e))?;
        let reached = Arc::new(reached);
        let kraft_version = begin.kraft_version;
        let kept = |id| Kept { id, meta: None, kraft_version };
        let mut snapshots: Vec<_> = ids.into_iter().map(kept).collect();
        if let Some(kept) = snapshots.iter_mut().find(|kept| kept.id == begin.id) {
            kept.meta = begin.meta.clone();
        }
        let last = begin.meta.as_ref().and_then(|meta| meta.last_log_id);
        let membership = begin.meta.map(|m| m.last_membership.membership().clone());
        let state = State {
            index: Index::after(last, begin.id.end_offset),
            cache: VecDeque::new(),
            cached_bytes: 0,
            memberships: vec![(last.map_or(0, |id| id.index), membership.unwrap_or_default())],
            kraft_version,
            snapshots,
        };
        let flusher = Flusher::start(log.clone(), reached.clone(), clock)?;
        let mut store = Self {
            node,
            disk,
            dir,
            log,
            reached,
            graveyard: shared.graveyard,
            retention,
            clock,
            state: Mutex::new(state),
            vote: Mutex::new(vote),
            least_epoch: 0,
            flusher,
            cleaning: Mutex::default(),
        };
        store.load_index()?;
        store.least_epoch = store.state.lock().index.last().map_or(0, |id| id.leader_id.term);
        Ok(Opened { store: Arc::new(store), formatted_voters: begin.formatted_voters })
    }

    /// Reads what lies behind the snapshot, and notes where each entry stands.
    fn load_index(&self) -> Result<(), QuorumError> {
        let mut state = self.state.lock();
        let (mut offset, end) = (state.index.end_offset(), self.log.end_offset());
        while offset < end {
            let batches = self.read_batches(offset, end)?;
            if batches.is_empty() {
                return Err(self.corrupt(offset, "it is not whole"));
            }
            for bytes in batches {
                offset = self.load_entry(&mut state, &bytes, offset)?;
            }
        }
        state.index.set_end(offset);
        Ok(())
    }

    fn load_entry(
        &self,
        state: &mut State,
        bytes: &Bytes,
        offset: i64,
    ) -> Result<i64, QuorumError> {
        let header = BatchHeader::parse(bytes).map_err(|e| self.corrupt(offset, &e.to_string()))?;
        if header.base_offset != offset {
            let why = format!("it begins at {} instead", header.base_offset);
            return Err(self.corrupt(offset, &why));
        }
        let id = entries::id(&header, state.index.next_index());
        if header.is_control() {
            let payload = entries::control_payload(bytes).map_err(|e| self.corrupt(offset, &e))?;
            let level = control::kraft_version(bytes).map_err(|e| self.corrupt(offset, &e))?;
            state.kraft_version = level.unwrap_or(state.kraft_version);
            if let Some(membership) = Entry::new(id, payload).get_membership() {
                state.memberships.push((id.index, membership));
            }
        }
        state.index.push(id, offset, bytes.len());
        Ok(header.next_offset())
    }
}

/// Where the raft log of a node begins: behind its newest snapshot, or at nothing.
#[derive(Debug, Default)]
struct Begin {
    id: SnapshotId,
    meta: Option<SnapshotMeta>,
    formatted_voters: Vec<Voter>,
    /// The level of `kraft.version`; 0 where nothing says otherwise.
    kraft_version: i16,
}

impl Begin {
    fn read(disk: &dyn Disk, dir: &Path, ids: &[SnapshotId]) -> Result<Self, QuorumError> {
        for id in ids.iter().rev() {
            let path = dir.join(id.file_name());
            let contents = match snapshot::read(disk, &path) {
                Ok(contents) => contents,
                Err(e) => {
                    // An older one, with the log behind it, is as good.
                    tracing::error!(
                        "a snapshot of the metadata is left out: {e}. An older one, with the log behind it, is as good: delete \
                         the file, or let it be deleted when it is old"
                    );
                    continue;
                }
            };
            let kraft_version = contents.kraft_version.unwrap_or(0);
            if id.end_offset == 0 {
                let formatted_voters = contents.voters();
                return Ok(Self { formatted_voters, kraft_version, ..Self::default() });
            }
            let meta = snapshot_meta(*id, &contents)
                .map_err(|why| QuorumError::Corrupt { path: path.clone(), why })?;
            return Ok(Self { id: *id, meta: Some(meta), kraft_version, ..Self::default() });
        }
        Ok(Self::default())
    }
}

/// What raft needs to know of a snapshot, as it stands in its file.
pub(crate) fn snapshot_meta(
    id: SnapshotId,
    contents: &snapshot::Snapshot,
) -> Result<SnapshotMeta, String> {
    let at = |index| LogId::new(CommittedLeaderId::new(id.epoch), index);
    let own = match &contents.voters {
        Some(voters) => voters.raft_state()?,
        None => None,
    };
    if let Some((index, last_membership)) = own {
        return Ok(SnapshotMeta { last_log_id: Some(at(index)), last_membership });
    }
    // One that Kafka wrote counts offsets only. Any index will do that leaves room for what came before.
    let last = at(u64::try_from(id.end_offset - 1).unwrap_or_default());
    let membership = match &contents.voters {
        Some(voters) => voters.membership()?,
        None => Membership::default(),
    };
    let last_membership = StoredMembership::new(Some(last), membership);
    Ok(SnapshotMeta { last_log_id: Some(last), last_membership })
}

fn open_log(
    options: &StoreOptions,
    dir: &Path,
    flushed: i64,
    trust: Trust,
) -> Result<(Log, Shared), QuorumError> {
    let shared = Shared {
        cache: FileCache::new(options.disk.clone(), OPEN_FILES),
        graveyard: Arc::new(Graveyard::default()),
    };
    let settings = LogSettings {
        segment_bytes: options.segment_bytes,
        segment_ms: options.segment_ms,
        max_message_bytes: READ_BYTES,
        cleanup: Cleanup::Keep,
        file_delete_delay_ms: 0,
        ..LogSettings::default()
    };
    let start = Start {
        shutdown: Shutdown::Unclean,
        recovery_point: Some(flushed),
        log_start: 0,
        high_watermark: 0,
        cleaner_point: None,
        now_ms: (options.clock)(),
        trust,
    };
    let name = TopicPartition::new("__cluster_metadata", 0);
    let topic_id = Uuid::METADATA_TOPIC.to_string();
    if identity::read_topic_id(&*options.disk, dir).ok().flatten() != Some(topic_id.clone()) {
        identity::write_topic_id(&*options.disk, dir, &topic_id)?;
    }
    let opened =
        Log::open(&shared, dir.to_owned(), name, Arc::new(settings), &start, &mut Vec::new());
    let (log, report) = opened.map_err(|e| match e {
        LogError::Damaged { .. } => QuorumError::Damaged { dir: dir.to_owned(), what: e },
        e => e.into(),
    })?;
    tell(&log, &report, dir);
    Ok((log, shared))
}

/// Whether the log goes on where the snapshot ends. One that this node wrote alone, before it got the snapshot, may be
/// longer and yet another one.
fn follows(log: &Log, id: SnapshotId) -> Result<bool, QuorumError> {
    if log.end_offset() < id.end_offset {
        return Ok(false);
    }
    for offset in [id.end_offset - 1, id.end_offset] {
        if offset < log.start_offset() || offset >= log.end_offset() {
            continue;
        }
        let found = log.read(offset, READ_BYTES, i64::MAX, AtLeast::OneBatch)?;
        let bytes = match found.slice {
            Some(slice) => slice.read().map_err(|e| QuorumError::io("read", &log.dir(), e))?,
            None => Vec::new(),
        };
        let Ok(header) = BatchHeader::parse(&bytes) else { return Ok(false) };
        let fits = if offset < id.end_offset {
            header.next_offset() == id.end_offset && header.partition_leader_epoch == id.epoch
        } else {
            header.base_offset == id.end_offset && header.partition_leader_epoch >= id.epoch
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell(log: &Log, report: &LoadReport, dir: &Path) {
    if report.truncated_bytes == 0 && report.removed_segments == 0 {
        return;
    }
    tracing::warn!(
        "the metadata log in {} was cut at offset {}: the {} bytes and {} segments behind it hold no valid batch. The end \
         of a write that was interrupted looks like this, and was never acknowledged; more than that is damage to the disk",
        dir.display(),
        log.end_offset(),
        report.truncated_bytes,
        report.removed_segments,
    );
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use ottla_log::disk::Open;
    use ottla_log::disk::sim::SimDisk;

    use super::*;

    fn open(disk: &SimDisk) -> Arc<Store> {
        try_open(disk).unwrap().store
    }

    fn try_open(disk: &SimDisk) -> Result<Opened, QuorumError> {
        let options = StoreOptions {
            node: NodeKey::new(1, Uuid::from_u128(1)),
            disk: Arc::new(disk.clone()),
            metadata_dir: "/".into(),
            segment_bytes: 1 << 30,
            segment_ms: i64::MAX,
            retention: Retention::default(),
            clock: || 1_800_000_000_000,
        };
        Store::open(options)
    }

    fn id(epoch: i32, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(epoch), index)
    }

    /// A store with five entries of epoch 1.
    fn with_five_entries(disk: &SimDisk) -> Arc<Store> {
        let store = open(disk);
        let entry = |index| Entry::new(id(1, index), EntryPayload::Blank);
        store.append((0..5).map(entry).collect()).unwrap();
        store
    }

    /// A follower that died before it flushed finds the entries when it gets up, and says so when the leader asks. The
    /// leader may count on it: openraft ends with "follower log reversion" if they are gone after a loss of power.
    #[test]
    fn what_is_found_at_the_start_survives_a_loss_of_power() {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            with_five_entries(&disk);
            let disk = disk.next_process();
            disk.revive();
            let found = open(&disk).state.lock().index.last();
            assert_eq!(found, Some(id(1, 4)));
            let disk = disk.next_process();
            disk.lose_power();
            assert_eq!(open(&disk).state.lock().index.last(), found, "seed {seed}");
        }
    }

    /// What lies below a snapshot is not checked at the start, so it must not be what a loss of power left of it.
    #[test]
    fn what_lies_below_a_snapshot_survives_a_loss_of_power() {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let store = with_five_entries(&disk);
            let bytes = |store: &Store| store.read_batches(0, 5).unwrap();
            let written = bytes(&store);
            let id = SnapshotId { end_offset: 5, epoch: 1 };
            let head = snapshot::Head { last_contained_ms: 0, epoch: 1, controls: &[] };
            store.write_snapshot(id, &head, std::iter::empty(), 0).unwrap();
            let disk = disk.next_process();
            disk.lose_power();
            let store = open(&disk);
            assert_eq!((store.log.start_offset(), store.log.end_offset()), (0, 5), "seed {seed}");
            assert_eq!(bytes(&store), written, "seed {seed}");
        }
    }

    /// A leader's snapshot comes to a node whose log is shorter, and another one: nothing of that is below the high watermark.
    #[test]
    fn a_log_that_lacks_the_end_of_a_snapshot_begins_behind_it() {
        let store = with_five_entries(&SimDisk::new(1));
        let place = |store: &Store| (store.log.start_offset(), store.log.end_offset());
        store.begin_behind(id(1, 4)).unwrap();
        assert_eq!(place(&store), (0, 5));
        let meta = SnapshotMeta { last_log_id: Some(id(2, 6)), ..SnapshotMeta::default() };
        store.keep_snapshot(SnapshotId { end_offset: 7, epoch: 2 }, meta, 1);
        store.begin_behind(id(2, 6)).unwrap();
        assert_eq!(place(&store), (7, 7));
        assert_eq!(store.last(), Some(id(2, 6)));
    }

    /// The disk of a node that died when it had a snapshot which its longer log does not lead to.
    fn overtaken() -> (SimDisk, SnapshotId) {
        let disk = SimDisk::new(1);
        let store = with_five_entries(&disk);
        let id = SnapshotId { end_offset: 3, epoch: 2 };
        let head = snapshot::Head { last_contained_ms: 0, epoch: 2, controls: &[] };
        store.write_snapshot(id, &head, std::iter::empty(), 0).unwrap();
        let disk = disk.next_process();
        disk.revive();
        (disk, id)
    }

    /// A snapshot was installed over a log that is longer, and another one; the node died before the log was cut.
    #[test]
    fn a_log_that_does_not_lead_to_the_snapshot_is_begun_anew() {
        let (disk, _) = overtaken();
        let store = open(&disk);
        assert_eq!((store.log.start_offset(), store.log.end_offset()), (3, 3));
        // One that leads to it stays.
        let last = store.state.lock().index.last().unwrap();
        assert_eq!(last.leader_id.term, 2);
        let next = Entry::new(id(2, last.index + 1), EntryPayload::Blank);
        store.append(vec![next]).unwrap();
        let disk = disk.next_process();
        disk.revive();
        assert_eq!(open(&disk).log.end_offset(), 4);
    }

    /// The log was cut behind a snapshot, and then the snapshot was spoiled.
    #[test]
    fn a_log_without_the_snapshot_that_it_follows_is_refused_and_left() {
        let (disk, id) = overtaken();
        let path = open(&disk).dir().join(id.file_name());
        let disk = disk.next_process();
        disk.revive();
        let file = disk.open(&path, Open::Write).unwrap();
        let middle = file.len().unwrap() / 2;
        file.write_at(&[0xff; 8], middle).unwrap();
        for _ in 0..2 {
            let refused = try_open(&disk).unwrap_err();
            assert!(matches!(refused, QuorumError::NoSnapshot { log_start: 3, .. }), "{refused}");
            assert!(refused.to_string().contains("catch up from them: mv"), "{refused}");
        }
    }
}
