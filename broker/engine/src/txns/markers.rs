//! Sends the markers that end transactions to the leaders of their partitions, until they are
//! written.
//!
//! There is no task that waits for work: a task carries what is to be sent to one broker, and ends
//! when that is nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ottla_coordinator::txn::{Command, Request, TxnMachine};
use ottla_quorum::simulated;
use ottla_wire::ErrorCode;
use ottla_wire::api::write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::debug;

use super::ledger::{Done, Item, Job, Ledger, Outcome};
use crate::replication::PeerFuture;
use crate::shard::Shards;

/// The rest before what was not written is sent again.
const REST: Duration = Duration::from_millis(50);

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leader {
    /// This broker.
    Broker(i32),
    /// Nobody, for now.
    None,
    /// There is no such partition any more.
    Gone,
}

/// The way to the leaders of partitions.
pub trait MarkerPeers: fmt::Debug + Send + Sync + 'static {
    /// Who leads a partition, as of the metadata this node has.
    fn leader(&self, topic: &str, partition: i32) -> Leader;

    /// Has a broker, perhaps this one, write markers. It ends within the time of one request.
    fn write(
        &self,
        broker: i32,
        request: WriteTxnMarkersRequest,
    ) -> PeerFuture<WriteTxnMarkersResponse>;
}

/// The sender of markers.
pub(super) struct Markers {
    runtime: Handle,
    ledger: Mutex<Ledger>,
    peers: OnceLock<Arc<dyn MarkerPeers>>,
    shards: OnceLock<Weak<Shards<TxnMachine>>>,
    stopped: AtomicBool,
    me: Weak<Self>,
}

impl fmt::Debug for Markers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Markers")
    }
}

impl Markers {
    pub(super) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            runtime,
            ledger: Mutex::default(),
            peers: OnceLock::new(),
            shards: OnceLock::new(),
            stopped: AtomicBool::new(false),
            me: me.clone(),
        })
    }

    /// Who is told of transactions that are done. Counts once.
    pub(super) fn tell(&self, shards: &Arc<Shards<TxnMachine>>) {
        let _ = self.shards.set(Arc::downgrade(shards));
    }

    /// How leaders are reached. Counts once.
    pub(super) fn send_by(&self, peers: Arc<dyn MarkerPeers>) {
        let _ = self.peers.set(peers);
        self.seek_leaders();
    }

    /// Who leads a partition; nobody before there is a way to them.
    fn leader(&self, topic: &str, partition: i32) -> Leader {
        self.peers.get().map_or(Leader::None, |peers| peers.leader(topic, partition))
    }

    /// Has the markers of a transaction written.
    pub(super) fn write(&self, job: Job) {
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let outcome = self.ledger.lock().add(job, |topic, partition| self.leader(topic, partition));
        self.see_to(outcome);
    }

    /// Places those anew that had no leader.
    pub(super) fn seek_leaders(&self) {
        let outcome =
            self.ledger.lock().seek_leaders(|topic, partition| self.leader(topic, partition));
        self.see_to(outcome);
    }

    /// Forgets what a shard asked for that is gone.
    pub(super) fn drop_of(&self, partition: i32) {
        self.ledger.lock().drop_of(partition);
    }

    /// Sends nothing any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        *self.ledger.lock() = Ledger::default();
    }

    /// How many transactions are not done.
    #[cfg(test)]
    pub(super) fn unfinished(&self) -> usize {
        self.ledger.lock().len()
    }

    /// Begins what is to be done now. What a shard is told of is told by a task: the one who brought
    /// this may hold a shard.
    fn see_to(&self, outcome: Outcome) {
        let Some(this) = self.me.upgrade() else { return };
        for broker in outcome.send {
            let this = Arc::clone(&this);
            drop(simulated::spawn_on(&self.runtime, this.send(broker)));
        }
        for done in outcome.done {
            let this = Arc::clone(&this);
            drop(simulated::spawn_on(&self.runtime, this.finish(done)));
        }
        if !outcome.again.is_empty() {
            drop(simulated::spawn_on(&self.runtime, this.rest(outcome.again)));
        }
    }

    /// Sends what waits for a broker, until that is nothing.
    async fn send(self: Arc<Self>, broker: i32) {
        loop {
            let taken = self.ledger.lock().take(broker);
            let (Some((request, items)), Some(peers)) = (taken, self.peers.get()) else { return };
            let answer = peers.write(broker, request).await;
            if let Err(error) = &answer {
                debug!(broker, %error, "markers were not written");
            }
            let mut outcome = self.ledger.lock().answered(items, answer.as_ref().ok());
            outcome.done.retain(|done| !self.tell_shard(done));
            self.see_to(outcome);
        }
    }

    /// Places markers anew, after a rest.
    async fn rest(self: Arc<Self>, items: Vec<Item>) {
        tokio::time::sleep(REST).await;
        let outcome =
            self.ledger.lock().place(items, |topic, partition| self.leader(topic, partition));
        self.see_to(outcome);
    }

    /// Tells the shard that the markers are written, as soon as it serves.
    async fn finish(self: Arc<Self>, done: Done) {
        while !self.tell_shard(&done) {
            tokio::time::sleep(REST).await;
        }
    }

    /// Tells the shard that the markers are written. False if that is to be tried again.
    fn tell_shard(&self, done: &Done) -> bool {
        let Some(shards) = self.shards.get().and_then(Weak::upgrade) else { return true };
        match shards.get(done.from.partition) {
            Ok(shard) if shard.epoch() == done.from.epoch => {
                let command = Command::internal(Request::MarkersWritten(done.ending.clone()));
                drop(shard.submit(command));
                true
            }
            // Another life of the shard asks for itself.
            Ok(_) | Err(ErrorCode::NOT_COORDINATOR) => true,
            // It began to serve just now, or is being read again.
            Err(_) => self.stopped.load(Ordering::Relaxed),
        }
    }
}
