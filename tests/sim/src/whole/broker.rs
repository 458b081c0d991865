//! A whole broker: the real engine over what is committed, with its life in the cluster, its logs, and the others that it
//! follows. What a server's node joins is joined here in the same way.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_coordinator::{Command, Context, Reply, Request};
use ottla_engine::{
    Ack, AppendHow, Assignments, ControllerChannel, ControllerHandle, Core, FetchSessions, Groups,
    Lifecycle, LogDir, LogDirs, OFFSETS_TOPIC, Pace, PartitionId, Publisher, RemoteController,
    Replicas, Replication, ReplicationStart, keep_in_sync,
};
use ottla_log::LogError;
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::Disk;
use ottla_metadata::{Image, features};
use ottla_quorum::simulated::{self, Life};
use ottla_quorum::{Clock, ObserverQuorum, Options, Quorum, RaftQuorum, Updates};
use ottla_replica::Acks;
use ottla_replica::session::CacheSettings;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature, Listener};
use ottla_wire::{ErrorCode, Uuid};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::carriers::Carrier;
use super::clock::{self, Clocks};
use super::controller;
use super::host::{LOGS, Part};
use super::plan::Kind;
use super::wires::Plug;
use crate::shard::VERSION;
use crate::{CLUSTER, records};

/// Files that a broker's logs have open at most.
const OPEN_FILES: usize = 40;

/// How often checkpoints are written.
const CHECKPOINTS: Duration = Duration::from_millis(1_500);

/// How many files of removed segments go at a time.
const MOST_PURGED: usize = 100;

/// How long a broker that stops waits for leave.
const LEAVE: Duration = Duration::from_secs(4);

/// How often a broker beats, and for how long it tries to be registered the first time.
const PACE: Pace =
    Pace { interval: Duration::from_millis(300), registration: Duration::from_secs(3_600) };

/// The broker epoch before the first registration.
const NO_EPOCH: i64 = -1;

/// A broker.
#[derive(Debug)]
pub struct Broker {
    /// Its part in the quorum.
    pub seat: Seat,
    /// The way to the active controller.
    pub channel: ControllerChannel,
    id: i32,
    engine: OnceLock<Arc<Engine>>,
}

/// What a broker is to the quorum.
#[derive(Clone, Debug)]
pub enum Seat {
    /// It pulls what is committed.
    Beside(Arc<ObserverQuorum>),
    /// A controller runs in the same process.
    Among(Arc<RaftQuorum>, ControllerHandle),
}

impl Seat {
    /// What the broker sees of the quorum.
    pub fn quorum(&self) -> Arc<dyn Quorum> {
        match self {
            Self::Beside(quorum) => quorum.clone(),
            Self::Among(quorum, _) => quorum.clone(),
        }
    }
}

/// What serves on a broker that has opened its logs.
#[derive(Debug)]
pub struct Engine {
    /// Clock and timers.
    pub core: Arc<Core>,
    /// Its partitions.
    pub replicas: Arc<Replicas>,
    /// What followers asked for.
    pub sessions: FetchSessions,
    /// Its life in the cluster.
    pub life: Arc<Lifecycle>,
    /// Whom it follows.
    pub replication: Arc<Replication>,
    groups: Arc<Groups>,
    files: Arc<Files>,
    image: Mutex<Image>,
    stop: watch::Sender<bool>,
}

/// What a broker is started with.
#[derive(Debug)]
pub struct Start {
    /// Of its quorum.
    pub options: Options,
    /// Its end of the wires.
    pub plug: Arc<Plug>,
    /// Its settings.
    pub config: Arc<BrokerConfig>,
    /// The life that it lives.
    pub life: Life,
    /// What it is.
    pub kind: Kind,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Broker {
    /// Starts a broker on the tasks of the life that runs now: it pulls when this returns, and serves later.
    ///
    /// # Errors
    /// When what is on its disk cannot be read.
    pub async fn start(start: Start) -> Result<Part, String> {
        let Start { options, plug, config, life, kind } = start;
        let (id, disk) = (plug.id, options.disk.clone());
        let directory = options.node.directory;
        let (seat, local) = if kind.is_member() {
            let quorum = Arc::new(RaftQuorum::join(options, plug.clone()).await.map_err(text)?);
            let controller = controller::start(id, &quorum, &config)?;
            (Seat::Among(quorum, controller.clone()), Some(controller))
        } else {
            let quorum = ObserverQuorum::start(options, plug.clone()).await.map_err(text)?;
            (Seat::Beside(Arc::new(quorum)), None)
        };
        let remote: Arc<dyn RemoteController> = Arc::new(Carrier(plug.clone()));
        let leadership = seat.quorum().leadership();
        let channel = ControllerChannel::new(id, local, Some(remote), leadership);
        let broker = Arc::new(Self { seat, channel, id, engine: OnceLock::new() });
        let this = broker.clone();
        simulated::spawn(async move {
            if let Err(why) = this.serve(&plug, config, (disk, directory)).await {
                plug.wires.fail(id, life, why);
            }
        });
        Ok(Part::Broker(broker))
    }

    /// Stops in order: others lead, nothing is fetched any more, and the logs are closed.
    ///
    /// # Errors
    /// When the logs cannot be closed.
    pub async fn stop(&self) -> Result<(), String> {
        let Some(engine) = self.engine() else { return Ok(()) };
        engine.life.stop(LEAVE).await;
        engine.replication.stop().await;
        engine.groups.shards().stop();
        engine.stop.send_replace(true);
        simulated::disk().await;
        let now = engine.core.clock().wall_ms();
        engine.files.close(engine.life.epoch(), now).map_err(text)
    }

    /// What serves, once it does.
    #[must_use]
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().cloned()
    }

    /// The first image to open logs by, and all that follow: one with everything that was committed before.
    async fn first_image(&self) -> Result<(Image, Updates), String> {
        let quorum = self.seat.quorum();
        let mut image = quorum.caught_up().await.map_err(text)?;
        let mut updates = quorum.updates();
        while image.features().recorded_version().is_none() {
            image = updates.next().await.map_err(text)?.image;
        }
        Ok((image, updates))
    }

    /// Opens the logs, and does as the metadata say, until it is stopped.
    async fn serve(
        &self,
        plug: &Arc<Plug>,
        config: Arc<BrokerConfig>,
        (disk, directory): (Arc<dyn Disk>, Uuid),
    ) -> Result<(), String> {
        let (image, mut updates) = self.first_image().await?;
        simulated::disk().await;
        let (send, mut failures) = mpsc::unbounded_channel();
        let cache = FileCache::new(disk, OPEN_FILES);
        let files = Arc::new(Files::open(Path::new(LOGS), &cache).map_err(text)?);
        let dir = LogDir::new(directory, files.clone(), send);
        let dirs = LogDirs::new(vec![dir.clone()]);
        let core = Core::start(Arc::new(Clocks(self.id))).map_err(text)?;
        let replicas = Replicas::new();
        let known: Arc<OnceLock<Arc<Lifecycle>>> = Arc::default();
        let replication = Replication::new(ReplicationStart {
            me: self.id,
            core: core.clone(),
            config: Arc::new(ArcSwap::new(config.clone())),
            peers: Arc::new(Carrier(plug.clone())),
            broker_epoch: {
                let known = known.clone();
                Arc::new(move || known.get().map_or(NO_EPOCH, |life| life.epoch()))
            },
            runtime: Handle::current(),
        });
        let groups = Groups::new(&config, core.clone(), Handle::current());
        let assignments = Assignments::new();
        let mut publisher = Publisher::new(core.clone(), replicas.clone(), dirs.clone(), config);
        publisher.listen(groups.clone());
        publisher.assign_with(assignments.clone());
        publisher.replicate_with(replication.clone());
        let incarnation = [simulated::chance(), simulated::chance()];
        let incarnation = incarnation.map(u128::from);
        let incarnation = Uuid::from_u128((incarnation[0] << 64) | incarnation[1]);
        publisher.await_registration(incarnation);
        publisher.load(image.clone());

        let (applied, follows) = watch::channel(image.provenance().offset);
        let mut registration = registration(self.id, incarnation);
        registration.previous_broker_epoch = files.previous_broker_epoch().unwrap_or(NO_EPOCH);
        let (stop, mut stopped) = watch::channel(false);
        let life = Lifecycle::start(self.channel.clone(), registration, PACE, follows, dirs);
        // Set once, here.
        let _ = known.set(life.clone());
        simulated::spawn(assignments.run(self.id, self.channel.clone(), life.clone()));
        simulated::spawn(keep_in_sync(core.clone(), self.id, self.channel.clone(), life.clone()));
        let house = House { files: files.clone(), dir, replicas: replicas.clone() };
        simulated::spawn(house.keep(clock::of(self.id), stopped.clone()));
        let engine = Arc::new(Engine {
            core,
            replicas,
            sessions: FetchSessions::new(CacheSettings::default()),
            life,
            replication,
            groups,
            files,
            image: Mutex::new(image),
            stop,
        });
        plug.wires.say(format_args!("{} serves", self.id));
        // Set once, here.
        let _ = self.engine.set(engine.clone());
        loop {
            let update = tokio::select! {
                update = updates.next() => update.map_err(text)?,
                _ = failures.recv() => return Err("its log directory failed".to_owned()),
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            };
            // It is done on a thread of its own, whose turn comes sooner or later.
            simulated::disk().await;
            let offset = update.image.provenance().offset;
            publisher.publish(update.image.clone(), &update.delta);
            *engine.image.lock().unwrap_or_else(PoisonError::into_inner) = update.image;
            applied.send_replace(offset);
        }
    }
}

/// What is kept in order from time to time, as the housekeeping of a node does.
struct House {
    files: Arc<Files>,
    dir: Arc<LogDir>,
    replicas: Arc<Replicas>,
}

impl House {
    /// Writes what a log that is opened again goes by, and removes whole segments that nobody wants any more.
    async fn keep(self, clock: Clock, stopped: watch::Receiver<bool>) {
        loop {
            tokio::time::sleep(CHECKPOINTS).await;
            simulated::disk().await;
            if *stopped.borrow() {
                return;
            }
            // Who fails at it with a disk that lives is noticed by what it lacks.
            let _ = self.files.write_checkpoints();
            for partition in self.replicas.all() {
                if let Err(LogError::Disk(e)) = partition.log().delete_old_segments(clock()) {
                    self.dir.fail(&e);
                }
            }
            let _ = self.files.graveyard().purge(clock(), MOST_PURGED);
        }
    }
}

fn registration(id: i32, incarnation: Uuid) -> BrokerRegistrationRequest {
    let features = features::supported().into_iter().map(|(name, range)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: CLUSTER.into(),
        incarnation_id: incarnation,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "h".into(),
            port: u16::try_from(id).unwrap_or_default(),
            security_protocol: 0,
        }],
        features: features.collect(),
        ..BrokerRegistrationRequest::default()
    }
}

impl Engine {
    /// The metadata that it goes by.
    #[must_use]
    pub fn image(&self) -> Image {
        self.image.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings a request to the coordinator of a group. Gives the epoch that it decides in with what it says.
    ///
    /// # Errors
    /// When it is not here, or ends.
    pub async fn coordinate(
        &self,
        group: &str,
        request: Request,
    ) -> Result<(i32, Reply), ErrorCode> {
        let partitions = self.image().topic_named(OFFSETS_TOPIC).map_or(0, |t| t.partitions.len());
        let partitions = i32::try_from(partitions).unwrap_or_default();
        let shard = self.groups.of(group, partitions)?;
        let context = Context { version: VERSION, ..Context::default() };
        let reply = shard.submit(Command { context, request }).await?;
        Ok((shard.epoch(), reply))
    }

    /// Appends a producer's batch, and waits until all in sync have it.
    ///
    /// # Errors
    /// What the producer is to be told.
    pub async fn produce(&self, id: PartitionId, batch: bytes::Bytes) -> Result<i64, ErrorCode> {
        let partition = self.replicas.get(id).map_err(|e| e.code())?;
        let batch = records::split(&batch).ok_or(ErrorCode::CORRUPT_MESSAGE)?;
        let appended = partition.append(&[batch], AppendHow::client(Acks::All));
        let appended = appended.map_err(|e| e.code())?;
        if let Ack::Wait(wait) = appended.ack {
            wait.await?;
        }
        Ok(appended.first_offset)
    }
}
