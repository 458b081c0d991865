//! The quorum as openraft makes it.

mod bereaved;
mod caught_up;
pub(crate) mod desk;
pub(crate) mod greet;
mod members;
mod moves;
mod serve;
mod standing;
mod succeed;
#[cfg(test)]
mod tests;
mod watch_leader;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader};
use openraft::impls::ProgressResponder;
use openraft::network::NetSnapshot;
use openraft::{Config, Instant, Raft, RaftNetworkFactory, SnapshotPolicy as Policy};
use ottla_log::Log;
use ottla_log::disk::Disk;
use ottla_metadata::{Image, MetadataVersion, record_version};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::MetadataRecord;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::Clock;
use crate::batch;
use crate::error::QuorumError;
use crate::network::Network;
use crate::pace::Pace;
use crate::peers::Peers;
use crate::pull::LeaderHint;
use crate::quorum::{
    BoxFuture, Committed, Description, Leadership, Proposal, Quorum, Replica, VoterChange,
};
use crate::simulated;
use crate::state_machine::{Signals, SnapshotPolicy, SnapshotSource, StateMachine};
use crate::store::{LogStore, Opened, Retention, Store, StoreOptions};
use crate::transport::Transport;
use crate::types::{LogId, Membership, StoredMembership, TypeConfig};
use crate::updates::Updates;
use crate::voter::{Endpoint, Member, NodeKey, Voter};
use desk::{Desk, Inbox};
use greet::{AutoJoin, Greeter};
use members::{Asker, Changer};
use serve::Observers;
use standing::{Standing, Standings};

/// [`Options::kept_entries`], where nothing else is said.
const KEPT_ENTRIES: u64 = 1000;

/// Election timeouts without a word of a majority after which a leader takes itself for cut off, and those without a
/// word of the leader after which a follower looks for it.
const CUT_OFF_AFTER: u64 = 3;

/// How long a snapshot asked for may take.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// What a node's part in the quorum is started with. A node that only follows has no use for what members say among
/// themselves.
#[derive(Clone, Debug)]
pub struct Options {
    /// `node.id`, and the id of the metadata log directory.
    pub node: NodeKey,
    /// The cluster the node's directories belong to.
    pub cluster_id: String,
    /// Where this node's controller listeners are, for the others.
    pub member: Member,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// `controller.quorum.voters`, for directories that were formatted without voters. Used only while the log names
    /// none. Nobody knows the directory ids of others there: a quorum of several such voters knows its members by
    /// their node ids alone, as Kafka's does.
    pub initial_voters: Vec<Voter>,
    /// `controller.quorum.bootstrap.servers`: where to ask while no leader is known.
    pub bootstrap: Vec<Endpoint>,
    /// `controller.quorum.auto.join.enable`.
    pub auto_join: AutoJoin,
    /// When snapshots are written.
    pub snapshots: SnapshotPolicy,
    /// How long snapshots and log are kept.
    pub retention: Retention,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `controller.quorum.election.timeout.ms`: about how long a leader may be silent before a voter stands for election.
    pub election_timeout_ms: u64,
    /// How the others are asked.
    pub pace: Pace,
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
            cluster_id: String::new(),
            member: Member::default(),
            disk,
            metadata_dir,
            initial_voters: Vec::new(),
            bootstrap: Vec::new(),
            auto_join: AutoJoin::default(),
            snapshots: SnapshotPolicy::default(),
            retention: Retention::default(),
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            election_timeout_ms: 1000,
            pace: Pace::default(),
            kept_entries: KEPT_ENTRIES,
            clock,
        }
    }

    /// What the directory is opened with.
    pub(crate) fn store(&self) -> StoreOptions {
        StoreOptions {
            node: self.node,
            disk: self.disk.clone(),
            metadata_dir: self.metadata_dir.clone(),
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            retention: self.retention,
            clock: self.clock,
        }
    }
}

pub(crate) type Node = Raft<TypeConfig, StateMachine>;

/// One node's part in the quorum.
pub struct RaftQuorum {
    node: NodeKey,
    /// Where this node is.
    member: Member,
    cluster_id: String,
    raft: Node,
    store: Arc<Store>,
    signals: Arc<Signals>,
    leadership: watch::Receiver<Leadership>,
    /// The last entry of the log when the node started.
    at_start: Option<LogId>,
    changer: Changer,
    /// What answers other members; none where there is no way to them.
    desk: Option<Arc<Desk>>,
    observers: Observers,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for RaftQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftQuorum").field("node", &self.node).finish_non_exhaustive()
    }
}

impl RaftQuorum {
    /// Opens what is on disk and takes part, with other members to be reached through a transport. A controller that is
    /// no voter stands by: it becomes a member without a vote, and has the metadata as the voters have them.
    ///
    /// What the others send must reach [`receive`](Self::receive) from the moment this returns.
    ///
    /// # Errors
    /// When the disk fails or holds what cannot be true.
    pub async fn join(
        options: Options,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, QuorumError> {
        let opened = OpenNode::open(options).await?;
        let Options { node, cluster_id, pace, .. } = &opened.options;
        let directory = node.directory;
        let peers =
            Arc::new(Peers::new(transport, opened.key, directory, cluster_id.clone(), *pace));
        let network = Network { peers: peers.clone(), store: opened.store.clone() };
        Self::run(opened, network, Some(peers)).await
    }

    /// Opens what is on disk and takes part, over a network of openraft's. A node that is the only voter leads within
    /// milliseconds; wait for [`Role::Leader`](crate::Role::Leader) on [`Quorum::leadership`].
    ///
    /// # Errors
    /// When the disk fails or holds what cannot be true.
    pub async fn start<N>(options: Options, network: N) -> Result<Self, QuorumError>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotSource>,
    {
        Self::run(OpenNode::open(options).await?, network, None).await
    }

    async fn run<N>(
        opened: OpenNode,
        network: N,
        peers: Option<Arc<Peers>>,
    ) -> Result<Self, QuorumError>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotSource>,
    {
        let OpenNode { options, key: node, store, initial, fresh } = opened;
        let signals = Signals::new();
        let at_start = store.last();
        let fallback = StoredMembership::new(None, Membership::from(initial.clone()));
        let state_machine = StateMachine::new(
            store.clone(),
            if fresh { StoredMembership::default() } else { fallback },
            options.snapshots,
            signals.clone(),
            options.clock,
        );
        let config = Arc::new(config(options.election_timeout_ms, options.kept_entries)?);
        let raft = Raft::new(node, config, network, LogStore(store.clone()), state_machine);
        let raft: Node = raft.await.map_err(|e| QuorumError::Stopped(reason(&signals, &e)))?;
        let patience = cut_off_after(options.election_timeout_ms);
        let (leadership, tasks) =
            watch_leader::start(&raft, &signals, options.snapshots, options.clock, patience);
        let changer = Changer {
            node,
            raft: raft.clone(),
            leadership: leadership.clone(),
            peers: peers.clone(),
            changing: Arc::new(Mutex::new(())),
            moves: Arc::default(),
        };
        let mut quorum = Self {
            node,
            member: options.member.clone(),
            cluster_id: options.cluster_id.clone(),
            raft,
            store,
            signals,
            leadership,
            at_start,
            changer,
            desk: None,
            observers: Observers::default(),
            tasks: std::sync::Mutex::new(tasks),
        };
        match peers {
            Some(peers) => quorum.meet(peers, options, fresh, initial).await?,
            None => quorum.begin(fresh, initial).await?,
        }
        Ok(quorum)
    }

    /// Begins with others around.
    async fn meet(
        &mut self,
        peers: Arc<Peers>,
        options: Options,
        fresh: bool,
        initial: BTreeMap<NodeKey, Member>,
    ) -> Result<(), QuorumError> {
        let voted = self.store.election().is_some_and(|vote| vote.epoch > 0);
        // With an empty log nobody knows whether it had a vote before, but who is the whole of a new quorum.
        let alone = initial.len() == 1 && initial.contains_key(&self.node);
        let standings = Arc::new(Standings::open(self.store.clone(), fresh && !alone)?);
        let begins = standings.now() == Standing::Full;
        if standings.now() == Standing::CatchingUp {
            self.raft.runtime_config().elect(false);
        }
        let desk = Desk {
            node: self.node,
            raft: self.raft.clone(),
            store: self.store.clone(),
            peers: peers.clone(),
            standings: standings.clone(),
            changer: self.changer.clone(),
            member: options.member.clone(),
            inbox: Inbox::default(),
            signals: self.signals.clone(),
        };
        self.desk = Some(Arc::new(desk));
        let greeter = Greeter {
            node: self.node,
            member: options.member,
            raft: self.raft.clone(),
            store: self.store.clone(),
            peers,
            standings,
            changer: self.changer.clone(),
            leadership: self.leadership.clone(),
            initial: initial.clone(),
            voted,
            bootstrap: options.bootstrap,
            silence: cut_off_after(options.election_timeout_ms),
            auto_join: options.auto_join,
        };
        // In half a log there may be one voter only, which there was once.
        if begins {
            self.begin(fresh, initial).await?;
        }
        let task = simulated::spawn(greeter.run());
        self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
        Ok(())
    }

    /// Does what another member asks for, and gives what is to be sent back. A request that must not be heard, as one of
    /// another cluster, is answered, too.
    ///
    /// # Errors
    /// When this node was started without a transport.
    pub fn receive(
        &self,
        request: bytes::Bytes,
    ) -> BoxFuture<'_, Result<bytes::Bytes, QuorumError>> {
        Box::pin(async move {
            match &self.desk {
                Some(desk) => desk.receive(request).await,
                None => {
                    let why = "this node was started as the only member of its quorum";
                    Err(QuorumError::Stopped(why.to_owned()))
                }
            }
        })
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
        let (responder, mut answer) = ProgressResponder::complete_only();
        let leader = crate::types::CommittedLeaderId::new(epoch);
        self.raft
            .write(batch)
            .with_leader(leader)
            .responder(responder)
            .await
            .map_err(|e| fatal(&e))?;
        // A leader that has not heard of the others lately refuses what it is given, and soon after takes it again: the
        // next batch must not be handed over before this one has its place, or is known to have none.
        self.raft.with_raft_state(|_| ()).await.map_err(|e| fatal(&e))?;
        let early = (&mut answer).now_or_never();
        if let Some(Ok(Err(e))) = &early {
            return Err(refused(e));
        }
        Ok(Proposal(Box::pin(async move {
            let answered = match early {
                Some(answered) => answered,
                None => answer.await,
            };
            match answered {
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
        let closed = simulated::blocking(move || store.close()).await;
        closed.map_err(|e| stopped(&e))?
    }
}

/// What a node has on disk, and who it is by that.
struct OpenNode {
    options: Options,
    /// The node as the quorum knows it.
    key: NodeKey,
    store: Arc<Store>,
    /// The voters a new quorum begins with.
    initial: BTreeMap<NodeKey, Member>,
    /// Whether the log is empty.
    fresh: bool,
}

impl OpenNode {
    async fn open(mut options: Options) -> Result<Self, QuorumError> {
        let store_options = options.store();
        let opened = simulated::blocking(move || Store::open(store_options)).await;
        let Opened { store, formatted_voters } = opened.map_err(|e| stopped(&e))??;
        let configured = std::mem::take(&mut options.initial_voters);
        let voters = if formatted_voters.is_empty() { by_id(configured) } else { formatted_voters };
        let initial: BTreeMap<_, _> = voters.into_iter().map(|v| (v.key, v.member)).collect();
        // A quorum that knows its members by their node ids has them without directories.
        let (full, bare) = (options.node, NodeKey::new(options.node.id, Uuid::ZERO));
        let logged = store.membership();
        let is_bare = if store.is_empty() || logged.nodes().next().is_none() {
            initial.contains_key(&bare) && !initial.contains_key(&full)
        } else {
            logged.get_node(&bare).is_some() && logged.get_node(&full).is_none()
        };
        let key = if is_bare { bare } else { full };
        let fresh = store.is_empty();
        Ok(Self { options, key, store, initial, fresh })
    }
}

fn cut_off_after(election_timeout_ms: u64) -> Duration {
    Duration::from_millis(CUT_OFF_AFTER.saturating_mul(election_timeout_ms))
}

/// Several voters of which some directory is unknown are known by their node ids.
fn by_id(mut voters: Vec<Voter>) -> Vec<Voter> {
    if voters.len() > 1 && voters.iter().any(|v| v.key.directory == Uuid::ZERO) {
        voters.iter_mut().for_each(|v| v.key.directory = Uuid::ZERO);
    }
    voters
}

fn config(election_timeout_ms: u64, kept_entries: u64) -> Result<Config, QuorumError> {
    // A follower waits for the leader's lease, which is the longest timeout, and then for one of its own. The shortest
    // one bounds how long a vote may take, which has to be flushed on both sides.
    let tenth = (election_timeout_ms / 10).max(2);
    let config = Config {
        cluster_name: "ottla".to_owned(),
        election_timeout_min: tenth * 5,
        election_timeout_max: tenth * 6,
        heartbeat_interval: tenth,
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

    fn leader_hint(&self) -> Option<LeaderHint> {
        self.hint()
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
            let ms = |elapsed: Duration| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let heard = if own { Some(0) } else { heard.map(|at| ms(at.elapsed())) };
            let peers = self.changer.peers.as_ref();
            let caught_up = peers.and_then(|peers| peers.caught_up(key, metrics.vote));
            Replica {
                key,
                member: member.clone(),
                log_end_offset: if own {
                    Some(self.end_offset())
                } else {
                    matched.and_then(|id| self.store.offset_after(id))
                },
                last_heard_ms_ago: heard,
                caught_up_ms_ago: if own { Some(0) } else { caught_up.map(|at| ms(at.elapsed())) },
            }
        };
        let all = membership.nodes().map(|(key, member)| replica(*key, member));
        let (voters, mut observers) =
            all.partition::<Vec<Replica>, _>(|r: &Replica| voters.contains(&r.key));
        if self.leadership.borrow().leader == Some(self.node) {
            observers.extend(self.observers.list());
        } else {
            self.observers.forget_all();
        }
        Description {
            leadership: *self.leadership.borrow(),
            high_watermark: self.high_watermark(),
            voters,
            observers,
        }
    }

    fn change_voters(&self, change: VoterChange) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.changer.change(change, Asker::Operator))
    }

    fn resign(&self, to: Option<NodeKey>) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.changer.hand_over(to))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<PathBuf, QuorumError>> {
        Box::pin(self.write_snapshot())
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.stop())
    }
}
