mod moving;

use bytes::Bytes;
use ottla_config::{EMBEDDED, NoSurroundings, parse};
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_log::log::AppendBatch;
use ottla_replica::Acks;
use ottla_wire::record::BatchBuilder;
use ottla_wire::schema::metadata::{
    ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RemoveTopicRecord, TopicRecord,
};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::env::SystemClock;
use crate::error::EngineError;
use crate::fetch::{Fetch, FetchItem, FetchParams, fetch};
use crate::partition::{Ack, AppendHow, ReadAsk};
use crate::wait::Reader;

const A: Uuid = Uuid::from_u128(0xA000);
const DIRS: [Uuid; 2] = [Uuid::from_u128(0xD100), Uuid::from_u128(0xD200)];

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl RoleListener for Heard {
    fn leads(&self, partition: &Arc<Partition>, epoch: i32) {
        let (topic, number) = (partition.topic(), partition.id().partition);
        self.0.lock().push(format!("{topic}-{number} leads {epoch}"));
    }

    fn resigns(&self, topic: &str, id: PartitionId) {
        self.0.lock().push(format!("{topic}-{} resigns", id.partition));
    }
}

struct Rig {
    root: tempfile::TempDir,
    core: Arc<Core>,
    replicas: Arc<Replicas>,
    publisher: Publisher,
    dirs: LogDirs,
    image: Image,
    failures: UnboundedReceiver<Uuid>,
    heard: Arc<Heard>,
}

impl Rig {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), Image::default())
    }

    fn at(root: tempfile::TempDir, image: Image) -> Self {
        let config = parse(None, &[], &NoSurroundings).unwrap().config;
        assert!(EMBEDDED.contains("node.id=1"));
        let core = Core::start(SystemClock::start()).unwrap();
        let cache = FileCache::new(Arc::new(RealDisk), 100);
        let (send, failures) = tokio::sync::mpsc::unbounded_channel();
        let dirs = DIRS.iter().enumerate().map(|(i, id)| {
            let path = root.path().join(format!("d{i}"));
            let files = Arc::new(Files::open(&path, &cache).unwrap());
            LogDir::new(*id, files, send.clone())
        });
        let dirs = LogDirs::new(dirs.collect());
        let replicas = Replicas::new();
        let mut publisher =
            Publisher::new(Arc::clone(&core), Arc::clone(&replicas), dirs.clone(), config.into());
        let heard = Arc::new(Heard::default());
        publisher.listen(Arc::clone(&heard) as _);
        publisher.load(image.clone());
        Self { root, core, replicas, publisher, dirs, image, failures, heard }
    }

    fn publish(&mut self, records: &[MetadataRecord]) -> Published {
        let before = self.image.clone();
        for record in records {
            self.image.apply(record, 0).unwrap();
        }
        let delta = Delta::between(&before, &self.image);
        self.publisher.publish(self.image.clone(), &delta)
    }

    fn get(&self, partition: i32) -> Result<Arc<Partition>, EngineError> {
        self.replicas.get(PartitionId::new(A, partition))
    }

    fn restart(self) -> Self {
        let Self { root, core, replicas, publisher, dirs, image, .. } = self;
        drop((publisher, dirs, replicas, core));
        Self::at(root, image)
    }
}

fn topic(partitions: i32) -> Vec<MetadataRecord> {
    let topic = TopicRecord { name: "a".into(), topic_id: A };
    let mut records = vec![MetadataRecord::from(topic)];
    records.extend((0..partitions).map(|partition_id| {
        MetadataRecord::from(PartitionRecord {
            partition_id,
            topic_id: A,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            leader_epoch: 3,
            directories: vec![Uuid::UNASSIGNED_DIRECTORY],
            ..PartitionRecord::default()
        })
    }));
    records
}

fn batch(value: &str) -> AppendBatch {
    let mut builder = BatchBuilder::new(0);
    builder.append(1000, None, Some(value.as_bytes()));
    AppendBatch::split(&builder.build().unwrap().bytes).unwrap()
}

fn ask(offset: i64) -> ReadAsk {
    let epoch = ottla_replica::EpochCheck::Any;
    ReadAsk { offset, max_bytes: 1 << 20, epoch, last_fetched_epoch: -1 }
}

fn params(min_bytes: u32, max_wait_ms: u64) -> FetchParams {
    let reader = Reader::Uncommitted;
    let (follower, from) = (None, crate::fetch::ReadFrom::Leader);
    FetchParams { min_bytes, max_bytes: 1 << 20, max_wait_ms, reader, follower, from }
}

#[test]
fn a_topic_is_created_spread_written_read_and_deleted() {
    let mut rig = Rig::new();
    let done = rig.publish(&topic(4));
    assert_eq!((done.created, done.assigned.len()), (4, 4));
    assert!(rig.dirs.all().iter().all(|dir| dir.partitions() == 2));
    let partition = rig.get(2).unwrap();
    let how = AppendHow::client(Acks::All);
    let done = partition.append(&[batch("one"), batch("two")], how).unwrap();
    assert_eq!((done.first_offset, done.last_offset), (0, 1));
    assert!(matches!(done.ack, Ack::Now));
    let item = FetchItem::consumer(Some(Arc::clone(&partition)), ask(0));
    let Fetch::Ready(found) = fetch(&rig.core, params(1, 500), vec![item]) else {
        panic!("parked though there are records");
    };
    let read = found.into_iter().next().unwrap().unwrap();
    assert_eq!(read.high_watermark, 2);
    let bytes = Bytes::from(read.slice.unwrap().read().unwrap());
    let batches: Vec<_> =
        ottla_wire::record::Batches::new(bytes, ottla_wire::record::CrcCheck::Verify)
            .map(|b| b.unwrap().header)
            .collect();
    assert_eq!(batches.len(), 2);
    assert!(batches.iter().all(|b| b.partition_leader_epoch == 3));
    let remove = MetadataRecord::from(RemoveTopicRecord { topic_id: A });
    assert_eq!(rig.publish(&[remove]).removed, 4);
    assert!(matches!(rig.get(2), Err(EngineError::NotHere)));
    assert!(matches!(partition.append(&[batch("x")], how), Err(EngineError::NotHere)));
    let heard = rig.heard.0.lock();
    assert!(heard.contains(&"a-2 leads 3".to_owned()) && heard.contains(&"a-2 resigns".to_owned()));
}

#[test]
fn directories_are_made_behind_those_who_use_the_topic() {
    let mut rig = Rig::new();
    rig.publish(&topic(200));
    let how = AppendHow::client(Acks::All);
    for partition in (0..200).rev() {
        rig.get(partition).unwrap().append(&[batch("x")], how).unwrap();
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let there =
        || rig.dirs.all().iter().map(|dir| dir.files().list().unwrap().len()).sum::<usize>();
    assert_eq!(there(), 200, "what was written to is there");
    let remove = MetadataRecord::from(RemoveTopicRecord { topic_id: A });
    rig.publish(&[remove]);
    rig.publish(&topic(150));
    let current = || -> usize {
        let of = |dir: &Arc<LogDir>| dir.files().list().unwrap().into_iter();
        let all = rig.dirs.all().iter().flat_map(of);
        all.filter(|found| found.kind == DirKind::Current).count()
    };
    while current() < 150 {
        assert!(std::time::Instant::now() < end, "{} of 150 directories", current());
        std::thread::yield_now();
    }
    assert!(rig.failures.try_recv().is_err(), "no directory is blamed");
}

#[test]
fn configurations_take_effect_at_once_and_go_back() {
    let mut rig = Rig::new();
    rig.publish(&topic(1));
    let set = |value: Option<&str>| {
        MetadataRecord::from(ConfigRecord {
            resource_type: ResourceType::Topic.code(),
            resource_name: "a".into(),
            name: "max.message.bytes".into(),
            value: value.map(str::to_owned),
        })
    };
    rig.publish(&[set(Some("77"))]);
    let partition = rig.get(0).unwrap();
    assert_eq!(partition.config().max_message_bytes, 77);
    assert_eq!(partition.log().settings().max_message_bytes, 77);
    rig.publish(&[set(None)]);
    assert_eq!(partition.config().max_message_bytes, 1_048_588);
}

#[test]
fn a_failing_directory_takes_only_its_own_replicas() {
    let mut rig = Rig::new();
    rig.publish(&topic(4));
    let victim = rig.get(0).unwrap();
    let source = std::io::Error::other("on purpose");
    victim.dir().fail(&ottla_log::DiskError { op: "write", path: "x".into(), source });
    let how = AppendHow::client(Acks::Leader);
    assert!(matches!(victim.append(&[batch("x")], how), Err(EngineError::Offline)));
    let dir = rig.failures.try_recv().unwrap();
    let failed = rig.publisher.fail_dir(dir);
    assert_eq!(failed.len(), 2);
    let (mut offline, mut working) = (0, 0);
    for partition in 0..4 {
        match rig.get(partition) {
            Err(EngineError::Offline) => offline += 1,
            other => {
                other.unwrap().append(&[batch("x")], how).unwrap();
                working += 1;
            }
        }
    }
    assert_eq!((offline, working), (2, 2));
    assert!(rig.failures.try_recv().is_err(), "it is told once");
}

fn topic_in(dir: Uuid, partitions: i32) -> Vec<MetadataRecord> {
    let mut records = topic(partitions);
    for record in &mut records {
        if let MetadataRecord::Partition(record) = record {
            record.directories = vec![dir];
        }
    }
    records
}

#[test]
fn a_replica_whose_directory_is_gone_for_good_begins_anew_elsewhere() {
    let mut rig = Rig::new();
    let gone = Uuid::from_u128(0xD900);
    let done = rig.publish(&topic_in(gone, 2));
    assert_eq!((done.created, done.assigned.len()), (2, 2));
    assert!(done.assigned.iter().all(|told| DIRS.contains(&told.dir)));
    rig.get(1).unwrap().append(&[batch("x")], AppendHow::client(Acks::Leader)).unwrap();
    let rig = rig.restart();
    assert_eq!(rig.get(1).unwrap().log().end_offset(), 1, "nor is it made again");
}

#[test]
fn a_replica_that_may_be_in_a_directory_out_of_service_is_offline() {
    let mut rig = Rig::new();
    let source = std::io::Error::other("on purpose");
    let error = ottla_log::DiskError { op: "write", path: "x".into(), source };
    rig.dirs.get(DIRS[0]).unwrap().fail(&error);
    let done = rig.publish(&topic_in(Uuid::from_u128(0xD900), 1));
    assert_eq!((done.created, done.assigned.len()), (0, 0));
    assert!(matches!(rig.get(0), Err(EngineError::Offline)));
    let dirs = LogDirs::new(Vec::new());
    assert!(!dirs.any_offline() && dirs.with_unreadable(vec!["x".into()]).any_offline());
}

#[test]
fn a_directory_outlives_a_want_of_open_files() {
    let mut rig = Rig::new();
    rig.publish(&topic(2));
    let partition = rig.get(0).unwrap();
    let (log, dir) = (partition.log(), partition.dir());
    let error = |code| {
        let source = std::io::Error::from_raw_os_error(code);
        LogError::Disk(ottla_log::DiskError { op: "open", path: "x".into(), source })
    };
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EEXIST: i32 = 17;
    const EIO: i32 = 5;
    for code in [EMFILE, ENFILE, EEXIST] {
        dir.judge(&error(code));
        dir.judge_of(&log, &error(code));
    }
    assert!(dir.is_online());
    dir.judge_of(&log, &error(EIO));
    assert!(!dir.is_online());
}

#[test]
fn a_restart_finds_its_logs_and_puts_strays_aside() {
    let mut rig = Rig::new();
    rig.publish(&topic(3));
    let how = AppendHow::client(Acks::Leader);
    for partition in 0..3 {
        rig.get(partition).unwrap().append(&[batch("kept")], how).unwrap();
    }
    let mut rig = rig.restart();
    for partition in 0..3 {
        let found = rig.get(partition).unwrap();
        assert_eq!((found.log().end_offset(), found.bound(Reader::Uncommitted)), (1, 1));
        assert_eq!(found.leader_epoch(), Some(3));
        assert_eq!(found.append(&[batch("more")], how).unwrap().first_offset, 1);
    }
    // The topic is deleted while the node is away, and another takes its name.
    let other = Uuid::from_u128(0xB000);
    rig.image.apply(&MetadataRecord::from(RemoveTopicRecord { topic_id: A }), 0).unwrap();
    let again = TopicRecord { name: "a".into(), topic_id: other };
    rig.image.apply(&MetadataRecord::from(again), 0).unwrap();
    let mut partition = topic(1).remove(1);
    if let MetadataRecord::Partition(record) = &mut partition {
        record.topic_id = other;
    }
    rig.image.apply(&partition, 0).unwrap();
    let rig = rig.restart();
    let found = rig.replicas.get(PartitionId::new(other, 0)).unwrap();
    assert_eq!(found.log().end_offset(), 0);
    assert_eq!(rig.replicas.len(), 1);
    let names = rig.dirs.all().iter().flat_map(|dir| dir.files().list().unwrap());
    assert_eq!(names.filter(|f| f.kind == DirKind::Stray).count(), 3);
}

#[test]
fn checkpoints_name_no_log_that_is_gone() {
    let mut rig = Rig::new();
    rig.publish(&topic(2));
    let dirs: Vec<_> = rig.dirs.all().iter().map(|dir| dir.path().to_path_buf()).collect();
    let files = [
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
        "log-start-offset-checkpoint",
        "cleaner-offset-checkpoint",
    ];
    let named = |name: &str| {
        let texts = dirs.iter().flat_map(|dir| files.map(|file| dir.join(file)));
        let texts = texts.filter_map(|path| std::fs::read_to_string(path).ok());
        texts.filter(|text| text.lines().any(|line| line.starts_with(name))).count()
    };
    for dir in rig.dirs.all() {
        for log in dir.files().logs() {
            dir.files().set_cleaner_point(&log, 0).unwrap();
        }
    }
    assert_eq!(named("a "), 2);
    rig.publish(&[MetadataRecord::from(RemoveTopicRecord { topic_id: A })]);
    assert_eq!(named("a "), 0, "they go with the topic");
    // As a crash between the end of a log and the writing leaves them.
    for dir in &dirs {
        for file in files {
            std::fs::write(dir.join(file), "0\n1\nghost 0 7\n").unwrap();
        }
    }
    let rig = rig.restart();
    assert_eq!(named("ghost "), 0, "or when the node starts");
    drop(rig);
}

#[test]
fn leadership_that_is_lost_ends_waits_and_wakes_readers() {
    let mut rig = Rig::new();
    let mut records = topic(1);
    if let MetadataRecord::Partition(record) = &mut records[1] {
        (record.replicas, record.isr) = (vec![1, 2], vec![1, 2]);
        record.directories = vec![Uuid::UNASSIGNED_DIRECTORY; 2];
    }
    rig.publish(&records);
    let partition = rig.get(0).unwrap();
    let appended = partition.append(&[batch("x")], AppendHow::client(Acks::All)).unwrap();
    let Ack::Wait(wait) = appended.ack else { panic!("acknowledged by one of two") };
    let item = FetchItem::consumer(Some(Arc::clone(&partition)), ask(0));
    let Fetch::Parked(parked) = fetch(&rig.core, params(1, 60_000), vec![item]) else {
        panic!("nothing is committed yet");
    };
    let change = PartitionChangeRecord {
        partition_id: 0,
        topic_id: A,
        leader: 2,
        ..PartitionChangeRecord::default()
    };
    rig.publish(&[MetadataRecord::from(change)]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lost = ottla_wire::ErrorCode::NOT_LEADER_OR_FOLLOWER;
    assert_eq!(runtime.block_on(wait), Err(lost));
    let found = runtime.block_on(parked).unwrap();
    assert_eq!(found[0].as_ref().unwrap_err().code(), lost);
    assert_eq!(partition.follows(), Some(2));
    assert_eq!(*rig.heard.0.lock(), ["a-0 leads 3", "a-0 resigns"]);
}

#[test]
fn a_parked_fetch_wakes_for_bytes_and_for_the_deadline() {
    let mut rig = Rig::new();
    rig.publish(&topic(2));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let items = |rig: &Rig| {
        let item = |p| FetchItem::consumer(Some(rig.get(p).unwrap()), ask(0));
        vec![item(0), item(1)]
    };
    let Fetch::Parked(parked) = fetch(&rig.core, params(1, 20), items(&rig)) else {
        panic!("there is nothing")
    };
    let found = runtime.block_on(parked).unwrap();
    assert!(found.iter().all(|f| f.as_ref().unwrap().slice.is_none()));

    let Fetch::Parked(parked) = fetch(&rig.core, params(100, 60_000), items(&rig)) else {
        panic!("there is nothing")
    };
    let (one, two) = (rig.get(0).unwrap(), rig.get(1).unwrap());
    let writer = std::thread::spawn(move || {
        let how = AppendHow::client(Acks::Leader);
        one.append(&[batch("a short one")], how).unwrap();
        std::thread::yield_now();
        two.append(&[batch("and another one")], how).unwrap();
    });
    let found = runtime.block_on(parked).unwrap();
    writer.join().unwrap();
    let bytes: u32 = found.iter().map(|f| f.as_ref().unwrap().bytes()).sum();
    assert!(bytes >= 100, "{bytes} bytes");
}

#[test]
fn offsets_are_found_by_time() {
    use crate::partition::OffsetQuery;
    let mut rig = Rig::new();
    rig.publish(&topic(1));
    let partition = rig.get(0).unwrap();
    for times in [[100, 300, 200], [150, 250, 50]] {
        let mut builder = BatchBuilder::new(0);
        times.iter().for_each(|t| builder.append(*t, None, Some(b"v")));
        let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
        partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
    }
    let find = |query| {
        let epoch = ottla_replica::EpochCheck::Any;
        partition.find_offset(query, epoch).unwrap().map(|f| (f.offset, f.timestamp))
    };
    assert_eq!(find(OffsetQuery::AtLeast(0, Reader::Uncommitted)), Some((0, 100)));
    assert_eq!(find(OffsetQuery::AtLeast(101, Reader::Uncommitted)), Some((1, 300)));
    assert_eq!(find(OffsetQuery::AtLeast(301, Reader::Uncommitted)), None);
    assert_eq!(find(OffsetQuery::MaxTimestamp(Reader::Uncommitted)), Some((1, 300)));
    assert_eq!(find(OffsetQuery::Earliest), Some((0, -1)));
    assert_eq!(find(OffsetQuery::Latest(Reader::Uncommitted)), Some((6, -1)));
    assert_eq!(partition.delete_records(4).unwrap(), 4);
    assert_eq!(find(OffsetQuery::AtLeast(0, Reader::Uncommitted)), Some((4, 250)));
    assert_eq!(find(OffsetQuery::Earliest), Some((4, -1)));
    assert!(partition.delete_records(7).is_err());
    assert!(partition.delete_records(-2).is_err());
    // What lies in an open transaction is not found by who reads what is committed, as in Kafka.
    let mut builder = BatchBuilder::new(0).producer(9, 0, 0).transactional();
    builder.append(900, None, Some(b"v"));
    let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
    partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
    assert_eq!(find(OffsetQuery::AtLeast(800, Reader::Uncommitted)), Some((6, 900)));
    assert_eq!(find(OffsetQuery::AtLeast(800, Reader::Committed)), None);
    assert_eq!(find(OffsetQuery::MaxTimestamp(Reader::Committed)), None);
    assert_eq!(find(OffsetQuery::Latest(Reader::Committed)), Some((6, -1)));
    // A transaction that began below the start is unstable from there on.
    for _ in 0..3 {
        let mut builder = BatchBuilder::new(0);
        builder.append(5, None, Some(b"v"));
        let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
        partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
    }
    assert_eq!(partition.delete_records(8).unwrap(), 8);
    assert_eq!(find(OffsetQuery::Latest(Reader::Committed)), Some((8, -1)));
}

#[test]
fn roles_that_others_depend_on_wait_for_the_registration() {
    use ottla_wire::schema::metadata::RegisterBrokerRecord;
    let mut rig = Rig::new();
    let (before, now) = (Uuid::from_u128(0xB0), Uuid::from_u128(0xB1));
    rig.publisher.await_registration(now);
    let register = |incarnation_id| {
        let broker_epoch = 7;
        let record = RegisterBrokerRecord {
            broker_id: 1,
            incarnation_id,
            broker_epoch,
            ..Default::default()
        };
        MetadataRecord::from(record)
    };
    rig.publish(&[register(before)]);
    let mut records = topic(2);
    if let MetadataRecord::Partition(record) = &mut records[1] {
        (record.replicas, record.isr) = (vec![1, 2], vec![1, 2]);
        record.directories = vec![Uuid::UNASSIGNED_DIRECTORY; 2];
    }
    rig.publish(&records);
    assert_eq!(rig.get(0).unwrap().leader_epoch(), None);
    assert_eq!(rig.get(1).unwrap().leader_epoch(), Some(3), "nobody else depends on it");
    rig.publish(&[register(now)]);
    assert_eq!(rig.get(0).unwrap().leader_epoch(), Some(3));
    assert_eq!(*rig.heard.0.lock(), ["a-1 leads 3", "a-0 leads 3"]);
}

fn version(feature_level: i16) -> MetadataRecord {
    FeatureLevelRecord { name: MetadataVersion::FEATURE.into(), feature_level }.into()
}

#[test]
fn what_older_metadata_could_not_say_is_told_when_they_can() {
    let mut rig = Rig::new();
    let assignments = Assignments::new();
    rig.publisher.assign_with(Arc::clone(&assignments));
    rig.publish(&[version(16)]);
    rig.publish(&topic(1));
    // The controller of that version has no use for it.
    assignments.agree();
    rig.publish(&[version(17)]);
    let partition = rig.get(0).unwrap();
    let expected = Assignment { id: partition.id(), dir: partition.dir().id() };
    assert_eq!(assignments.agree(), [expected]);
}
