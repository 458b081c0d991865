//! One partition's replica on this node: its log, its role, and who waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use ottla_config::LogConfig;
use ottla_log::{Log, LogError};
use ottla_replica::EpochCheck;
use parking_lot::Mutex;
use tracing::info;

use crate::cluster::Cluster;
use crate::core::Core;
use crate::dirs::{Counted, LogDir};
use crate::error::EngineError;
use crate::ids::PartitionId;
use crate::settings::TopicSettings;
use crate::wait::FetchWaiters;

mod append;
mod following;
mod leading;
mod moving;
mod query;
mod read;
mod transactions;

use leading::Leading;

pub use append::{Ack, AppendHow, Appended};
pub(crate) use following::{FollowError, Local, Sent};
pub use leading::{FollowerId, Lead};
pub use moving::Future;
pub(crate) use moving::{Begun, Copied};
pub use query::{OffsetAt, OffsetQuery};
pub use read::{Read, ReadAsk};
pub use transactions::TxnEnd;

/// No leader epoch: this node does not lead.
const NOT_LEADING: i32 = -1;

const OPEN: u8 = 0;
const GONE: u8 = 1;

/// What this node is to the partition.
#[derive(Debug)]
enum Role {
    /// It leads.
    Leader(Box<Leading>),
    /// It follows `leader` (-1 for none) in `epoch`.
    Follower { leader: i32, epoch: i32 },
}

/// Where the log is; changed as one when it moves to another directory.
#[derive(Debug)]
struct Here {
    log: Arc<Log>,
    dir: Counted,
}

impl Here {
    /// Judges an error of the log that was used, which may be another one than the partition's by now.
    fn judge(&self, error: LogError) -> EngineError {
        blame(self.dir.get(), &self.log, error)
    }
}

/// A partition's replica. Appends take its role's lock for as long as a write to the page cache
/// takes; reads take no lock.
#[derive(Debug)]
pub struct Partition {
    id: PartitionId,
    topic: Arc<str>,
    /// Replaced under the role's lock.
    here: ArcSwap<Here>,
    core: Arc<Core>,
    config: ArcSwap<LogConfig>,
    /// The epoch we lead in, or [`NOT_LEADING`]; changed under the role's lock.
    leading: AtomicI32,
    state: AtomicU8,
    role: Mutex<Role>,
    fetches: FetchWaiters,
    /// Taken before the role's lock by those who take both.
    moving: Mutex<moving::Moving>,
    compaction: Mutex<moving::Compaction>,
}

impl Partition {
    /// A replica that follows nobody yet.
    pub(crate) fn new(
        id: PartitionId,
        topic: Arc<str>,
        log: Arc<Log>,
        dir: Arc<LogDir>,
        settings: TopicSettings,
        core: Arc<Core>,
    ) -> Arc<Self> {
        log.set_settings(settings.log);
        let here = Here { log, dir: Counted::new(dir) };
        Arc::new(Self {
            id,
            topic,
            here: ArcSwap::from_pointee(here),
            core,
            config: ArcSwap::new(settings.config),
            leading: AtomicI32::new(NOT_LEADING),
            state: AtomicU8::new(OPEN),
            role: Mutex::new(Role::Follower { leader: -1, epoch: -1 }),
            fetches: FetchWaiters::default(),
            moving: Mutex::default(),
            compaction: Mutex::default(),
        })
    }

    /// Its name by topic id.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Its log, for questions this type has no method for. Append and change it only through this
    /// type. It is another one after a move to another directory: do not keep it.
    #[must_use]
    pub fn log(&self) -> Arc<Log> {
        Arc::clone(&self.here.load().log)
    }

    /// The log directory it lives in.
    #[must_use]
    pub fn dir(&self) -> Arc<LogDir> {
        Arc::clone(self.here.load().dir.get())
    }

    /// The topic's settings, as of now.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// The leader epoch, if this node leads.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        Some(self.leading.load(Ordering::Acquire)).filter(|epoch| *epoch != NOT_LEADING)
    }

    /// The in-sync replicas as the leader knows them; empty if this node does not lead.
    #[must_use]
    pub fn in_sync(&self) -> Vec<i32> {
        match &*self.role.lock() {
            Role::Leader(leading) => leading.leader.isr().iter().copied().collect(),
            Role::Follower { .. } => Vec::new(),
        }
    }

    /// Whether it can be used: its directory is online, and it was not removed.
    ///
    /// # Errors
    /// [`EngineError::Offline`] or [`EngineError::NotHere`].
    pub fn check_open(&self) -> Result<(), EngineError> {
        if !self.here.load().dir.get().is_online() {
            return Err(EngineError::Offline);
        }
        if self.state.load(Ordering::Acquire) == GONE {
            return Err(EngineError::NotHere);
        }
        Ok(())
    }

    /// Whether this node leads, in the epoch the peer believes in.
    ///
    /// # Errors
    /// Of [`check_open`](Self::check_open), or that it does not lead, or leads in another epoch.
    pub fn check_leader(&self, epoch: EpochCheck) -> Result<i32, EngineError> {
        self.check_open()?;
        let ours = self.leading.load(Ordering::Acquire);
        match epoch {
            EpochCheck::Is(theirs) if theirs != ours => Err(self.wrong_epoch(theirs)),
            _ if ours == NOT_LEADING => Err(EngineError::NotLeader),
            _ => Ok(ours),
        }
    }

    /// Whether consumers may read here: this node leads, or follows in the epoch that the peer
    /// believes in (KIP-392).
    ///
    /// # Errors
    /// Of [`check_open`](Self::check_open), or that no leader is known, or another epoch is.
    pub fn check_readable(&self, epoch: EpochCheck) -> Result<(), EngineError> {
        if self.leading.load(Ordering::Acquire) != NOT_LEADING {
            return self.check_leader(epoch).map(drop);
        }
        self.check_open()?;
        let role = self.role.lock();
        match (&*role, epoch) {
            (Role::Leader(_), _) => Ok(()),
            (Role::Follower { leader: ..0, .. }, _) => Err(EngineError::NotLeader),
            (Role::Follower { epoch: ours, .. }, EpochCheck::Is(theirs)) if theirs != *ours => {
                drop(role);
                Err(self.wrong_epoch(theirs))
            }
            (Role::Follower { .. }, _) => Ok(()),
        }
    }

    fn wrong_epoch(&self, theirs: i32) -> EngineError {
        use ottla_replica::ReplicaError::{FencedEpoch, UnknownEpoch};
        let role = self.role.lock();
        let ours = match &*role {
            Role::Leader(leading) => leading.leader.epoch(),
            Role::Follower { epoch, .. } => *epoch,
        };
        match theirs.cmp(&ours) {
            std::cmp::Ordering::Less => EngineError::Replica(FencedEpoch { theirs, ours }),
            std::cmp::Ordering::Equal => EngineError::NotLeader,
            std::cmp::Ordering::Greater => EngineError::Replica(UnknownEpoch { theirs, ours }),
        }
    }

    /// Whom it follows, if it does.
    #[must_use]
    pub fn follows(&self) -> Option<i32> {
        match *self.role.lock() {
            Role::Follower { leader, .. } if leader >= 0 => Some(leader),
            _ => None,
        }
    }

    /// Tells all who wait that the partition is gone or its disk failed; it takes no more writes.
    pub(crate) fn retire(&self, why: Retire) {
        if why == Retire::Gone {
            self.state.store(GONE, Ordering::Release);
        }
        self.end_move(why);
        self.log().abandon();
        self.follow(-1, -1);
        info!(topic = %self.topic, partition = self.id.partition, ?why, "replica retired");
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        self.core.cluster()
    }

    pub(crate) fn waiters(&self) -> &FetchWaiters {
        &self.fetches
    }
}

/// Judges an error of a log in `dir`: one of the disk takes the directory out of service.
fn blame(dir: &Arc<LogDir>, log: &Log, error: LogError) -> EngineError {
    dir.judge_of(log, &error);
    match error {
        LogError::Disk(_) if !dir.is_online() => EngineError::Offline,
        other => EngineError::Log(other),
    }
}

/// Why a replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retire {
    /// It is no longer this node's, or the topic is deleted.
    Gone,
    /// Its directory failed.
    Failed,
}
