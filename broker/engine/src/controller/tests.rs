//! The controller over a quorum whose proposals can be held up, refused and lost.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_metadata::{Image, features};
use ottla_quorum::network::Alone;
use ottla_quorum::{
    BoxFuture, Description, Member, NodeKey, Options, QuorumError, RaftQuorum, Updates, Voter,
    VoterChange,
};
use ottla_wire::Uuid;
use ottla_wire::api::allocate_producer_ids::AllocateProducerIdsRequest;
use ottla_wire::api::broker_heartbeat::BrokerHeartbeatRequest;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature};
use ottla_wire::api::unregister_broker::UnregisterBrokerRequest;
use ottla_wire::api::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_wire::schema::metadata::NoOpRecord;

use super::*;
use crate::channel::ControllerChannel;
use crate::dirs::{LogDir, LogDirs};
use crate::env::SystemClock;
use crate::lifecycle::{Lifecycle, Pace, Stage};

const PATIENCE: Duration = Duration::from_secs(20);
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// What happens to proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are on their way until it is another.
    Held,
    /// They are committed.
    Committed,
    /// They are lost, as when another leader cuts them off.
    Lost,
}

/// A quorum of one whose proposals can be held up between their place in line and their commit.
#[derive(Debug)]
struct Held {
    quorum: Arc<RaftQuorum>,
    fate: watch::Sender<Fate>,
    refuse_next: Mutex<bool>,
    proposed: watch::Sender<usize>,
    leadership: watch::Sender<Leadership>,
    /// The one before in line.
    last: Mutex<Option<oneshot::Receiver<()>>>,
    _dir: tempfile::TempDir,
}

impl Held {
    async fn start() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let node = NodeKey::new(1, Uuid::from_u128(77));
        let options = Options {
            initial_voters: vec![Voter { key: node, member: Member::default() }],
            ..Options::new(node, Arc::new(RealDisk), dir.path().to_owned(), || 1_800_000_000_000)
        };
        let quorum = Arc::new(RaftQuorum::start(options, Alone).await.unwrap());
        let mut leadership = quorum.leadership();
        let leader = leadership.wait_for(|l| l.role == Role::Leader);
        let now = *tokio::time::timeout(PATIENCE, leader).await.unwrap().unwrap();
        Arc::new(Self {
            quorum,
            fate: watch::Sender::new(Fate::Committed),
            refuse_next: Mutex::new(false),
            proposed: watch::Sender::new(0),
            leadership: watch::Sender::new(now),
            last: Mutex::new(None),
            _dir: dir,
        })
    }

    fn set(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }

    /// Holds up what is proposed from now on. Returns how many proposals there were before.
    fn hold(&self) -> usize {
        self.set(Fate::Held);
        *self.proposed.borrow()
    }

    /// Waits until nothing that was proposed is on its way.
    async fn settled(&self) {
        let last = self.last.lock().unwrap().take();
        if let Some(last) = last {
            // Its sender goes when it has ended.
            let _ = tokio::time::timeout(PATIENCE, last).await.expect("a proposal hangs");
        }
    }

    async fn wait_for(&self, proposed: usize) {
        let mut count = self.proposed.subscribe();
        let reached = count.wait_for(|count| *count >= proposed);
        tokio::time::timeout(PATIENCE, reached).await.expect("no proposal").unwrap();
    }
}

impl Quorum for Held {
    fn propose(
        &self,
        epoch: i32,
        version: MetadataVersion,
        records: Vec<MetadataRecord>,
    ) -> BoxFuture<'_, Result<Proposal, QuorumError>> {
        if std::mem::take(&mut *self.refuse_next.lock().unwrap()) {
            return Box::pin(async { Err(QuorumError::TooLarge { bytes: 2, limit: 1 }) });
        }
        let (done, next) = oneshot::channel();
        let before = self.last.lock().unwrap().replace(next);
        self.proposed.send_modify(|count| *count += 1);
        let (quorum, mut fate) = (Arc::clone(&self.quorum), self.fate.subscribe());
        let committed = tokio::spawn(async move {
            let _next_may_go = done;
            if let Some(before) = before {
                let _ = before.await;
            }
            let fate = *fate.wait_for(|fate| *fate != Fate::Held).await.unwrap();
            if fate == Fate::Lost {
                return Err(QuorumError::NotLeader { leader: None });
            }
            quorum.propose(epoch, version, records).await?.await
        });
        Box::pin(async { Ok(Proposal::new(async { committed.await.unwrap() })) })
    }

    fn updates(&self) -> Updates {
        self.quorum.updates()
    }

    fn caught_up(&self) -> BoxFuture<'_, Result<Image, QuorumError>> {
        self.quorum.caught_up()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    fn end_offset(&self) -> i64 {
        self.quorum.end_offset()
    }

    fn high_watermark(&self) -> i64 {
        self.quorum.high_watermark()
    }

    fn describe(&self) -> Description {
        self.quorum.describe()
    }

    fn change_voters(&self, change: VoterChange) -> BoxFuture<'_, Result<(), QuorumError>> {
        self.quorum.change_voters(change)
    }

    fn resign(&self, to: Option<NodeKey>) -> BoxFuture<'_, Result<(), QuorumError>> {
        self.quorum.resign(to)
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<PathBuf, QuorumError>> {
        self.quorum.snapshot()
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), QuorumError>> {
        self.quorum.shutdown()
    }
}

/// A controller with broker 1 registered, and that broker's epoch.
async fn start(quorum: &Arc<Held>) -> (ControllerHandle, i64) {
    start_with(quorum, Settings::default()).await
}

async fn start_with(quorum: &Arc<Held>, settings: Settings) -> (ControllerHandle, i64) {
    start_at(quorum, settings, MetadataVersion::LATEST).await
}

/// The same, of a cluster that begins with this version.
async fn start_at(
    quorum: &Arc<Held>,
    settings: Settings,
    version: MetadataVersion,
) -> (ControllerHandle, i64) {
    let settings = Settings { cluster_id: CLUSTER.into(), ..settings };
    let (_, settings) = watch::channel(settings);
    let none = std::collections::BTreeMap::new();
    let handle = ControllerHandle::start(ControllerStart {
        quorum: Arc::clone(quorum) as Arc<dyn Quorum>,
        clock: SystemClock::start(),
        settings,
        bootstrap: ottla_controller::bootstrap_records(version, &none).unwrap(),
    });
    let epoch = register(&handle, 1).await;
    (handle, epoch)
}

/// The registration of a broker.
fn request(id: i32) -> BrokerRegistrationRequest {
    let features = features::supported().into_iter().map(|(name, range)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: CLUSTER.into(),
        incarnation_id: Uuid::from_u128(1_000_000 + id as u128),
        features: features.collect(),
        log_dirs: vec![Uuid::from_u128(2_000_000 + id as u128)],
        ..BrokerRegistrationRequest::default()
    }
}

/// Registers a broker, as soon as the controller is active.
async fn register(controller: &ControllerHandle, id: i32) -> i64 {
    let request = request(id);
    let registered = async {
        loop {
            match controller.submit(Command::RegisterBroker(request.clone())).await {
                Ok(Reply::RegisterBroker(r)) if r.error_code.is_none() => return r.broker_epoch,
                Err(ErrorCode::NOT_CONTROLLER) => {}
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.expect("no active controller")
}

fn allocate(
    controller: &ControllerHandle,
    broker_epoch: i64,
) -> tokio::task::JoinHandle<Result<i64, ErrorCode>> {
    let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch };
    let asked = controller.submit(Command::AllocateProducerIds(request));
    tokio::spawn(async move {
        match asked.await? {
            Reply::AllocateProducerIds(r) => {
                assert!(r.error_code.is_none(), "{r:?}");
                Ok(r.producer_id_start)
            }
            other => panic!("{other:?}"),
        }
    })
}

async fn answer(asked: tokio::task::JoinHandle<Result<i64, ErrorCode>>) -> Result<i64, ErrorCode> {
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer").unwrap()
}

/// Asks until the controller is active.
async fn allocated(controller: &ControllerHandle, broker_epoch: i64) -> i64 {
    let found = async {
        loop {
            match allocate(controller, broker_epoch).await.unwrap() {
                Ok(first) => return first,
                Err(error) => assert_eq!(error, ErrorCode::NOT_CONTROLLER),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("no active controller")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_refused_proposal_nothing_is_decided_until_those_before_it_are_committed() {
    let quorum = Held::start().await;
    let (controller, epoch) = start(&quorum).await;
    let first = answer(allocate(&controller, epoch)).await.unwrap();

    let proposed = quorum.hold();
    let second = allocate(&controller, epoch);
    quorum.wait_for(proposed + 1).await;
    *quorum.refuse_next.lock().unwrap() = true;
    assert_eq!(answer(allocate(&controller, epoch)).await, Err(ErrorCode::NOT_CONTROLLER));
    // The published image lacks the second block: on it the same block would be given twice.
    assert_eq!(answer(allocate(&controller, epoch)).await, Err(ErrorCode::NOT_CONTROLLER));
    quorum.set(Fate::Committed);
    let second = answer(second).await.unwrap();
    let third = allocated(&controller, epoch).await;
    assert_eq!([second, third], [first + 1000, first + 2000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_leader_decided_and_did_not_commit_is_told_and_undone() {
    let quorum = Held::start().await;
    let (controller, epoch) = start(&quorum).await;
    let first = answer(allocate(&controller, epoch)).await.unwrap();

    let proposed = quorum.hold();
    let lost = [allocate(&controller, epoch), allocate(&controller, epoch)];
    quorum.wait_for(proposed + 2).await;
    let led = *quorum.leadership.borrow();
    quorum.leadership.send_replace(Leadership { role: Role::Follower, leader: None, ..led });
    // They are told before it is known what became of their requests.
    for asked in lost {
        assert_eq!(answer(asked).await, Err(ErrorCode::NOT_CONTROLLER));
    }
    assert_eq!(answer(allocate(&controller, epoch)).await, Err(ErrorCode::NOT_CONTROLLER));
    // Voted in again, and it is still not known.
    quorum.leadership.send_replace(led);
    assert_eq!(answer(allocate(&controller, epoch)).await, Err(ErrorCode::NOT_CONTROLLER));
    quorum.set(Fate::Lost);
    quorum.settled().await;
    quorum.set(Fate::Committed);
    assert_eq!(allocated(&controller, epoch).await, first + 1000, "from the committed state");
    assert_eq!(quorum.updates().image().next_producer_id(), first + 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_with_as_much_under_way_as_there_may_be_tells_all_who_wait() {
    let quorum = Held::start().await;
    let (controller, epoch) = start(&quorum).await;
    answer(allocate(&controller, epoch)).await.unwrap();
    let proposed = quorum.hold();
    // One is waited for, so many wait behind it, and for one more there is no place.
    let most = MOST_UNDERWAY + 2;
    let lost: Vec<_> = (0..most + 10).map(|_| allocate(&controller, epoch)).collect();
    quorum.wait_for(proposed + MOST_UNDERWAY).await;
    // A decision of the machine's own may have one of the places.
    let full = quorum.wait_for(proposed + most);
    let _ = tokio::time::timeout(Duration::from_millis(200), full).await;
    let led = *quorum.leadership.borrow();
    quorum.leadership.send_replace(Leadership { role: Role::Follower, leader: None, ..led });
    for asked in lost {
        assert_eq!(answer(asked).await, Err(ErrorCode::NOT_CONTROLLER));
    }
    quorum.set(Fate::Lost);
    quorum.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_learns_of_offsets_that_the_quorum_took_itself() {
    let quorum = Held::start().await;
    let (controller, epoch) = start(&quorum).await;
    // Past the machine, as a change of the voters is written.
    let leader = *quorum.leadership.borrow();
    let record = NoOpRecord::default().into();
    let own = quorum.quorum.propose(leader.epoch, MetadataVersion::LATEST, vec![record]).await;
    own.unwrap().await.unwrap();
    answer(allocate(&controller, epoch)).await.unwrap();
    let epoch = register(&controller, 2).await;
    assert_eq!(epoch, quorum.end_offset() - 1, "a broker epoch is where its record stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_no_controller_takes_gives_up_in_time() {
    let quorum = Held::start().await;
    let led = *quorum.leadership.borrow();
    let (controller, _) = start(&quorum).await;
    quorum.leadership.send_replace(Leadership { role: Role::Follower, leader: None, ..led });
    let short = Duration::from_millis(200);
    let pace = Pace { interval: short, registration: short };
    let channel = |id| {
        ControllerChannel::new(id, Some(controller.clone()), None, quorum.leadership.subscribe())
    };
    let live = |cluster_id: &str, id| {
        let registration =
            BrokerRegistrationRequest { cluster_id: cluster_id.into(), ..request(id) };
        let (_, applied) = watch::channel(-1);
        Lifecycle::start(channel(id), registration, pace, applied, LogDirs::new(Vec::new()))
    };
    let gives_up = async |life: Arc<Lifecycle>| {
        let mut stage = life.stage();
        let gave_up = stage.wait_for(|stage| *stage == Stage::GaveUp);
        tokio::time::timeout(PATIENCE, gave_up).await.expect("it goes on").unwrap();
        life.gave_up().expect("a reason")
    };
    let why = gives_up(live(CLUSTER, 2)).await;
    assert_eq!(why, "no controller answers, NOT_CONTROLLER");
    quorum.leadership.send_replace(led);
    let why = gives_up(live("another", 2)).await;
    assert_eq!(why, "the controller answers INCONSISTENT_CLUSTER_ID");
}

/// Empty log directories with these ids, below a folder.
fn directories(root: &Path, ids: &[Uuid]) -> LogDirs {
    let cache = FileCache::new(Arc::new(RealDisk), 10);
    let (failures, _) = tokio::sync::mpsc::unbounded_channel();
    let open = |id: &Uuid| {
        let files = Files::open(&root.join(id.to_string()), &cache).unwrap();
        LogDir::new(*id, Arc::new(files), failures.clone())
    };
    LogDirs::new(ids.iter().map(open).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_names_its_directories_as_soon_as_metadata_can_hold_them() {
    let quorum = Held::start().await;
    let old = MetadataVersion::from_level(16).unwrap();
    let (controller, _) = start_at(&quorum, Settings::default(), old).await;
    let root = tempfile::tempdir().unwrap();
    let ids = [Uuid::from_u128(0xD1), Uuid::from_u128(0xD2)];
    let dirs = directories(root.path(), &ids);
    let channel =
        ControllerChannel::new(2, Some(controller.clone()), None, quorum.leadership.subscribe());
    // It beats once, and not again unless it is woken.
    let pace = Pace { interval: PATIENCE * 10, registration: PATIENCE };
    let (_, applied) = watch::channel(-1);
    let life = Lifecycle::start(channel, request(2), pace, applied, dirs);
    life.registered().await;
    let registered = || quorum.updates().image().broker(2).unwrap().clone();
    life.follow(&quorum.updates().image(), 2);
    assert!(registered().log_dirs.is_empty());
    let feature_updates = vec![FeatureUpdateKey {
        feature: MetadataVersion::FEATURE.into(),
        max_version_level: MetadataVersion::LATEST.level(),
        upgrade_type: 1,
        ..FeatureUpdateKey::default()
    }];
    let raise = UpdateFeaturesRequest { feature_updates, ..UpdateFeaturesRequest::default() };
    let raised = controller.submit(Command::UpdateFeatures(raise)).await;
    assert!(
        matches!(&raised, Ok(Reply::UpdateFeatures(r)) if r.error_code.is_none()),
        "{raised:?}"
    );
    let before = registered();
    life.follow(&quorum.updates().image(), 2);
    let named = async {
        while registered().log_dirs != ids {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, named).await.expect("it is not registered again");
    let now = registered();
    assert_eq!((now.epoch, now.incarnation_id), (before.epoch, before.incarnation_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_hears_when_the_controller_was_told_of_a_directory_that_failed() {
    let quorum = Held::start().await;
    let (controller, _) = start(&quorum).await;
    let root = tempfile::tempdir().unwrap();
    let ids = [Uuid::from_u128(0xD1), Uuid::from_u128(0xD2)];
    let dirs = directories(root.path(), &ids);
    let channel =
        ControllerChannel::new(2, Some(controller.clone()), None, quorum.leadership.subscribe());
    let pace = Pace { interval: Duration::from_millis(20), registration: PATIENCE };
    let (_, applied) = watch::channel(-1);
    let life = Lifecycle::start(channel, request(2), pace, applied, dirs.clone());
    life.registered().await;
    let told = tokio::time::timeout(Duration::from_millis(100), life.told_offline(ids[0]));
    assert!(told.await.is_err(), "there is nothing to tell");
    // Nobody leads, and nobody hears of it.
    let led = *quorum.leadership.borrow();
    quorum.leadership.send_replace(Leadership { role: Role::Follower, leader: None, ..led });
    let source = std::io::Error::other("broken");
    let error = ottla_log::DiskError { op: "write", path: "x".into(), source };
    dirs.get(ids[0]).unwrap().fail(&error);
    let told = tokio::time::timeout(Duration::from_millis(200), life.told_offline(ids[0]));
    assert!(told.await.is_err(), "no controller can be told");
    quorum.leadership.send_replace(led);
    let told = tokio::time::timeout(PATIENCE, life.told_offline(ids[0]));
    told.await.expect("the controller is told as soon as there is one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_broker_is_fenced_also_while_commands_never_rest() {
    let quorum = Held::start().await;
    let brief = Settings { session_timeout_ms: 300, ..Settings::default() };
    let (controller, broker_epoch) = start_with(&quorum, brief).await;
    let beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: i64::MAX,
        ..BrokerHeartbeatRequest::default()
    };
    let is_fenced = || quorum.updates().image().broker(1).is_none_or(|broker| broker.fenced);
    controller.submit(Command::BrokerHeartbeat(beat)).await.unwrap();
    assert!(!is_fenced());
    let (stop, stopped) = watch::channel(false);
    let restless = (0..8).map(|_| {
        let (controller, stopped) = (controller.clone(), stopped.clone());
        tokio::spawn(async move {
            while !*stopped.borrow() {
                // Of a broker that is unknown: nothing is written.
                let ask = AllocateProducerIdsRequest { broker_id: 9, broker_epoch: 9 };
                controller.submit(Command::AllocateProducerIds(ask)).await.unwrap();
            }
        })
    });
    let restless: Vec<_> = restless.collect();
    let mut updates = quorum.updates();
    let fenced = async {
        while !is_fenced() {
            updates.next().await.unwrap();
        }
    };
    let fenced = tokio::time::timeout(PATIENCE, fenced).await;
    stop.send_replace(true);
    for task in restless {
        task.await.unwrap();
    }
    fenced.expect("nobody fences the broker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_whose_registration_is_void_gets_another() {
    let quorum = Held::start().await;
    let brief = Settings { session_timeout_ms: 300, ..Settings::default() };
    let (controller, _) = start_with(&quorum, brief).await;
    let pace = Pace { interval: Duration::from_millis(20), registration: PATIENCE };
    let channel =
        ControllerChannel::new(2, Some(controller.clone()), None, quorum.leadership.subscribe());
    let (_applied, known) = watch::channel(i64::MAX);
    let root = tempfile::tempdir().unwrap();
    let dirs = directories(root.path(), &[Uuid::from_u128(0xD1)]);
    let life = Lifecycle::start(channel, request(2), pace, known, dirs);
    let mut stage = life.stage();
    let mut serves = async |after| {
        let serves = stage.wait_for(|stage| *stage == Stage::Running && life.epoch() > after);
        tokio::time::timeout(PATIENCE, serves).await.expect("it is out of service").unwrap();
        life.epoch()
    };
    let first = serves(-1).await;
    let unregister = UnregisterBrokerRequest { broker_id: 2 };
    controller.submit(Command::UnregisterBroker(unregister)).await.unwrap();
    let second = serves(first).await;
    let known = quorum.updates().image().broker(2).map(|broker| broker.epoch);
    assert_eq!(known, Some(second));
}
