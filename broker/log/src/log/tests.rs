use std::sync::Arc;

use super::*;
use crate::disk::real::RealDisk;
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
