use super::*;
use crate::disk::real::RealDisk;
use crate::testing::{CLIENT, Make, read_all};

fn open(path: &Path) -> Arc<LogDir> {
    let cache = FileCache::new(Arc::new(RealDisk), 16);
    Arc::new(LogDir::open(path, &cache).expect("open"))
}

fn settings() -> Arc<LogSettings> {
    Arc::new(LogSettings { segment_bytes: 2048, ..LogSettings::default() })
}

fn recover(dir: &Arc<LogDir>) -> DirReport {
    let wanted = |_: &LogDir, _: &Found| Wanted::Open(settings());
    let mut reports = recover_all(std::slice::from_ref(dir), 2, 5, &wanted);
    reports.remove(dir.path()).expect("report").expect("recover")
}

fn fill(dir: &LogDir, logs: i32) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for p in 0..logs {
        let name = TopicPartition::new("topic", p);
        let log =
            dir.create_log(&name, DirKind::Current, 0, Some("abc"), settings(), 0).expect("create");
        for i in 0..50 {
            log.append_as_leader(&[Make::sized(2, 40).at(i).build()], CLIENT).expect("append");
        }
        log.set_high_watermark(60);
        all.push(read_all(&log, i64::MAX));
    }
    all
}

#[test]
fn clean_and_unclean_restarts() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let dir = open(tmp.path());
    assert_eq!(dir.shutdown(), Shutdown::Unclean);
    let all = fill(&dir, 40);
    let content = |dir: &LogDir| -> Vec<Vec<u8>> {
        (0..40)
            .map(|p| dir.get(&TopicPartition::new("topic", p), DirKind::Current).expect("log"))
            .map(|log| read_all(&log, i64::MAX))
            .collect()
    };
    drop(dir);

    let dir = open(tmp.path());
    let report = recover(&dir);
    assert_eq!((report.logs, report.failed.len()), (40, 0));
    assert_eq!(report.total.recovered_bytes, all.iter().map(|a| a.len() as u64).sum::<u64>());
    assert_eq!(content(&dir), all);
    let log = dir.get(&TopicPartition::new("topic", 3), DirKind::Current).expect("log");
    log.set_high_watermark(60);
    log.set_start_offset(55).expect("start");
    dir.close(77, 0).expect("close");
    assert!(matches!(
        log.append_as_leader(&[Make::default().build()], CLIENT),
        Err(LogError::Closed)
    ));
    drop(dir);

    let dir = open(tmp.path());
    assert_eq!((dir.shutdown(), dir.previous_broker_epoch()), (Shutdown::Clean, Some(77)));
    let report = recover(&dir);
    assert_eq!((report.logs, report.total.recovered_segments), (40, 0));
    let log = dir.get(&TopicPartition::new("topic", 3), DirKind::Current).expect("log");
    assert_eq!((log.start_offset(), log.high_watermark(), log.end_offset()), (55, 60, 100));
    drop(dir);
    assert_eq!(open(tmp.path()).shutdown(), Shutdown::Unclean, "the marker is gone");
}

#[test]
fn one_process_a_directory() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let _held = open(tmp.path());
    let cache = FileCache::new(Arc::new(RealDisk), 16);
    assert!(matches!(LogDir::open(tmp.path(), &cache), Err(LogError::Locked { .. })));
}

#[test]
fn deleted_logs_go_later() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let dir = open(tmp.path());
    fill(&dir, 2);
    let name = TopicPartition::new("topic", 1);
    let log = dir.get(&name, DirKind::Current).expect("log");
    let reader = log.read(0, 10, i64::MAX, crate::log::AtLeast::OneBatch).expect("read");
    dir.delete_log(&name, DirKind::Current, 9, 1000).expect("delete");
    assert!(dir.get(&name, DirKind::Current).is_none());
    assert_eq!(dir.list().expect("list")[1].kind, DirKind::Deleted);
    assert!(!reader.slice.expect("slice").read().expect("read").is_empty());
    assert_eq!(dir.graveyard().purge(1000, 10).expect("purge"), 0);
    assert_eq!(dir.graveyard().purge(61_000, 10).expect("purge"), 1);
    assert_eq!(dir.list().expect("list").len(), 1);

    dir.delete_log(&TopicPartition::new("topic", 0), DirKind::Current, 9, 0).expect("delete");
    drop(dir);
    let dir = open(tmp.path());
    assert_eq!(recover(&dir).logs, 0);
    assert_eq!(dir.graveyard().purge(5, 10).expect("purge"), 1);
    assert_eq!(dir.list().expect("list").len(), 0);
}

#[test]
fn strays_and_futures() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let dir = open(tmp.path());
    let all = fill(&dir, 1);
    let name = TopicPartition::new("topic", 0);
    let future = dir.create_log(&name, DirKind::Future, 5, None, settings(), 0).expect("create");
    future.append_as_follower(&all[0].clone().into(), 0).expect("append");
    dir.delete_log(&name, DirKind::Current, 1, 0).expect("delete");
    dir.promote_future(&name).expect("promote");
    let log = dir.get(&name, DirKind::Current).expect("log");
    assert_eq!(log.dir(), tmp.path().join("topic-0"));
    assert_eq!(read_all(&log, i64::MAX), all[0]);
    dir.set_stray(&name, DirKind::Current, 3).expect("stray");
    assert!(dir.list().expect("list").iter().any(|f| f.kind == DirKind::Stray));
}

#[test]
fn identity_files() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let dir = open(tmp.path());
    fill(&dir, 1);
    let found = dir.list().expect("list");
    assert_eq!(dir.topic_id(&found[0]).expect("id").as_deref(), Some("abc"));
}

#[test]
fn producers_outlive_a_loss_of_power_after_a_clean_stop() {
    use crate::disk::sim::SimDisk;
    for (seed, logs) in (0..20).map(|seed| (seed, 2)).chain((0..5).map(|seed| (seed, 40))) {
        let disk = SimDisk::harsh(seed);
        let open = |disk: &SimDisk| {
            let cache = FileCache::new(Arc::new(disk.clone()), 16);
            Arc::new(LogDir::open(Path::new("/data"), &cache).expect("open"))
        };
        let dir = open(&disk);
        for p in 0..logs {
            let name = TopicPartition::new("topic", p);
            let log = dir
                .create_log(&name, DirKind::Current, 0, Some("abc"), settings(), 0)
                .expect("create");
            let batch = Make::sized(2, 40).producer(7, 0, 0).build();
            log.append_as_leader(&[batch], CLIENT).expect("append");
            // What the producer wrote goes: only the snapshot tells of it.
            log.roll(0).expect("roll");
            log.append_as_leader(&[Make::sized(2, 40).build()], CLIENT).expect("append");
            log.set_high_watermark(2);
            log.set_start_offset(2).expect("start");
            assert_eq!(log.delete_old_segments(0).expect("delete"), 1);
        }
        dir.close(1, 0).expect("close");
        disk.lose_power();
        let dir = open(&disk.next_process());
        assert_eq!(dir.shutdown(), Shutdown::Clean);
        recover(&dir);
        for p in 0..logs {
            let log = dir.get(&TopicPartition::new("topic", p), DirKind::Current).expect("log");
            assert_eq!(log.producers().len(), 1, "seed {seed}");
        }
    }
}

#[test]
fn cleaner_points_go_with_their_logs() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let name = |partition| TopicPartition::new("topic", partition);
    let dir = open(tmp.path());
    fill(&dir, 3);
    let log = |partition| dir.get(&name(partition), DirKind::Current).expect("log");
    for partition in 0..3 {
        dir.set_cleaner_point(&log(partition), 10 + i64::from(partition)).expect("set");
    }
    let gone = log(1);
    dir.delete_log(&name(1), DirKind::Current, 9, 0).expect("delete");
    dir.set_stray(&name(2), DirKind::Current, 9).expect("set aside");
    dir.set_cleaner_point(&gone, 20).expect("a compaction that ends late");
    dir.create_log(&name(1), DirKind::Current, 0, Some("abd"), settings(), 0).expect("create");
    dir.set_cleaner_point(&gone, 20).expect("or later");
    dir.write_checkpoints().expect("write");
    let points = |dir: &LogDir| [0, 1, 2].map(|partition| dir.cleaner_point(&name(partition)));
    assert_eq!(points(&dir), [Some(10), None, None]);
    drop((dir, gone));
    let dir = open(tmp.path());
    assert_eq!(points(&dir), [Some(10), None, None], "what the file says");
    recover(&dir);
    dir.write_checkpoints().expect("write");
    assert_eq!(points(&dir), [Some(10), None, None]);
}

#[test]
fn a_log_that_was_begun_gets_its_directory_when_it_needs_one() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let dir = open(tmp.path());
    let name = |partition| TopicPartition::new("topic", partition);
    let begin = |partition| dir.begin_log(&name(partition), Some("abc"), settings(), 0);
    let [written, asked, gone, closed] = [0, 1, 2, 3].map(|p| begin(p).expect("begin"));
    written.begin_epoch(4);
    assert_eq!(dir.list().expect("list"), []);
    dir.write_checkpoints().expect("write");
    assert!(!dir.names_gone_logs().expect("read"));
    written.append_as_leader(&[Make::sized(2, 40).build()], CLIENT).expect("append");
    asked.make_dir().expect("make");
    asked.make_dir().expect("once is enough");
    let there = |dir: &LogDir| -> Vec<_> {
        let all = dir.list().expect("list");
        assert!(all.iter().all(|f| dir.topic_id(f).expect("id").as_deref() == Some("abc")));
        all.into_iter().map(|found| found.name.partition).collect()
    };
    assert_eq!(there(&dir), [0, 1]);
    dir.delete_log(&name(2), DirKind::Current, 9, 0).expect("delete");
    assert!(matches!(gone.make_dir(), Err(LogError::Closed)));
    assert!(gone.append_as_leader(&[Make::sized(2, 40).build()], CLIENT).is_err());
    dir.graveyard().purge(i64::MAX, usize::MAX).expect("purge");
    assert_eq!(there(&dir), [0, 1], "it never had one");
    let again = begin(2).expect("another of its name");
    again.make_dir().expect("make");
    dir.close(1, 0).expect("close");
    assert_eq!(there(&dir), [0, 1, 2, 3], "a clean stop leaves all there");
    drop((written, asked, gone, closed, again, dir));
    let dir = open(tmp.path());
    let taken = dir.begin_log(&name(0), Some("abc"), settings(), 0).map(drop);
    assert!(
        matches!(taken, Err(LogError::Disk(e)) if e.source.kind() == std::io::ErrorKind::AlreadyExists)
    );
    recover(&dir);
    let log = dir.get(&name(0), DirKind::Current).expect("log");
    assert_eq!((log.end_offset(), log.latest_epoch()), (2, Some(4)));
}
