mod trouble;

use std::sync::Arc;

use super::*;
use crate::batch::{Batch, Parsed};
use crate::disk::Open;
use crate::disk::real::RealDisk;
use crate::disk::sim::SimDisk;
use crate::settings::Preallocate;
use crate::testing::{CLIENT, COORDINATOR, FRESH, Make, name, open, read_all, shared};

fn small() -> LogSettings {
    LogSettings { segment_bytes: 4096, index_interval_bytes: 256, ..LogSettings::default() }
}

fn new(dir: &Path, settings: LogSettings) -> (Shared, Log) {
    let shared = shared(Arc::new(RealDisk));
    let log = Log::create(&shared, dir.join("t-0"), name(), Some("id"), Arc::new(settings), 0)
        .expect("create");
    (shared, log)
}

#[test]
fn appends_rolls_and_reads() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (_, log) = new(tmp.path(), small());
    let mut expected = Vec::new();
    for i in 0..200 {
        let info =
            log.append_as_leader(&[Make::sized(3, 20).at(i).build()], CLIENT).expect("append");
        assert_eq!((info.first_offset, info.last_offset), (3 * i, 3 * i + 2));
        expected.push(info.bytes);
    }
    assert!(log.segment_count() > 3);
    assert_eq!(log.end_offset(), 600);
    let all = read_all(&log, i64::MAX);
    assert_eq!(all.len() as u64, expected.iter().sum::<u64>());
    assert_eq!(all.len() as u64, log.size());
    for offset in 0..600 {
        let read = log.read(offset, 1, i64::MAX, AtLeast::OneBatch).expect("read");
        assert_eq!(read.slice.expect("slice").first_offset, offset / 3 * 3);
        let up_to = log.read(0, u32::MAX, offset, AtLeast::Nothing).expect("read");
        assert!(up_to.slice.is_none_or(|s| s.bound <= (offset + 2) / 3 * 3));
    }
    assert!(log.read(600, 1, i64::MAX, AtLeast::OneBatch).expect("read").slice.is_none());
    assert!(matches!(
        log.read(601, 1, i64::MAX, AtLeast::OneBatch),
        Err(LogError::OffsetOutOfRange { .. })
    ));
    let found = log.find_timestamp(77).expect("find").expect("match");
    assert_eq!(found.slice.first_offset, 77 * 3);
}

#[test]
fn opens_again() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path(), small());
    for i in 0..100 {
        let batch = Make::sized(2, 30).at(i).producer(7, 0, 2 * i as i32).build();
        log.append_as_leader(&[batch], CLIENT).expect("append");
    }
    let before = read_all(&log, i64::MAX);
    let (again, report) = open(&shared, &log.dir(), small(), FRESH);
    assert_eq!(read_all(&again, i64::MAX), before);
    assert_eq!(report.recovered_bytes, before.len() as u64);
    assert_eq!(again.producers()[0].last_sequence(), 199);
    assert_eq!(again.epochs(), log.epochs());
    again.close(1).expect("close");
    let clean = Start { shutdown: Shutdown::Clean, ..FRESH };
    let (third, report) = open(&shared, &log.dir(), small(), clean);
    assert_eq!(report, LoadReport::default());
    assert_eq!(read_all(&third, i64::MAX), before);
    assert_eq!(third.producers()[0].last_sequence(), 199);
    let next = Make::sized(2, 30).producer(7, 0, 200).build();
    assert_eq!(third.append_as_leader(&[next], CLIENT).expect("append").first_offset, 200);
}

#[test]
fn duplicates_and_gaps() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (_, log) = new(tmp.path(), small());
    let batch = |sequence| Make::sized(2, 5).producer(1, 0, sequence).build();
    for i in 0..7 {
        log.append_as_leader(&[batch(2 * i)], CLIENT).expect("append");
    }
    let again = log.append_as_leader(&[batch(4)], CLIENT).expect("append");
    assert_eq!((again.outcome, again.first_offset), (Outcome::Duplicate, 4));
    assert!(matches!(
        log.append_as_leader(&[batch(2)], CLIENT),
        Err(LogError::OutOfOrderSequence { last: 13, .. })
    ));
    assert!(matches!(
        log.append_as_leader(&[batch(15)], CLIENT),
        Err(LogError::OutOfOrderSequence { .. })
    ));
    assert_eq!(log.end_offset(), 14);
}

#[test]
fn transactions() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (_, log) = new(tmp.path(), small());
    let data = |id, seq| Make::sized(1, 5).producer(id, 0, seq).transactional().build();
    log.append_as_leader(&[data(1, 0)], CLIENT).expect("append");
    log.append_as_leader(&[data(2, 0)], CLIENT).expect("append");
    log.set_high_watermark(2);
    assert_eq!((log.last_stable_offset(), log.first_unstable_offset()), (0, Some(0)));
    log.append_as_leader(&[Make::marker(1, 0, 0, 3).build()], COORDINATOR).expect("abort");
    assert_eq!(log.last_stable_offset(), 0, "until the marker is replicated");
    log.set_high_watermark(3);
    assert_eq!(log.last_stable_offset(), 1);
    let aborted = log.aborted(0..3).expect("aborted");
    assert_eq!(aborted.len(), 1);
    assert_eq!((aborted[0].first_offset, aborted[0].last_stable_offset), (0, 1));
    log.append_as_leader(&[Make::marker(2, 0, 1, 3).build()], COORDINATOR).expect("commit");
    log.set_high_watermark(4);
    assert_eq!((log.last_stable_offset(), log.first_unstable_offset()), (4, None));
    assert!(matches!(
        log.append_as_leader(&[Make::marker(2, 0, 1, 2).build()], COORDINATOR),
        Err(LogError::CoordinatorFenced { current: 3, .. })
    ));
}

/// A log of eight batches of one record, of epoch 0, all flushed.
fn flushed(disk: &SimDisk) -> (Shared, Log) {
    let shared = shared(Arc::new(disk.clone()));
    let log = Log::create(&shared, "/t-0".into(), name(), Some("id"), Arc::new(small()), 0);
    let log = log.expect("create");
    for _ in 0..8 {
        log.append_as_leader(&[Make::sized(1, 30).build()], CLIENT).expect("append");
    }
    log.flush(i64::MAX, 0).expect("flush");
    (shared, log)
}

/// Writes from record 3 on in epoch 1, and loses power: none of epoch 0 may be there from there on.
fn nothing_cut_comes_back(disk: &SimDisk, log: &Log) {
    assert_eq!(log.end_offset(), 3);
    let by = LeaderAppend { leader_epoch: 1, ..CLIENT };
    for _ in 0..8 {
        log.append_as_leader(&[Make::sized(1, 30).build()], by).expect("append");
    }
    disk.lose_power();
    let shared = shared(Arc::new(disk.next_process()));
    let (log, _) = open(&shared, Path::new("/t-0"), small(), FRESH);
    let all = read_all(&log, i64::MAX);
    let mut at = 0;
    while let Parsed::Batch(batch) = Batch::parse(&all[at..]) {
        assert_eq!(
            batch.leader_epoch,
            i32::from(batch.base_offset >= 3),
            "at {}",
            batch.base_offset
        );
        at += batch.size as usize;
    }
}

#[test]
fn what_was_cut_off_does_not_come_back_with_the_power() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let (_, log) = flushed(&disk);
        log.truncate_to(3, 0).expect("truncate");
        nothing_cut_comes_back(&disk, &log);
    }
}

#[test]
fn what_a_recovery_cut_off_does_not_come_back_with_the_power() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let (_, log) = flushed(&disk);
        let at = log.size() * 3 / 8 + 70;
        let file = disk.open(Path::new("/t-0/00000000000000000000.log"), Open::Write);
        file.and_then(|file| file.write_at(b"?", at).and_then(|()| file.sync_data()))
            .expect("spoil");
        let shared = shared(Arc::new(disk.next_process()));
        let (log, report) = open(&shared, Path::new("/t-0"), small(), FRESH);
        assert!(report.truncated_bytes > 0);
        nothing_cut_comes_back(&disk, &log);
    }
}

#[test]
fn epochs_whose_file_was_lost_are_read_from_the_batches() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path(), small());
    for i in 0..100 {
        let by = LeaderAppend { leader_epoch: i / 10, ..CLIENT };
        log.append_as_leader(&[Make::sized(2, 30).build()], by).expect("append");
    }
    log.flush(i64::MAX, 0).expect("flush");
    let path = log.dir().join("leader-epoch-checkpoint");
    let text = std::fs::read(&path).expect("epochs");
    // All that is left of a file that took its name and was not flushed.
    for left in [0, text.len() - 1] {
        std::fs::write(&path, &text[..left]).expect("spoil");
        let flushed = Start { recovery_point: Some(200), ..FRESH };
        let (again, _) = open(&shared, &log.dir(), small(), flushed);
        assert_eq!(again.epochs(), log.epochs());
    }
}

#[test]
fn truncates() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path(), small());
    for i in 0..100 {
        let by = LeaderAppend { leader_epoch: i / 10, ..CLIENT };
        let batch = Make::sized(2, 30).producer(7, 0, 2 * i).build();
        log.append_as_leader(&[batch], by).expect("append");
    }
    let before = read_all(&log, i64::MAX);
    assert_eq!(log.truncate_to(91, 0).expect("truncate"), Truncated::Yes);
    assert_eq!(log.end_offset(), 90, "a batch goes as a whole");
    let after = read_all(&log, i64::MAX);
    assert!(before.starts_with(&after));
    assert_eq!(log.latest_epoch(), Some(4));
    assert_eq!(log.producers()[0].last_sequence(), 89);
    let (again, _) = open(&shared, &log.dir(), small(), FRESH);
    assert_eq!(read_all(&again, i64::MAX), after);
    again.truncate_fully_and_start_at(1000, 0).expect("truncate");
    assert_eq!((again.start_offset(), again.end_offset()), (1000, 1000));
    let (third, _) = open(&shared, &log.dir(), small(), FRESH);
    assert_eq!((third.start_offset(), third.end_offset()), (1000, 1000));
}

#[test]
fn retention_and_delete_records() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let settings = LogSettings { file_delete_delay_ms: 100, ..small() };
    let (shared, log) = new(tmp.path(), settings.clone());
    for i in 0..100 {
        log.append_as_leader(&[Make::sized(2, 100).at(1000 * i).build()], CLIENT).expect("append");
    }
    let count = log.segment_count();
    assert_eq!(log.delete_old_segments(i64::MAX).expect("delete"), 0, "not replicated");
    assert!(log.set_start_offset(50).is_err(), "above the high watermark");
    log.set_high_watermark(200);
    assert_eq!(log.set_start_offset(50).expect("start"), 50);
    assert!(matches!(
        log.read(49, 1, i64::MAX, AtLeast::OneBatch),
        Err(LogError::OffsetOutOfRange { start: 50, .. })
    ));
    let gone = log.delete_old_segments(0).expect("delete");
    assert!(gone > 0 && log.segment_sizes()[0].0 <= 50);
    assert_eq!(log.start_offset(), 50);

    let by_size = LogSettings { retention_bytes: Some(log.size() / 2), ..settings.clone() };
    log.set_settings(Arc::new(by_size));
    assert!(log.delete_old_segments(0).expect("delete") > 0);
    assert_eq!(log.start_offset(), log.segment_sizes()[0].0);

    let by_time = LogSettings { retention_ms: Some(10), ..settings.clone() };
    log.set_settings(Arc::new(by_time));
    log.delete_old_segments(1_000_000).expect("delete");
    assert_eq!((log.segment_count(), log.size(), log.start_offset()), (1, 0, 200));
    assert_eq!(shared.graveyard.purge(i64::MAX, usize::MAX).expect("purge"), count);
    let left = std::fs::read_dir(log.dir()).expect("list").flatten();
    let logs = left.filter(|e| e.file_name().to_string_lossy().contains(".log"));
    assert_eq!(logs.count(), 1);
    let (again, _) = open(&shared, &log.dir(), settings, FRESH);
    assert_eq!((again.start_offset(), again.end_offset()), (200, 200));
}

#[test]
fn says_when_a_flush_is_due() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let settings = LogSettings { flush_messages: 3, flush_ms: 500, ..small() };
    let (_, log) = new(tmp.path(), settings);
    assert_eq!(log.flush_due(1_000_000), None);
    log.append_as_leader(&[Make::sized(2, 1).build()], CLIENT).expect("append");
    assert_eq!(log.flush_due(499), None);
    assert_eq!(log.flush_due(500), Some(FlushDue::Time));
    log.append_as_leader(&[Make::sized(1, 1).build()], CLIENT).expect("append");
    assert_eq!(log.flush_due(0), Some(FlushDue::Messages));
    assert_eq!(log.flush(2, 400).expect("flush"), 2);
    assert_eq!(log.flush_due(500), None);
    assert_eq!(log.flush(i64::MAX, 400).expect("flush"), 3);
    assert_eq!(log.recovery_point(), 3);
}

#[test]
fn rolls_by_time_and_preallocates() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let settings = LogSettings { segment_ms: 100, preallocate: Preallocate::Yes, ..small() };
    let (shared, log) = new(tmp.path(), settings.clone());
    let append = |t| {
        log.append_as_leader(&[Make::default().at(t).build()], CLIENT).expect("append").rolled_at
    };
    assert_eq!(
        [append(1000), append(1100), append(1101), append(1102)],
        [None, None, Some(2), None]
    );
    let len = |base: i64| {
        std::fs::metadata(log.dir().join(format!("{base:020}.log"))).expect("file").len()
    };
    assert!(len(0) < 4096);
    assert_eq!(len(2), 4096);
    let before = read_all(&log, i64::MAX);
    let (again, report) = open(&shared, &log.dir(), settings, FRESH);
    assert_eq!(read_all(&again, i64::MAX), before);
    assert!(report.truncated_bytes > 0, "the space reserved");
    again.close(0).expect("close");
    assert!(len(2) < 4096);
}

/// A message of format 1, or of format 0 for a negative timestamp, as segments of old have them.
fn old_message(offset: i64, timestamp: i64) -> Vec<u8> {
    let mut body = vec![i8::from(timestamp >= 0) as u8, 0];
    if timestamp >= 0 {
        body.extend_from_slice(&timestamp.to_be_bytes());
    }
    for field in [b"key", b"val"] {
        body.extend_from_slice(&3i32.to_be_bytes());
        body.extend_from_slice(field);
    }
    let table = |byte: u32| {
        (0..8).fold(byte, |c, _| if c & 1 != 0 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    };
    let crc = !body.iter().fold(!0u32, |c, b| table((c ^ u32::from(*b)) & 0xff) ^ (c >> 8));
    let mut out = offset.to_be_bytes().to_vec();
    out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&body);
    out
}

#[test]
fn old_formats_are_kept() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path(), small());
    let file = log.dir().join("00000000000000000000.log");
    let mut bytes: Vec<u8> =
        (0..40).flat_map(|i| old_message(i, if i < 20 { -1 } else { 1000 + i })).collect();
    let whole = bytes.len() as u64;
    bytes.extend_from_slice(&old_message(40, 5)[..20]);
    std::fs::write(file, &bytes).expect("write");
    let (again, report) = open(&shared, &log.dir(), small(), FRESH);
    assert_eq!((again.end_offset(), report.truncated_bytes), (40, 20));
    assert_eq!(again.size(), whole);
    let read = again.read(33, 1, i64::MAX, AtLeast::OneBatch).expect("read").slice.expect("slice");
    assert_eq!((read.first_offset, read.read().expect("bytes")), (33, old_message(33, 1033)));
    let found = again.find_timestamp(1030).expect("find").expect("match");
    assert_eq!(found.slice.first_offset, 30);
    again.append_as_leader(&[Make::default().build()], CLIENT).expect("append");
    assert_eq!(read_all(&again, i64::MAX).len() as u64, again.size());
}

#[test]
fn readers_do_not_wait_and_see_whole_batches() {
    use crate::clean::{Cleaner, Go, Governor};
    use std::sync::atomic::{AtomicBool, Ordering};
    #[derive(Debug)]
    struct Free;
    impl Governor for Free {
        fn spent(&mut self, _: u64) -> Go {
            Go::On
        }
    }
    let tmp = tempfile::tempdir().expect("temp dir");
    let settings = LogSettings { file_delete_delay_ms: 0, segment_bytes: 20_000, ..small() };
    let (shared, log) = new(tmp.path(), settings);
    let (done, seen) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..3i64 {
            let (log, done, seen) = (&log, &done, &seen);
            scope.spawn(move || {
                let mut at = 0;
                while !done.load(Ordering::Relaxed) || at < log.end_offset() {
                    let bound = if reader == 0 { i64::MAX } else { log.high_watermark() };
                    let read = match log.read(at, 3000, bound, AtLeast::OneBatch) {
                        Ok(read) => read,
                        Err(LogError::OffsetOutOfRange { start, .. }) => {
                            at = start;
                            continue;
                        }
                        Err(e) => panic!("read at {at}: {e}"),
                    };
                    let Some(slice) = read.slice else {
                        std::thread::yield_now();
                        if done.load(Ordering::Relaxed) { break } else { continue }
                    };
                    let bytes = slice.read().expect("bytes");
                    let mut rest = &bytes[..];
                    while let crate::batch::Parsed::Batch(batch) = crate::batch::Batch::parse(rest)
                    {
                        if batch.size as usize > rest.len() {
                            break;
                        }
                        let (whole, more) = rest.split_at(batch.size as usize);
                        assert!(batch.checksum_fits(whole));
                        assert!(batch.base_offset >= at, "{} at {at}", batch.base_offset);
                        assert!(batch.base_offset < bound);
                        at = batch.last_offset + 1;
                        seen.fetch_add(1, Ordering::Relaxed);
                        rest = more;
                    }
                }
            });
        }
        let (mut cleaner, mut point) = (Cleaner::new(1 << 20, 0.9), None);
        for i in 0..3000i64 {
            let batch = Make::sized(1 + i as usize % 3, 50 + i as usize % 200).at(i).build();
            log.append_as_leader(&[batch], CLIENT).expect("append");
            if i % 10 == 0 {
                log.set_high_watermark(log.end_offset() - 3);
            }
            if i % 500 == 499 {
                let dirt = log.dirt(point, i).expect("dirt");
                let report = cleaner.clean(&log, &dirt, i, &mut Free).expect("clean");
                point = report.map(|r| r.end_offset).or(point);
                shared.graveyard.purge(i64::MAX, usize::MAX).expect("purge");
            }
        }
        log.set_high_watermark(log.end_offset());
        done.store(true, Ordering::Relaxed);
    });
    assert!(seen.into_inner() > 1000);
}

#[test]
fn few_files_are_open() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let cache = FileCache::new(Arc::new(RealDisk), 8);
    let shared = Shared { cache, graveyard: Arc::default() };
    let logs: Vec<Log> = (0..50)
        .map(|i| {
            let dir = tmp.path().join(format!("t-{i}"));
            let settings = Arc::new(small());
            Log::create(&shared, dir, TopicPartition::new("t", i), None, settings, 0).expect("new")
        })
        .collect();
    for round in 0..5 {
        for log in &logs {
            log.append_as_leader(&[Make::sized(3, 100).at(round).build()], CLIENT).expect("append");
            assert!(shared.cache.stats().open <= 8);
        }
    }
    for log in &logs {
        assert_eq!(read_all(log, i64::MAX).len() as u64, log.size());
    }
    let stats = shared.cache.stats();
    assert!(stats.open <= 8 && stats.opened - stats.evicted <= 8 + 1, "{stats:?}");
}
