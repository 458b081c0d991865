//! A whole node: put together, started, and stopped in order.

mod descriptors;
mod directories;
mod listeners;
mod publishing;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, keys};
use ottla_controller::{Command, Settings as ControllerSettings};
use ottla_engine::{
    Assignments, ControllerHandle, ControllerStart, Core, FetchSessions, Groups, Lifecycle,
    LogDirs, Moves, Pace, Replicas, Stage, SystemClock,
};
use ottla_log::disk::Disk;
use ottla_log::disk::real::RealDisk;
use ottla_net::Net;
use ottla_quorum::directories::NodeDirectories;
use ottla_quorum::format::read_bootstrap;
use ottla_quorum::network::Alone;
use ottla_quorum::{NodeKey, Options, Quorum, QuorumError, RaftQuorum, Retention, SnapshotPolicy};
use ottla_replica::session::CacheSettings;
use ottla_wire::Uuid;
use tokio::sync::watch;
use tracing::{error, info};

use crate::context::Context;
use crate::http::Http;
use crate::telemetry::ClientTelemetry;

pub use listeners::Bound;

/// Threads of the runtime for the quorum, the controller and everything else that is not a client's
/// connection.
const CONTROL_THREADS: usize = 1;

/// How long a shutdown waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a shutdown waits for leave to stop.
const LEAVE: Duration = Duration::from_secs(30);

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
    net: Net,
    http: Option<Http>,
    quorum: Arc<RaftQuorum>,
    /// Ends the process when the quorum ends by itself.
    guard: tokio::task::JoinHandle<()>,
    lifecycle: Arc<Lifecycle>,
    publishing: publishing::Publishing,
    /// Where it answers.
    pub bound: Vec<Bound>,
}

impl Node {
    /// Starts a node on formatted directories. Returns when it serves.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn start(config: Arc<BrokerConfig>) -> Result<Self, StartError> {
        settings::check_supported(&config)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let found = directories::identify(&disk, &config)?;
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let core = Core::start(SystemClock::start())?;

        let quorum = {
            let options = quorum_options(&config, &found, &disk);
            Arc::new(control.block_on(RaftQuorum::start(options, Alone))?)
        };
        let metadata_dir = PathBuf::from(config.metadata_log_dir());
        let bootstrap = read_bootstrap(&*disk, &metadata_dir)?.unwrap_or_default();
        let (settings, current) =
            watch::channel(ControllerSettings::from_broker(&config, &found.cluster_id));
        let controller = {
            let _inside = control.enter();
            ControllerHandle::start(ControllerStart {
                quorum: quorum.clone(),
                clock: Arc::clone(core.clock()),
                settings: current,
                bootstrap,
            })
        };

        let files = descriptors::share();
        let (dirs, failures) = directories::open(&disk, &config, &found, files.logs)?;
        let replicas = Replicas::new();
        let groups = Groups::new(&config, Arc::clone(&core), control.handle().clone());
        let slots = config.get(keys::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
        let sessions = CacheSettings {
            slots: usize::try_from(slots).unwrap_or(0),
            ..CacheSettings::default()
        };
        let timeout = config.get(keys::INITIAL_BROKER_REGISTRATION_TIMEOUT_MS);
        let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or(0));
        let image = control.block_on(publishing::first_image(&*quorum, timeout))?;
        // Until here, the end of the quorum is the end of the start, which tells of it.
        let ended = quorum.ended();
        // A node without its quorum would go on with metadata that nobody can change, and look well.
        let guard = control.spawn(async move {
            error!("the metadata quorum ended, and with it the node: {}", ended.await);
            std::process::exit(1);
        });
        let (applied_sender, applied) = watch::channel(-1);
        let current = Arc::new(ArcSwap::new(Arc::clone(&config)));
        let assignments = Assignments::new();
        let moves = Moves::new(dirs.clone(), Arc::clone(&current), Arc::clone(&assignments));
        let context = Arc::new(Context {
            node_id: config.node_id(),
            cluster_id: found.cluster_id.clone(),
            initial: Arc::clone(&config),
            current,
            published: ArcSwap::from_pointee(image.clone()),
            core: Arc::clone(&core),
            replicas: Arc::clone(&replicas),
            dirs: dirs.clone(),
            moves,
            sessions: FetchSessions::new(sessions),
            groups: Arc::clone(&groups),
            controller: controller.clone(),
            quorum: quorum.clone(),
            control: control.handle().clone(),
            producer_ids: Default::default(),
            telemetry: ClientTelemetry::new(&config),
            applied: applied.clone(),
            lifecycle: std::sync::OnceLock::new(),
            long_answers: Default::default(),
            accepting: std::sync::atomic::AtomicBool::new(false),
        });

        let publishing = publishing::Publishing::start(publishing::Start {
            context: Arc::clone(&context),
            config: Arc::clone(&config),
            image,
            updates: quorum.updates(),
            failures,
            settings,
            applied: applied_sender,
            assignments: Arc::clone(&assignments),
        })?;
        let net = listeners::start(&config, files.connections)?;
        publishing.set_net(net.quota().clone(), files.connections);
        let (bound, held) = listeners::open(&net, &config, &context)?;
        let http = control.block_on(Http::open(&config, &context, files.http))?;
        register_controller(&control, &controller, &config, &bound);
        let lifecycle = {
            let _inside = control.enter();
            let registration = listeners::registration(&config, &found, &dirs, &bound);
            let interval = config.get(keys::BROKER_HEARTBEAT_INTERVAL_MS);
            let interval = Duration::from_millis(u64::try_from(interval).unwrap_or(2000));
            let pace = Pace { interval, registration: timeout };
            let handle = controller.clone();
            let life = Lifecycle::start(handle, registration, pace, applied, dirs.clone());
            tokio::spawn(assignments.run(config.node_id(), controller, Arc::clone(&life)));
            life
        };
        // Set once; nobody else sets it.
        let _ = context.lifecycle.set(Arc::clone(&lifecycle));
        let node =
            Self { context, control, net, http, quorum, guard, lifecycle, publishing, bound };
        if let Some(why) = node.wait_until_running() {
            let (id, ms) = (node.context.node_id, timeout.as_millis());
            node.stop();
            return Err(StartError::NotRegistered(format!(
                "broker {id} was not registered within \
                 initial.broker.registration.timeout.ms={ms}: {why}"
            )));
        }
        held.serve(&node.net, &node.context)?;
        Ok(node)
    }

    /// Whom handlers ask.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Where HTTP answers, if it does.
    #[must_use]
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.http.as_ref().map(Http::address)
    }

    /// Waits until metadata names this life of the broker. Before, it names the life before, or
    /// none, and clients that heard so would go astray. Returns why it never will, if so.
    fn wait_until_running(&self) -> Option<String> {
        let mut stage = self.lifecycle.stage();
        let running = async {
            let _ = stage.wait_for(|stage| *stage >= Stage::Running).await;
            if let Some(why) = self.lifecycle.gave_up() {
                return Some(why);
            }
            let (life, me) = (&self.lifecycle, self.context.node_id);
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
            self.lifecycle.stop(LEAVE).await;
            self.net.shutdown(DRAIN).await;
        });
        self.context.groups.shards().stop();
        self.context.moves.stop();
        let epoch = self.lifecycle.epoch();
        self.publishing.stop(epoch);
        if let Err(error) = self.control.block_on(self.quorum.shutdown()) {
            error!(%error, "the metadata log was not closed cleanly");
        }
        drop(self.http);
        self.control.shutdown_timeout(Duration::from_secs(1));
        info!("stopped");
    }
}

fn quorum_options(config: &BrokerConfig, found: &NodeDirectories, disk: &Arc<dyn Disk>) -> Options {
    let node = NodeKey::new(config.node_id(), found.metadata_directory);
    let metadata_dir = PathBuf::from(config.metadata_log_dir());
    let positive = |n: i64| u64::try_from(n).ok();
    Options {
        initial_voters: settings::voters(config, node),
        snapshots: SnapshotPolicy {
            max_bytes: positive(config.get(keys::METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS))
                .unwrap_or(u64::MAX),
            max_interval_ms: positive(config.get(keys::METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS))
                .unwrap_or(0),
        },
        retention: Retention {
            bytes: positive(config.get(keys::METADATA_MAX_RETENTION_BYTES)),
            ms: Some(config.get(keys::METADATA_MAX_RETENTION_MS)).filter(|ms| *ms >= 0),
        },
        segment_bytes: u32::try_from(config.get(keys::METADATA_LOG_SEGMENT_BYTES))
            .unwrap_or(u32::MAX),
        segment_ms: config.get(keys::METADATA_LOG_SEGMENT_MS),
        election_timeout_ms: u64::try_from(config.get(keys::CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS))
            .unwrap_or(1000),
        ..Options::new(node, Arc::clone(disk), metadata_dir, settings::wall_ms)
    }
}

fn register_controller(
    control: &tokio::runtime::Runtime,
    controller: &ControllerHandle,
    config: &BrokerConfig,
    bound: &[Bound],
) {
    let request = listeners::controller_registration(config, bound, random_uuid());
    let asked = controller.submit(Command::RegisterController(request));
    control.spawn(async move {
        if let Err(error) = asked.await {
            error!(%error, "the controller could not be registered");
        }
    });
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
