//! What happens beside each other, in the wrong moment, or with too little of something.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::*;
use crate::disk::Open;
use crate::disk::sim::SimDisk;

fn sim() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/data")).expect("create");
    disk
}

fn make(disk: &SimDisk, files: usize, partition: i32) -> (Shared, Log) {
    let cache = FileCache::new(Arc::new(disk.clone()), files);
    let shared = Shared { cache, graveyard: Arc::default() };
    let dir = Path::new("/data").join(format!("t-{partition}"));
    let name = TopicPartition::new("t", partition);
    let log = Log::create(&shared, dir, name, Some("id"), Arc::new(small()), 0).expect("create");
    (shared, log)
}

fn put(log: &Log, records: usize, size: usize) -> Result<AppendInfo> {
    log.append_as_leader(&[Make::sized(records, size).build()], CLIENT)
}

fn fill(log: &Log, batches: usize) {
    for _ in 0..batches {
        put(log, 1, 10).expect("append");
    }
}

/// A batch of one record as a leader sends it.
fn sent(offset: i64) -> Vec<u8> {
    let batch = Make::sized(1, 100).build();
    let mut bytes = [&batch.header[..], &batch.body].concat();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes
}

#[test]
fn a_log_goes_on_when_files_can_be_opened_again() {
    let disk = sim();
    let (_, log) = make(&disk, 64, 0);
    fill(&log, 2);
    log.segment_list().iter().for_each(|s| s.close_files());
    disk.set_most_open(0);
    let error = put(&log, 1, 10).expect_err("nothing can be opened");
    assert!(error.is_out_of_resources(), "{error}");
    assert!(log.is_open() && !log.is_torn());
    assert!(log.flush(i64::MAX, 0).is_err_and(|e| e.is_out_of_resources()));
    disk.set_most_open(8);
    assert_eq!(put(&log, 1, 10).expect("append").first_offset, 2);
    assert_eq!(log.flush(i64::MAX, 0).expect("flush"), 3);
}

#[test]
fn files_that_are_not_in_use_are_closed_for_others() {
    let disk = sim();
    let shared =
        Shared { cache: FileCache::new(Arc::new(disk.clone()), 64), graveyard: Arc::default() };
    disk.set_most_open(3);
    let log = |p| {
        let dir = Path::new("/data").join(format!("t-{p}"));
        let name = TopicPartition::new("t", p);
        let log = Log::create(&shared, dir, name, Some("id"), Arc::new(small()), 0);
        let log = log.expect("create");
        put(&log, 3, 100).expect("append");
        log
    };
    let logs: Vec<_> = (0..30).map(log).collect();
    for _ in 0..60 {
        for log in &logs {
            put(log, 3, 100).expect("append");
        }
    }
    logs.iter().for_each(|log| assert_eq!(read_all(log, i64::MAX).len() as u64, log.size()));
}

#[test]
fn segments_go_while_they_are_flushed() {
    let disk = sim();
    let (shared, log) = make(&disk, 8, 0);
    let settings = LogSettings { file_delete_delay_ms: 0, retention_bytes: Some(0), ..small() };
    log.set_settings(Arc::new(LogSettings { segment_bytes: 300, ..settings }));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                log.flush(i64::MAX, 0).expect("flush");
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                log.delete_old_segments(0).expect("delete");
                shared.graveyard.purge(i64::MAX, usize::MAX).expect("purge");
            }
        });
        for _ in 0..1000 {
            put(&log, 1, 100).expect("append");
            log.set_high_watermark(log.end_offset());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(log.flush(i64::MAX, 0).expect("flush"), 1000);
}

#[test]
fn a_flush_says_nothing_of_what_was_written_after_a_cut() {
    let disk = sim();
    let (_, log) = make(&disk, 64, 0);
    fill(&log, 10);
    let cuts = log.cuts();
    log.truncate_to(3, 0).expect("truncate");
    fill(&log, 10);
    log.note_flushed(10, cuts, 0);
    assert_eq!(log.recovery_point(), 0);
    log.note_flushed(10, log.cuts(), 0);
    assert_eq!(log.recovery_point(), 10);
}

#[test]
fn a_recovery_point_from_before_a_cut_is_not_trusted() {
    let disk = sim();
    let (shared, log) = make(&disk, 64, 0);
    while log.segment_count() < 4 {
        put(&log, 1, 100).expect("append");
    }
    let before = log.flush(i64::MAX, 0).expect("flush");
    let second = log.segment_sizes()[1].0;
    log.truncate_to(second - 1, 0).expect("truncate");
    while log.segment_count() < 2 {
        put(&log, 1, 100).expect("append");
    }
    assert!(log.end_offset() < before);
    // The power goes: of the first segment the end was lost.
    let file = log.dir().join("00000000000000000000.log");
    let file = disk.open(&file, Open::Write).expect("open");
    file.write_at(&[0; 50], log.segment_sizes()[0].1 - 50).expect("write");
    let start = Start { recovery_point: Some(before), ..FRESH };
    let (log, report) = open(&shared, &log.dir(), small(), start);
    assert_eq!(log.recovery_point(), 0);
    assert!(report.truncated_bytes > 0 && log.end_offset() < second, "{report:?}");
}

#[test]
fn gaps_that_a_leader_sent_are_no_losses() {
    let disk = sim();
    let (shared, log) = make(&disk, 64, 0);
    for i in 0..100 {
        log.append_as_follower(&Bytes::from(sent(7 * i)), 0).expect("append");
    }
    assert!(log.segment_count() > 3);
    let before = read_all(&log, i64::MAX);
    let (log, report) = open(&shared, &log.dir(), small(), FRESH);
    assert_eq!(report.removed_segments, 0);
    assert!(before == read_all(&log, i64::MAX));
}

#[test]
fn a_segment_holds_no_offsets_that_its_indexes_cannot_express() {
    let disk = sim();
    let (shared, log) = make(&disk, 64, 0);
    let settings = LogSettings { index_interval_bytes: 1, ..small() };
    log.set_settings(Arc::new(settings.clone()));
    let far: Vec<i64> = (0..6).map(|i| i * 0x7000_0000).collect();
    let bytes: Vec<u8> = far.iter().flat_map(|o| sent(*o)).collect();
    log.append_as_follower(&Bytes::from(bytes.clone()), 0).expect("append");
    assert_eq!(log.segment_count(), 3);
    let check = |log: &Log| {
        assert!(read_all(log, i64::MAX) == bytes);
        for offset in &far {
            let read = log.read(*offset, 1, i64::MAX, AtLeast::OneBatch).expect("read");
            assert_eq!(read.slice.map(|s| s.first_offset), Some(*offset));
        }
    };
    check(&log);
    log.close(0).expect("close");
    for shutdown in [Shutdown::Clean, Shutdown::Unclean] {
        let (log, _) = open(&shared, &log.dir(), settings.clone(), Start { shutdown, ..FRESH });
        check(&log);
    }
}

#[test]
fn the_largest_timestamp_outlives_a_clean_restart() {
    let disk = sim();
    let (shared, log) = make(&disk, 64, 0);
    let at = |log: &Log, time| {
        let batch = Make::sized(1, 100).at(time).build();
        log.append_as_leader(&[batch], CLIENT).expect("append");
    };
    at(&log, 5000);
    log.close(0).expect("close");
    let clean = Start { shutdown: Shutdown::Clean, ..FRESH };
    let (log, _) = open(&shared, &log.dir(), small(), clean);
    while log.segment_count() < 2 {
        at(&log, 10);
    }
    let index = log.dir().join("00000000000000000000.timeindex");
    let index = disk.read(&index, 1 << 20).expect("read");
    assert_eq!(index[..8], 5000i64.to_be_bytes(), "the first segment's largest timestamp");
    let found = log.find_largest_timestamp().expect("find").expect("match");
    assert_eq!(found.slice.first_offset, 0);
}

#[test]
fn what_is_reserved_is_given_back_at_the_end() {
    let disk = sim();
    let (shared, log) = make(&disk, 64, 0);
    let settings = LogSettings { preallocate: Preallocate::Yes, ..small() };
    log.set_settings(Arc::new(settings.clone()));
    put(&log, 1, 10).expect("append");
    log.roll(0).expect("roll");
    let file = log.dir().join("00000000000000000001.log");
    let len = || disk.open(&file, Open::Read).expect("open").len().expect("len");
    assert_eq!(len(), 4096);
    // It is told otherwise meanwhile, and has reserved the space all the same.
    log.set_settings(Arc::new(small()));
    log.close(0).expect("close");
    assert_eq!(len(), 0);
    let clean = Start { shutdown: Shutdown::Clean, ..FRESH };
    let (log, report) = open(&shared, &log.dir(), settings, clean);
    assert_eq!((report, log.end_offset()), (LoadReport::default(), 1));
}

#[test]
fn nothing_is_left_of_a_log_that_could_not_be_made() {
    let disk = sim();
    disk.set_most_open(0);
    let shared = shared(Arc::new(disk.clone()));
    let dir = Path::new("/data/t-0");
    let create = || Log::create(&shared, dir.into(), name(), Some("id"), Arc::new(small()), 0);
    assert!(create().is_err_and(|e| e.is_out_of_resources()));
    assert!(!disk.exists(dir).expect("exists"));
    disk.set_most_open(8);
    create().expect("create");
}
