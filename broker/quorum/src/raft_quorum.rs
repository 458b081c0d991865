//! The quorum as openraft makes it.

mod caught_up;
#[cfg(test)]
mod tests;
mod watch_leader;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader, RaftError};
use openraft::impls::ProgressResponder;
use openraft::network::NetSnapshot;
use openraft::{
    ChangeMembers, Config, Instant, Raft, RaftNetworkFactory, SnapshotPolicy as Policy,
};
use ottla_log::Log;
use ottla_log::disk::Disk;
use ottla_metadata::{Image, MetadataVersion, record_version};
use ottla_wire::schema::metadata::MetadataRecord;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::Clock;
use crate::batch;
use crate::error::QuorumError;
use crate::quorum::{
    BoxFuture, Committed, Description, Leadership, Proposal, Quorum, Replica, VoterChange,
};
use crate::state_machine::{Signals, SnapshotPolicy, SnapshotSource, StateMachine};
use crate::store::{LogStore, Opened, Retention, Store, StoreOptions};
use crate::types::{LogId, Membership, StoredMembership, TypeConfig};
use crate::updates::Updates;
use crate::voter::{Member, NodeKey, Voter};

/// [`Options::kept_entries`], where nothing else is said.
const KEPT_ENTRIES: u64 = 1000;

/// Election timeouts without a word of a majority after which a leader takes itself for cut off.
const CUT_OFF_AFTER: u64 = 3;

/// How long a snapshot asked for may take.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// What a node's part in the quorum is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// `node.id`, and the id of the metadata log directory.
    pub node: NodeKey,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// `controller.quorum.voters`, for directories that were formatted without voters. Used only while the log names
    /// none.
    pub initial_voters: Vec<Voter>,
    /// When snapshots are written.
    pub snapshots: SnapshotPolicy,
    /// How long snapshots and log are kept.
    pub retention: Retention,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `controller.quorum.election.timeout.ms`: how long without a leader before a voter stands for election.
    pub election_timeout_ms: u64,
    /// Entries kept in reach of slow followers behind the newest snapshot.
    pub kept_entries: u64,
    /// Tells the time.
    pub clock: Clock,
}

impl Options {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(node: NodeKey, disk: Arc<dyn Disk>, metadata_dir: PathBuf, clock: Clock) -> Self {
        Self {
            node,
            disk,
            metadata_dir,
            initial_voters: Vec::new(),
            snapshots: SnapshotPolicy::default(),
            retention: Retention::default(),
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            election_timeout_ms: 1000,
            kept_entries: KEPT_ENTRIES,
            clock,
        }
    }
}

pub(crate) type Node = Raft<TypeConfig, StateMachine>;

/// One node's part in the quorum.
pub struct RaftQuorum {
    node: NodeKey,
    raft: Node,
    store: Arc<Store>,
    signals: Arc<Signals>,
    leadership: watch::Receiver<Leadership>,
    /// The last entry of the log when the node started.
    at_start: Option<LogId>,
    /// One change of members at a time: two at once could leave a joint configuration behind.
    changing: Mutex<()>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for RaftQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftQuorum").field("node", &self.node).finish_non_exhaustive()
    }
}

impl RaftQuorum {
    /// Opens what is on disk and takes part. A node that is the only voter leads within milliseconds; wait for
    /// [`Role::Leader`](crate::Role::Leader) on [`Quorum::leadership`].
    ///
    /// # Errors
    /// When the disk fails or holds what cannot be true.
    pub async fn start<N>(options: Options, network: N) -> Result<Self, QuorumError>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotSource>,
    {
        let store_options = StoreOptions {
            node: options.node,
            disk: options.disk.clone(),
            metadata_dir: options.metadata_dir.clone(),
            segment_bytes: options.segment_bytes,
            segment_ms: options.segment_ms,
            retention: options.retention,
            clock: options.clock,
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(store_options)).await;
        let Opened { store, formatted_voters } = opened.map_err(|e| stopped(&e))??;
        let signals = Signals::new();
        let voters =
            if formatted_voters.is_empty() { options.initial_voters } else { formatted_voters };
        let initial: BTreeMap<_, _> = voters.into_iter().map(|v| (v.key, v.member)).collect();
        let fallback = StoredMembership::new(None, Membership::from(initial.clone()));
        let fresh = store.is_empty();
        let at_start = store.last();
        let state_machine = StateMachine::new(
            store.clone(),
            if fresh { StoredMembership::default() } else { fallback },
            options.snapshots,
            signals.clone(),
            options.clock,
        );
        let config = Arc::new(config(options.election_timeout_ms, options.kept_entries)?);
        let raft = Raft::new(options.node, config, network, LogStore(store.clone()), state_machine);
        let raft: Node = raft.await.map_err(|e| QuorumError::Stopped(reason(&signals, &e)))?;
        let patience = Duration::from_millis(CUT_OFF_AFTER * options.election_timeout_ms);
        let (leadership, tasks) =
            watch_leader::start(&raft, &signals, options.snapshots, options.clock, patience);
        let quorum = Self {
            node: options.node,
            raft,
            store,
            signals,
            leadership,
            at_start,
            changing: Mutex::new(()),
            tasks: std::sync::Mutex::new(tasks),
        };
        quorum.begin(fresh, initial).await?;
        Ok(quorum)
    }

    /// Writes the first membership of a new log, and stands for election at once when no one else could.
    async fn begin(
        &self,
        fresh: bool,
        initial: BTreeMap<NodeKey, Member>,
    ) -> Result<(), QuorumError> {
        if fresh && initial.contains_key(&self.node) {
            match self.store.election() {
                Some(vote) if vote.epoch > 0 && initial.len() == 1 => {
                    return Err(QuorumError::NoVoters(format!(
                        "the metadata log of node {} is gone, though the node led epoch {} before: restore the directory, \
                         or format it anew",
                        self.node.id, vote.epoch
                    )));
                }
                Some(vote) if vote.epoch > 0 => {}
                // This stands for election, too.
                _ => return self.raft.initialize(initial).await.map_err(|e| stopped(&e)),
            }
        }
        let initial = initial.into_keys().collect();
        // openraft's own view of the members is not there yet.
        let known: BTreeSet<_> = self.store.membership().voter_ids().collect();
        let voters = if known.is_empty() { initial } else { known };
        if voters == BTreeSet::from([self.node]) {
            self.raft.trigger().elect(false).await.map_err(|e| stopped(&e))?;
        }
        Ok(())
    }

    /// The voters by the log, which is ahead of what openraft publishes about itself.
    fn voters(&self) -> BTreeSet<NodeKey> {
        let logged: BTreeSet<_> = self.store.membership().voter_ids().collect();
        if logged.is_empty() { self.raft.voter_ids().collect() } else { logged }
    }

    /// Resolves when this node takes part no more, because its disk failed or it was shut down, with the reason. Nothing
    /// is proposed, voted or committed here from then on until the process is started again.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        let (mut metrics, signals) = (self.raft.metrics(), self.signals.clone());
        async move {
            loop {
                if let Err(why) = &metrics.borrow_watched().running_state {
                    return reason(&signals, why);
                }
                if metrics.changed().await.is_err() {
                    return reason(&signals, &"it was dropped");
                }
            }
        }
    }

    /// The metadata log, for brokers that pull from it. Only what lies below the high watermark is committed.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        self.store.log()
    }

    async fn send(
        &self,
        epoch: i32,
        version: MetadataVersion,
        records: Vec<MetadataRecord>,
    ) -> Result<Proposal, QuorumError> {
        let leader = *self.leadership.borrow();
        if leader.epoch != epoch || leader.leader != Some(self.node) {
            return Err(QuorumError::NotLeader { leader: leader.leader });
        }
        let records: Vec<_> = records
            .into_iter()
            .map(|record| {
                let version = record_version(&record, version);
                (record, version)
            })
            .collect();
        let batch = batch::encode(&records, self.store.now_ms())?;
        let (responder, answer) = ProgressResponder::complete_only();
        let leader = crate::types::CommittedLeaderId::new(epoch);
        self.raft
            .write(batch)
            .with_leader(leader)
            .responder(responder)
            .await
            .map_err(|e| fatal(&e))?;
        Ok(Proposal(Box::pin(async move {
            match answer.await {
                Ok(Ok(done)) => {
                    Ok(Committed { offset: done.data.offset, epoch: done.log_id.leader_id.term })
                }
                Ok(Err(e)) => Err(refused(&e)),
                Err(_) => {
                    Err(QuorumError::Stopped("it ended before the batch was committed".into()))
                }
            }
        })))
    }

    async fn change(&self, change: VoterChange) -> Result<(), QuorumError> {
        let Ok(_one) = self.changing.try_lock() else {
            return Err(QuorumError::Membership(
                "another change of the voters is under way".into(),
            ));
        };
        match change {
            VoterChange::Add(voter) => {
                let Voter { key, member } = voter;
                if self.voters().iter().any(|v| v.id == key.id) {
                    let id = key.id;
                    return Err(QuorumError::Membership(format!("node {id} is a voter already")));
                }
                self.raft.add_learner(key, member, true).await.map_err(|e| write_error(&e))?;
                let add = ChangeMembers::AddVoterIds(BTreeSet::from([key]));
                self.raft.change_membership(add, true).await.map_err(|e| write_error(&e))?;
            }
            VoterChange::Remove(key) => {
                if !self.voters().contains(&key) {
                    return Err(QuorumError::Membership(format!("{key} is no voter")));
                }
                if key == self.node {
                    let why = "the leader cannot remove itself: hand leadership over first";
                    return Err(QuorumError::Membership(why.into()));
                }
                let remove = ChangeMembers::RemoveVoters(BTreeSet::from([key]));
                self.raft.change_membership(remove, false).await.map_err(|e| write_error(&e))?;
            }
        }
        Ok(())
    }

    async fn hand_over(&self, to: Option<NodeKey>) -> Result<(), QuorumError> {
        let to = match to {
            Some(to) => to,
            None => self.best_successor().ok_or_else(|| {
                QuorumError::Membership("there is no other voter to lead".to_owned())
            })?,
        };
        self.raft.trigger().transfer_leader(to).await.map_err(|e| fatal(&e))
    }

    /// The other voter whose log is longest.
    fn best_successor(&self) -> Option<NodeKey> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let others = self.raft.voter_ids().filter(|v| *v != self.node);
        others
            .max_by_key(|v| metrics.replication.as_ref().and_then(|r| r.get(v).cloned().flatten()))
    }

    async fn write_snapshot(&self) -> Result<PathBuf, QuorumError> {
        let applied = self.raft.metrics().borrow_watched().last_applied;
        self.raft.trigger().snapshot().await.map_err(|e| fatal(&e))?;
        if let Some(applied) = applied {
            let wait = self.raft.wait(Some(SNAPSHOT_PATIENCE));
            wait.metrics(|m| m.snapshot >= Some(applied), "a snapshot")
                .await
                .map_err(|e| stopped(&e))?;
        }
        self.store.newest_snapshot_path().ok_or_else(|| {
            QuorumError::Stopped("nothing was written to the metadata log yet".to_owned())
        })
    }

    async fn stop(&self) -> Result<(), QuorumError> {
        self.raft.shutdown().await.map_err(|e| stopped(&e))?;
        let tasks = std::mem::take(
            &mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        tasks.iter().for_each(JoinHandle::abort);
        let store = self.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.map_err(|e| stopped(&e))?
    }
}

fn config(election_timeout_ms: u64, kept_entries: u64) -> Result<Config, QuorumError> {
    let least = election_timeout_ms.max(10);
    let config = Config {
        cluster_name: "ottla".to_owned(),
        election_timeout_min: least,
        election_timeout_max: least * 2,
        heartbeat_interval: (least / 4).max(2),
        install_snapshot_timeout: 60_000,
        snapshot_policy: Policy::Never,
        max_in_snapshot_log_to_keep: kept_entries,
        enable_pre_vote: Some(true),
        // A new epoch at each start, as Kafka has it; and no node may lead before it has asked the others.
        enable_leader_restore: Some(false),
        enable_tick: true,
        ..Config::default()
    };
    config.validate().map_err(|e| stopped(&e))
}

/// Why the quorum ended here: what the state machine refused to go on with, or else what openraft says.
fn reason(signals: &Signals, otherwise: &dyn fmt::Display) -> String {
    signals.refusal.get().cloned().unwrap_or_else(|| otherwise.to_string())
}

fn stopped(e: &dyn fmt::Display) -> QuorumError {
    QuorumError::Stopped(e.to_string())
}

fn fatal(e: &Fatal<TypeConfig>) -> QuorumError {
    stopped(e)
}

fn refused(e: &ClientWriteError<TypeConfig>) -> QuorumError {
    match e {
        ClientWriteError::ForwardToLeader(ForwardToLeader { leader_id, .. }) => {
            QuorumError::NotLeader { leader: *leader_id }
        }
        ClientWriteError::ChangeMembershipError(e) => QuorumError::Membership(e.to_string()),
        #[allow(unreachable_patterns)]
        other => stopped(&other),
    }
}

fn write_error(e: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> QuorumError {
    match e {
        RaftError::APIError(e) => refused(e),
        RaftError::Fatal(e) => fatal(e),
    }
}

impl Quorum for RaftQuorum {
    fn propose(
        &self,
        epoch: i32,
        version: MetadataVersion,
        records: Vec<MetadataRecord>,
    ) -> BoxFuture<'_, Result<Proposal, QuorumError>> {
        Box::pin(self.send(epoch, version, records))
    }

    fn updates(&self) -> Updates {
        self.signals.publisher.subscribe()
    }

    fn caught_up(&self) -> BoxFuture<'_, Result<Image, QuorumError>> {
        Box::pin(async {
            caught_up::caught_up(&self.raft, &self.signals, self.at_start).await?;
            Ok(self.updates().image())
        })
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    fn end_offset(&self) -> i64 {
        self.store.log().end_offset()
    }

    fn high_watermark(&self) -> i64 {
        self.store.log().high_watermark()
    }

    fn describe(&self) -> Description {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<_> = membership.voter_ids().collect();
        let replica = |key: NodeKey, member: &Member| {
            let own = key == self.node;
            let matched = metrics.replication.as_ref().and_then(|r| r.get(&key).copied().flatten());
            let heard = metrics.heartbeat.as_ref().and_then(|h| h.get(&key).cloned().flatten());
            Replica {
                key,
                member: member.clone(),
                log_end_offset: if own {
                    Some(self.end_offset())
                } else {
                    matched.and_then(|id| self.store.offset_after(id))
                },
                last_heard_ms_ago: if own {
                    Some(0)
                } else {
                    heard.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
                },
            }
        };
        let all = membership.nodes().map(|(key, member)| replica(*key, member));
        let (voters, observers) = all.partition(|r: &Replica| voters.contains(&r.key));
        Description {
            leadership: *self.leadership.borrow(),
            high_watermark: self.high_watermark(),
            voters,
            observers,
        }
    }

    fn change_voters(&self, change: VoterChange) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.change(change))
    }

    fn resign(&self, to: Option<NodeKey>) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.hand_over(to))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<PathBuf, QuorumError>> {
        Box::pin(self.write_snapshot())
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.stop())
    }
}
