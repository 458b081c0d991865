use bytes::Bytes;
use ottla_config::{LogConfig, NoSurroundings, parse};
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_log::log::{AppendBatch, Shutdown};
use ottla_log::names::DirKind;
use ottla_replica::Acks;
use ottla_wire::record::{BatchBuilder, Batches, CrcCheck};

use super::*;
use crate::env::SystemClock;
use crate::ids::PartitionId;
use crate::partition::{AppendHow, Lead, Partition, ReadAsk};
use crate::settings::TopicSettings;
use crate::wait::Reader;

struct Rig {
    root: tempfile::TempDir,
    house: Housekeeping,
    partition: Arc<Partition>,
}

fn overrides(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn start(topic: &[(&str, &str)], broker: &[&str]) -> Rig {
    let root = tempfile::tempdir().unwrap();
    let broker: Vec<String> = broker.iter().map(|s| (*s).to_owned()).collect();
    let config = parse(None, &broker, &NoSurroundings).unwrap().config;
    let core = Core::start(SystemClock::start()).unwrap();
    let cache = FileCache::new(Arc::new(RealDisk), 100);
    let files = Arc::new(Files::open(root.path(), &cache).unwrap());
    let (send, _) = tokio::sync::mpsc::unbounded_channel();
    let dir = LogDir::new(Uuid::from_u128(0xD1), files, send);
    let topic = LogConfig::resolve(&config, &overrides(topic)).unwrap();
    let settings = TopicSettings::new(topic, 1000);
    let name = TopicPartition::new("t", 0);
    let log = Arc::clone(&settings.log);
    let log = dir.files().create_log(&name, DirKind::Current, 0, None, log, 0).unwrap();
    let id = PartitionId::new(Uuid::from_u128(0xA1), 0);
    let core2 = Arc::clone(&core);
    let partition = Partition::new(id, "t".into(), log, Arc::clone(&dir), settings, core2);
    let lead = Lead { me: 1, epoch: 1, partition_epoch: 1, replicas: vec![1], isr: vec![1] };
    partition.lead(lead);
    let replicas = Replicas::new();
    replicas.insert(Arc::clone(&partition));
    let config = Arc::new(ArcSwap::from_pointee(config));
    let house = Housekeeping::start(core, replicas, LogDirs::new(vec![dir]), config).unwrap();
    Rig { root, house, partition }
}

fn append(partition: &Partition, time: i64, key: &str, size: usize) {
    let mut builder = BatchBuilder::new(0);
    builder.append(time, Some(key.as_bytes()), Some(&vec![b'v'; size]));
    let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
    partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
}

#[test]
fn retention_by_time_removes_old_segments_and_their_files() {
    let topic =
        [("retention.ms", "1000"), ("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")];
    let rig = start(&topic, &[]);
    for _ in 0..30 {
        append(&rig.partition, 1, "k", 100_000);
    }
    let segments = rig.partition.log().segment_count();
    assert!(segments > 2);
    rig.house.round();
    rig.house.round();
    assert_eq!(rig.partition.log().segment_count(), 1);
    assert_eq!(rig.partition.log().start_offset(), 30);
    let files = std::fs::read_dir(rig.root.path().join("t-0")).unwrap();
    let deleted = files.filter(|f| {
        f.as_ref().is_ok_and(|f| f.file_name().to_string_lossy().ends_with(".deleted"))
    });
    assert_eq!(deleted.count(), 0);
}

#[test]
fn compaction_keeps_the_last_record_of_each_key() {
    let topic = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let rig = start(&topic, &["log.cleaner.enable=false"]);
    let now = rig.house.house.core.clock().wall_ms();
    for i in 0..40 {
        append(&rig.partition, now, &format!("k{}", i % 4), 100_000);
    }
    assert_eq!(rig.house.compact_all(), 1);
    assert_eq!(rig.house.compact_all(), 0, "it is clean now");
    let log = rig.partition.log();
    assert!(log.size() < 2_000_000, "{} bytes are left", log.size());
    let mut offset = 0;
    let mut left = 0;
    while offset < 40 {
        let epoch = ottla_replica::EpochCheck::Any;
        let ask = ReadAsk { offset, max_bytes: 4 << 20, epoch, last_fetched_epoch: -1 };
        let at_least = ottla_log::log::AtLeast::OneBatch;
        let read = rig.partition.read(&ask, Reader::Uncommitted, at_least).unwrap();
        let bytes = Bytes::from(read.slice.unwrap().read().unwrap());
        for batch in Batches::new(bytes, CrcCheck::Verify).map_while(Result::ok) {
            offset = batch.header.next_offset();
            left += batch.header.records_count;
        }
    }
    assert!((4..20).contains(&left), "{left} records are left");
}

#[test]
fn a_clean_shutdown_leaves_its_marker_and_checkpoints() {
    let rig = start(&[], &[]);
    append(&rig.partition, 5, "k", 10);
    let Rig { root, house, partition } = rig;
    house.round();
    house.shut_down(77);
    assert!(partition.append(&[], AppendHow::client(Acks::Leader)).is_err());
    drop(partition);
    let cache = FileCache::new(Arc::new(RealDisk), 100);
    let files = Files::open(root.path(), &cache).unwrap();
    assert_eq!(files.shutdown(), Shutdown::Clean);
    assert_eq!(files.previous_broker_epoch(), Some(77));
    let text = std::fs::read_to_string(root.path().join("replication-offset-checkpoint")).unwrap();
    assert_eq!(text, "0\n1\nt 0 1\n");
}

#[test]
fn a_flush_is_waited_for_when_each_message_must_be_flushed() {
    let rig = start(&[("flush.messages", "1")], &[]);
    let mut builder = BatchBuilder::new(0);
    builder.append(1, None, Some(b"v"));
    let batch = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
    let done = rig.partition.append(&[batch], AppendHow::client(Acks::Leader)).unwrap();
    let crate::partition::Ack::Wait(wait) = done.ack else { panic!("not flushed yet") };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(wait), Ok(()));
    assert_eq!(rig.partition.log().recovery_point(), 1);
}

#[test]
fn threads_of_compaction_follow_the_config() {
    let rig = start(&[], &["log.cleaner.backoff.ms=5"]);
    let house = &rig.house.house;
    let running = || house.cleaners.lock().values().filter(|thread| !thread.is_finished()).count();
    for wanted in [1, 4, 2, 3] {
        let text = [format!("log.cleaner.threads={wanted}"), "log.cleaner.backoff.ms=5".into()];
        house.config.store(Arc::new(parse(None, &text, &NoSurroundings).unwrap().config));
        let begin = std::time::Instant::now();
        // One that was about to end when it was wanted again is replaced at the next look.
        while running() != wanted {
            assert!(begin.elapsed() < Duration::from_secs(20), "{} run, not {wanted}", running());
            house.keep_cleaners().unwrap();
            std::thread::yield_now();
        }
    }
}
