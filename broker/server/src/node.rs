//! A whole node: put together, started, and stopped in order.

mod descriptors;
mod directories;
mod listeners;
mod part;
mod publishing;
mod registering;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, keys};
use ottla_controller::Settings as ControllerSettings;
use ottla_engine::{
    Assignments, ControllerChannel, ControllerHandle, ControllerStart, Core, FetchSessions, Groups,
    Lifecycle, LogDirs, Moves, Pace, RemoteController, Replicas, Replication, ReplicationStart,
    Stage, SystemClock, Txns, keep_in_sync,
};
use ottla_log::disk::Disk;
use ottla_log::disk::real::RealDisk;
use ottla_net::Net;
use ottla_quorum::format::read_bootstrap;
use ottla_quorum::{Quorum, QuorumError, hand_over};
use ottla_replica::session::CacheSettings;
use ottla_wire::Uuid;
use ottla_wire::schema::principal::DefaultPrincipalData;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info};

use crate::context::Context;
use crate::http::Http;
use crate::loggers::Loggers;
use crate::peers::{Controllers, Links, Transactions, Ways, brokers};
use crate::telemetry::ClientTelemetry;
use crate::vigil;

pub use listeners::Bound;
pub(crate) use settings::ms;

/// Threads of the runtime for the quorum, the controller and everything else that is not a client's
/// connection.
const CONTROL_THREADS: usize = 1;

/// How long a shutdown waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a shutdown waits for leave to stop.
const LEAVE: Duration = Duration::from_secs(30);

/// How long a shutdown waits for another voter to lead the metadata quorum.
const SUCCESSION: Duration = Duration::from_secs(2);

/// The broker epoch before the first registration.
const NO_EPOCH: i64 = -1;

/// Why a node does not start. Each is one line that says what is wrong, and where it helps what to
/// do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directories are not this node's, or not formatted.
    #[error(transparent)]
    Directories(#[from] ottla_quorum::directories::DirectoryError),
    /// A log directory cannot be opened.
    #[error(transparent)]
    Log(#[from] ottla_log::LogError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ottla_net::ListenError),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The controller did not take the broker in time.
    #[error("{0}")]
    NotRegistered(String),
    /// The roles or voters are not what this version can run.
    #[error("{0}")]
    Unsupported(String),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    context: Arc<Context>,
    control: tokio::runtime::Runtime,
    net: Arc<Net>,
    http: Vec<Http>,
    quorum: Arc<dyn Quorum>,
    /// Ends the process when the quorum ends by itself.
    guard: tokio::task::JoinHandle<()>,
    /// None on a node that is no broker.
    lifecycle: Option<Arc<Lifecycle>>,
    replication: Arc<Replication>,
    publishing: publishing::Publishing,
    /// Where it answers.
    pub bound: Vec<Bound>,
}

impl Node {
    /// Starts a node on formatted directories. Returns when it serves.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn start(config: Arc<BrokerConfig>, loggers: Arc<Loggers>) -> Result<Self, StartError> {
        settings::check_supported(&config)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let found = directories::identify(&disk, &config)?;
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let core = Core::start(SystemClock::start())?;

        let files = descriptors::share();
        let net = Arc::new(listeners::start(&config, files.connections)?);
        let (bound, mut held) = listeners::bind(&config)?;
        let part = control.block_on(part::take(&config, &found, &disk, &bound))?;
        let quorum = part.quorum;
        let metadata_dir = PathBuf::from(config.metadata_log_dir());
        let bootstrap = read_bootstrap(&*disk, &metadata_dir)?.unwrap_or_default();
        let (settings, current) =
            watch::channel(ControllerSettings::from_broker(&config, &found.cluster_id));
        let local = part.raft.as_ref().map(|raft| {
            let _inside = control.enter();
            ControllerHandle::start(ControllerStart {
                quorum: raft.clone(),
                clock: Arc::clone(core.clock()),
                settings: current,
                bootstrap,
            })
        });
        let node_id = config.node_id();
        let controllers = {
            let patience = ms(config.get(keys::CONTROLLER_SOCKET_TIMEOUT_MS));
            let ways = Ways::new(&config, format!("broker-{node_id}-to-controller"), patience);
            Controllers::new(Links::new(ways), quorum.clone(), Arc::clone(&config))
        };
        let remote: Arc<dyn RemoteController> = controllers.clone();
        let controller = ControllerChannel::new(node_id, local, Some(remote), quorum.leadership());

        let (dirs, failures) = directories::open(&disk, &config, &found, files.logs)?;
        let replicas = Replicas::new();
        let groups = Groups::new(&config, Arc::clone(&core), control.handle().clone());
        // Markers are appended where clients' records are.
        let txns = Txns::new(&config, Arc::clone(&core), fetchers(&net));
        let slots = config.get(keys::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
        let sessions = CacheSettings {
            slots: usize::try_from(slots).unwrap_or(0),
            ..CacheSettings::default()
        };
        let timeout = config.get(keys::INITIAL_BROKER_REGISTRATION_TIMEOUT_MS);
        let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or(0));
        let (applied_sender, applied) = watch::channel(-1);
        let current = Arc::new(ArcSwap::new(Arc::clone(&config)));
        let assignments = Assignments::new();
        let moves = Moves::new(dirs.clone(), Arc::clone(&current), Arc::clone(&assignments));
        let context = Arc::new(Context {
            node_id,
            cluster_id: found.cluster_id.clone(),
            anonymous: Arc::new(DefaultPrincipalData::anonymous()),
            initial: Arc::clone(&config),
            current,
            published: ArcSwap::default(),
            core: Arc::clone(&core),
            replicas: Arc::clone(&replicas),
            dirs: dirs.clone(),
            moves,
            sessions: FetchSessions::new(sessions),
            groups: Arc::clone(&groups),
            txns,
            controller: controller.clone(),
            quorum: quorum.clone(),
            raft: part.raft,
            controllers,
            control: control.handle().clone(),
            producer_ids: Default::default(),
            loggers,
            telemetry: ClientTelemetry::new(&config),
            applied: applied.clone(),
            verifier: std::sync::OnceLock::new(),
            lifecycle: std::sync::OnceLock::new(),
            long_answers: Default::default(),
            accepting: std::sync::atomic::AtomicBool::new(false),
        });

        if config.roles().is_broker() {
            let transactions = Transactions::new(&context);
            context.txns.send_by(transactions.clone());
            // Set once; nobody else sets it.
            let _ = context.verifier.set(transactions);
        }
        let replication = Replication::new(ReplicationStart {
            me: node_id,
            core: Arc::clone(&core),
            config: Arc::clone(&context.current),
            peers: Arc::new(brokers::Replicas(brokers::Brokers::new(
                quorum.clone(),
                Arc::clone(&config),
            ))),
            broker_epoch: {
                let context = Arc::downgrade(&context);
                Arc::new(move || context.upgrade().map_or(NO_EPOCH, |c| c.broker_epoch()))
            },
            // Fetchers append as clients' connections do, and where they do.
            runtime: fetchers(&net),
        });
        // The other controllers must reach this one before there can be a leader.
        held.serve_controllers(&net, &context)?;
        let mut ended = part.ended;
        let image = control.block_on(async {
            tokio::select! {
                biased;
                // Nobody leads a node whose quorum has ended, and that is not what a person must mend.
                why = &mut ended => Err(StartError::NotRegistered(why)),
                image = publishing::first_image(&*quorum, timeout) => image,
            }
        })?;
        // Until here, the end of the quorum is the end of the start, which tells of it.
        // A node without its quorum would go on with metadata that nobody can change, and look well.
        let guard = control.spawn(async move {
            error!("the metadata quorum ended, and with it the node: {}", ended.await);
            std::process::exit(1);
        });
        let incarnation = random_uuid();
        let publishing = publishing::Publishing::start(publishing::Start {
            context: Arc::clone(&context),
            config: Arc::clone(&config),
            updates: quorum.updates().since(image.clone()),
            image,
            failures,
            settings,
            applied: applied_sender,
            assignments: Arc::clone(&assignments),
            replication: Arc::clone(&replication),
            incarnation: config.roles().is_broker().then_some(incarnation),
        })?;
        let http = control.block_on(Http::open(&config, &context, files.http))?;
        if config.roles().is_controller() {
            control.spawn(vigil::after_elections(Arc::clone(&context)));
            control.spawn(registering::register_controller(
                controller.clone(),
                listeners::controller_registration(&config, &bound, random_uuid()),
                applied.clone(),
            ));
        }
        let lifecycle = config.roles().is_broker().then(|| {
            let _inside = control.enter();
            let registration = listeners::registration(&config, &found, &dirs, &bound, incarnation);
            let interval = config.get(keys::BROKER_HEARTBEAT_INTERVAL_MS);
            let interval = Duration::from_millis(u64::try_from(interval).unwrap_or(2000));
            let pace = Pace { interval, registration: timeout };
            let channel = controller.clone();
            let life = Lifecycle::start(channel, registration, pace, applied, dirs.clone());
            tokio::spawn(assignments.run(node_id, controller.clone(), Arc::clone(&life)));
            tokio::spawn(keep_in_sync(core, node_id, controller, Arc::clone(&life)));
            // Set once; nobody else sets it.
            let _ = context.lifecycle.set(Arc::clone(&life));
            life
        });
        let node = Self {
            context,
            control,
            net,
            http,
            quorum,
            guard,
            lifecycle,
            replication,
            publishing,
            bound,
        };
        if let Some(why) = node.wait_until_running() {
            let (id, ms) = (node.context.node_id, timeout.as_millis());
            node.stop();
            return Err(StartError::NotRegistered(format!(
                "broker {id} was not registered within \
                 initial.broker.registration.timeout.ms={ms}: {why}"
            )));
        }
        held.serve_clients(&node.net, &node.context)?;
        node.publishing.set_net(&node.net, files.connections);
        Ok(node)
    }

    /// Whom handlers ask.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Where HTTP answers.
    pub fn http_addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> {
        self.http.iter().map(Http::address)
    }

    /// Waits until metadata names this life of the broker. Before, it names the life before, or
    /// none, and clients that heard so would go astray. Returns why it never will, if so.
    fn wait_until_running(&self) -> Option<String> {
        let life = self.lifecycle.as_ref()?;
        let mut stage = life.stage();
        let running = async {
            let _ = stage.wait_for(|stage| *stage >= Stage::Running).await;
            if let Some(why) = life.gave_up() {
                return Some(why);
            }
            let me = self.context.node_id;
            self.publishing.wait_for(|image| life.is_active_in(image, me)).await;
            None
        };
        self.control.block_on(running)
    }

    /// Stops in order: leadership goes, requests finish, logs are flushed and closed.
    pub fn stop(self) {
        info!("shutting down");
        self.context.accepting.store(false, Ordering::Release);
        self.guard.abort();
        self.control.block_on(async {
            let asks = self.context.initial.get(keys::CONTROLLED_SHUTDOWN_ENABLE);
            if let Some(life) = self.lifecycle.as_ref().filter(|_| asks) {
                life.stop(LEAVE).await;
            }
            // While this node is still there to be asked for its vote.
            if let Some(next) = hand_over(&*self.quorum, SUCCESSION).await {
                info!(leader = next.id, "handed the metadata quorum over");
            }
            self.replication.stop().await;
            self.net.shutdown(DRAIN).await;
        });
        self.context.groups.shards().stop();
        self.context.txns.stop();
        self.context.moves.stop();
        let epoch = self.context.broker_epoch();
        self.publishing.stop(epoch);
        if let Err(error) = self.control.block_on(self.quorum.shutdown()) {
            error!(%error, "the metadata log was not closed cleanly");
        }
        drop(self.http);
        self.control.shutdown_timeout(Duration::from_secs(1));
        info!("stopped");
    }
}

/// Where fetchers run: on the thread that has the listeners' own tasks not.
fn fetchers(net: &Net) -> Handle {
    match net.runtimes().workers() {
        [.., last] => last.handle.clone(),
        [] => Handle::current(),
    }
}

fn random_uuid() -> Uuid {
    ottla_quorum::format::random_uuid()
}

/// The directories of a node, for those who look at it from outside.
impl Node {
    /// Its log directories.
    #[must_use]
    pub fn dirs(&self) -> &LogDirs {
        &self.context.dirs
    }
}
