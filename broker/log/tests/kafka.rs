//! A data directory that Apache Kafka 4.3.1 wrote: batches of all codecs with headers and nulls,
//! transactions of which some aborted and one is open, and a log that its cleaner compacted.
//! What we make of the same batches must be the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::dir::{Found, Wanted, recover_all};
use ottla_log::disk::real::RealDisk;
use ottla_log::log::{AtLeast, Shutdown};
use ottla_log::names::DirKind;
use ottla_log::producers::snapshot;
use ottla_log::{Log, LogDir, LogSettings};
use ottla_wire::record::{Batches, CrcCheck};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("list").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copy");
        }
    }
}

fn data() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().expect("temp dir");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka"), tmp.path());
    tmp
}

fn settings(topic: &str) -> Arc<LogSettings> {
    let index_interval_bytes = if topic == "codecs" { 1024 } else { 512 };
    // The producers' state is as old as the files.
    let producer_id_expiration_ms = i64::MAX;
    Arc::new(LogSettings {
        index_interval_bytes,
        producer_id_expiration_ms,
        ..LogSettings::default()
    })
}

fn open(path: &Path) -> Arc<LogDir> {
    let cache = FileCache::new(Arc::new(RealDisk), 16);
    let dir = Arc::new(LogDir::open(path, &cache).expect("open"));
    let wanted = |_: &LogDir, f: &Found| Wanted::Open(settings(&f.name.topic));
    let mut reports = recover_all(std::slice::from_ref(&dir), 2, 0, &wanted);
    let report = reports.remove(path).expect("report").expect("recovered");
    assert_eq!((report.logs, report.failed.len()), (3, 0));
    assert_eq!(report.total.truncated_bytes, 0);
    dir
}

fn log(dir: &LogDir, topic: &str) -> Arc<Log> {
    dir.get(&TopicPartition::new(topic, 0), DirKind::Current).expect("log")
}

/// Offset, key, value.
type Record = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

fn records(log: &Log) -> Vec<Record> {
    let (mut at, mut out) = (log.start_offset(), Vec::new());
    while let Some(slice) = log.read(at, 1 << 20, i64::MAX, AtLeast::OneBatch).expect("read").slice
    {
        for batch in Batches::new(slice.read().expect("bytes").into(), CrcCheck::Verify) {
            let batch = batch.expect("batch");
            at = batch.header.next_offset();
            for record in batch.decode(1 << 20).expect("records") {
                let key = record.key.map(|k| k.to_vec());
                out.push((record.offset, key, record.value.map(|v| v.to_vec())));
            }
        }
    }
    out
}

fn check(dir: &LogDir) {
    let codecs = log(dir, "codecs");
    assert_eq!((codecs.end_offset(), codecs.high_watermark()), (500, 500));
    let all = records(&codecs);
    assert_eq!(all.len(), 500);
    for (i, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let (offset, key, value) = &all[100 * i + 8];
        assert_eq!(*offset, 100 * i as i64 + 8);
        assert_eq!(key.as_deref(), Some(&b"key8"[..]));
        let expected = format!("{codec} value 8 yyyyyyyy");
        assert_eq!(value.as_deref(), Some(expected.as_bytes()));
        assert_eq!((&all[100 * i].1, &all[100 * i + 11].2), (&None, &None));
    }
    let found = codecs.find_timestamp(1_700_000_000_050).expect("find").expect("match");
    assert!((1..=50).contains(&found.slice.first_offset));

    let txn = log(dir, "txn");
    assert_eq!(txn.end_offset(), 530);
    let aborted = txn.aborted(0..530).expect("aborted");
    assert_eq!(aborted.len(), 17);
    assert_eq!(txn.first_unstable_offset(), None, "the broker's stop ended the open transaction");
    assert_eq!(txn.producer_count(), 4);

    let compact = log(dir, "compact");
    assert_eq!((compact.end_offset(), dir.cleaner_point(compact.name())), (2220, Some(2032)));
}

#[test]
fn opens_what_kafka_closed() {
    let tmp = data();
    let dir = open(tmp.path());
    assert_eq!((dir.shutdown(), dir.previous_broker_epoch()), (Shutdown::Clean, Some(12)));
    let found = dir.list().expect("list");
    assert_eq!(dir.topic_id(&found[0]).expect("read").map(|id| id.len()), Some(22));
    check(&dir);
}

#[test]
fn opens_what_kafka_left_behind() {
    let tmp = data();
    for file in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
        fs::remove_file(tmp.path().join(file)).expect("remove");
    }
    // As a running Kafka has them: indexes of the active segments end in zeroes.
    for (name, len) in
        [("00000000000000000453.index", 8 << 20), ("00000000000000000453.timeindex", 9 << 20)]
    {
        let file = fs::File::options().write(true).open(tmp.path().join("codecs-0").join(name));
        file.expect("open").set_len(len).expect("grow");
    }
    let dir = open(tmp.path());
    assert_eq!(dir.shutdown(), Shutdown::Unclean);
    log(&dir, "codecs").set_high_watermark(500);
    log(&dir, "txn").set_high_watermark(530);
    check(&dir);
}

fn files(dir: &Path, ending: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for topic in ["codecs-0", "txn-0", "compact-0"] {
        for entry in fs::read_dir(dir.join(topic)).expect("list").flatten() {
            if entry.path().to_string_lossy().ends_with(ending) {
                let name = Path::new(topic).join(entry.file_name());
                found.insert(name, fs::read(entry.path()).expect("read"));
            }
        }
    }
    found
}

#[test]
fn makes_the_same_files() {
    let tmp = data();
    let endings = [".index", ".timeindex", ".txnindex", ".snapshot"];
    let kafkas: Vec<_> = endings.iter().map(|e| files(tmp.path(), e)).collect();
    for file in kafkas.iter().flatten() {
        fs::remove_file(tmp.path().join(file.0)).expect("remove");
    }
    for file in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
        fs::remove_file(tmp.path().join(file)).expect("remove");
    }
    let dir = open(tmp.path());
    for topic in ["codecs", "txn", "compact"] {
        let log = log(&dir, topic);
        log.roll(0).expect("roll");
        log.set_high_watermark(log.end_offset());
    }
    dir.close(12, 0).expect("close");
    for (ending, kafkas) in endings.iter().zip(&kafkas) {
        let ours = files(tmp.path(), ending);
        for (name, bytes) in kafkas {
            // What cleaning left of a transaction does not tell the whole of it any more.
            let uncleaned = ["2032.txnindex", "2032.snapshot", "2220.snapshot"];
            let shown = name.to_string_lossy();
            if shown.starts_with("compact-0")
                && [".txnindex", ".snapshot"].contains(ending)
                && !uncleaned.iter().any(|u| shown.ends_with(u))
            {
                continue;
            }
            let ours = ours.get(name).unwrap_or_else(|| panic!("no {}", name.display()));
            if *ending == ".snapshot" {
                let sorted = |bytes| {
                    let mut all = snapshot::decode(bytes).expect("snapshot");
                    all.sort_by_key(|e| e.producer_id);
                    all
                };
                assert_eq!(sorted(ours), sorted(bytes), "{}", name.display());
            } else {
                assert_eq!(ours, bytes, "{}", name.display());
            }
        }
    }
    let marker = fs::read_to_string(tmp.path().join(".kafka_cleanshutdown")).expect("marker");
    assert_eq!(marker, "{\"version\":0,\"brokerEpoch\":12}");
}
