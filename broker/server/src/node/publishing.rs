//! The thread that turns committed metadata into logs, roles and settings.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc as sync_mpsc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use ottla_config::{BrokerConfig, DynamicLayers, keys};
use ottla_controller::Settings as ControllerSettings;
use ottla_engine::{Assignments, Housekeeping, LogDirs, Publisher, Replication};
use ottla_metadata::{ConfigResource, Delta, Image, MetadataVersion, ResourceType};
use ottla_net::Net;
use ottla_quorum::{Quorum, QuorumError, Updates};
use ottla_wire::Uuid;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::{StartError, listeners, ms, settings};
use crate::context::Context;

/// The name under which settings of all brokers are kept.
const ALL_BROKERS: &str = "";

/// How long a start waits for something without a word.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// In the place of a leader's id where none is known.
const NOBODY: i32 = -1;

/// What the thread is started with.
pub(super) struct Start {
    pub(super) context: Arc<Context>,
    pub(super) config: Arc<BrokerConfig>,
    pub(super) image: Image,
    pub(super) updates: Updates,
    pub(super) failures: mpsc::UnboundedReceiver<Uuid>,
    pub(super) settings: watch::Sender<ControllerSettings>,
    pub(super) applied: watch::Sender<i64>,
    pub(super) assignments: Arc<Assignments>,
    pub(super) replication: Arc<Replication>,
    /// The life of the broker that is about to be registered; none on a node that is no broker.
    pub(super) incarnation: Option<Uuid>,
}

/// The network, whose limits and listeners change at run time.
#[derive(Debug)]
struct Network {
    net: Weak<Net>,
    /// The process has file descriptors for so many connections.
    connections: u32,
    /// The configuration that it follows now.
    config: Arc<BrokerConfig>,
}

impl Network {
    fn follow(&mut self, config: &Arc<BrokerConfig>, context: &Arc<Context>) {
        let Some(net) = self.net.upgrade() else { return };
        net.quota().set(settings::quota(config, self.connections));
        listeners::follow(&net, context, &self.config, config);
        self.config = Arc::clone(config);
    }
}

/// The publishing thread, and what others see of it.
#[derive(Debug)]
pub(super) struct Publishing {
    context: Arc<Context>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Option<Housekeeping>>,
    network: Arc<Mutex<Option<Network>>>,
}

/// The first image that can be served from: one with a metadata version, and with everything that
/// was committed before this node started. Waits no longer than `patience` until a leader is known.
pub(super) async fn first_image(
    quorum: &dyn Quorum,
    patience: Duration,
) -> Result<Image, StartError> {
    let mut leadership = quorum.leadership();
    let led = leadership.wait_for(|now| now.leader.is_some());
    if tokio::time::timeout(patience, led).await.is_err() {
        let ms = patience.as_millis();
        return Err(StartError::NotRegistered(format!(
            "no leader of the metadata quorum was found within \
             initial.broker.registration.timeout.ms={ms}"
        )));
    }
    let what = "all metadata that was committed before this node started";
    let mut image = telling(quorum, what, quorum.caught_up()).await?;
    let mut updates = quorum.updates();
    while image.features().recorded_version().is_none() {
        let ended = |_| QuorumError::Stopped("it ended before it had begun".to_owned());
        let what = "the active controller to write the first metadata.version";
        image = telling(quorum, what, updates.next()).await.map_err(ended)?.image;
    }
    Ok(image)
}

/// Waits for what takes as long as it takes, such as to read a long log, and says now and then what is waited for: a
/// start that hangs without a word looks like one that is slow.
async fn telling<T>(quorum: &dyn Quorum, what: &str, done: impl Future<Output = T>) -> T {
    tokio::pin!(done);
    loop {
        if let Ok(done) = tokio::time::timeout(TELL_AFTER, &mut done).await {
            return done;
        }
        let has = quorum.updates().image().provenance().offset + 1;
        let leader = quorum.leadership().borrow().leader.map_or(NOBODY, |leader| leader.id);
        let end = quorum.end_offset();
        info!(has, end, leader, "the start waits for {what}");
    }
}

impl Publishing {
    /// Opens the logs by the first image, and goes on publishing. Returns when the logs are open.
    pub(super) fn start(start: Start) -> Result<Self, StartError> {
        let (stop, stopped) = watch::channel(false);
        let (opened, is_open) = sync_mpsc::channel();
        let network: Arc<Mutex<Option<Network>>> = Arc::default();
        let context = Arc::clone(&start.context);
        let theirs = Arc::clone(&network);
        let thread = std::thread::Builder::new().name("publish".into()).spawn(move || {
            let _fatal = Fatal;
            let runtime = start.context.control.clone();
            // The starter waits for what is sent.
            match Work::load(start, theirs) {
                Ok(mut work) => {
                    let _ = opened.send(Ok(()));
                    runtime.block_on(work.run(stopped));
                    work.housekeeping
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                    None
                }
            }
        })?;
        // An end without a word is a panic, which the log tells of.
        is_open.recv().map_err(std::io::Error::other)??;
        Ok(Self { context, stop, thread, network })
    }

    /// Lets limits and listeners that change at run time reach the network, which was started by the
    /// node's file, and now has what was changed since in earlier lives of the node.
    /// The process has file descriptors for so many connections.
    pub(super) fn set_net(&self, net: &Arc<Net>, connections: u32) {
        let config = Arc::clone(&self.context.initial);
        let mut network = Network { net: Arc::downgrade(net), connections, config };
        let mut place = self.network.lock();
        network.follow(&self.context.current.load_full(), &self.context);
        *place = Some(network);
    }

    /// Waits until the published image is as asked.
    pub(super) async fn wait_for(&self, holds: impl Fn(&Image) -> bool) {
        let mut applied = self.context.applied.clone();
        while !holds(&self.context.image()) {
            if applied.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends the thread, then flushes and closes the logs and leaves the mark of a clean stop.
    pub(super) fn stop(self, broker_epoch: i64) {
        self.stop.send_replace(true);
        match self.thread.join() {
            Ok(Some(housekeeping)) => housekeeping.shut_down(broker_epoch),
            Ok(None) => {}
            Err(_) => warn!("the publishing thread had panicked"),
        }
    }
}

/// Ends the process when the thread panics: a node that takes in nothing more looks well, and
/// serves from metadata that is not so.
struct Fatal;

impl Drop for Fatal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("the publishing thread panicked, and with it the node ends");
            std::process::exit(1);
        }
    }
}

struct Work {
    context: Arc<Context>,
    config: Arc<BrokerConfig>,
    publisher: Publisher,
    updates: Updates,
    failures: mpsc::UnboundedReceiver<Uuid>,
    settings: watch::Sender<ControllerSettings>,
    applied: watch::Sender<i64>,
    network: Arc<Mutex<Option<Network>>>,
    housekeeping: Option<Housekeeping>,
}

impl Work {
    fn load(start: Start, network: Arc<Mutex<Option<Network>>>) -> std::io::Result<Self> {
        let Start {
            context,
            config,
            image,
            updates,
            failures,
            settings,
            applied,
            assignments,
            replication,
            incarnation,
        } = start;
        let config = under(&config, &image);
        context.current.store(Arc::clone(&config));
        context.groups.configure(&config);
        context.txns.configure(&config, &image);
        context.groups.load(image.clone());
        settings.send_replace(ControllerSettings::from_broker(&config, &context.cluster_id));
        let (core, replicas) = (Arc::clone(&context.core), Arc::clone(&context.replicas));
        let mut publisher =
            Publisher::new(core, replicas, context.dirs.clone(), Arc::clone(&config));
        publisher.listen(context.groups.clone());
        publisher.listen(context.txns.clone());
        publisher.assign_with(assignments);
        publisher.replicate_with(replication);
        if let Some(incarnation) = incarnation {
            publisher.await_registration(incarnation);
        }
        context.dirs.set_cordoned(cordoned(&config, &context.dirs));
        publisher.load(image.clone());
        let every = image.config_resources().map(|(resource, _)| resource);
        context.telemetry.configure(&image, every);
        context.moves.resume(&context.replicas);
        let housekeeping = Housekeeping::start(
            Arc::clone(&context.core),
            Arc::clone(&context.replicas),
            context.dirs.clone(),
            Arc::clone(&context.current),
        )?;
        let mut work = Self {
            context,
            config,
            publisher,
            updates,
            failures,
            settings,
            applied,
            network,
            housekeeping: Some(housekeeping),
        };
        work.announce(image);
        Ok(work)
    }

    async fn run(&mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                update = self.updates.next() => match update {
                    Ok(update) => self.publish(update.image, &update.delta),
                    Err(_) => return,
                },
                Some(dir) = self.failures.recv() => self.fail(dir),
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn publish(&mut self, image: Image, delta: &Delta) {
        let of_brokers = |r: &&ConfigResource| r.kind == ResourceType::Broker;
        if delta.configs.iter().any(|r| of_brokers(&r)) {
            self.reconfigure(&image);
        }
        // Before this node leads what was made since: it decides by it.
        self.context.txns.configure(&self.config, &image);
        let published = self.publisher.publish(image.clone(), delta);
        if published.created + published.removed > 0 {
            info!(created = published.created, removed = published.removed, "logs changed");
        }
        self.context.telemetry.configure(&image, delta.configs.iter());
        self.context.groups.publish(&image, delta);
        let me = self.context.node_id;
        if delta.brokers.contains(&me) || delta.features.contains(MetadataVersion::FEATURE) {
            self.context.lifecycle.get().into_iter().for_each(|life| life.follow(&image, me));
        }
        let offset = image.provenance().offset;
        self.context.published.store(Arc::new(image));
        // Only now is every commit that comes refused: what an earlier one left is forgotten here,
        // or by whoever brought it. Whoever waits for this image finds it done.
        self.context.offsets_gone(delta);
        self.context.txns.follow_leaders();
        self.applied.send_replace(offset);
    }

    fn announce(&mut self, image: Image) {
        let offset = image.provenance().offset;
        self.context.published.store(Arc::new(image));
        self.applied.send_replace(offset);
    }

    /// Takes dynamic settings of the brokers.
    fn reconfigure(&mut self, image: &Image) {
        let config = under(&self.context.initial, image);
        if config == self.config {
            return;
        }
        self.config = Arc::clone(&config);
        self.context.current.store(Arc::clone(&config));
        let cordoned = cordoned(&config, &self.context.dirs);
        if cordoned != *self.context.dirs.cordoned() {
            self.context.dirs.set_cordoned(cordoned);
            self.context.lifecycle.get().into_iter().for_each(|life| life.hurry());
        }
        self.publisher.set_config(Arc::clone(&config));
        self.context.groups.configure(&config);
        let cluster_id = &self.context.cluster_id;
        self.settings.send_replace(ControllerSettings::from_broker(&config, cluster_id));
        if let Some(network) = &mut *self.network.lock() {
            network.follow(&config, &self.context);
        }
    }

    fn fail(&mut self, dir: Uuid) {
        let failed = self.publisher.fail_dir(dir);
        self.context.directory_failed(dir, &failed);
        let Some(life) = self.context.lifecycle.get().cloned() else { return };
        let limit = ms(self.config.get(keys::LOG_DIR_FAILURE_TIMEOUT_MS));
        self.context.control.spawn(async move {
            if tokio::time::timeout(limit, life.told_offline(dir)).await.is_err() {
                // Until the controller knows, nobody else is elected for what this directory held.
                error!(
                    "no controller could be told for {limit:?} (log.dir.failure.timeout.ms) that log directory {dir} \
                     failed, so that the node ends: others can lead its partitions then"
                );
                std::process::exit(1);
            }
        });
    }
}

/// The directories that get no new replicas.
fn cordoned(config: &BrokerConfig, dirs: &LogDirs) -> Vec<Uuid> {
    let named = config.get(keys::CORDONED_LOG_DIRS);
    let is = |path: &Path| named.iter().any(|name| name == "*" || Path::new(name) == path);
    let mut ids: Vec<_> = dirs.all().iter().filter(|d| is(d.path())).map(|d| d.id()).collect();
    ids.sort_unstable();
    ids
}

/// The node's settings under what the image says of its brokers.
fn under(config: &Arc<BrokerConfig>, image: &Image) -> Arc<BrokerConfig> {
    let texts = |name: &str| {
        let found = image.configs(&ConfigResource::new(ResourceType::Broker, name));
        found.map(|values| values.as_ref().clone()).unwrap_or_default()
    };
    let layers =
        DynamicLayers { broker: texts(&config.node_id().to_string()), cluster: texts(ALL_BROKERS) };
    let (config, refused) = config.with_dynamic(layers);
    for refused in refused {
        let key = refused.key.as_deref().unwrap_or_default();
        warn!(key, why = refused.why, "a dynamic setting cannot be applied");
    }
    Arc::new(config)
}
