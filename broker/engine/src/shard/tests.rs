use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ottla_config::{BrokerConfig, NoSurroundings, parse};
use ottla_coordinator::group::Stability;
use ottla_coordinator::{Command, Context as Who, GroupMachine, Reply, Request};
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_log::log::AtLeast;
use ottla_machine::Time;
use ottla_metadata::{Delta, Image, ResourceType};
use ottla_wire::Uuid;
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_wire::record::{Batches, CrcCheck};
use ottla_wire::schema::metadata::{
    ConfigRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord,
};
use tokio::runtime::Runtime;

use super::*;
use crate::dirs::{LogDir, LogDirs};
use crate::env::{Clock, SystemClock};
use crate::groups::{Groups, OFFSETS_TOPIC};
use crate::publish::Publisher;
use crate::replicas::Replicas;

mod transactions;

const TOPIC: Uuid = Uuid::from_u128(0xC0);
/// Longer than any test takes.
const NEVER: &str = "3600000";

/// The machine's clock, and how far it was put forward.
struct Forward {
    clock: Arc<SystemClock>,
    by_ms: AtomicU64,
}

impl Clock for Forward {
    fn now(&self) -> Time {
        let (now, by_ms) = (self.clock.now(), self.by_ms.load(Ordering::Relaxed));
        Time { mono: now.mono.plus_ms(by_ms), wall_ms: now.wall_ms.saturating_add_unsigned(by_ms) }
    }
}

/// A node with one partition of the topic of groups.
struct Rig {
    clock: Arc<Forward>,
    groups: Arc<Groups>,
    publisher: Publisher,
    image: Image,
    runtime: Runtime,
    _root: tempfile::TempDir,
}

impl Rig {
    /// With that linger, in milliseconds or -1.
    fn new(linger: &str) -> Self {
        Self::of(&[format!("group.coordinator.append.linger.ms={linger}")], vec![1])
    }

    /// With these settings, and these replicas of the partition, all in sync.
    fn of(settings: &[String], replicas: Vec<i32>) -> Self {
        let config: BrokerConfig = parse(None, settings, &NoSurroundings).unwrap().config;
        let root = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let clock = Arc::new(Forward { clock: SystemClock::start(), by_ms: AtomicU64::new(0) });
        let core = Core::start(clock.clone()).unwrap();
        let cache = FileCache::new(Arc::new(RealDisk), 100);
        let (failures, _) = tokio::sync::mpsc::unbounded_channel();
        let files = Arc::new(Files::open(&root.path().join("d"), &cache).unwrap());
        let dir = LogDir::new(Uuid::from_u128(0xD100), files, failures);
        let groups = Groups::new(&config, Arc::clone(&core), runtime.handle().clone());
        let dirs = LogDirs::new(vec![dir]);
        let mut publisher = Publisher::new(core, Replicas::new(), dirs, config.into());
        publisher.listen(Arc::clone(&groups) as _);
        publisher.load(Image::default());
        let image = Image::default();
        let mut rig = Self { clock, groups, publisher, image, runtime, _root: root };
        let topic = TopicRecord { name: OFFSETS_TOPIC.into(), topic_id: TOPIC };
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC,
            directories: vec![Uuid::UNASSIGNED_DIRECTORY; replicas.len()],
            isr: replicas.clone(),
            replicas,
            leader: 1,
            leader_epoch: 3,
            ..Default::default()
        };
        rig.publish(&[topic.into(), partition.into()]);
        rig
    }

    fn publish(&mut self, records: &[MetadataRecord]) {
        let before = self.image.clone();
        for record in records {
            self.image.apply(record, 0).unwrap();
        }
        let delta = Delta::between(&before, &self.image);
        self.publisher.publish(self.image.clone(), &delta);
    }

    /// Sets a setting of the topic, or takes it back.
    fn set(&mut self, name: &str, value: Option<&str>) {
        let record = ConfigRecord {
            resource_type: ResourceType::Topic.code(),
            resource_name: OFFSETS_TOPIC.into(),
            name: name.into(),
            value: value.map(str::to_owned),
        };
        self.publish(&[record.into()]);
    }

    /// The shard, as soon as it serves.
    fn shard(&self) -> Arc<Shard<GroupMachine>> {
        loop {
            match self.groups.of("any", 1) {
                Ok(shard) => return shard,
                Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn wait(&self, submitted: Submitted<GroupMachine>) -> Reply {
        let reply = async { tokio::time::timeout(Duration::from_secs(60), submitted).await };
        self.runtime.block_on(reply).expect("a reply in time").expect("a reply")
    }

    /// The codes of a commit, each once.
    fn committed(&self, submitted: Submitted<GroupMachine>) -> Vec<ErrorCode> {
        let Reply::OffsetCommit(response) = self.wait(submitted) else {
            panic!("not a commit's answer");
        };
        let all = response.topics.iter().flat_map(|topic| &topic.partitions);
        let mut codes: Vec<_> = all.map(|partition| partition.error_code).collect();
        codes.dedup();
        codes
    }

    /// How many records each batch of the log has, and how large it is.
    fn batches(&self) -> Vec<(i32, usize)> {
        let log = self.shard().partition().log();
        let read = log.read(0, u32::MAX, log.end_offset(), AtLeast::OneBatch).unwrap();
        let Some(slice) = read.slice else { return Vec::new() };
        let bytes = Bytes::from(slice.read().unwrap());
        Batches::new(bytes, CrcCheck::Verify)
            .map(|batch| batch.unwrap().header)
            .map(|header| (header.records_count, header.size_in_bytes()))
            .collect()
    }
}

fn command(request: Request) -> Command {
    let context = Who { client_id: "c".into(), client_host: "/127.0.0.1".into(), version: 9 };
    Command { context, request }
}

/// A commit of that offset for partitions 0 to `partitions`.
fn commit(group: &str, partitions: i32, committed_offset: i64) -> Command {
    let all = (0..partitions).map(|partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..Default::default()
    });
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: all.collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    command(Request::OffsetCommit(request))
}

fn fetch(group: &str) -> Command {
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: group.into(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    command(Request::OffsetFetch { group, stability: Stability::Any })
}

fn offset(reply: &Reply) -> i64 {
    match reply {
        Reply::OffsetFetch(response) => response.topics[0].partitions[0].committed_offset,
        other => panic!("{other:?}"),
    }
}

/// A request of 90 KB whose records would be 400 MB: four times the segments of the topic.
#[test]
fn a_commit_that_fits_no_batch_leaves_the_shard_where_it_is() {
    let mut rig = Rig::new("-1");
    rig.set("segment.bytes", Some("104857600"));
    let shard = rig.shard();
    let group = "g".repeat(32_767);
    let refused = rig.committed(shard.submit(commit(&group, 13_000, 1)));
    assert_eq!(refused, [ErrorCode::UNKNOWN_SERVER_ERROR]);
    assert!(!shard.is_dropped());
    assert_eq!(rig.batches(), []);
    assert_eq!(rig.committed(shard.submit(commit(&group, 20, 1))), [ErrorCode::NONE]);
    assert!(Arc::ptr_eq(&shard, &rig.shard()), "it is the same shard");
}

#[test]
fn the_bound_of_a_batch_is_the_topics_as_it_is_now() {
    let mut rig = Rig::new("-1");
    let shard = rig.shard();
    rig.set("max.message.bytes", Some("1000"));
    let too_large = [ErrorCode::UNKNOWN_SERVER_ERROR];
    assert_eq!(rig.committed(shard.submit(commit("g", 40, 1))), too_large);
    assert_eq!(rig.committed(shard.submit(commit("g", 10, 1))), [ErrorCode::NONE]);
    rig.set("max.message.bytes", None);
    assert_eq!(rig.committed(shard.submit(commit("g", 40, 1))), [ErrorCode::NONE]);
    let sizes = rig.batches();
    assert_eq!(sizes.iter().map(|(records, _)| *records).collect::<Vec<_>>(), [10, 40]);
    assert!(sizes[0].1 <= 1_000 && sizes[1].1 > 1_000, "{sizes:?}");
    assert!(!shard.is_dropped());
}

#[test]
fn what_is_deleted_is_written_in_batches_that_fit() {
    let mut rig = Rig::new("-1");
    let shard = rig.shard();
    for group in ["a", "b"] {
        assert_eq!(rig.committed(shard.submit(commit(group, 300, 1))), [ErrorCode::NONE]);
    }
    rig.set("max.message.bytes", Some("3000"));
    let groups = vec!["a".to_owned(), "b".to_owned()];
    let reply = rig.wait(shard.submit(command(Request::DeleteGroups(groups))));
    let Reply::DeleteGroups(results) = reply else { panic!("{reply:?}") };
    assert!(results.iter().map(|r| r.error_code).eq([ErrorCode::NONE; 2]));
    let deleted = rig.batches().split_off(2);
    assert_eq!(deleted.iter().map(|(records, _)| *records).sum::<i32>(), 602);
    assert!(deleted.len() > 5 && deleted.iter().all(|(_, size)| *size <= 3_000), "{deleted:?}");
    rig.set("max.message.bytes", None);
    shard.retire();
    let reply = loop {
        match rig.groups.of("any", 1) {
            Ok(again) => break rig.wait(again.submit(fetch("a"))),
            Err(code) => assert_eq!(code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        }
    };
    assert_eq!(offset(&reply), -1, "a replay finds nothing of them");
}

#[test]
fn a_command_that_comes_alone_is_answered_at_once() {
    for linger in ["-1", "0"] {
        let rig = Rig::new(linger);
        let shard = rig.shard();
        for offset in 0..3 {
            let submitted = shard.submit(commit("g", 1, offset));
            assert!(matches!(submitted, Submitted::Ready(Some(Ok(_)))), "{linger}");
        }
        assert_eq!(rig.batches().len(), 3);
    }
}

/// As many threads as come while the shard is busy share the batch of the first, or each writes its
/// own when nothing is to be gathered.
#[test]
fn commands_that_wait_together_share_a_batch() {
    for (linger, batches) in [("-1", 1), ("0", 8)] {
        let rig = Rig::new(linger);
        let shard = rig.shard();
        let busy = shard.inner.lock();
        let threads: Vec<_> = (0..8)
            .map(|index| {
                let shard = Arc::clone(&shard);
                std::thread::spawn(move || shard.submit(commit(&format!("g{index}"), 1, index)))
            })
            .collect();
        while shard.coming.load(Ordering::Relaxed) < 8 {
            std::thread::yield_now();
        }
        drop(busy);
        for thread in threads {
            assert_eq!(rig.committed(thread.join().unwrap()), [ErrorCode::NONE]);
        }
        assert_eq!(rig.batches().len(), batches, "{linger}");
        for index in 0..8 {
            let reply = rig.wait(shard.submit(fetch(&format!("g{index}"))));
            assert_eq!(offset(&reply), index);
        }
    }
}

#[test]
fn a_linger_gathers_for_its_time_and_holds_back_what_it_decides() {
    let rig = Rig::new(NEVER);
    let shard = rig.shard();
    let committed: Vec<_> = (0..5).map(|offset| shard.submit(commit("g", 1, offset))).collect();
    let mut read = shard.submit(fetch("g"));
    assert!(matches!(read, Submitted::Waiting(_)), "what it would tell is not written");
    assert_eq!(rig.batches(), []);
    let Submitted::Waiting(receiver) = &mut read else { panic!("it waits") };
    assert!(receiver.try_recv().is_err());
    // Retiring tells them all, and leaves nothing that a replay would find.
    shard.retire();
    for submitted in committed.into_iter().chain([read]) {
        let told = rig.runtime.block_on(submitted);
        assert_eq!(told.err(), Some(ErrorCode::NOT_COORDINATOR));
    }

    let rig = Rig::new("50");
    let shard = rig.shard();
    let committed: Vec<_> = (0..5).map(|offset| shard.submit(commit("g", 1, offset))).collect();
    let read = shard.submit(fetch("g"));
    assert_eq!(offset(&rig.wait(read)), 4);
    for submitted in committed {
        assert_eq!(rig.committed(submitted), [ErrorCode::NONE]);
    }
    let batches = rig.batches();
    assert_eq!(batches.iter().map(|(records, _)| *records).sum::<i32>(), 5);
    assert!(batches.len() < 5, "{batches:?}");
}

#[test]
fn a_commit_that_another_replica_never_has_is_answered_in_time() {
    let rig = Rig::of(&["offsets.commit.timeout.ms=50".to_owned()], vec![1, 2]);
    let shard = rig.shard();
    let submitted = shard.submit(commit("g", 1, 7));
    let told = async { tokio::time::timeout(Duration::from_secs(60), submitted).await };
    let told = rig.runtime.block_on(told).expect("an answer in time");
    assert_eq!(told.err(), Some(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    assert!(!shard.is_dropped(), "what was written may be committed yet");
    assert_eq!(rig.batches().len(), 1);
}

#[test]
fn a_batch_that_is_full_does_not_linger() {
    let mut rig = Rig::new(NEVER);
    rig.set("max.message.bytes", Some("1000"));
    let shard = rig.shard();
    let first = shard.submit(commit("g", 15, 1));
    let second = shard.submit(commit("g", 15, 2));
    assert_eq!(rig.committed(first), [ErrorCode::NONE], "the second had no room beside it");
    assert_eq!(rig.batches().len(), 1);
    drop(second);
}

/// Whoever leaves a batch to another knows that the other comes: no reply stays behind.
#[test]
fn no_command_is_left_behind_however_they_meet() {
    for linger in ["-1", "1"] {
        let rig = Rig::new(linger);
        let shard = rig.shard();
        let turns: i64 = if linger == "1" { 50 } else { 500 };
        std::thread::scope(|scope| {
            for index in 0..8 {
                let (rig, shard) = (&rig, &shard);
                scope.spawn(move || {
                    let group = format!("g{index}");
                    for turn in 0..turns {
                        let submitted = shard.submit(commit(&group, 1, turn));
                        assert_eq!(rig.committed(submitted), [ErrorCode::NONE]);
                        assert_eq!(offset(&rig.wait(shard.submit(fetch(&group)))), turn);
                    }
                });
            }
        });
        let batches = rig.batches();
        let records: i64 = batches.iter().map(|(records, _)| i64::from(*records)).sum();
        assert_eq!(records, 8 * turns);
        assert!(linger == "-1" || batches.len() < 400, "{}", batches.len());
    }
}

#[test]
fn nothing_is_told_of_what_was_replayed_before_it_is_committed() {
    let mut rig = Rig::new("0");
    let two = PartitionChangeRecord {
        partition_id: 0,
        topic_id: TOPIC,
        replicas: Some(vec![1, 2]),
        isr: Some(vec![1, 2]),
        directories: Some(vec![Uuid::UNASSIGNED_DIRECTORY; 2]),
        leader: 1,
        ..Default::default()
    };
    rig.publish(&[two.clone().into()]);
    let unanswered = rig.shard().submit(commit("g", 1, 5));
    assert!(matches!(unanswered, Submitted::Waiting(_)), "the other replica has not got it");
    // Leadership begins anew, with a record that may yet be lost.
    rig.publish(&[two.clone().into()]);
    let fetched = rig.shard().submit(fetch("g"));
    assert!(matches!(fetched, Submitted::Waiting(_)), "{fetched:?}");
    let alone = PartitionChangeRecord { isr: Some(vec![1]), leader: -2, ..two };
    rig.publish(&[PartitionChangeRecord { replicas: None, directories: None, ..alone }.into()]);
    assert_eq!(offset(&rig.wait(fetched)), 5);
}

/// Without this a disk that failed once would be the end of its groups until the next election.
#[test]
fn a_partition_that_could_not_be_read_is_read_again() {
    let mut rig = Rig::new("0");
    let shard = rig.shard();
    assert_eq!(rig.committed(shard.submit(commit("g", 1, 5))), [ErrorCode::NONE]);
    let mut open = Open::<GroupMachine>::new(Compression::default());
    open.push(0, &[(Bytes::from_static(b"?"), None)]);
    let (batch, _) = open.finish().unwrap();
    let how = AppendHow::coordinator(shard.epoch());
    let bad = shard.partition().append(&[batch], how).unwrap();
    let led =
        PartitionChangeRecord { partition_id: 0, topic_id: TOPIC, leader: 1, ..Default::default() };
    rig.publish(&[led.into()]);
    let failed = |rig: &Rig| loop {
        match rig.groups.of("any", 1) {
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => std::thread::yield_now(),
            other => return other.map(|_| "it serves"),
        }
    };
    assert_eq!(failed(&rig), Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    // What was in the way goes, and is not looked for each time that somebody asks.
    shard.partition().log().set_start_offset(bad.last_offset + 1).unwrap();
    assert_eq!(failed(&rig), Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    rig.clock.by_ms.store(3_600_000, Ordering::Relaxed);
    let again = rig.shard();
    assert_eq!(again.epoch(), shard.epoch() + 1);
    assert_eq!(rig.committed(again.submit(commit("g", 1, 6))), [ErrorCode::NONE]);
}
