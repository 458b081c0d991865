//! A controller and brokers in one process: the real metadata log, controller, publishers, logs and
//! fetchers, with wires in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, DynamicLayers, NoSurroundings, parse};
use ottla_controller::{Command, Reply, Settings};
use ottla_engine::{
    Ack, AppendHow, ControllerChannel, ControllerHandle, ControllerStart, Core, EngineError,
    FetchSessions, Lifecycle, LogDir, LogDirs, Pace, Partition, PartitionId, Publisher, Replicas,
    Replication, ReplicationStart, SystemClock, keep_in_sync,
};
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_log::log::{AppendBatch, AtLeast};
use ottla_metadata::{Image, features};
use ottla_quorum::network::Alone;
use ottla_quorum::{Endpoint, Member, NodeKey, Options, Quorum, RaftQuorum, Voter};
use ottla_replica::Acks;
use ottla_replica::session::CacheSettings;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature, Listener};
use ottla_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_wire::record::{BatchBuilder, Batches, CrcCheck};
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord};
use ottla_wire::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::serve::Server;
use crate::wires::Wires;

pub(crate) const TOPIC: &str = "t";

/// Within which time everything that is to come about comes about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis() as i64)
}

fn config(id: i32, path: &Path, settings: &[&str]) -> BrokerConfig {
    let mut overrides = vec![
        format!("node.id={id}"),
        format!("log.dirs={}", path.display()),
        "replica.lag.time.max.ms=1500".to_owned(),
        "broker.session.timeout.ms=3000".to_owned(),
        "broker.heartbeat.interval.ms=300".to_owned(),
    ];
    overrides.extend(settings.iter().map(|s| (*s).to_owned()));
    parse(None, &overrides, &NoSurroundings).unwrap().config
}

/// A broker that runs.
pub(crate) struct Node {
    pub(crate) server: Arc<Server>,
    pub(crate) replication: Arc<Replication>,
    runtime: Runtime,
    /// Whether it hears of new metadata no more.
    pub(crate) deaf: watch::Sender<bool>,
    jobs: mpsc::UnboundedSender<Job>,
    stop: watch::Sender<bool>,
    publishing: std::thread::JoinHandle<()>,
}

type Job = Box<dyn FnOnce(&mut Publisher) + Send>;

impl Node {
    /// Does something on the publishing thread, and waits until it is done.
    pub(crate) fn publisher(&self, job: impl FnOnce(&mut Publisher) + Send + 'static) {
        let (done, finished) = std::sync::mpsc::channel();
        let job: Job = Box::new(move |publisher| {
            job(publisher);
            done.send(()).unwrap();
        });
        assert!(self.jobs.send(job).is_ok());
        finished.recv_timeout(PATIENCE).unwrap();
    }
}

pub(crate) struct Cluster {
    root: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    quorum: Arc<RaftQuorum>,
    pub(crate) controller: ControllerChannel,
    pub(crate) wires: Wires,
    pub(crate) nodes: BTreeMap<i32, Node>,
    settings: Vec<&'static str>,
    _settings: watch::Sender<Settings>,
}

impl Cluster {
    /// A controller, and brokers 1 to `brokers`.
    pub(crate) fn start(brokers: i32, settings: &[&'static str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let key = NodeKey::new(100, Uuid::from_u128(0xC0));
        let endpoint = Endpoint { name: "C".into(), host: "127.0.0.1".into(), port: 9093 };
        let member = Member { endpoints: vec![endpoint], ..Member::default() };
        let options = Options {
            initial_voters: vec![Voter { key, member }],
            ..Options::new(key, Arc::new(RealDisk), root.path().join("c"), wall_ms)
        };
        let quorum = Arc::new(runtime.block_on(RaftQuorum::start(options, Alone)).unwrap());
        let broker = config(100, &root.path().join("c"), settings);
        let (keep, current) = watch::channel(Settings::from_broker(&broker, "cluster"));
        let bootstrap = ottla_metadata::features::FEATURES
            .iter()
            .map(|f| (f.name, f.range().max))
            .chain([("metadata.version", ottla_metadata::MetadataVersion::LATEST.level())])
            .map(|(name, feature_level)| {
                MetadataRecord::from(FeatureLevelRecord { name: name.into(), feature_level })
            })
            .collect();
        let controller = {
            let _inside = runtime.enter();
            ControllerHandle::start(ControllerStart {
                quorum: quorum.clone(),
                clock: SystemClock::start(),
                settings: current,
                bootstrap,
            })
        };
        let mut cluster = Self {
            root,
            runtime,
            controller: ControllerChannel::new(0, Some(controller), None, quorum.leadership()),
            quorum,
            wires: Wires::new(),
            nodes: BTreeMap::new(),
            settings: settings.to_vec(),
            _settings: keep,
        };
        (1..=brokers).for_each(|id| cluster.begin(id));
        cluster.wait("all brokers run", |c| {
            let image = c.image();
            (1..=brokers).all(|id| image.is_active(id))
        });
        cluster
    }

    pub(crate) fn image(&self) -> Image {
        self.quorum.updates().image()
    }

    fn dir(&self, id: i32) -> PathBuf {
        self.root.path().join(format!("n{id}"))
    }

    /// Starts a broker on what its directory holds.
    pub(crate) fn begin(&mut self, id: i32) {
        let path = self.dir(id);
        let config = Arc::new(config(id, &path, &self.settings));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let core = Core::start(SystemClock::start()).unwrap();
        let cache = FileCache::new(Arc::new(RealDisk), 200);
        let (send, failures) = tokio::sync::mpsc::unbounded_channel();
        let begun = Instant::now();
        // The process that was killed lets go of it a little later.
        let files = loop {
            match Files::open(&path, &cache) {
                Ok(files) => break Arc::new(files),
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let dir_id = Uuid::from_u128(0xD000 + u128::from(id.unsigned_abs()));
        let dirs = LogDirs::new(vec![LogDir::new(dir_id, files, send)]);
        let replicas = Replicas::new();
        let (applied_sender, applied) = watch::channel(-1);
        let handle = self.controller.clone();
        let _inside = runtime.enter();
        let registration = registration(id, dir_id);
        let incarnation = registration.incarnation_id;
        let pace = Pace { interval: Duration::from_millis(300), registration: PATIENCE };
        let life = Lifecycle::start(handle, registration, pace, applied, dirs.clone());
        let epoch = Arc::clone(&life);
        let replication = Replication::new(ReplicationStart {
            me: id,
            core: Arc::clone(&core),
            config: Arc::new(ArcSwap::new(Arc::clone(&config))),
            peers: self.wires.of(id),
            broker_epoch: Arc::new(move || epoch.epoch()),
            runtime: runtime.handle().clone(),
        });
        runtime.spawn(keep_in_sync(
            Arc::clone(&core),
            id,
            self.controller.clone(),
            Arc::clone(&life),
        ));
        let server = Arc::new(Server {
            core: Arc::clone(&core),
            replicas: Arc::clone(&replicas),
            sessions: FetchSessions::new(CacheSettings::default()),
            image: Mutex::default(),
        });
        let mut publisher = Publisher::new(core, replicas, dirs, config);
        publisher.await_registration(incarnation);
        publisher.replicate_with(Arc::clone(&replication));
        let (stop, mut stopped) = watch::channel(false);
        let (deaf, mut hears) = watch::channel(false);
        let (jobs, mut incoming) = mpsc::unbounded_channel::<Job>();
        let mut updates = self.quorum.updates();
        let (control, theirs) = (runtime.handle().clone(), Arc::clone(&server));
        let publishing = std::thread::spawn(move || {
            let _failures = failures;
            control.block_on(async {
                let first = updates.image();
                *theirs.image.lock() = first.clone();
                publisher.load(first.clone());
                applied_sender.send_replace(first.provenance().offset);
                loop {
                    let next = async {
                        loop {
                            let _ = hears.wait_for(|deaf| !deaf).await;
                            tokio::select! {
                                biased;
                                _ = hears.wait_for(|deaf| *deaf) => {}
                                update = updates.next() => return update,
                            }
                        }
                    };
                    let update = tokio::select! {
                        update = next => update,
                        Some(job) = incoming.recv() => {
                            job(&mut publisher);
                            continue;
                        }
                        _ = stopped.wait_for(|stop| *stop) => return,
                    };
                    let Ok(update) = update else { return };
                    publisher.publish(update.image.clone(), &update.delta);
                    *theirs.image.lock() = update.image.clone();
                    applied_sender.send_replace(update.image.provenance().offset);
                }
            });
        });
        self.wires.connect(id, Arc::clone(&server));
        let node = Node { server, replication, runtime, deaf, jobs, stop, publishing };
        self.nodes.insert(id, node);
    }

    /// Ends a broker without a word: what it wrote is in its directory, nothing else.
    pub(crate) fn kill(&mut self, id: i32) {
        self.wires.disconnect(id);
        let node = self.nodes.remove(&id).unwrap();
        node.stop.send_replace(true);
        node.publishing.join().unwrap();
        // Nothing that is still under way may write any more.
        for partition in node.server.replicas.all() {
            partition.log().abandon();
        }
        node.runtime.shutdown_timeout(Duration::from_secs(5));
    }

    /// Sets something of a broker at run time.
    pub(crate) fn set(&self, id: i32, key: &str, value: &str) {
        let broker = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let layers = DynamicLayers { broker, ..Default::default() };
        let (config, refused) = config(id, &self.dir(id), &self.settings).with_dynamic(layers);
        assert_eq!(refused, []);
        self.nodes[&id].publisher(move |publisher| publisher.set_config(Arc::new(config)));
    }

    pub(crate) fn ask(&self, command: Command) -> Reply {
        self.runtime.block_on(self.controller.submit(command)).unwrap()
    }

    /// Makes a topic whose partitions all have these replicas, turned by one for each.
    pub(crate) fn create(&self, name: &str, partitions: i32, brokers: &[i32], min_in_sync: u32) {
        let least = min_in_sync.to_string();
        self.create_with(name, partitions, brokers, &[("min.insync.replicas", &least)]);
    }

    pub(crate) fn create_with(
        &self,
        name: &str,
        partitions: i32,
        brokers: &[i32],
        configs: &[(&str, &str)],
    ) {
        let assignments = (0..partitions).map(|partition_index| {
            let mut broker_ids = brokers.to_vec();
            broker_ids.rotate_left(usize::try_from(partition_index).unwrap() % brokers.len());
            CreatableReplicaAssignment { partition_index, broker_ids }
        });
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: assignments.collect(),
            configs: configs.iter().map(config).collect(),
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        match self.ask(Command::CreateTopics(request)) {
            Reply::CreateTopics(response) => {
                let codes: Vec<_> = response.topics.iter().map(|t| t.error_code).collect();
                assert_eq!(codes, [ErrorCode::NONE], "{response:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    fn id(&self, topic: &str, partition: i32) -> PartitionId {
        PartitionId::new(self.image().topic_id(topic).unwrap(), partition)
    }

    /// The broker that leads, as the metadata say.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> i32 {
        let id = self.id(topic, partition);
        self.image().partition(id.topic, partition).unwrap().leader
    }

    pub(crate) fn isr(&self, topic: &str, partition: i32) -> Vec<i32> {
        let id = self.id(topic, partition);
        let mut isr = self.image().partition(id.topic, partition).unwrap().isr.to_vec();
        isr.sort_unstable();
        isr
    }

    pub(crate) fn replica(&self, node: i32, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.nodes.get(&node)?.server.replicas.get(self.id(topic, partition)).ok()
    }

    /// Waits for something to hold.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Appends one record where the metadata say that the leader is. Tells the offset once it is
    /// acknowledged.
    pub(crate) fn produce(
        &self,
        topic: &str,
        partition: i32,
        value: &str,
        acks: Acks,
    ) -> Result<i64, ErrorCode> {
        let leader = self.leader(topic, partition);
        let replica = self.replica(leader, topic, partition);
        let replica = replica.ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
        let appended = append(&replica, value, acks).map_err(|e| e.code())?;
        match appended.ack {
            Ack::Now => Ok(appended.first_offset),
            Ack::Wait(wait) => self.runtime.block_on(async {
                let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
                waited.unwrap_or(Err(ErrorCode::REQUEST_TIMED_OUT)).map(|()| appended.first_offset)
            }),
        }
    }

    /// Waits until all replicas of a partition are in sync and hold the same, all of it committed.
    /// Returns the values.
    pub(crate) fn agreed(&self, topic: &str, partition: i32) -> Vec<(i64, String)> {
        let id = self.id(topic, partition);
        let mut replicas = self.image().partition(id.topic, partition).unwrap().replicas.to_vec();
        replicas.sort_unstable();
        self.wait("all in sync", |c| c.isr(topic, partition) == replicas);
        self.wait("all replicas agree", |c| {
            let state = |node: &i32| {
                let log = c.replica(*node, topic, partition)?.log();
                Some((log.end_offset(), log.high_watermark(), log.start_offset()))
            };
            let first = state(&replicas[0]);
            first.is_some_and(|(end, high_watermark, _)| end == high_watermark)
                && replicas.iter().all(|node| state(node) == first)
        });
        let all: Vec<_> = replicas
            .iter()
            .map(|node| values(&self.replica(*node, topic, partition).unwrap()))
            .collect();
        for (node, theirs) in replicas.iter().zip(&all) {
            assert_eq!(*theirs, all[0], "replica on {node}");
        }
        let first = all.into_iter().next().unwrap();
        first.into_iter().map(|(offset, _, value)| (offset, value)).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let all: Vec<i32> = self.nodes.keys().copied().collect();
        all.into_iter().for_each(|id| self.kill(id));
    }
}

fn registration(id: i32, dir: Uuid) -> BrokerRegistrationRequest {
    let feature = |(name, range): (String, features::VersionRange)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    };
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: "cluster".into(),
        incarnation_id: Uuid::from_u128(rand::random()),
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: features::supported().into_iter().map(feature).collect(),
        log_dirs: vec![dir],
        previous_broker_epoch: -1,
        ..Default::default()
    }
}

/// Appends one record at a replica, whoever it is.
pub(crate) fn append(
    replica: &Partition,
    value: &str,
    acks: Acks,
) -> Result<ottla_engine::Appended, EngineError> {
    append_batch(replica, &[value], acks)
}

/// Appends records as one batch.
pub(crate) fn append_batch(
    replica: &Partition,
    values: &[&str],
    acks: Acks,
) -> Result<ottla_engine::Appended, EngineError> {
    let mut builder = BatchBuilder::new(0);
    for value in values {
        builder.append(wall_ms(), None, Some(value.as_bytes()));
    }
    let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
    replica.append(&[batch], AppendHow::client(acks))
}

/// Offsets, leader epochs and values of all records.
pub(crate) fn values(replica: &Partition) -> Vec<(i64, i32, String)> {
    let log = replica.log();
    let (mut at, mut values) = (log.start_offset(), Vec::new());
    while at < log.end_offset() {
        let found = log.read(at, 1 << 20, i64::MAX, AtLeast::OneBatch).unwrap();
        let Some(slice) = found.slice else { break };
        for batch in Batches::new(slice.read().unwrap().into(), CrcCheck::Verify) {
            let Ok(batch) = batch else { break };
            at = batch.header.last_offset() + 1;
            for record in batch.decode(1 << 20).unwrap() {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                values.push((record.offset, batch.header.partition_leader_epoch, value));
            }
        }
    }
    values.retain(|(offset, ..)| *offset >= log.start_offset());
    values
}
