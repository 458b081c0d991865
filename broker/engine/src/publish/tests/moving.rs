//! Partitions that move between log directories, as the threads of the engine do it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::{DynamicLayers, NoSurroundings, parse};
use ottla_log::Log;
use ottla_log::log::AtLeast;

use super::*;
use crate::moves::Moves;
use crate::partition::{Begun, Copied};

/// Moves of a rig, with a rate in bytes a second.
fn moves(rig: &mut Rig, rate: Option<&str>) -> (Arc<Moves>, Arc<Assignments>) {
    let config = Arc::new(parse(None, &[], &NoSurroundings).unwrap().config);
    let key = "replica.alter.log.dirs.io.max.bytes.per.second".to_owned();
    let cluster: BTreeMap<_, _> = rate.map(|rate| (key, rate.to_owned())).into_iter().collect();
    let layers = DynamicLayers { broker: BTreeMap::new(), cluster };
    let (config, refused) = config.with_dynamic(layers);
    assert!(refused.is_empty());
    let assignments = Assignments::new();
    rig.publisher.assign_with(Arc::clone(&assignments));
    let config = Arc::new(ArcSwap::from_pointee(config));
    (Moves::new(rig.dirs.clone(), config, Arc::clone(&assignments)), assignments)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn other(rig: &Rig, partition: &Partition) -> Arc<LogDir> {
    let here = partition.dir().id();
    rig.dirs.all().iter().find(|dir| dir.id() != here).unwrap().clone()
}

fn bytes(log: &Log) -> Vec<u8> {
    let (mut at, mut all) = (log.start_offset(), Vec::new());
    while at < log.end_offset() {
        let slice = log.read(at, 1 << 20, i64::MAX, AtLeast::OneBatch).unwrap().slice.unwrap();
        all.extend(slice.read().unwrap());
        at = slice.bound;
    }
    all
}

fn fill(partition: &Partition, n: usize) {
    for i in 0..n {
        let value = format!("{i} {}", "x".repeat(1000));
        partition.append(&[batch(&value)], AppendHow::client(Acks::Leader)).unwrap();
    }
}

fn kinds(rig: &Rig, kind: DirKind) -> usize {
    let all = rig.dirs.all().iter().flat_map(|dir| dir.files().list().unwrap());
    all.filter(|found| found.kind == kind).count()
}

#[test]
fn a_partition_moves_while_it_is_written_and_read() {
    let mut rig = Rig::new();
    rig.publish(&topic(1));
    let (moves, assignments) = moves(&mut rig, None);
    let partition = rig.get(0).unwrap();
    fill(&partition, 2000);
    partition.delete_records(5).unwrap();
    let (from, to) = (partition.dir(), other(&rig, &partition));
    let (acked, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let (writer, theirs, done) = (partition.clone(), acked.clone(), stop.clone());
    let writer = std::thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            let how = AppendHow::client(Acks::All);
            let appended = writer.append(&[batch("while it moves")], how).unwrap();
            assert!(matches!(appended.ack, Ack::Now));
            theirs.store(appended.last_offset, Ordering::Relaxed);
            let read =
                writer.read(&ask(appended.last_offset), Reader::Uncommitted, AtLeast::OneBatch);
            assert!(read.unwrap().slice.is_some(), "read what was just acknowledged");
        }
    });
    moves.alter(&partition, &to).unwrap();
    until("it moves", || {
        assignments.agree();
        partition.future().is_none()
    });
    let moved_at = acked.load(Ordering::Relaxed);
    until("it is written to there", || acked.load(Ordering::Relaxed) > moved_at + 10);
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(partition.dir().id(), to.id());
    until("they are counted", || (from.partitions(), to.partitions()) == (0, 1));
    let log = partition.log();
    assert!(log.dir().ends_with("d1/a-0") || log.dir().ends_with("d0/a-0"), "{:?}", log.dir());
    assert_eq!(log.end_offset(), acked.load(Ordering::Relaxed) + 1);
    assert_eq!((log.start_offset(), log.high_watermark()), (5, log.end_offset()));
    assert_eq!(log.latest_epoch(), Some(3));
    assert_eq!((kinds(&rig, DirKind::Future), kinds(&rig, DirKind::Deleted)), (0, 1));
    let before = bytes(&log);
    drop((log, partition, moves, assignments, from, to));
    let rig = rig.restart();
    let log = rig.get(0).unwrap().log();
    assert_eq!((bytes(&log), log.start_offset()), (before, 5));
}

/// Moves what it hears of at once, so that the controller is to be told before the publisher is done.
struct Mover {
    moves: Arc<Moves>,
    assignments: Arc<Assignments>,
    dirs: LogDirs,
}

impl RoleListener for Mover {
    fn leads(&self, partition: &Arc<Partition>, _: i32) {
        let here = partition.dir().id();
        let to = self.dirs.all().iter().find(|dir| dir.id() != here).unwrap();
        self.moves.alter(partition, to).unwrap();
        until("it is told", || format!("{:?}", self.assignments).contains("(1 to tell)"));
    }

    fn resigns(&self, _: &str, _: PartitionId) {}
}

#[test]
fn a_move_that_is_quicker_than_the_publisher_ends() {
    let mut rig = Rig::new();
    let (moves, assignments) = moves(&mut rig, None);
    let dirs = rig.dirs.clone();
    rig.publisher.listen(Arc::new(Mover { moves, assignments: Arc::clone(&assignments), dirs }));
    rig.publish(&topic(1));
    let partition = rig.get(0).unwrap();
    until("it moves", || {
        assignments.agree();
        partition.future().is_none()
    });
    assert_eq!((kinds(&rig, DirKind::Future), kinds(&rig, DirKind::Deleted)), (0, 1));
}

#[test]
fn a_move_goes_on_after_a_restart_and_is_throttled() {
    let mut rig = Rig::new();
    rig.publish(&topic(1));
    let (slow, _) = moves(&mut rig, Some("50000"));
    let partition = rig.get(0).unwrap();
    fill(&partition, 2000);
    let to = other(&rig, &partition);
    let begun = Instant::now();
    slow.alter(&partition, &to).unwrap();
    let future = partition.future().unwrap();
    until("some of it is copied", || future.log().end_offset() > 50);
    assert!(begun.elapsed() > Duration::from_millis(500), "50 KB at 50 KB a second");
    slow.stop();
    assert!(future.log().end_offset() < 1000, "not at once");
    let (before, target) = (bytes(&partition.log()), to.id());
    drop((partition, future, slow, to));
    let to = target;
    let mut rig = rig.restart();
    let (moves, assignments) = moves(&mut rig, None);
    let partition = rig.get(0).unwrap();
    assert!(partition.future().is_some_and(|f| f.dir().id() == to), "it is still on its way");
    moves.resume(&rig.replicas);
    until("it moves", || {
        assignments.agree();
        partition.future().is_none()
    });
    assert_eq!((partition.dir().id(), bytes(&partition.log())), (to, before));
}

#[test]
fn a_move_is_given_up_by_its_opposite_by_deletion_and_by_a_failure() {
    let mut rig = Rig::new();
    rig.publish(&topic(3));
    let (moves, assignments) = moves(&mut rig, Some("1"));
    let all: Vec<_> = (0..3).map(|p| rig.get(p).unwrap()).collect();
    for partition in &all {
        fill(partition, 20);
        let to = other(&rig, partition);
        moves.alter(partition, &to).unwrap();
        moves.alter(partition, &to).unwrap();
        assert!(partition.future().is_some());
    }
    assert_eq!(kinds(&rig, DirKind::Future), 3);
    assignments.agree();
    let back = all[0].dir();
    moves.alter(&all[0], &back).unwrap();
    assert!(all[0].future().is_none());
    assert_eq!(assignments.agree(), [Assignment { id: all[0].id(), dir: back.id() }]);
    let target = all[1].future().unwrap().dir().clone();
    let source = std::io::Error::other("on purpose");
    target.fail(&ottla_log::DiskError { op: "write", path: "x".into(), source });
    rig.publisher.fail_dir(target.id());
    assert!(all[1].future().is_none(), "its target failed");
    fill(&all[1], 1);
    assert!(matches!(moves.alter(&all[1], &target), Err(EngineError::Offline)));
    rig.publish(&[MetadataRecord::from(RemoveTopicRecord { topic_id: A })]);
    assert!(all[2].future().is_none());
    assert!(moves.alter(&all[2], &back).is_err(), "it is gone");
}

#[test]
fn a_copy_follows_a_log_that_is_cut() {
    let mut rig = Rig::new();
    rig.publish(&topic(1));
    let partition = rig.get(0).unwrap();
    fill(&partition, 100);
    let to = other(&rig, &partition);
    assert!(matches!(partition.begin_move(&to, 7).unwrap(), Begun::Yes));
    let future = partition.future().unwrap();
    let copy_all =
        || while !matches!(partition.copy_step(&future, 1 << 16).unwrap(), Copied::All(_)) {};
    copy_all();
    assert_eq!(future.log().end_offset(), 100);
    partition.log().truncate_to(60, 0).unwrap();
    let lead =
        |epoch| Lead { me: 1, epoch, partition_epoch: epoch, replicas: vec![1], isr: vec![1] };
    partition.lead(lead(9));
    fill(&partition, 90);
    copy_all();
    assert_eq!(bytes(future.log()), bytes(&partition.log()));
    assert_eq!(future.log().epochs(), partition.log().epochs());
    // Everything that was copied goes, and a batch lies astride the new start.
    let mut builder = BatchBuilder::new(0);
    [1, 2, 3].iter().for_each(|t| builder.append(*t, None, Some(b"v")));
    let three = AppendBatch::split(&builder.build().unwrap().bytes).unwrap();
    partition.append(&[three], AppendHow::client(Acks::Leader)).unwrap();
    partition.delete_records(152).unwrap();
    assert_eq!(partition.finish_move(&future).unwrap(), Copied::Over);
    let log = partition.log();
    assert_eq!((log.start_offset(), log.end_offset()), (152, 153));
    assert!(Arc::ptr_eq(&log, future.log()));
}

#[test]
fn what_a_crash_in_a_move_leaves_is_sorted_out() {
    let mut rig = Rig::new();
    rig.publish(&topic(3));
    let all: Vec<_> = (0..3).map(|p| rig.get(p).unwrap()).collect();
    let mut want = Vec::new();
    let mut records = Vec::new();
    for (number, partition) in all.iter().enumerate() {
        fill(partition, 10);
        let to = other(&rig, partition);
        partition.begin_move(&to, 7).unwrap();
        let future = partition.future().unwrap();
        while !matches!(partition.copy_step(&future, 1 << 16).unwrap(), Copied::All(_)) {}
        want.push((to.id(), bytes(&partition.log())));
        let record = PartitionChangeRecord {
            partition_id: i32::try_from(number).unwrap(),
            topic_id: A,
            directories: Some(vec![to.id()]),
            ..PartitionChangeRecord::default()
        };
        records.push(MetadataRecord::from(record));
    }
    rig.publish(&records);
    // The copy has its new name, and the log still has it too.
    let name = TopicPartition::new("a", 0);
    all[0].future().unwrap().dir().files().promote_future(&name).unwrap();
    // The log is marked as deleted, and the copy has its old name still.
    let name = TopicPartition::new("a", 1);
    all[1].dir().files().delete_log(&name, DirKind::Current, 5, 0).unwrap();
    // The third was only about to be moved: it goes on.
    drop(all);
    let rig = rig.restart();
    for (number, (dir, bytes_of)) in (0..2).zip(&want) {
        let partition = rig.get(number).unwrap();
        assert_eq!((partition.dir().id(), &bytes(&partition.log())), (*dir, bytes_of), "{number}");
        fill(&partition, 1);
    }
    let third = rig.get(2).unwrap();
    assert!(third.dir().id() != want[2].0 && third.future().is_some());
    assert_eq!(kinds(&rig, DirKind::Stray), 0, "nothing that was not in the copy");
}
