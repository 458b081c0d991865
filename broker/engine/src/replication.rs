//! Following other brokers: who is followed, by which fetcher.
//!
//! For each broker that leads something this node follows there are at most `num.replica.fetchers`
//! tasks, each with a connection and a fetch session of its own; partitions are spread over them by
//! their ids. A fetcher without partitions ends.
//!
//! Start reading at [`Replication`], then `fetcher`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, keys};
use ottla_quorum::simulated;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::debug;

use crate::core::Core;
use crate::ids::{IdBuildHasher, PartitionId};
use crate::partition::Partition;

mod fetcher;
mod followed;
mod inbox;
mod peers;
mod request;

pub use peers::{Lane, PeerError, PeerFuture, Peers};

use fetcher::Fetcher;
use inbox::{Change, Inbox};

/// What replication is started with.
pub struct ReplicationStart {
    /// This broker's id.
    pub me: i32,
    /// Clock and threads.
    pub core: Arc<Core>,
    /// The settings, read anew for each request.
    pub config: Arc<ArcSwap<BrokerConfig>>,
    /// The way to the other brokers.
    pub peers: Arc<dyn Peers>,
    /// This broker's epoch, -1 while it has none: nothing is fetched before.
    pub broker_epoch: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Where the fetchers run. They write to logs.
    pub runtime: Handle,
}

impl fmt::Debug for ReplicationStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicationStart of node {}", self.me)
    }
}

/// What all fetchers share.
struct Shared {
    start: ReplicationStart,
    state: Mutex<State>,
    /// A fetcher ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    fetchers: BTreeMap<Lane, Arc<Inbox>>,
    placed: HashMap<PartitionId, Placed, IdBuildHasher>,
    stopped: bool,
}

struct Placed {
    lane: Lane,
    partition: Arc<Partition>,
    epoch: i32,
}

/// All fetchers of a node.
pub struct Replication {
    shared: Arc<Shared>,
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        let (fetchers, partitions) = (state.fetchers.len(), state.placed.len());
        write!(f, "Replication({fetchers} fetchers, {partitions} partitions)")
    }
}

impl Replication {
    /// Follows nobody yet.
    #[must_use]
    pub fn new(start: ReplicationStart) -> Arc<Self> {
        let (state, ended) = (Mutex::default(), Notify::new());
        Arc::new(Self { shared: Arc::new(Shared { start, state, ended }) })
    }

    /// How many fetchers there are, and how many partitions they follow.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.shared.state.lock();
        (state.fetchers.len(), state.placed.len())
    }

    /// Follows `leader` in `epoch`, and nobody else any more. The partition has that role already.
    pub(crate) fn follow(&self, partition: &Arc<Partition>, leader: i32, epoch: i32) {
        let mut state = self.shared.state.lock();
        if state.stopped {
            return;
        }
        let id = partition.id();
        let lane = self.shared.lane(leader, id);
        let placed = Placed { lane, partition: Arc::clone(partition), epoch };
        let before = state.placed.insert(id, placed);
        if let Some(before) = before.filter(|before| before.lane != lane) {
            state.tell(before.lane, Change::Remove(id));
        }
        self.shared.add(&mut state, lane, Change::Add(Arc::clone(partition), epoch));
    }

    /// Follows nobody for this partition any more.
    pub(crate) fn unfollow(&self, id: PartitionId) {
        let mut state = self.shared.state.lock();
        if let Some(before) = state.placed.remove(&id) {
            state.tell(before.lane, Change::Remove(id));
        }
    }

    /// Spreads partitions anew, as after a change of `num.replica.fetchers`.
    pub(crate) fn spread(&self) {
        let mut state = self.shared.state.lock();
        let mut moved = Vec::new();
        for (id, placed) in &mut state.placed {
            let lane = self.shared.lane(placed.lane.leader, *id);
            if lane != placed.lane {
                let before = std::mem::replace(&mut placed.lane, lane);
                moved.push((before, lane, Arc::clone(&placed.partition), placed.epoch));
            }
        }
        for (before, lane, partition, epoch) in moved {
            state.tell(before, Change::Remove(partition.id()));
            self.shared.add(&mut state, lane, Change::Add(partition, epoch));
        }
    }

    /// Ends all fetchers. When it returns they write to no log any more.
    pub async fn stop(&self) {
        {
            let mut state = self.shared.state.lock();
            state.stopped = true;
            state.placed.clear();
            state.fetchers.values().for_each(|inbox| inbox.stop());
        }
        loop {
            let ended = self.shared.ended.notified();
            if self.shared.state.lock().fetchers.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.stopped = true;
        state.placed.clear();
        state.fetchers.values().for_each(|inbox| inbox.stop());
    }
}

impl State {
    fn tell(&self, lane: Lane, change: Change) {
        // One that ended has nothing to forget.
        if let Some(inbox) = self.fetchers.get(&lane) {
            inbox.push(change);
        }
    }
}

impl Shared {
    fn lane(&self, leader: i32, id: PartitionId) -> Lane {
        let fetchers = self.start.config.load().get(keys::NUM_REPLICA_FETCHERS);
        let fetchers = u64::try_from(fetchers).unwrap_or(1).max(1);
        let number = IdBuildHasher::default().hash_one(id) % fetchers;
        Lane { leader, number: u32::try_from(number).unwrap_or(0) }
    }

    fn add(self: &Arc<Self>, state: &mut State, lane: Lane, change: Change) {
        if let Some(inbox) = state.fetchers.get(&lane) {
            return inbox.push(change);
        }
        debug!(?lane, "a fetcher begins");
        let inbox = Arc::new(Inbox::default());
        inbox.push(change);
        state.fetchers.insert(lane, Arc::clone(&inbox));
        let fetcher = Fetcher::new(Arc::clone(self), lane, inbox);
        simulated::spawn_on(&self.start.runtime, fetcher.run());
    }

    /// Ends a fetcher that has no partitions, unless it is given some just now.
    fn end(&self, lane: Lane, inbox: &Arc<Inbox>) -> bool {
        let mut state = self.state.lock();
        if !inbox.is_empty() && !state.stopped {
            return false;
        }
        state.fetchers.remove(&lane);
        drop(state);
        self.ended.notify_waiters();
        true
    }
}
