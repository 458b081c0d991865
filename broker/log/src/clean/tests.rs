use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use ottla_wire::record::{BatchBuilder, Compression};
use proptest::prelude::*;

use super::*;
use crate::batch::Parsed;
use crate::disk::real::RealDisk;
use crate::log::{AppendBatch, LeaderAppend, Shared};
use crate::settings::{Cleanup, LogSettings};
use crate::testing::{CLIENT, COORDINATOR, FRESH, Make, name, open, read_all, shared};

#[derive(Debug)]
struct Free;

impl Governor for Free {
    fn spent(&mut self, _: u64) -> Go {
        Go::On
    }
}

fn compacted() -> LogSettings {
    LogSettings {
        segment_bytes: 2048,
        index_interval_bytes: 256,
        cleanup: Cleanup::Compact,
        min_cleanable_dirty_ratio: 0.0,
        ..LogSettings::default()
    }
}

fn new(dir: &Path) -> (Shared, Log) {
    let shared = shared(Arc::new(RealDisk));
    let log = Log::create(&shared, dir.join("t-0"), name(), None, Arc::new(compacted()), 0)
        .expect("create");
    (shared, log)
}

fn put(log: &Log, key: &str, value: Option<&str>) -> i64 {
    let record = (Some(key.as_bytes().to_vec()), value.map(|v| v.as_bytes().to_vec()));
    let make = Make { records: vec![record], ..Make::default() };
    log.append_as_leader(&[make.build()], CLIENT).expect("append").first_offset
}

fn clean(log: &Log, point: Option<i64>, now_ms: i64) -> CleanReport {
    log.roll(now_ms).expect("roll");
    log.set_high_watermark(log.end_offset());
    let dirt = log.dirt(point, now_ms).expect("dirt");
    let mut cleaner = Cleaner::new(1 << 20, 0.9);
    cleaner.clean(log, &dirt, now_ms, &mut Free).expect("clean").expect("not stopped")
}

/// Offset, key and value.
type Record = (i64, Vec<u8>, Option<Vec<u8>>);

/// All records of clients, and the number of batches.
fn records(log: &Log) -> (Vec<Record>, usize) {
    let all = read_all(log, i64::MAX);
    let (mut at, mut out, mut batches) = (0, Vec::new(), 0);
    while let Parsed::Batch(batch) = Batch::parse(&all[at..]) {
        let bytes = &all[at..at + batch.size as usize];
        assert!(batch.checksum_fits(bytes));
        if !batch.is_control() {
            with_records(bytes, |records| {
                for r in records {
                    let key = r.key.unwrap_or_default().to_vec();
                    out.push((r.offset, key, r.value.map(<[u8]>::to_vec)));
                }
            })
            .expect("records");
        }
        batches += 1;
        at += batch.size as usize;
    }
    assert_eq!(at, all.len());
    (out, batches)
}

fn keys(log: &Log) -> Vec<String> {
    let one = |(_, k, v): &Record| {
        let value = v.as_ref().map_or("-".into(), |v| String::from_utf8_lossy(v));
        format!("{}={value}", String::from_utf8_lossy(k))
    };
    records(log).0.iter().map(one).collect()
}

#[test]
fn newest_stays_and_tombstones_go_later() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path());
    put(&log, "a", Some("1"));
    put(&log, "b", Some("1"));
    put(&log, "a", Some("2"));
    put(&log, "b", None);
    put(&log, "c", Some("1"));
    let report = clean(&log, None, 1000);
    assert_eq!((report.end_offset, report.records_before, report.records_after), (5, 5, 3));
    assert_eq!(keys(&log), ["a=2", "b=-", "c=1"]);
    assert_eq!(log.end_offset(), 5);

    let day = 24 * 3_600_000;
    clean(&log, Some(5), 1000 + day - 1);
    assert_eq!(keys(&log), ["a=2", "b=-", "c=1"], "the horizon has not passed");
    put(&log, "d", Some("1"));
    clean(&log, Some(5), 1000 + day);
    assert_eq!(keys(&log), ["a=2", "c=1", "d=1"]);
    let (again, _) = open(&shared, &log.dir(), compacted(), FRESH);
    assert_eq!(keys(&again), ["a=2", "c=1", "d=1"]);
    assert_eq!(again.end_offset(), 6);
}

#[test]
fn transactions_and_producers() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (shared, log) = new(tmp.path());
    let data = |id, seq, key: &str| {
        let record = (Some(key.as_bytes().to_vec()), Some(b"v".to_vec()));
        let make = Make { records: vec![record], ..Make::default() };
        make.producer(id, 0, seq).transactional().build()
    };
    let append = |batch| log.append_as_leader(&[batch], CLIENT).expect("append");
    let end = |id, kind| {
        let marker = Make::marker(id, 0, kind, 1).build();
        log.append_as_leader(&[marker], COORDINATOR).expect("append")
    };
    append(data(1, 0, "a")); // 0
    append(data(1, 1, "b")); // 1
    end(1, 0); // 2: abort
    append(data(2, 0, "a")); // 3
    end(2, 1); // 4: commit
    put(&log, "b", Some("x")); // 5
    put(&log, "b", Some("y")); // 6
    let report = clean(&log, None, 1000);
    assert_eq!(report.end_offset, 7);
    // Of the aborted transaction the last batch keeps its place, being its producer's last.
    assert_eq!(keys(&log), ["a=v", "b=y"]);
    let (_, batches) = records(&log);
    assert_eq!(batches, 5, "1 (empty), 2 (abort), 3, 4 (commit), 6");
    assert_eq!(log.aborted(0..7).expect("aborted").len(), 1);
    let sequences: Vec<_> = log.producers().iter().map(|p| p.last_sequence()).collect();
    assert_eq!(sequences, [1, 0]);
    let (again, _) = open(&shared, &log.dir(), compacted(), FRESH);
    let sequences: Vec<_> = again.producers().iter().map(|p| p.last_sequence()).collect();
    assert_eq!(sequences, [1, 0], "known from what cleaning left");
    assert_eq!(again.aborted(0..7).expect("aborted").len(), 1);

    // Once the producers are forgotten, empty batches go, then the markers.
    let day = 24 * 3_600_000;
    log.remove_expired_producers(10 * day);
    put(&log, "c", Some("z"));
    clean(&log, Some(7), 10 * day);
    put(&log, "d", Some("z"));
    clean(&log, Some(8), 12 * day);
    let (_, batches) = records(&log);
    assert_eq!(keys(&log), ["a=v", "b=y", "c=z", "d=z"]);
    assert_eq!(batches, 6, "3, 4, 6, c, d, and the abort marker until its horizon");
    put(&log, "e", Some("z"));
    clean(&log, Some(9), 14 * day);
    let (_, batches) = records(&log);
    assert_eq!(batches, 6, "3, 4 (which stays with its record), 6, c, d, e");
    assert!(log.aborted(0..7).expect("aborted").is_empty());
}

#[test]
fn goes_on_where_memory_ended() {
    let tmp = tempfile::tempdir().expect("temp dir");
    let (_, log) = new(tmp.path());
    for round in 0..3 {
        for i in 0..200 {
            put(&log, &format!("key{i}"), Some(&format!("{round}")));
        }
    }
    log.roll(0).expect("roll");
    log.set_high_watermark(log.end_offset());
    let (mut point, mut rounds) = (None, 0);
    let mut cleaner = Cleaner::new(24 * 100, 0.9);
    loop {
        let dirt = log.dirt(point, 0).expect("dirt");
        if dirt.dirty_bytes == 0 {
            break;
        }
        let report = cleaner.clean(&log, &dirt, 0, &mut Free).expect("clean").expect("report");
        assert!(report.keys <= 90);
        assert!(Some(report.end_offset) > point, "it gets on");
        point = Some(report.end_offset);
        rounds += 1;
    }
    assert!(rounds >= 3);
    let expected: Vec<_> = (0..200).map(|i| format!("key{i}=2")).collect();
    assert_eq!(keys(&log), expected);
}

#[test]
fn can_be_stopped() {
    #[derive(Debug)]
    struct After(u64);
    impl Governor for After {
        fn spent(&mut self, bytes: u64) -> Go {
            self.0 = self.0.saturating_sub(bytes);
            if self.0 == 0 { Go::Stop } else { Go::On }
        }
    }
    let tmp = tempfile::tempdir().expect("temp dir");
    let (_, log) = new(tmp.path());
    for i in 0..100 {
        put(&log, &format!("key{}", i % 10), Some("value"));
    }
    log.roll(0).expect("roll");
    log.set_high_watermark(log.end_offset());
    let expected = {
        let mut latest = BTreeMap::new();
        records(&log).0.into_iter().for_each(|(o, k, v)| drop(latest.insert(k, (o, v))));
        latest
    };
    let total = log.size();
    for budget in (0..2 * total).step_by(499) {
        let dirt = log.dirt(None, 0).expect("dirt");
        let mut cleaner = Cleaner::new(1 << 20, 0.9);
        let done = cleaner.clean(&log, &dirt, 0, &mut After(budget)).expect("clean");
        let mut latest = BTreeMap::new();
        records(&log).0.into_iter().for_each(|(o, k, v)| drop(latest.insert(k, (o, v))));
        assert_eq!(latest, expected);
        if done.is_some() {
            break;
        }
    }
    let leftovers = std::fs::read_dir(log.dir()).expect("list").flatten();
    let cleaned = leftovers.filter(|e| e.file_name().to_string_lossy().contains("cleaned"));
    assert_eq!(cleaned.count(), 0);
}

fn codec(n: u8) -> Compression {
    Compression::ALL[usize::from(n) % Compression::ALL.len()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Whatever is written and however often it is cleaned: the newest value of each key stays,
    /// at its offset; what is cleaned holds each key once; a restart changes nothing.
    #[test]
    fn as_the_model(
        rounds in prop::collection::vec(
            prop::collection::vec(
                (prop::collection::vec((0u8..20, prop::option::weighted(0.8, 0u8..255)), 1..6), 0u8..5),
                1..40,
            ),
            1..4,
        ),
    ) {
        let tmp = tempfile::tempdir().expect("temp dir");
        let (shared, log) = new(tmp.path());
        let mut model: BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)> = BTreeMap::new();
        let mut point = None;
        for round in rounds {
            for (batch, n) in round {
                let mut builder = BatchBuilder::new(0).compression(codec(n));
                for (key, value) in &batch {
                    let value = value.map(|v| vec![v; 30]);
                    builder.append(1000, Some(&[*key]), value.as_deref());
                }
                let built: Bytes = builder.build().expect("batch").bytes;
                let split = AppendBatch::split(&built).expect("split");
                let by = LeaderAppend { leader_epoch: 1, ..CLIENT };
                let first = log.append_as_leader(&[split], by).expect("append").first_offset;
                for (i, (key, value)) in batch.iter().enumerate() {
                    let value = value.map(|v| vec![v; 30]);
                    model.insert(vec![*key], (first + i as i64, value));
                }
            }
            point = Some(clean(&log, point, 1000).end_offset);
            prop_assert_eq!(point, Some(log.end_offset()));
            let found = records(&log).0;
            let mut expected: Vec<_> =
                model.iter().map(|(k, (o, v))| (*o, k.clone(), v.clone())).collect();
            expected.sort();
            prop_assert_eq!(&found, &expected);
            for (offset, _, _) in &found {
                let read = log
                    .read(*offset, 1, i64::MAX, crate::log::AtLeast::OneBatch)
                    .expect("read");
                prop_assert!(read.slice.expect("slice").first_offset <= *offset);
            }
        }
        let before = records(&log).0;
        let (again, report) = open(&shared, &log.dir(), compacted(), FRESH);
        prop_assert_eq!(report.truncated_bytes, 0);
        prop_assert_eq!(again.end_offset(), log.end_offset());
        prop_assert_eq!(records(&again).0, before);
    }
}
