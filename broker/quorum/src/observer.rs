//! The metadata log on a node that is no member of the quorum: it pulls what is committed, keeps it on its disk in the
//! same formats, and has the same images.
//!
//! Only what the leader says is committed is ever written, so nothing is ever cut off again. A log that contradicts the
//! leader's belongs to another cluster, or one of the two lost what it had: the node ends, and says what to do.

mod follow;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_log::Log;
use ottla_metadata::{Image, MetadataVersion};
use ottla_wire::schema::metadata::MetadataRecord;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::QuorumError;
use crate::pull::{LeaderHint, Puller};
use crate::quorum::{BoxFuture, Description, Leadership, Proposal, Quorum, Replica, VoterChange};
use crate::raft_quorum::Options;
use crate::simulated;
use crate::state_machine::{Signals, StateMachine};
use crate::store::{Opened, Store};
use crate::types::StoredMembership;
use crate::updates::Updates;
use crate::voter::{Member, NodeKey};
use follow::Follower;

/// What others than the following task see and want.
#[derive(Debug)]
struct Shared {
    leadership: watch::Sender<Leadership>,
    hint: Mutex<Option<LeaderHint>>,
    caught_up: watch::Sender<bool>,
    /// Why the task ended.
    ended: watch::Sender<Option<String>>,
}

type SnapshotWish = oneshot::Sender<Result<PathBuf, QuorumError>>;

/// Most wishes for a snapshot that wait.
const MAX_WISHES: usize = 16;

/// A node that follows the quorum without being a member.
pub struct ObserverQuorum {
    node: NodeKey,
    store: Arc<Store>,
    signals: Arc<Signals>,
    shared: Arc<Shared>,
    wishes: mpsc::Sender<SnapshotWish>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for ObserverQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserverQuorum").field("node", &self.node).finish_non_exhaustive()
    }
}

impl ObserverQuorum {
    /// Opens what is on disk, and begins to follow. Its first image is what was on disk; wait for
    /// [`Quorum::caught_up`] before serving from it.
    ///
    /// # Errors
    /// When the disk fails or holds what cannot be true.
    pub async fn start(options: Options, puller: Arc<dyn Puller>) -> Result<Self, QuorumError> {
        let node = options.node;
        let store_options = options.store();
        let opened = simulated::blocking(move || Store::open(store_options)).await;
        let Opened { store, .. } = opened.map_err(|e| QuorumError::Stopped(e.to_string()))??;
        let signals = Signals::new();
        let shared = Arc::new(Shared {
            leadership: watch::channel(Leadership::default()).0,
            hint: Mutex::new(None),
            caught_up: watch::channel(false).0,
            ended: watch::channel(None).0,
        });
        let state_machine = StateMachine::new(
            store.clone(),
            StoredMembership::default(),
            options.snapshots,
            signals.clone(),
            options.clock,
        );
        let (wishes, wished) = mpsc::channel(MAX_WISHES);
        let (stop, stopped) = watch::channel(false);
        let mut follower = Follower::new(
            options,
            store.clone(),
            signals.clone(),
            shared.clone(),
            state_machine,
            puller,
        );
        follower.replay().await?;
        let task = simulated::spawn(follower.run(wished, stopped));
        let task = Mutex::new(Some(task));
        Ok(Self { node, store, signals, shared, wishes, stop, task })
    }

    /// Resolves when this node follows no more, because its disk failed, its log contradicts the leader's or it was shut
    /// down, with the reason.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        let mut ended = self.shared.ended.subscribe();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(why) => why.clone().unwrap_or_default(),
                Err(_) => "it was dropped".to_owned(),
            }
        }
    }

    /// The metadata log.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        self.store.log()
    }

    fn not_leader(&self) -> QuorumError {
        QuorumError::NotLeader { leader: self.shared.leadership.borrow().leader }
    }

    async fn stop(&self) -> Result<(), QuorumError> {
        self.stop.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.await.map_err(|e| QuorumError::Stopped(e.to_string()))?;
        }
        let store = self.store.clone();
        let closed = simulated::blocking(move || store.close()).await;
        closed.map_err(|e| QuorumError::Stopped(e.to_string()))?
    }
}

impl Quorum for ObserverQuorum {
    fn propose(
        &self,
        _: i32,
        _: MetadataVersion,
        _: Vec<MetadataRecord>,
    ) -> BoxFuture<'_, Result<Proposal, QuorumError>> {
        Box::pin(async { Err(self.not_leader()) })
    }

    fn updates(&self) -> Updates {
        self.signals.publisher.subscribe()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    fn leader_hint(&self) -> Option<LeaderHint> {
        self.shared.hint.lock().clone()
    }

    fn end_offset(&self) -> i64 {
        self.store.log().end_offset()
    }

    fn high_watermark(&self) -> i64 {
        self.store.log().high_watermark()
    }

    fn describe(&self) -> Description {
        let membership = self.signals.membership.borrow().clone();
        let replica = |key: NodeKey, member: &Member, end: Option<i64>| Replica {
            key,
            member: member.clone(),
            log_end_offset: end,
            last_heard_ms_ago: None,
            caught_up_ms_ago: None,
        };
        let voters: Vec<_> = membership.voter_ids().collect();
        let all = membership.nodes().map(|(key, member)| replica(*key, member, None));
        let (voters, mut observers) =
            all.partition::<Vec<Replica>, _>(|r: &Replica| voters.contains(&r.key));
        observers.push(replica(self.node, &Member::default(), Some(self.end_offset())));
        Description {
            leadership: *self.shared.leadership.borrow(),
            high_watermark: self.high_watermark(),
            voters,
            observers,
        }
    }

    fn change_voters(&self, _: VoterChange) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(async { Err(self.not_leader()) })
    }

    fn resign(&self, _: Option<NodeKey>) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(async { Err(self.not_leader()) })
    }

    fn caught_up(&self) -> BoxFuture<'_, Result<Image, QuorumError>> {
        Box::pin(async {
            let mut caught_up = self.shared.caught_up.subscribe();
            let done = async { caught_up.wait_for(|done| *done).await.map(|_| ()) };
            tokio::select! {
                done = done => done.map_err(|e| QuorumError::Stopped(e.to_string()))?,
                why = self.ended() => return Err(QuorumError::Stopped(why)),
            }
            Ok(self.updates().image())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<PathBuf, QuorumError>> {
        Box::pin(async {
            let (done, answer) = oneshot::channel();
            let ended = || QuorumError::Stopped("the node follows the quorum no more".to_owned());
            self.wishes.send(done).await.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), QuorumError>> {
        Box::pin(self.stop())
    }
}
