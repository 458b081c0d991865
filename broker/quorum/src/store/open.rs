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
use ottla_log::log::{LoadReport, Shared, Shutdown, Start};
use ottla_log::settings::Cleanup;
use ottla_log::{Log, LogSettings};
use ottla_wire::Uuid;
use ottla_wire::record::BatchHeader;
use parking_lot::Mutex;

use super::{Flusher, Index, Kept, READ_BYTES, Retention, State, Store, entries};
use crate::Clock;
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
        let (log, shared) = open_log(&options, &dir, begin.id.end_offset)?;
        let log = Arc::new(log);
        if log.end_offset() < begin.id.end_offset || log.start_offset() > begin.id.end_offset {
            // The node ended while it installed a leader's snapshot: the log is older than that.
            log.truncate_fully_and_start_at(begin.id.end_offset, clock())?;
        }
        let mut snapshots: Vec<_> = ids.into_iter().map(|id| Kept { id, meta: None }).collect();
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
            snapshots,
        };
        let flusher = Flusher::start(log.clone(), clock)?;
        let mut store = Self {
            node,
            disk,
            dir,
            log,
            graveyard: shared.graveyard,
            retention,
            clock,
            state: Mutex::new(state),
            vote: Mutex::new(vote),
            least_epoch: 0,
            flusher,
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
}

impl Begin {
    fn read(disk: &dyn Disk, dir: &Path, ids: &[SnapshotId]) -> Result<Self, QuorumError> {
        for id in ids.iter().rev() {
            let path = dir.join(id.file_name());
            let contents = match snapshot::read(disk, &path) {
                Ok(contents) => contents,
                Err(e) => {
                    // An older one, with the log behind it, is as good.
                    tracing::error!("a snapshot of the metadata is left out: {e}");
                    continue;
                }
            };
            if id.end_offset == 0 {
                let formatted_voters = contents.voters();
                return Ok(Self { formatted_voters, ..Self::default() });
            }
            let meta = snapshot_meta(*id, &contents)
                .map_err(|why| QuorumError::Corrupt { path: path.clone(), why })?;
            return Ok(Self { id: *id, meta: Some(meta), formatted_voters: Vec::new() });
        }
        Ok(Self::default())
    }
}

fn snapshot_meta(id: SnapshotId, contents: &snapshot::Snapshot) -> Result<SnapshotMeta, String> {
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
        now_ms: (options.clock)(),
    };
    let name = TopicPartition::new("__cluster_metadata", 0);
    let topic_id = Uuid::METADATA_TOPIC.to_string();
    if identity::read_topic_id(&*options.disk, dir).ok().flatten() != Some(topic_id.clone()) {
        identity::write_topic_id(&*options.disk, dir, &topic_id)?;
    }
    let (log, report) =
        Log::open(&shared, dir.to_owned(), name, Arc::new(settings), &start, &mut Vec::new())?;
    tell(&log, &report, dir);
    Ok((log, shared))
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
