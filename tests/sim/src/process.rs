//! A broker while it runs: what it knows of the metadata, its life with the controller, and its
//! replicas.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ottla_controller::{Command, Reply};
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::disk::sim::SimDisk;
use ottla_log::names::DirKind;
use ottla_log::{Log, LogDir, LogError, LogSettings};
use ottla_metadata::{Image, Loader, Partition, Topic, features};
use ottla_replica::{ActiveBrokers, StillWorld};
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature, Listener};
use ottla_wire::schema::metadata::MetadataRecord;
use ottla_wire::{ErrorCode, Uuid};

use crate::hub::{Hub, Timer};
use crate::message::{Id, Message, Party};
use crate::replica::{Lead, Replica, Role, Stalled, Trouble};
use crate::shard::Shard;
use crate::{CLUSTER, TOPIC, Violation, violated};

mod grouping;
mod replication;

/// `replica.lag.time.max.ms`.
pub const LAG_MS: u64 = 1_200;

const BEAT_MS: u64 = 250;
const PULL_MS: u64 = 25;
const POLL_MS: u64 = 12;
const CHECK_MS: u64 = LAG_MS / 2;

/// After how many milliseconds an answer is not waited for any more.
const PATIENCE_MS: u64 = 300;

/// Why a process ends.
#[derive(Debug)]
pub enum Stop {
    /// Its disk failed.
    Disk(String),
    /// It may stop, as it asked.
    Leave,
    /// Something is wrong.
    Violation(Violation),
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Disk(_) | LogError::Closed => Self::Disk(error.to_string()),
            other => Self::Violation(violated("log", other)),
        }
    }
}

/// What a peer is told of some trouble, unless it ends the process.
fn told<T>(trouble: Trouble) -> Result<Result<T, ErrorCode>, Stop> {
    match trouble {
        Trouble::Code(code) => Ok(Err(code)),
        Trouble::Disk(why) => Err(Stop::Disk(why)),
    }
}

pub(crate) type Going = Result<(), Stop>;

/// Where a process stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It reads metadata.
    CatchingUp,
    /// Its logs are open.
    Open,
    /// The metadata know of this life of it.
    Serving,
}

/// A broker while it runs.
#[derive(Debug)]
pub struct Process {
    /// Its broker id.
    pub me: i32,
    /// Which of the broker's lives this is.
    pub life: u64,
    /// Where it stands.
    pub stage: Stage,
    /// Chosen at its start.
    pub incarnation: Uuid,
    /// Its broker epoch; -1 before it has one.
    pub epoch: i64,
    /// Its replicas, by partition.
    pub replicas: BTreeMap<i32, Replica>,
    /// The metadata records that it read.
    pub applied: Vec<Rc<MetadataRecord>>,
    /// Whether it asked leave to stop.
    pub stopping: bool,
    /// What it appended as leader: partition and epoch.
    pub accepted: Vec<(i32, i32)>,
    /// The coordinator, while it is here.
    pub shard: Option<Shard>,
    /// The wall clock's lead over the true time, in milliseconds.
    pub wall_offset: i64,
    files: LogDir,
    dir: Uuid,
    loader: Loader,
    image: Image,
    active: ActiveBrokers,
    catch_up_to: Option<usize>,
    pull: Option<(Id, u64)>,
    life_ask: Option<(Id, u64)>,
    void: bool,
    checked_at: u64,
    deleted: u128,
}

/// The epochs of a log and where they begin.
fn epochs(log: &Log) -> Vec<(i32, i64)> {
    log.epochs().iter().map(|e| (e.epoch, e.start)).collect()
}

/// What a process says of its broker when it registers.
pub(crate) fn registration(
    broker_id: i32,
    incarnation_id: Uuid,
    dir: Uuid,
    previous_broker_epoch: i64,
) -> BrokerRegistrationRequest {
    let features = features::supported().into_iter().map(|(name, range)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    BrokerRegistrationRequest {
        broker_id,
        cluster_id: CLUSTER.into(),
        incarnation_id,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: features.collect(),
        log_dirs: vec![dir],
        previous_broker_epoch,
        ..BrokerRegistrationRequest::default()
    }
}

fn settings() -> Arc<LogSettings> {
    Arc::new(LogSettings {
        segment_bytes: 4_000,
        index_interval_bytes: 300,
        retention_ms: None,
        file_delete_delay_ms: 1_000,
        ..LogSettings::default()
    })
}

impl Process {
    /// A broker starts, with what its disk holds.
    pub fn start(
        me: i32,
        life: u64,
        disk: &SimDisk,
        dir: Uuid,
        metadata: Vec<Rc<MetadataRecord>>,
        hub: &mut Hub,
    ) -> Result<Self, Stop> {
        let cache = FileCache::new(Arc::new(disk.clone()), 24);
        let files = LogDir::open(Path::new("/data"), &cache)?;
        let mut this = Self {
            me,
            life,
            stage: Stage::CatchingUp,
            incarnation: Uuid::from_u128((u128::from(me.unsigned_abs()) << 64) | u128::from(life)),
            epoch: -1,
            replicas: BTreeMap::new(),
            applied: Vec::new(),
            stopping: false,
            accepted: Vec::new(),
            shard: None,
            wall_offset: 0,
            files,
            dir,
            loader: Loader::default(),
            image: Image::default(),
            active: ActiveBrokers::default(),
            catch_up_to: None,
            pull: None,
            life_ask: None,
            void: true,
            checked_at: hub.now,
            deleted: 0,
        };
        this.apply(metadata)?;
        for (ms, what) in [
            (1, Timer::Pull),
            (2, Timer::Beat),
            (3, Timer::Poll),
            (CHECK_MS, Timer::Check),
            (400, Timer::Flush),
            (900, Timer::Checkpoint),
        ] {
            hub.timer(this.party(), life, ms, what);
        }
        Ok(this)
    }

    fn party(&self) -> Party {
        Party::Broker(self.me)
    }

    fn wall(&self, hub: &Hub) -> i64 {
        hub.now as i64 + self.wall_offset
    }

    fn world(&self, hub: &Hub) -> StillWorld {
        StillWorld { now: hub.mono(), lag_ms: LAG_MS, brokers: self.active.clone() }
    }

    /// The metadata as published here.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Whether the metadata know of this life.
    #[must_use]
    pub fn is_active_in(&self, image: &Image) -> bool {
        image.broker(self.me).is_some_and(|b| {
            b.is_active() && b.incarnation_id == self.incarnation && b.epoch == self.epoch
        })
    }

    fn apply(&mut self, records: Vec<Rc<MetadataRecord>>) -> Going {
        for record in records {
            let offset = self.applied.len() as i64;
            let done = self.loader.apply(&record, offset);
            done.map_err(|e| Stop::Violation(violated("metadata", e)))?;
            self.applied.push(record);
        }
        Ok(())
    }

    /// Publishes what was applied: makes the replicas what the metadata say.
    fn publish(&mut self, hub: &mut Hub) -> Going {
        if self.stage == Stage::CatchingUp {
            let caught_up = self.catch_up_to.is_some_and(|to| self.applied.len() >= to);
            let image = self.loader.image();
            if !caught_up || image.features().recorded_version().is_none() {
                return Ok(());
            }
            self.open(hub)?;
        }
        let Some(news) = self.loader.publish() else { return Ok(()) };
        self.image = news.image;
        let active = self.image.brokers().filter(|b| b.is_active());
        self.active = ActiveBrokers::new(active.map(|b| (b.id, b.epoch)));
        let brokers_changed = !news.delta.brokers.is_empty();
        if let Some(topic) = self.image.topic_named(TOPIC).cloned() {
            // Those that did not change take no notice.
            for (partition, wanted) in topic.partitions.iter() {
                self.adapt(hub, &topic, partition, wanted)?;
            }
        }
        if brokers_changed {
            self.check(hub, Stalled::Yes)?;
        }
        if self.stage == Stage::Open && self.epoch >= 0 && self.is_active_in(&self.image) {
            self.stage = Stage::Serving;
            hub.trace.say(hub.now, format_args!("b{} serves, epoch {}", self.me, self.epoch));
        }
        Ok(())
    }

    /// Opens the logs on disk that the metadata give to this broker.
    fn open(&mut self, hub: &mut Hub) -> Going {
        self.stage = Stage::Open;
        let topic = self.loader.image().topic_named(TOPIC).cloned();
        let now = self.wall(hub);
        let mut scratch = Vec::new();
        for found in self.files.list()? {
            if found.kind != DirKind::Current || found.name.topic != TOPIC {
                continue;
            }
            let partition = found.name.partition;
            // What cannot be read is judged by its name.
            let id = self.files.topic_id(&found).ok().flatten();
            let id: Option<Uuid> = id.and_then(|text| text.parse().ok());
            let mine = topic.as_ref().is_some_and(|t| {
                id.is_none_or(|id| id == t.id)
                    && t.partition(partition).is_some_and(|p| p.replicas.contains(&self.me))
            });
            let (log, report) = self.files.open_log(&found, settings(), now, &mut scratch)?;
            hub.trace.say(
                hub.now,
                format_args!(
                    "b{} opens {partition}: {}..{} hw {}, epochs {:?}, {report:?}",
                    self.me,
                    log.start_offset(),
                    log.end_offset(),
                    log.high_watermark(),
                    epochs(&log),
                ),
            );
            if mine {
                self.replicas.insert(partition, Replica::new(partition, log));
            } else {
                drop(log);
                self.deleted += 1;
                let unique = (u128::from(self.life) << 64) | self.deleted;
                self.files.set_stray(&found.name, DirKind::Current, unique)?;
            }
        }
        Ok(())
    }

    /// Makes one replica what the metadata say.
    fn adapt(&mut self, hub: &mut Hub, topic: &Topic, partition: i32, wanted: &Partition) -> Going {
        if !wanted.replicas.contains(&self.me) {
            return self.remove(hub, partition);
        }
        let now = self.wall(hub);
        if !self.replicas.contains_key(&partition) {
            let name = TopicPartition::new(TOPIC, partition);
            let id = topic.id.to_string();
            let (kind, settings) = (DirKind::Current, settings());
            let log = self.files.create_log(&name, kind, 0, Some(&id), settings, now)?;
            self.replicas.insert(partition, Replica::new(partition, log));
        }
        // What was committed before this life may still call it leader of records that it lost.
        let named = self.image.broker(self.me).map(|broker| broker.incarnation_id);
        if named != Some(self.incarnation) && wanted.replicas.len() > 1 {
            return Ok(());
        }
        let world = self.world(hub);
        let Some(replica) = self.replicas.get_mut(&partition) else { return Ok(()) };
        let epoch = wanted.leader_epoch;
        if wanted.leader == self.me {
            let lead = Lead {
                me: self.me,
                epoch,
                partition_epoch: wanted.partition_epoch,
                replicas: wanted.replicas.to_vec(),
                isr: wanted.isr.to_vec(),
            };
            if !matches!(&replica.role, Role::Leader(l) if l.leader.epoch() == epoch) {
                let (me, end) = (self.me, replica.log.end_offset());
                let known = epochs(&replica.log);
                hub.trace.say(
                    hub.now,
                    format_args!(
                        "b{me} leads {partition} in epoch {epoch} from {end}, after {known:?}"
                    ),
                );
            }
            let done = replica.lead(lead, &world);
            self.settle(hub, partition, done)
        } else {
            self.follow(hub, partition, wanted.leader, epoch)
        }
    }

    fn remove(&mut self, hub: &mut Hub, partition: i32) -> Going {
        let Some(mut replica) = self.replicas.remove(&partition) else { return Ok(()) };
        let acked = replica.resign(-1);
        self.tell(hub, acked);
        drop(replica);
        self.deleted += 1;
        let unique = (u128::from(self.life) << 64) | self.deleted;
        let name = TopicPartition::new(TOPIC, partition);
        self.files.delete_log(&name, DirKind::Current, unique, self.wall(hub))?;
        self.files.write_checkpoints()?;
        hub.trace.say(hub.now, format_args!("b{} removes {partition}", self.me));
        Ok(())
    }

    /// A timer fires.
    pub fn timer(&mut self, hub: &mut Hub, what: Timer) -> Going {
        let going = self.wake(hub, what);
        self.let_go(hub);
        going
    }

    fn wake(&mut self, hub: &mut Hub, what: Timer) -> Going {
        let (me, life) = (self.party(), self.life);
        let (now, mono) = (self.wall(hub), hub.now);
        let again = match what {
            Timer::Pull => {
                if self.pull.is_none_or(|(_, at)| mono >= at + PATIENCE_MS) {
                    let id = hub.id();
                    self.pull = Some((id, mono));
                    hub.send(me, Party::Controller, Message::Pull(id, self.applied.len()));
                }
                PULL_MS
            }
            Timer::Beat => {
                self.beat(hub);
                BEAT_MS
            }
            Timer::Poll => {
                self.poll(hub)?;
                POLL_MS
            }
            Timer::Check => {
                let late = mono - self.checked_at > CHECK_MS + CHECK_MS / 2;
                let stalled = if late { Stalled::Yes } else { Stalled::No };
                self.checked_at = mono;
                self.check(hub, stalled)?;
                self.ring(hub)?;
                CHECK_MS
            }
            Timer::Flush => {
                let all = self.replicas.values().map(|r| Arc::clone(&r.log));
                for log in all.collect::<Vec<_>>() {
                    if hub.rng.chance(300) {
                        log.flush(i64::MAX, now)?;
                    }
                }
                hub.rng.within(200, 3_000)
            }
            Timer::Checkpoint => {
                if self.stage > Stage::CatchingUp {
                    self.files.write_recovery_points()?;
                    self.files.write_log_starts()?;
                    self.files.write_high_watermarks()?;
                    let purged = self.files.graveyard().purge(now, 100);
                    purged.map_err(Stop::from)?;
                }
                hub.rng.within(500, 2_000)
            }
            _ => return Ok(()),
        };
        hub.timer(me, life, again, what);
        Ok(())
    }

    /// Registers, or tells the controller that it lives.
    fn beat(&mut self, hub: &mut Hub) {
        if self.stage == Stage::CatchingUp {
            return;
        }
        if self.life_ask.is_some_and(|(_, at)| hub.now < at + PATIENCE_MS) {
            return;
        }
        let id = hub.id();
        self.life_ask = Some((id, hub.now));
        let command = if self.void {
            let previous = self.files.previous_broker_epoch().unwrap_or(-1);
            Command::RegisterBroker(registration(self.me, self.incarnation, self.dir, previous))
        } else {
            Command::BrokerHeartbeat(BrokerHeartbeatRequest {
                broker_id: self.me,
                broker_epoch: self.epoch,
                current_metadata_offset: self.applied.len() as i64 - 1,
                want_shut_down: self.stopping,
                ..BrokerHeartbeatRequest::default()
            })
        };
        hub.send(self.party(), Party::Controller, Message::Ask(id, Box::new(command)));
    }

    fn heard(&mut self, answer: &BrokerHeartbeatResponse) -> Going {
        match answer.error_code {
            ErrorCode::NONE if self.stopping && answer.should_shut_down => Err(Stop::Leave),
            ErrorCode::STALE_BROKER_EPOCH | ErrorCode::BROKER_ID_NOT_REGISTERED => {
                self.void = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A message arrives.
    pub fn receive(&mut self, hub: &mut Hub, from: Party, message: Message) -> Going {
        let going = self.hear(hub, from, message);
        self.let_go(hub);
        going
    }

    fn hear(&mut self, hub: &mut Hub, from: Party, message: Message) -> Going {
        match message {
            Message::Answer(id, reply) => {
                if self.life_ask.is_some_and(|(asked, _)| asked == id) {
                    self.life_ask = None;
                    return match *reply {
                        Reply::RegisterBroker(r) if r.error_code == ErrorCode::NONE => {
                            self.epoch = r.broker_epoch;
                            self.void = false;
                            self.beat(hub);
                            Ok(())
                        }
                        Reply::BrokerHeartbeat(r) => self.heard(&r),
                        _ => Ok(()),
                    };
                }
                self.controller_said(hub, id, &reply)
            }
            Message::Pulled(id, base, records, committed) => {
                if self.pull.is_none_or(|(asked, _)| asked != id) || base != self.applied.len() {
                    return Ok(());
                }
                self.pull = None;
                self.catch_up_to.get_or_insert(committed);
                if records.is_empty() && self.stage > Stage::CatchingUp {
                    return Ok(());
                }
                self.apply(records)?;
                self.publish(hub)
            }
            Message::Who(id) if self.stage == Stage::Serving => {
                let topic = self.image.topic_named(TOPIC);
                let led = topic.into_iter().flat_map(|t| t.partitions.iter());
                let led = led.map(|(p, wanted)| (p, wanted.leader, wanted.leader_epoch)).collect();
                hub.send(self.party(), from, Message::These(id, led));
                Ok(())
            }
            Message::Group(id, request) if self.stage == Stage::Serving => {
                self.coordinate(hub, Some((from, id)), *request)
            }
            other => self.replicate(hub, from, other),
        }
    }

    /// Flushes and closes everything, after leave was given.
    pub fn close(mut self, hub: &Hub) -> Result<(), LogError> {
        for replica in self.replicas.values_mut() {
            replica.resign(-1);
        }
        self.files.close(self.epoch, self.wall(hub))
    }
}
