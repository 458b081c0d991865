//! One partition's replica on this node: its log, its role, and who waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use ottla_config::LogConfig;
use ottla_log::{Log, LogError};
use ottla_machine::Mono;
use ottla_replica::{AckWaits, EpochCheck, Leader, LeaderStart};
use ottla_wire::ErrorCode;
use parking_lot::Mutex;
use tracing::{debug, info};

use crate::core::Core;
use crate::dirs::{Counted, LogDir};
use crate::error::EngineError;
use crate::ids::PartitionId;
use crate::settings::TopicSettings;
use crate::wait::{AckWaiter, FetchWaiters, Moved};

mod append;
mod moving;
mod query;
mod read;

pub use append::{Ack, AppendHow, Appended};
pub use moving::Future;
pub(crate) use moving::{Begun, Copied};
pub use query::{OffsetAt, OffsetQuery};
pub use read::{Read, ReadAsk};

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

#[derive(Debug)]
struct Leading {
    leader: Leader,
    acks: AckWaits<AckWaiter>,
}

/// How leadership begins, as the Image says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Our broker id.
    pub me: i32,
    /// The leader epoch.
    pub epoch: i32,
    /// All brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
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

    /// Begins to lead, or goes on leading with another set of replicas.
    pub(crate) fn lead(&self, lead: Lead, now: Mono) {
        let mut role = self.role.lock();
        let log = self.log();
        let moved = match &mut *role {
            Role::Leader(leading) if leading.leader.epoch() == lead.epoch => {
                leading.leader.set_isr(lead.isr)
            }
            other => {
                let Lead { me, epoch, replicas, isr } = lead;
                log.begin_epoch(epoch);
                let leader = Leader::new(LeaderStart {
                    me,
                    epoch,
                    replicas,
                    isr,
                    end_offset: log.end_offset(),
                    high_watermark: log.high_watermark(),
                    min_in_sync: min_in_sync(&self.config.load()),
                    now,
                });
                let high_watermark = leader.high_watermark();
                let old = std::mem::replace(
                    other,
                    Role::Leader(Box::new(Leading { leader, acks: AckWaits::default() })),
                );
                end_leadership(old);
                self.leading.store(epoch, Ordering::Release);
                debug!(topic = %self.topic, partition = self.id.partition, epoch, "leading");
                Some(high_watermark)
            }
        };
        self.settle(role, moved, 0);
        self.fetches.wake_all();
    }

    /// Begins to follow `leader` (-1 for none) in `epoch`.
    pub(crate) fn follow(&self, leader: i32, epoch: i32) {
        let mut role = self.role.lock();
        let old = std::mem::replace(&mut *role, Role::Follower { leader, epoch });
        self.leading.store(NOT_LEADING, Ordering::Release);
        drop(role);
        end_leadership(old);
        self.fetches.wake_all();
    }

    /// Whom it follows, if it does.
    #[must_use]
    pub fn follows(&self) -> Option<i32> {
        match *self.role.lock() {
            Role::Follower { leader, .. } if leader >= 0 => Some(leader),
            _ => None,
        }
    }

    /// Takes new settings.
    pub(crate) fn set_settings(&self, settings: TopicSettings) {
        let least = min_in_sync(&settings.config);
        self.config.store(settings.config);
        let mut role = self.role.lock();
        self.here.load().log.set_settings(settings.log);
        let moved = match &mut *role {
            Role::Leader(leading) => leading.leader.set_min_in_sync(least),
            Role::Follower { .. } => None,
        };
        self.settle(role, moved, 0);
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

    /// Makes a moved high watermark known to the log and to those who waited for it. Takes the
    /// role's lock, which orders high watermarks, and gives it back.
    fn settle(
        &self,
        mut role: parking_lot::MutexGuard<'_, Role>,
        moved: Option<i64>,
        bytes: usize,
    ) {
        let Role::Leader(leading) = &mut *role else { return };
        let Some(high_watermark) = moved else {
            drop(role);
            self.fetches.moved(Moved::End, bytes);
            return;
        };
        let log = self.log();
        let stable_before = log.last_stable_offset();
        log.set_high_watermark(high_watermark);
        let waits = (!leading.acks.is_empty())
            .then(|| (leading.acks.reached(high_watermark), leading.leader.enough_in_sync()));
        drop(role);
        if let Some((reached, enough)) = waits {
            let code = ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND;
            let result = if enough { Ok(()) } else { Err(code) };
            reached.for_each(|waiter| waiter.finish(result));
        }
        let stable = log.last_stable_offset() != stable_before;
        self.fetches.moved(if stable { Moved::Stable } else { Moved::HighWatermark }, bytes);
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

fn min_in_sync(config: &LogConfig) -> usize {
    usize::try_from(config.min_insync_replicas).unwrap_or(1)
}

fn end_leadership(old: Role) {
    if let Role::Leader(mut leading) = old {
        let lost = Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        leading.acks.all().for_each(|waiter| waiter.finish(lost));
    }
}
