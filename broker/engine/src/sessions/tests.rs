//! A follower's session against partitions that change under it: nothing that it must hear of is
//! forgotten, and its fetches count as if each looked at every partition.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ottla_config::{LogConfig, NoSurroundings, parse};
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_log::log::AppendBatch;
use ottla_log::names::DirKind;
use ottla_machine::Time;
use ottla_replica::session::{Notice, Topic};
use ottla_replica::{Acks, ActiveBrokers, FollowerFetch, Leader, LeaderStart, StillWorld};
use ottla_wire::Uuid;
use ottla_wire::record::{BatchBuilder, Batches, CrcCheck};
use proptest::prelude::*;

use super::*;
use crate::dirs::LogDir;
use crate::env::Clock;
use crate::fetch::{Fetch, FetchParams, Fetched, Found, ReadFrom, fetch, fetch_within};
use crate::ids::PartitionId;
use crate::partition::{AppendHow, Lead, Retire};
use crate::settings::TopicSettings;
use crate::wait::Reader;

const TOPIC: Uuid = Uuid::from_u128(0xA1);
const FOLLOWER: FollowerId = FollowerId { broker: 2, epoch: 22 };
const WAIT_MS: u64 = 500;

struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time { mono: self.mono(), wall_ms: 1_000_000 }
    }

    fn mono(&self) -> Mono {
        Mono(self.0.load(Ordering::SeqCst))
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn brokers() -> ActiveBrokers {
    ActiveBrokers::new([(1, 11), (2, 22)])
}

fn key(p: i32) -> Key {
    Key { topic: Topic::Id(TOPIC), partition: p }
}

/// The leader's side: partitions that broker 1 leads and broker 2 follows.
struct Node {
    clock: Arc<TestClock>,
    core: Arc<Core>,
    partitions: Vec<Arc<Partition>>,
    sessions: FetchSessions,
    _root: tempfile::TempDir,
}

fn lead(epoch: i32) -> Lead {
    Lead { me: 1, epoch, partition_epoch: epoch, replicas: vec![1, 2], isr: vec![1, 2] }
}

impl Node {
    fn new(partitions: i32) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = parse(None, &[], &NoSurroundings).unwrap().config;
        let clock = Arc::new(TestClock(AtomicU64::new(1_000)));
        let core = Core::start(Arc::clone(&clock) as _).unwrap();
        core.cluster().set_brokers(brokers());
        let cache = FileCache::new(Arc::new(RealDisk), 100);
        let files = Arc::new(Files::open(root.path(), &cache).unwrap());
        let (send, _) = tokio::sync::mpsc::unbounded_channel();
        let dir = LogDir::new(Uuid::from_u128(0xD1), files, send);
        let topic = LogConfig::resolve(&config, &BTreeMap::new()).unwrap();
        let settings = TopicSettings::new(topic, 1000);
        let partition = |p| {
            let name = TopicPartition::new("t", p);
            let log = Arc::clone(&settings.log);
            let log = dir.files().create_log(&name, DirKind::Current, 0, None, log, 0).unwrap();
            let id = PartitionId::new(TOPIC, p);
            let (dir, core) = (Arc::clone(&dir), Arc::clone(&core));
            let partition = Partition::new(id, "t".into(), log, dir, settings.clone(), core);
            partition.lead(lead(1));
            partition
        };
        let partitions = (0..partitions).map(partition).collect();
        let sessions = FetchSessions::new(CacheSettings::default());
        Self { clock, core, partitions, sessions, _root: root }
    }

    fn get(&self, p: i32) -> &Arc<Partition> {
        &self.partitions[usize::try_from(p).unwrap()]
    }

    fn append(&self, p: i32) {
        let mut builder = BatchBuilder::new(0);
        builder.append(1_000_000, None, Some(b"value"));
        let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
        self.get(p).append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
    }

    fn item(&self, key: &Key, asked: &FetchPartition, told: i64) -> FetchItem {
        let partition = Some(Arc::clone(self.get(key.partition)));
        let (ask, log_start_offset) = (read_ask(asked), asked.log_start_offset);
        FetchItem { partition, ask, log_start_offset, told }
    }

    fn tick(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }
}

fn answer(found: &Fetched) -> Answer {
    let none = ErrorCode::NONE;
    match found {
        Ok(read) => Answer {
            bytes: read.bytes(),
            high_watermark: read.high_watermark,
            log_start_offset: read.log_start_offset,
            error: none,
            notice: if read.diverging.is_some() { Notice::Diverging } else { Notice::None },
        },
        Err(error) => {
            let (bytes, error, notice) = (0, error.code(), Notice::None);
            Answer { bytes, high_watermark: -1, log_start_offset: -1, error, notice }
        }
    }
}

/// One partition, as the follower has it.
#[derive(Clone, Debug)]
struct Has {
    offset: i64,
    start: i64,
    epoch: i32,
    high_watermark: i64,
}

/// A request that waits: its partitions, the fetch, and how often it was woken.
type Parked = (Vec<Key>, Pin<Box<ParkedFetch>>);

/// The follower's side, and what a leader knows that is told of each partition with each request.
struct Rig {
    node: Node,
    has: BTreeMap<i32, Has>,
    /// Those that are wanted, and what the session was asked of each.
    wanted: BTreeMap<i32, Option<FetchPartition>>,
    session: Option<(i32, i32, SharedSession)>,
    parked: Option<Parked>,
    woken: Arc<Count>,
    shadows: Vec<Leader>,
    /// How many partitions the last request looked at.
    looked: usize,
}

impl Rig {
    fn new(partitions: i32) -> Self {
        let node = Node::new(partitions);
        let has = |p| (p, Has { offset: 0, start: 0, epoch: 1, high_watermark: -1 });
        let mut rig = Self {
            node,
            has: (0..partitions).map(has).collect(),
            wanted: (0..partitions).map(|p| (p, None)).collect(),
            session: None,
            parked: None,
            woken: Arc::new(Count(AtomicUsize::new(0))),
            shadows: Vec::new(),
            looked: 0,
        };
        rig.shadows = (0..partitions).map(|p| rig.shadow(p, 1)).collect();
        rig
    }

    fn world(&self) -> StillWorld {
        StillWorld { now: self.node.clock.mono(), lag_ms: 30_000, brokers: brokers() }
    }

    fn shadow(&self, p: i32, epoch: i32) -> Leader {
        let log = self.node.get(p).log();
        let start = LeaderStart {
            me: 1,
            epoch,
            partition_epoch: epoch,
            replicas: vec![1, 2],
            isr: vec![1, 2],
            end_offset: log.end_offset(),
            high_watermark: log.high_watermark(),
            min_in_sync: 1,
        };
        Leader::new(start, &self.world())
    }

    fn shadow_mut(&mut self, p: i32) -> &mut Leader {
        &mut self.shadows[usize::try_from(p).unwrap()]
    }

    fn append(&mut self, p: i32) {
        self.node.append(p);
        let (end, world) = (self.node.get(p).log().end_offset(), self.world());
        self.shadow_mut(p).appended(end, &world);
    }

    /// Another epoch of the same leader.
    fn elect(&mut self, p: i32) {
        let epoch = self.node.get(p).leader_epoch().unwrap() + 1;
        self.node.get(p).lead(lead(epoch));
        *self.shadow_mut(p) = self.shadow(p, epoch);
    }

    fn wants(&self, p: i32) -> FetchPartition {
        let has = &self.has[&p];
        FetchPartition {
            fetch_offset: has.offset,
            max_bytes: 1 << 20,
            current_leader_epoch: has.epoch,
            last_fetched_epoch: -1,
            log_start_offset: has.start,
        }
    }

    fn params() -> FetchParams {
        FetchParams {
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_wait_ms: WAIT_MS,
            reader: Reader::Follower,
            follower: Some(FOLLOWER),
            from: ReadFrom::Leader,
        }
    }

    /// What each request says to a leader that is told of every partition of it.
    fn tell_shadows(&mut self) {
        let world = self.world();
        let asked: Vec<_> = self.wanted.iter().filter_map(|(p, a)| Some((*p, (*a)?))).collect();
        for (p, asked) in asked {
            let epoch = self.node.get(p).leader_epoch().unwrap();
            let start = self.node.get(p).log().start_offset();
            // A fetch that is refused says nothing.
            if asked.current_leader_epoch == epoch && asked.fetch_offset >= start {
                let (replica, broker_epoch) = (FOLLOWER.broker, FOLLOWER.epoch);
                let (offset, start_offset) = (asked.fetch_offset, asked.log_start_offset);
                let fetch = FollowerFetch { replica, broker_epoch, offset, start_offset };
                self.shadow_mut(p).fetched(&fetch, &world).unwrap();
            }
        }
    }

    /// Sends a request; one that waits is ended by it.
    fn request(&mut self) {
        let wants: Vec<_> = self.wanted.keys().map(|p| (*p, self.wants(*p))).collect();
        let Some((_, epoch, session)) = &mut self.session else {
            return self.begin(wants);
        };
        let session = Arc::clone(session);
        session.supersede();
        if let Some((_, mut parked)) = self.parked.take() {
            let waker = Waker::from(Arc::clone(&self.woken));
            let ended = parked.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(matches!(ended, Poll::Ready(None)), "it was superseded");
        }
        let mut change = SessionChange::default();
        for (p, wants) in wants {
            let asked = self.wanted.insert(p, Some(wants)).flatten();
            if asked != Some(wants) {
                change.partitions.push((key(p), wants));
            }
        }
        let unwanted = |p: &i32| !self.wanted.contains_key(p);
        change.forgotten = self.has.keys().copied().filter(unwanted).map(key).collect();
        let stirred = session.asked(&self.node.core, FOLLOWER, *epoch, change).unwrap();
        *epoch += 1;
        assert_eq!(stirred.size, self.wanted.len());
        self.tell_shadows();
        self.looked = stirred.partitions.len();
        let keys: Vec<_> = stirred.partitions.iter().map(|(key, ..)| key.clone()).collect();
        let items = stirred.partitions.iter().map(|(k, a, told)| self.node.item(k, a, *told));
        let items = items.collect();
        match fetch_within(&self.node.core, Self::params(), items, &keys, &session) {
            Fetch::Ready(found) => self.take(&session, keys, found),
            Fetch::Parked(mut parked) => {
                session.park(&mut parked);
                self.parked = Some((keys, Box::pin(parked)));
                self.poll();
            }
        }
    }

    /// Begins a session.
    fn begin(&mut self, wants: Vec<(i32, FetchPartition)>) {
        self.parked = None;
        let items = wants.iter().map(|(p, asked)| self.node.item(&key(*p), asked, -1)).collect();
        for (p, wants) in &wants {
            self.wanted.insert(*p, Some(*wants));
        }
        self.tell_shadows();
        let params = FetchParams { max_wait_ms: 0, ..Self::params() };
        let Fetch::Ready(found) = fetch(&self.node.core, params, items) else {
            panic!("it does not wait")
        };
        let keys: Vec<_> = wants.iter().map(|(p, _)| key(*p)).collect();
        let wants = wants.into_iter().map(|(p, asked)| (key(p), asked)).collect();
        let mut state = FetchSession::new(wants);
        for (key, found) in keys.iter().zip(&found.each) {
            state.note(key, &answer(found));
        }
        let now = self.node.clock.mono();
        let id = self.node.sessions.create(Owner::Follower, state, now).unwrap();
        let session = self.node.sessions.get(id).unwrap();
        self.session = Some((id, 1, session));
        for (key, found) in keys.iter().zip(&found.each) {
            self.learn(key.partition, found);
        }
    }

    /// The session is displaced, or the connection breaks.
    fn lose_session(&mut self) {
        self.parked = None;
        if let Some((id, ..)) = self.session.take() {
            self.node.sessions.remove(id);
        }
        self.wanted.values_mut().for_each(|asked| *asked = None);
    }

    fn poll(&mut self) {
        let Some((keys, mut parked)) = self.parked.take() else { return };
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        self.woken = Arc::clone(&woken);
        let waker = Waker::from(woken);
        match parked.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(found) => {
                let (_, _, session) = self.session.as_ref().unwrap();
                let session = Arc::clone(session);
                self.take(&session, keys, found.unwrap());
            }
            Poll::Pending => self.parked = Some((keys, parked)),
        }
    }

    fn take(&mut self, session: &SharedSession, mut keys: Vec<Key>, found: Found) {
        keys.extend(found.joined);
        assert_eq!(keys.len(), found.each.len());
        let answers: Vec<_> = found.each.iter().map(answer).collect();
        let news = session.told(keys.iter().zip(&answers));
        for ((key, found), news) in keys.iter().zip(&found.each).zip(news) {
            if news == News::Some {
                self.learn(key.partition, found);
            }
        }
    }

    fn learn(&mut self, p: i32, found: &Fetched) {
        let has = self.has.get_mut(&p).unwrap();
        let read = match found {
            Ok(read) => read,
            // It learns of what is wrong, as from metadata and ListOffsets.
            Err(_) => {
                has.epoch = self.node.get(p).leader_epoch().unwrap();
                has.start = has.start.max(self.node.get(p).log().start_offset());
                has.offset = has.offset.max(has.start);
                return;
            }
        };
        if let Some(slice) = &read.slice {
            let bytes = slice.read().unwrap().into();
            for batch in Batches::new(bytes, CrcCheck::Verify) {
                has.offset = has.offset.max(batch.unwrap().header.last_offset() + 1);
            }
        }
        has.high_watermark = read.high_watermark;
        has.start = has.start.max(read.log_start_offset);
        has.offset = has.offset.max(has.start);
    }

    /// Whether the request that waits has something to tell at once.
    fn has_urgent_news(&self) -> bool {
        self.wanted.iter().any(|(p, asked)| {
            let (partition, Some(asked)) = (self.node.get(*p), asked) else { return false };
            let end = partition.log().end_offset();
            partition.leader_epoch() != Some(asked.current_leader_epoch) || asked.fetch_offset < end
        })
    }

    fn check(&self) {
        if self.parked.is_some() && self.has_urgent_news() {
            assert!(self.woken.0.load(Ordering::SeqCst) > 0, "nobody woke the request");
        }
        for (p, asked) in &self.wanted {
            if asked.is_none() {
                continue;
            }
            let shadow = &self.shadows[usize::try_from(*p).unwrap()];
            let expected = shadow.followers().next().unwrap().1.caught_up;
            assert_eq!(self.node.get(*p).caught_up(2), expected, "partition {p}");
        }
    }

    /// Goes on until there is nothing more to tell.
    fn settle(&mut self) {
        for _ in 0..12 {
            self.request();
            self.node.tick(WAIT_MS);
            self.poll();
            assert!(self.parked.is_none(), "its time is over");
            self.check();
        }
        for p in self.wanted.keys() {
            let (log, has) = (self.node.get(*p).log(), &self.has[p]);
            let here = (log.end_offset(), log.high_watermark(), log.start_offset());
            assert_eq!((has.offset, has.high_watermark, has.start), here, "partition {p}");
            assert_eq!(here.0, here.1, "all is committed");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(i32),
    Delete(i32),
    Roll(i32),
    Elect(i32),
    Leave(i32),
    Join(i32),
    Brokers,
    Tick(u64),
    Request,
    Poll,
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let p = 0..3i32;
    let step = prop_oneof![
        4 => p.clone().prop_map(Step::Append),
        1 => p.clone().prop_map(Step::Delete),
        1 => p.clone().prop_map(Step::Roll),
        1 => p.clone().prop_map(Step::Elect),
        1 => p.clone().prop_map(Step::Leave),
        1 => p.prop_map(Step::Join),
        1 => Just(Step::Brokers),
        3 => (1..600u64).prop_map(Step::Tick),
        6 => Just(Step::Request),
        4 => Just(Step::Poll),
        1 => Just(Step::Lose),
    ];
    proptest::collection::vec(step, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_follower_hears_of_all_and_counts_as_if_each_fetch_looked_at_all(steps in steps()) {
        let mut rig = Rig::new(3);
        rig.request();
        for step in steps {
            match step {
                Step::Append(p) => rig.append(p),
                Step::Delete(p) => {
                    rig.node.get(p).delete_records(-1).unwrap();
                }
                // As retention does: nobody is woken.
                Step::Roll(p) => {
                    let log = rig.node.get(p).log();
                    log.set_start_offset(log.high_watermark()).unwrap();
                    rig.node.get(p).waiters().stir();
                }
                Step::Elect(p) => rig.elect(p),
                Step::Leave(p) if rig.wanted.len() > 1 => {
                    rig.wanted.remove(&p);
                }
                Step::Leave(_) => {}
                Step::Join(p) => {
                    rig.wanted.entry(p).or_default();
                }
                Step::Brokers => rig.node.core.cluster().set_brokers(brokers()),
                Step::Tick(ms) => rig.node.tick(ms),
                Step::Request => rig.request(),
                Step::Poll => rig.poll(),
                Step::Lose => rig.lose_session(),
            }
            // One that was taken out and put back is asked for anew only by the next request.
            rig.check();
        }
        rig.settle();
    }
}

#[test]
fn an_idle_request_looks_at_nothing() {
    let mut rig = Rig::new(50);
    rig.settle();
    assert_eq!(rig.looked, 0);
    rig.append(7);
    rig.request();
    assert_eq!(rig.looked, 1);
    rig.settle();
    assert_eq!(rig.looked, 0);
    // While a request waits, what comes joins it.
    rig.request();
    assert!(rig.parked.is_some());
    rig.append(9);
    assert_eq!(rig.woken.0.load(Ordering::SeqCst), 1);
    rig.poll();
    assert!(rig.parked.is_none());
    assert_eq!(rig.has[&9].offset, 1);
    rig.settle();
}

/// The in-sync replicas of a partition where nothing happens stay, and once something happens a
/// follower that asks no more has as long as it may lag since it asked last.
#[test]
fn a_follower_stays_in_sync_by_asking_and_leaves_when_it_is_gone() {
    let mut rig = Rig::new(2);
    rig.settle();
    for _ in 0..200 {
        rig.request();
        rig.node.tick(WAIT_MS);
        rig.poll();
    }
    assert_eq!(rig.looked, 0);
    let last = rig.node.clock.mono();
    assert_eq!(rig.node.get(0).caught_up(2), Some(Mono(last.0 - WAIT_MS)));
    rig.append(0);
    for partition in &rig.node.partitions {
        partition.check_in_sync();
        assert_eq!(partition.in_sync(), [1, 2]);
        assert!(!partition.isr_is_pending());
    }
    // 30 s is how long it may lag.
    rig.node.tick(30_000 - WAIT_MS);
    rig.node.get(0).check_in_sync();
    assert!(!rig.node.get(0).isr_is_pending(), "it asked within the time");
    rig.node.tick(1);
    rig.node.partitions.iter().for_each(Partition::check_in_sync);
    assert!(rig.node.get(0).isr_is_pending(), "it is gone");
    assert!(!rig.node.get(1).isr_is_pending(), "it has all there is");
}

/// A partition that a session asks for no more is not asked for because the session goes on.
#[test]
fn who_forgets_a_partition_does_not_go_on_asking_for_it() {
    let mut rig = Rig::new(2);
    rig.settle();
    rig.request();
    let last = rig.node.clock.mono();
    rig.wanted.remove(&0);
    for _ in 0..20 {
        rig.node.tick(WAIT_MS);
        rig.poll();
        rig.request();
    }
    assert_eq!(rig.node.get(0).caught_up(2), Some(last));
    assert_eq!(rig.node.get(1).caught_up(2), Some(rig.node.clock.mono()));
    rig.append(0);
    assert_eq!(rig.woken.0.load(Ordering::SeqCst), 0, "the session has it no more");
}

#[test]
fn a_session_that_ends_takes_leave_of_its_partitions() {
    let mut rig = Rig::new(3);
    rig.settle();
    assert_eq!(rig.node.get(0).waiters().len(), 1);
    rig.request();
    rig.lose_session();
    assert!(rig.node.partitions.iter().all(|partition| partition.waiters().len() == 0));
    // A partition that is gone is told of once more, and is not kept.
    rig.settle();
    rig.request();
    rig.node.get(1).retire(Retire::Gone);
    assert!(rig.woken.0.load(Ordering::SeqCst) > 0);
}

/// Several threads append while a follower asks, sleeping until it is woken: with deadlines an hour
/// away it ends only if nothing is lost.
#[test]
fn no_append_is_lost_while_requests_come_and_go() {
    const EACH: i64 = 1_000;
    let mut rig = Rig::new(4);
    rig.settle();
    let partitions = rig.node.partitions.clone();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for partition in &partitions {
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut builder = BatchBuilder::new(0);
                    builder.append(1_000_000, None, Some(b"value"));
                    let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
                    partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
                    if n % 7 == 0 {
                        // Time enough for the follower to catch up and park.
                        std::thread::sleep(Duration::from_micros(300));
                    }
                }
            });
        }
        while rig.has.values().any(|has| has.offset < EACH) {
            if rig.parked.is_none() {
                rig.request();
            } else if rig.woken.0.load(Ordering::SeqCst) > 0 {
                rig.poll();
            } else {
                std::thread::yield_now();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", rig.has);
        }
    });
}
