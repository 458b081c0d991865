//! What is left of a log after its process or its machine died at any point.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::clean::{Cleaner, Go, Governor};
use ottla_log::disk::sim::SimDisk;
use ottla_log::disk::{Disk, Open};
use ottla_log::graveyard::Graveyard;
use ottla_log::log::{
    AppendBatch, AtLeast, LeaderAppend, LoadReport, Shared, Shutdown, Start, Truncated, Trust,
};
use ottla_log::producers::{Origin, Rules};
use ottla_log::settings::Cleanup;
use ottla_log::{Log, LogError, LogSettings};
use ottla_wire::record::{Batch, BatchBuilder, Batches, CrcCheck, EndTxnMarker, TransactionResult};
use proptest::prelude::*;

const DIR: &str = "/data/t-0";
const SEGMENT: u32 = 1500;

fn settings() -> Arc<LogSettings> {
    Arc::new(LogSettings {
        segment_bytes: SEGMENT,
        index_interval_bytes: 200,
        retention_bytes: Some(4000),
        file_delete_delay_ms: 0,
        cleanup: Cleanup::Delete,
        min_cleanable_dirty_ratio: 0.0,
        producer_id_expiration_ms: i64::MAX,
        ..LogSettings::default()
    })
}

fn shared(disk: &SimDisk) -> Shared {
    let cache = FileCache::new(Arc::new(disk.clone()), 8);
    Shared { cache, graveyard: Arc::new(Graveyard::default()) }
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn create(disk: &SimDisk) -> Log {
    disk.create_dir_all(Path::new("/data")).expect("create");
    Log::begin(&shared(disk), DIR.into(), name(), Some("id"), settings(), 0).expect("begin")
}

fn reopen(
    disk: &SimDisk,
    recovery_point: i64,
    log_start: i64,
) -> Result<(Log, LoadReport), LogError> {
    let start = Start {
        shutdown: Shutdown::Unclean,
        recovery_point: Some(recovery_point),
        log_start,
        high_watermark: 0,
        cleaner_point: None,
        now_ms: 0,
        trust: Trust::Replicas,
    };
    Log::open(&shared(disk), DIR.into(), name(), settings(), &start, &mut Vec::new())
}

fn by(origin: Origin) -> LeaderAppend {
    LeaderAppend { leader_epoch: 3, rules: Rules::of(origin), now_ms: 0 }
}

fn append(log: &Log, batch: Batch, origin: Origin) -> Result<i64, LogError> {
    let split = AppendBatch::split(&batch.bytes)?;
    log.append_as_leader(&[split], by(origin)).map(|info| info.first_offset)
}

fn data(key: u8, size: usize) -> Batch {
    let mut builder = BatchBuilder::new(0);
    builder.append(1000, Some(&[key]), Some(&vec![key; size]));
    builder.append(1000, Some(&[key, key]), Some(&[key]));
    builder.build().expect("batch")
}

fn produced(id: i64, sequence: i32) -> Batch {
    let mut builder = BatchBuilder::new(0).producer(id, 0, sequence).transactional();
    builder.append(1000, Some(b"t"), Some(&sequence.to_be_bytes()));
    builder.build().expect("batch")
}

fn ended(id: i64, result: TransactionResult) -> Batch {
    let marker = EndTxnMarker { result, coordinator_epoch: 1 };
    BatchBuilder::end_transaction(0, (id, 0), 1000, marker).build().expect("batch")
}

/// All batches from the log start on, each with its base offset.
fn content(log: &Log) -> Vec<(i64, Bytes)> {
    let (mut at, mut out) = (log.start_offset(), Vec::new());
    while let Some(slice) = log.read(at, 500, i64::MAX, AtLeast::OneBatch).expect("read").slice {
        let bytes: Bytes = slice.read().expect("bytes").into();
        let before = at;
        for batch in Batches::new(bytes, CrcCheck::Verify) {
            let Ok(batch) = batch else { break };
            at = batch.header.next_offset();
            out.push((batch.header.base_offset, batch.bytes));
        }
        assert!(at > before, "nothing at {before}");
    }
    out
}

#[derive(Debug)]
struct Free;

impl Governor for Free {
    fn spent(&mut self, _: u64) -> Go {
        Go::On
    }
}

fn clean(log: &Log) -> Result<(), LogError> {
    log.set_high_watermark(log.end_offset());
    let dirt = log.dirt(None, 0)?;
    Cleaner::new(1 << 16, 0.9).clean(log, &dirt, 0, &mut Free).map(|_| ())
}

/// What may happen to a log.
#[derive(Clone, Debug)]
enum Op {
    Data(u8, usize),
    Txn(i64, bool),
    Roll,
    Flush,
    Truncate(u8),
    DeleteOld,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0u8..8, 1usize..300).prop_map(|(k, s)| Op::Data(k, s)),
        3 => (0i64..3, any::<bool>()).prop_map(|(id, commit)| Op::Txn(id, commit)),
        1 => Just(Op::Roll),
        2 => Just(Op::Flush),
        1 => (1u8..6).prop_map(Op::Truncate),
        1 => Just(Op::DeleteOld),
    ]
}

/// A log and what must be in it.
struct Run {
    log: Log,
    disk: SimDisk,
    sequences: [i32; 3],
    /// Batches acknowledged.
    written: Vec<(i64, Bytes)>,
    /// The log was cut after the last flush: what was cut may come back with the power.
    cut: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let log = create(&disk);
        Self { log, disk, sequences: [0; 3], written: Vec::new(), cut: false }
    }

    fn append(&mut self, batch: Batch, origin: Origin) -> Result<(), LogError> {
        append(&self.log, batch, origin)?;
        self.note();
        Ok(())
    }

    /// Takes over what the log holds, as far as it is new.
    fn note(&mut self) {
        let end = self.written.last().map_or(0, |(base, bytes)| end_of(*base, bytes));
        let from = end.max(self.log.start_offset());
        let read = self.log.read(from, u32::MAX, i64::MAX, AtLeast::OneBatch).expect("read");
        if let Some(slice) = read.slice {
            let bytes: Bytes = slice.read().expect("bytes").into();
            for batch in Batches::new(bytes, CrcCheck::Verify).flatten() {
                self.written.push((batch.header.base_offset, batch.bytes));
            }
        }
    }

    fn run(&mut self, op: &Op) -> Result<(), LogError> {
        match op {
            Op::Data(key, size) => self.append(data(*key, *size), Origin::Client)?,
            Op::Txn(id, commit) => {
                let sequence = self.sequences[*id as usize];
                self.append(produced(*id, sequence), Origin::Client)?;
                self.sequences[*id as usize] += 1;
                let result =
                    if *commit { TransactionResult::Commit } else { TransactionResult::Abort };
                self.append(ended(*id, result), Origin::Coordinator)?;
            }
            Op::Roll => drop(self.log.roll(0)?),
            Op::Flush => {
                self.log.flush(i64::MAX, 0)?;
                self.cut = false;
            }
            Op::Truncate(batches) => {
                let at = self.written.len().saturating_sub(usize::from(*batches));
                let Some(&(offset, _)) = self.written.get(at) else { return Ok(()) };
                if offset < self.log.start_offset() {
                    return Ok(());
                }
                if self.log.truncate_to(offset, 0)? == Truncated::Yes {
                    self.cut = true;
                }
                self.written.truncate(at);
                for id in 0..3 {
                    let entry = self.log.producers().into_iter().find(|p| p.producer_id == id);
                    self.sequences[id as usize] = entry.map_or(0, |p| p.last_sequence() + 1);
                }
            }
            Op::DeleteOld => {
                self.log.set_high_watermark(self.log.end_offset());
                self.log.delete_old_segments(0)?;
            }
        }
        Ok(())
    }

    fn visible(&self, start: i64) -> Vec<(i64, Bytes)> {
        self.written.iter().filter(|(base, b)| end_of(*base, b) > start).cloned().collect()
    }
}

fn end_of(base: i64, bytes: &Bytes) -> i64 {
    Batch::parse(bytes).map_or(base, |b| b.header.next_offset())
}

/// Offsets, producers, epochs and aborted transactions.
fn state(log: &Log) -> String {
    let aborted = log.aborted(log.start_offset()..log.end_offset()).expect("aborted");
    let (start, end) = (log.start_offset(), log.end_offset());
    let producers: Vec<_> = log
        .producers()
        .iter()
        .map(|p| (p.producer_id, p.epoch, p.last_sequence(), p.txn_first_offset()))
        .collect();
    format!("{start} {end} {producers:?} {:?} {aborted:?}", log.epochs())
}

proptest! {
    /// What was flushed survives the loss of power; what is left is what was written first;
    /// opening it once more changes nothing; and it can be written on.
    #[test]
    fn power_loss(ops in prop::collection::vec(op(), 1..80), seed in any::<u64>()) {
        let mut run = Run::new(seed);
        for op in &ops {
            run.run(op).expect("op");
        }
        let (flushed, start) = (run.log.recovery_point(), run.log.start_offset());
        run.disk.lose_power();
        if !run.disk.exists(Path::new(DIR)).expect("exists") {
            prop_assert_eq!(flushed, 0, "never flushed");
            return Ok(());
        }
        let (log, _) = reopen(&run.disk, flushed, start).expect("open");
        let found = content(&log);
        let expected = run.visible(log.start_offset());
        let sure = expected.iter().take_while(|(base, b)| end_of(*base, b) <= flushed).count();
        prop_assert!(found.len() >= sure, "{} batches of {sure}", found.len());
        prop_assert_eq!(&found[..sure], &expected[..sure]);
        if !run.cut {
            prop_assert!(expected.starts_with(&found), "no prefix");
        }
        let first = state(&log);
        drop(log);
        let (log, report) = reopen(&run.disk, flushed, start).expect("open");
        prop_assert_eq!(report.truncated_bytes, 0);
        prop_assert_eq!(state(&log), first);
        prop_assert_eq!(content(&log), found);
        append(&log, data(1, 10), Origin::Client).expect("append");
    }

    /// When only the process dies, all that was acknowledged is there, whatever change it died
    /// in, and the state is that of a log which was never interrupted.
    #[test]
    fn death_at_any_change(ops in prop::collection::vec(op(), 1..40), at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let total = {
            let mut run = Run::new(seed);
            let before = run.disk.changes();
            ops.iter().for_each(|op| run.run(op).expect("op"));
            run.disk.changes() - before
        };
        prop_assume!(total > 0);
        let mut run = Run::new(seed);
        run.disk.die_after(at.index(total as usize) as u64);
        let mut died_in = None;
        for op in &ops {
            if run.run(op).is_err() {
                died_in = Some(op.clone());
                break;
            }
        }
        let (flushed, start) = (run.log.recovery_point(), run.log.start_offset());
        run.disk.revive();
        if !run.disk.exists(Path::new(DIR)).expect("exists") {
            prop_assert!(run.written.is_empty(), "nothing was acknowledged");
            return Ok(());
        }
        let (log, _) = reopen(&run.disk, flushed, start).expect("open");
        let (found, expected) = (content(&log), run.visible(log.start_offset()));
        if matches!(died_in, Some(Op::Truncate(_))) {
            let kept = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
            prop_assert!(kept == expected.len() || kept == found.len());
        } else {
            prop_assert!(found.starts_with(&expected), "{died_in:?}: {} of {}", found.len(), expected.len());
        }
        let first = state(&log);
        let (again, _) = reopen(&run.disk, flushed, start).expect("open");
        prop_assert_eq!(state(&again), first);
        append(&again, data(1, 10), Origin::Client).expect("append");
    }
}

#[test]
fn death_while_cleaning() {
    let fill = |disk: &SimDisk| {
        let log = create(disk);
        for i in 0..60 {
            append(&log, data(i % 7, 60), Origin::Client).expect("append");
        }
        for i in 0..6 {
            append(&log, produced(1, i), Origin::Client).expect("append");
            let result =
                if i % 2 == 0 { TransactionResult::Abort } else { TransactionResult::Commit };
            append(&log, ended(1, result), Origin::Coordinator).expect("append");
        }
        log.flush(i64::MAX, 0).expect("flush");
        log.roll(0).expect("roll");
        log
    };
    let newest = |log: &Log| {
        let mut newest = std::collections::BTreeMap::new();
        for (_, bytes) in content(log) {
            let batch = Batch::parse(&bytes).expect("batch");
            for r in batch.decode(1 << 20).expect("records") {
                newest.insert(r.key.map(|k| k.to_vec()), (r.offset, r.value.map(|v| v.to_vec())));
            }
        }
        // Of transactions only markers and committed records count.
        newest.remove(&Some(b"t".to_vec()));
        newest.retain(|k, _| k.as_ref().is_some_and(|k| k.len() < 4));
        newest
    };
    let disk = SimDisk::new(1);
    let log = fill(&disk);
    let (expected, before) = (newest(&log), disk.changes());
    let bytes = log.size();
    clean(&log).expect("clean");
    assert!(log.size() < bytes / 2, "{} of {bytes}", log.size());
    assert_eq!(newest(&log), expected);
    let aborted = log.aborted(0..i64::MAX).expect("aborted");
    let changes = disk.changes() - before;
    for power in [false, true] {
        for at in 0..changes {
            let disk = SimDisk::new(at);
            let log = fill(&disk);
            disk.die_after(at);
            assert!(clean(&log).is_err());
            let flushed = log.recovery_point();
            if power {
                disk.lose_power();
            }
            disk.revive();
            let (log, report) = reopen(&disk, flushed, 0).expect("open");
            assert_eq!(report.truncated_bytes, 0, "at {at}");
            assert_eq!(newest(&log), expected, "at {at}");
            assert_eq!(log.end_offset(), 132);
            let names = disk.list(Path::new(DIR)).expect("list");
            assert!(
                names.iter().all(|e| !e.name.ends_with(".swap") && !e.name.ends_with(".cleaned"))
            );
            clean(&log).expect("clean");
            assert_eq!(newest(&log), expected, "cleaned after {at}");
            let again = log.aborted(0..i64::MAX).expect("aborted");
            assert!(again.iter().all(|txn| aborted.contains(txn)), "cleaned after {at}");
        }
    }
}

#[test]
fn gaps_of_compaction_stay_when_it_is_over() {
    let disk = SimDisk::new(1);
    let log = create(&disk);
    for i in 0..60 {
        append(&log, data(i % 7, 60 + usize::from(i)), Origin::Client).expect("append");
    }
    log.roll(0).expect("roll");
    clean(&log).expect("clean");
    for i in 0..20 {
        append(&log, data(i, 90), Origin::Client).expect("append");
    }
    let before = content(&log);
    // The checkpoint is from before the compaction.
    let start = Start {
        shutdown: Shutdown::Unclean,
        recovery_point: Some(0),
        log_start: 0,
        high_watermark: 0,
        cleaner_point: Some(0),
        now_ms: 0,
        trust: Trust::Replicas,
    };
    let open = |start: &Start| {
        Log::open(&shared(&disk), DIR.into(), name(), settings(), start, &mut Vec::new())
    };
    let (log, report) = open(&start).expect("open");
    assert_eq!((report.removed_segments, content(&log)), (0, before));
    // The same gaps are a loss where nothing was compacted: this sees that there are some.
    let (_, report) = open(&Start { cleaner_point: None, ..start }).expect("open");
    assert!(report.removed_segments > 0);
}

/// A log of several segments, and the content of its newest segment's file.
fn three_segments() -> (SimDisk, Vec<(i64, Bytes)>, std::path::PathBuf, Vec<u8>) {
    let disk = SimDisk::new(7);
    let log = create(&disk);
    while log.segment_count() < 3 {
        append(&log, data(log.end_offset() as u8, 100), Origin::Client).expect("append");
    }
    append(&log, data(1, 100), Origin::Client).expect("append");
    append(&log, data(2, 100), Origin::Client).expect("append");
    let (base, _) = *log.segment_sizes().last().expect("segment");
    let file = Path::new(DIR).join(format!("{base:020}.log"));
    let bytes = disk.read(&file, 1 << 20).expect("read");
    (disk, content(&log), file, bytes)
}

#[test]
fn a_segment_cut_or_changed_at_each_byte() {
    let (disk, all, file, bytes) = three_segments();
    let last = all.last().expect("batch").1.len();
    for cut in 1..=last {
        let file = disk.open(&file, Open::Write).expect("open");
        file.write_at(&bytes, 0).expect("write");
        file.truncate((bytes.len() - cut) as u64).expect("cut");
        let (log, report) = reopen(&disk, 0, 0).expect("open");
        assert_eq!(report.truncated_bytes, (last - cut) as u64);
        assert_eq!(content(&log), all[..all.len() - 1], "cut by {cut}");
    }
    for at in bytes.len() - last..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x55;
        disk.open(&file, Open::Write).expect("open").write_at(&wrong, 0).expect("write");
        let (log, report) = reopen(&disk, 0, 0).expect("open");
        // Neither the leader epoch nor the first byte of an offset that rises is checked.
        if report.truncated_bytes > 0 {
            assert_eq!(content(&log), all[..all.len() - 1], "changed at {at}");
        } else {
            assert!(at - (bytes.len() - last) < 16, "changed at {at}");
        }
    }
}

#[test]
fn damage_in_the_middle_ends_the_log_there() {
    let (disk, all, _, _) = three_segments();
    let second = disk
        .list(Path::new(DIR))
        .expect("list")
        .into_iter()
        .map(|e| e.name)
        .filter(|n| n.ends_with(".log"))
        .nth(1)
        .expect("segment");
    let base: i64 = second.trim_end_matches(".log").parse().expect("number");
    let file = disk.open(&Path::new(DIR).join(second), Open::Write).expect("open");
    file.write_at(&[0xff; 4], 100).expect("write");
    let (log, report) = reopen(&disk, 0, 0).expect("open");
    assert_eq!(report.removed_segments, 1);
    assert!(report.truncated_bytes > 0);
    let found = content(&log);
    assert_eq!(found, all[..found.len()]);
    assert_eq!(log.end_offset(), base);
}

#[test]
fn wrong_and_missing_indexes() {
    for shutdown in [Shutdown::Clean, Shutdown::Unclean] {
        for kind in [".index", ".timeindex"] {
            for damage in ["zeroes", "gone", "cut", "nonsense", "long"] {
                let (disk, all, _, _) = three_segments();
                let end = {
                    let (log, _) = reopen(&disk, 0, 0).expect("open");
                    log.close(0).expect("close");
                    log.end_offset()
                };
                for entry in disk.list(Path::new(DIR)).expect("list") {
                    let path = Path::new(DIR).join(&entry.name);
                    if !entry.name.ends_with(kind) {
                        continue;
                    }
                    let file = disk.open(&path, Open::Write).expect("open");
                    let len = file.len().expect("len") as usize;
                    match damage {
                        "zeroes" => file.write_at(&vec![0; len], 0).expect("write"),
                        "gone" => disk.remove_file(&path).expect("remove"),
                        "cut" => file.truncate(len as u64 / 2 + 1).expect("cut"),
                        "long" => file.truncate(10 << 10).expect("grow"),
                        _ => file.write_at(&vec![0x7f; len], 0).expect("write"),
                    }
                }
                let start = Start {
                    shutdown,
                    // As if all were flushed: closed segments are not looked at.
                    recovery_point: Some(end),
                    log_start: 0,
                    high_watermark: 0,
                    cleaner_point: None,
                    now_ms: 0,
                    trust: Trust::Replicas,
                };
                let (log, _) = Log::open(
                    &shared(&disk),
                    DIR.into(),
                    name(),
                    settings(),
                    &start,
                    &mut Vec::new(),
                )
                .expect("open");
                let what = format!("{kind} {damage} {shutdown:?}");
                assert_eq!(log.end_offset(), end, "{what}");
                assert_eq!(content(&log), all, "{what}");
                for (base, bytes) in &all {
                    let read = log.read(*base + 1, 1, i64::MAX, AtLeast::OneBatch).expect("read");
                    assert_eq!(read.slice.expect("slice").len as usize, bytes.len(), "{what}");
                }
                let found = log.find_timestamp(1000).expect("find").expect("match");
                assert_eq!(found.slice.first_offset, 0, "{what}");
                assert!(log.find_timestamp(1001).expect("find").is_none(), "{what}");
            }
        }
    }
}

#[test]
fn a_full_disk() {
    let disk = SimDisk::new(3);
    let log = create(&disk);
    disk.set_capacity(5000);
    let mut written = Vec::new();
    let error = loop {
        match append(&log, data(3, 200), Origin::Client) {
            Ok(_) => written = content(&log),
            Err(e) => break e,
        }
    };
    assert!(matches!(&error, LogError::Disk(e) if e.is_full()), "{error}");
    assert!(!written.is_empty());
    assert_eq!(content(&log), written, "what was written can be read");
    assert!(matches!(append(&log, data(3, 200), Origin::Client), Err(LogError::Closed)));
    disk.set_capacity(u64::MAX);
    let (log, _) = reopen(&disk, 0, 0).expect("open");
    assert_eq!(content(&log), written);
    append(&log, data(3, 200), Origin::Client).expect("append");
}
