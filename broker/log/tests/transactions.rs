//! Transactions in a log, through rolls, cuts, deaths and reopening: those who read committed
//! records see a transaction wholly or not at all, and never less than they could see before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::disk::Disk;
use ottla_log::disk::sim::SimDisk;
use ottla_log::graveyard::Graveyard;
use ottla_log::log::{AppendBatch, AtLeast, LeaderAppend, Shared, Shutdown, Start, Trust};
use ottla_log::producers::{Beginning, MarkerRule, Origin, Rules, Sequences, Verified};
use ottla_log::{Log, LogError, LogSettings};
use ottla_wire::record::{Batch, BatchBuilder, Batches, CrcCheck, EndTxnMarker, TransactionResult};
use proptest::prelude::*;

const DIR: &str = "/data/t-0";
const PRODUCERS: usize = 4;

fn settings() -> Arc<LogSettings> {
    Arc::new(LogSettings {
        segment_bytes: 1500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 0,
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

#[derive(Clone, Debug)]
enum Op {
    /// A record of no transaction.
    Plain,
    /// So many records of a producer's transaction, which begins if it is not open.
    Data(usize, u8),
    /// The end of a producer's transaction, or of one that wrote nothing here.
    End(usize, bool),
    /// The replicas have so many percent of what they lack.
    Replicate(u8),
    Roll,
    Flush,
    /// The last batches go, down to the high watermark at most.
    Cut(u8),
    /// The process ends properly, or dies.
    Restart(Shutdown),
}

fn op() -> impl Strategy<Value = Op> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        2 => Just(Op::Plain),
        8 => (producer.clone(), 1u8..4).prop_map(|(p, n)| Op::Data(p, n)),
        5 => (producer, any::<bool>()).prop_map(|(p, commit)| Op::End(p, commit)),
        5 => (0u8..=100).prop_map(Op::Replicate),
        1 => Just(Op::Roll),
        1 => Just(Op::Flush),
        1 => (1u8..6).prop_map(Op::Cut),
        1 => prop_oneof![Just(Shutdown::Clean), Just(Shutdown::Unclean)].prop_map(Op::Restart),
    ]
}

/// What a batch in the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Plain,
    /// Of the producer, at this epoch.
    Data(usize, i16),
    End(usize, bool, i16),
}

/// One batch: its offsets, and what it is.
#[derive(Clone, Copy, Debug)]
struct Written {
    first: i64,
    last: i64,
    what: What,
}

struct Run {
    disk: SimDisk,
    log: Log,
    written: Vec<Written>,
}

impl Run {
    fn new() -> Self {
        let disk = SimDisk::new(5);
        disk.create_dir_all(Path::new("/data")).expect("create");
        let log = Log::begin(&shared(&disk), DIR.into(), name(), Some("id"), settings(), 0);
        Self { log: log.expect("begin"), disk, written: Vec::new() }
    }

    /// Producers with odd numbers use version 2 of transactions: each end bumps the epoch.
    fn bumps(producer: usize) -> bool {
        producer % 2 == 1
    }

    fn epoch(&self, producer: usize) -> i16 {
        let last = self.written.iter().rev().find_map(|w| match w.what {
            What::Data(p, epoch) | What::End(p, _, epoch) if p == producer => Some(epoch),
            _ => None,
        });
        last.unwrap_or(0)
    }

    fn sequence(&self, producer: usize) -> i32 {
        let epoch = self.epoch(producer);
        let of = |w: &&Written| w.what == What::Data(producer, epoch);
        let records = self.written.iter().filter(of).map(|w| w.last - w.first + 1).sum::<i64>();
        i32::try_from(records).expect("few records")
    }

    fn append(&mut self, batch: Batch, rules: Rules, what: What) {
        let batch = AppendBatch::split(&batch.bytes).expect("batch");
        let by = LeaderAppend { leader_epoch: 1, rules, now_ms: 0 };
        let info = self.log.append_as_leader(&[batch], by).expect("append");
        self.written.push(Written { first: info.first_offset, last: info.last_offset, what });
    }

    fn data(&mut self, producer: usize, count: u8) {
        let (id, epoch, sequence) =
            (producer as i64, self.epoch(producer), self.sequence(producer));
        let sequences = if Self::bumps(producer) { Sequences::FromZero } else { Sequences::Any };
        let beginning = Beginning { producer_id: id, epoch, sequence, sequences };
        let guard = self.log.begin_verification(&beginning, 0).expect("open");
        let open = self.open().contains_key(&producer);
        assert_eq!(guard.is_none(), open, "only what begins is verified");
        let mut batch = BatchBuilder::new(0).producer(id, epoch, sequence).transactional();
        for _ in 0..count {
            batch.append(1000, Some(b"key"), Some(&[b'x'; 90]));
        }
        let rules = Rules { verified: Verified::By(guard), ..Rules::of(Origin::Client) };
        self.append(batch.build().expect("batch"), rules, What::Data(producer, epoch));
    }

    fn end(&mut self, producer: usize, commit: bool) {
        let epoch = self.epoch(producer) + i16::from(Self::bumps(producer));
        let result = if commit { TransactionResult::Commit } else { TransactionResult::Abort };
        let marker = EndTxnMarker { result, coordinator_epoch: 1 };
        let batch = BatchBuilder::end_transaction(0, (producer as i64, epoch), 1000, marker);
        let marker =
            if Self::bumps(producer) { MarkerRule::Later } else { MarkerRule::SameOrLater };
        let rules = Rules { marker, ..Rules::of(Origin::Coordinator) };
        self.append(batch.build().expect("batch"), rules, What::End(producer, commit, epoch));
    }

    fn cut(&mut self, batches: u8) {
        let at = self.written.len().saturating_sub(usize::from(batches));
        let committed = |w: &Written| w.first < self.log.high_watermark();
        let kept = self.written.iter().filter(|w| committed(w)).count();
        let Some(first) = self.written.get(at.max(kept)).map(|w| w.first) else { return };
        self.log.truncate_to(first, 0).expect("cut");
        self.written.truncate(at.max(kept));
    }

    /// Snapshots do not say which transactions ended above the high watermark (their form is
    /// Kafka's, which forgets it likewise), so this begins with everything replicated.
    fn restart(&mut self, shutdown: Shutdown) {
        self.log.set_high_watermark(self.log.end_offset());
        if shutdown == Shutdown::Clean {
            self.log.close(0).expect("close");
        }
        if !self.disk.exists(Path::new(DIR)).expect("exists") {
            return;
        }
        let start = Start {
            shutdown,
            recovery_point: Some(self.log.recovery_point()),
            log_start: self.log.start_offset(),
            high_watermark: self.log.high_watermark(),
            cleaner_point: None,
            now_ms: 0,
            trust: Trust::Replicas,
        };
        let before = state(&self.log);
        let log =
            Log::open(&shared(&self.disk), DIR.into(), name(), settings(), &start, &mut Vec::new());
        self.log = log.expect("open").0;
        assert_eq!(state(&self.log), before, "what {shutdown:?} left");
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Plain => {
                let mut batch = BatchBuilder::new(0);
                batch.append(1000, Some(b"key"), Some(&[b'p'; 60]));
                self.append(batch.build().expect("batch"), Rules::of(Origin::Client), What::Plain);
            }
            Op::Data(producer, count) => self.data(*producer, *count),
            Op::End(producer, commit) => self.end(*producer, *commit),
            Op::Replicate(percent) => {
                let (from, to) = (self.log.high_watermark(), self.log.end_offset());
                // Batches are replicated as a whole.
                let reached = from + (to - from) * i64::from(*percent) / 100;
                let whole = self.written.iter().map(|w| w.last + 1).rfind(|end| *end <= reached);
                if let Some(end) = whole.filter(|end| *end > from) {
                    self.log.set_high_watermark(end);
                }
            }
            Op::Roll => drop(self.log.roll(0).expect("roll")),
            Op::Flush => drop(self.log.flush(i64::MAX, 0).expect("flush")),
            Op::Cut(batches) => self.cut(*batches),
            Op::Restart(shutdown) => self.restart(*shutdown),
        }
    }

    /// First offsets of the transactions that are open, by producer.
    fn open(&self) -> BTreeMap<usize, i64> {
        let mut open = BTreeMap::new();
        for w in &self.written {
            match w.what {
                What::Data(producer, _) => drop(open.entry(producer).or_insert(w.first)),
                What::End(producer, ..) => drop(open.remove(&producer)),
                What::Plain => {}
            }
        }
        open
    }

    /// The last stable offset by what was written.
    fn stable(&self) -> i64 {
        let high_watermark = self.log.high_watermark();
        let (mut open, mut least) = (BTreeMap::new(), high_watermark);
        for w in &self.written {
            match w.what {
                What::Data(producer, _) => drop(open.entry(producer).or_insert(w.first)),
                What::End(producer, ..) => {
                    if let Some(first) = open.remove(&producer)
                        && w.last >= high_watermark
                    {
                        least = least.min(first);
                    }
                }
                What::Plain => {}
            }
        }
        open.into_values().fold(least, i64::min)
    }

    /// The offsets that a reader of committed records is to see. Of a committed transaction that
    /// another one's open records lie within, the rest comes when those are decided.
    fn committed(&self) -> Vec<i64> {
        let stable = self.log.last_stable_offset();
        let (mut open, mut seen) = (BTreeMap::<usize, Vec<i64>>::new(), Vec::new());
        for w in &self.written {
            match w.what {
                What::Data(producer, _) => {
                    open.entry(producer).or_default().extend(w.first..=w.last);
                }
                What::End(producer, commit, _) => {
                    let all = open.remove(&producer).unwrap_or_default();
                    if commit {
                        seen.extend(all);
                    }
                }
                What::Plain => seen.extend(w.first..=w.last),
            }
        }
        let undecided = open.into_values().flatten().min();
        assert!(undecided.is_none_or(|first| first >= stable), "{undecided:?} below {stable}");
        seen.retain(|offset| *offset < stable);
        seen.sort_unstable();
        seen
    }

    /// The offsets that it sees: what is fetched, without the records of transactions that the
    /// same answer says are aborted, as clients leave them out.
    fn read(&self, max_bytes: u32) -> Vec<i64> {
        let stable = self.log.last_stable_offset();
        let (mut at, mut seen) = (self.log.start_offset(), Vec::new());
        loop {
            let read = self.log.read(at, max_bytes, stable, AtLeast::OneBatch).expect("read");
            let Some(slice) = read.slice else { return seen };
            let mut coming = self.log.aborted(slice.first_offset..slice.bound).expect("aborted");
            coming.sort_unstable_by_key(|txn| std::cmp::Reverse(txn.first_offset));
            let mut aborted = std::collections::BTreeSet::new();
            let bytes: Bytes = slice.read().expect("bytes").into();
            let before = at;
            for batch in Batches::new(bytes, CrcCheck::Verify) {
                let Ok(batch) = batch else { break };
                let header = &batch.header;
                let last = header.next_offset() - 1;
                while let Some(txn) = coming.pop_if(|txn| txn.first_offset <= last) {
                    aborted.insert(txn.producer_id);
                }
                let is_control = header.is_control();
                if is_control
                    && batch.decode(1 << 10).expect("marker")[0].key.as_deref() == Some(&[0; 4])
                {
                    aborted.remove(&header.producer_id);
                }
                let skipped = header.is_transactional() && aborted.contains(&header.producer_id);
                if !is_control && !skipped && header.base_offset >= at {
                    seen.extend(header.base_offset..=last);
                }
                at = last + 1;
            }
            assert!(at > before, "nothing at {before}");
        }
    }
}

/// Offsets, producers, and aborted transactions.
fn state(log: &Log) -> String {
    let aborted = log.aborted(log.start_offset()..log.end_offset()).expect("aborted");
    let producer = |p: &ottla_log::producers::ProducerEntry| {
        let first = p.txn_first_offset();
        (p.producer_id, p.epoch, p.last_sequence(), p.coordinator_epoch, p.last_timestamp, first)
    };
    let producers: Vec<_> = log.producers().iter().map(producer).collect();
    let (end, stable) = (log.end_offset(), log.last_stable_offset());
    format!("{end} {stable} {:?} {producers:?} {aborted:?}", log.first_unstable_offset())
}

proptest! {
    #[test]
    fn a_transaction_is_seen_wholly_or_not_at_all(
        ops in prop::collection::vec(op(), 1..120),
        max_bytes in prop_oneof![Just(1u32), 200u32..3000],
    ) {
        let mut run = Run::new();
        let (mut stable, mut seen) = (0, Vec::new());
        for op in &ops {
            run.run(op);
            prop_assert_eq!(run.log.last_stable_offset(), run.stable(), "after {:?}", op);
            prop_assert!(run.log.last_stable_offset() >= stable, "{:?} took it back", op);
            stable = run.log.last_stable_offset();
            let now = run.read(max_bytes);
            prop_assert_eq!(&now, &run.committed(), "after {:?}", op);
            prop_assert!(now.starts_with(&seen), "{:?} hid what was seen", op);
            seen = now;
        }
    }

    /// A follower that takes over what its leader has, in pieces of any size, has its state.
    #[test]
    fn followers_know_what_their_leader_knows(
        ops in prop::collection::vec(op(), 1..80),
        piece in 1u32..2000,
    ) {
        let mut run = Run::new();
        for op in &ops {
            run.run(op);
        }
        let follower = Run::new();
        loop {
            let at = follower.log.end_offset();
            let read = run.log.read(at, piece, i64::MAX, AtLeast::OneBatch).expect("read");
            let Some(slice) = read.slice else { break };
            let bytes = slice.read().expect("bytes").into();
            follower.log.append_as_follower(&bytes, 0).expect("append");
        }
        follower.log.set_high_watermark(run.log.high_watermark());
        prop_assert_eq!(state(&follower.log), state(&run.log));
    }
}

fn begins(producer_id: i64, epoch: i16, sequence: i32, sequences: Sequences) -> Beginning {
    Beginning { producer_id, epoch, sequence, sequences }
}

fn produce(
    log: &Log,
    (id, epoch, sequence): (i64, i16, i32),
    verified: Verified,
) -> Result<i64, LogError> {
    let mut batch = BatchBuilder::new(0).producer(id, epoch, sequence).transactional();
    batch.append(1000, Some(b"key"), Some(b"value"));
    let batch = AppendBatch::split(&batch.build().expect("batch").bytes)?;
    let rules = Rules { verified, ..Rules::of(Origin::Client) };
    let by = LeaderAppend { leader_epoch: 1, rules, now_ms: 0 };
    log.append_as_leader(&[batch], by).map(|info| info.first_offset)
}

fn end(log: &Log, (id, epoch): (i64, i16), marker: MarkerRule) -> Result<i64, LogError> {
    let end = EndTxnMarker { result: TransactionResult::Abort, coordinator_epoch: 1 };
    let batch = BatchBuilder::end_transaction(0, (id, epoch), 1000, end).build().expect("batch");
    let rules = Rules { marker, ..Rules::of(Origin::Coordinator) };
    let by = LeaderAppend { leader_epoch: 1, rules, now_ms: 0 };
    log.append_as_leader(&[AppendBatch::split(&batch.bytes)?], by).map(|info| info.first_offset)
}

#[test]
fn a_batch_that_comes_behind_the_end_of_its_transaction_begins_none() {
    let run = Run::new();
    let log = &run.log;
    let unknown = |result| matches!(result, Err(LogError::InvalidTxnState { producer_id: 1 }));
    assert!(unknown(produce(log, (1, 0, 0), Verified::By(None))), "nobody was asked");
    let first = begins(1, 0, 0, Sequences::Any);
    let guard = log.begin_verification(&first, 0).expect("open");
    assert!(guard.is_some());
    let again = log.begin_verification(&begins(1, 0, 1, Sequences::Any), 0).expect("open");
    assert_eq!(again, guard, "all that wait go by one guard");
    // The coordinator gave the transaction up before its first batch was there.
    end(log, (1, 1), MarkerRule::SameOrLater).expect("marker");
    assert!(unknown(produce(log, (1, 0, 0), Verified::By(guard))), "it is over");
    let next = log.begin_verification(&begins(1, 1, 0, Sequences::Any), 0).expect("open");
    assert_ne!(next, guard);
    produce(log, (1, 1, 0), Verified::By(next)).expect("the next one begins");
    let open = log.begin_verification(&begins(1, 1, 1, Sequences::Any), 0).expect("open");
    assert_eq!(open, None, "it is open");
    produce(log, (1, 1, 1), Verified::By(None)).expect("and goes on");
    assert_eq!(log.first_unstable_offset(), Some(1));
}

#[test]
fn a_batch_does_not_overtake_one_that_waits_with_it() {
    let run = Run::new();
    let log = &run.log;
    let late = |result| matches!(result, Err(LogError::OutOfOrderSequence { .. }));
    let guard = log.begin_verification(&begins(1, 0, 7, Sequences::Any), 0).expect("open");
    log.begin_verification(&begins(1, 0, 9, Sequences::Any), 0).expect("open");
    assert!(late(produce(log, (1, 0, 9), Verified::By(guard))));
    produce(log, (1, 0, 7), Verified::By(guard)).expect("the first");
    produce(log, (1, 0, 8), Verified::By(None)).expect("the second");
    // Version 2 of transactions begins each with 0.
    let guard = log.begin_verification(&begins(2, 0, 3, Sequences::FromZero), 0).expect("open");
    assert!(late(produce(log, (2, 0, 3), Verified::By(guard))));
    log.begin_verification(&begins(2, 0, 0, Sequences::FromZero), 0).expect("open");
    produce(log, (2, 0, 0), Verified::By(guard)).expect("from zero");
    end(log, (2, 1), MarkerRule::Later).expect("marker");
    assert!(matches!(
        produce(log, (2, 0, 1), Verified::Unasked),
        Err(LogError::InvalidProducerEpoch { .. })
    ));
    produce(log, (2, 1, 0), Verified::Unasked).expect("the bumped epoch begins with 0 again");
}

#[test]
fn who_was_asked_about_is_forgotten_in_time_and_guards_stay_apart() {
    let run = Run::new();
    let log = &run.log;
    let mut expiring = (*settings()).clone();
    expiring.producer_id_expiration_ms = 1000;
    log.set_settings(Arc::new(expiring));
    let first = log.begin_verification(&begins(1, 0, 0, Sequences::Any), 0).expect("open");
    log.remove_expired_producers(999);
    let same = log.begin_verification(&begins(1, 0, 0, Sequences::Any), 0).expect("open");
    assert_eq!(same, first);
    log.remove_expired_producers(1000);
    assert!(produce(log, (1, 0, 0), Verified::By(first)).is_err());
    let second = log.begin_verification(&begins(1, 0, 0, Sequences::Any), 0).expect("open");
    assert_ne!(second, first);
    produce(log, (3, 0, 0), Verified::Unasked).expect("another");
    log.truncate_to(0, 0).expect("cut");
    let third = log.begin_verification(&begins(1, 0, 0, Sequences::Any), 0).expect("open");
    assert!(third != first && third != second, "a cut log gives out no guard again");
    assert!(produce(log, (1, 0, 0), Verified::By(second)).is_err());
}

#[test]
fn records_are_deleted_below_an_open_transaction_and_within_it() {
    let run = Run::new();
    let log = &run.log;
    produce(log, (1, 0, 0), Verified::Unasked).expect("begin");
    produce(log, (1, 0, 1), Verified::Unasked).expect("more");
    produce(log, (1, 0, 2), Verified::Unasked).expect("more");
    log.set_high_watermark(3);
    assert_eq!(log.last_stable_offset(), 0);
    log.set_start_offset(2).expect("delete");
    // What is left of it is as undecided as before.
    assert_eq!((log.last_stable_offset(), log.first_unstable_offset()), (2, Some(2)));
    end(log, (1, 0), MarkerRule::SameOrLater).expect("marker");
    log.set_high_watermark(4);
    assert_eq!(log.last_stable_offset(), 4);
    let aborted = log.aborted(2..4).expect("aborted");
    assert_eq!((aborted[0].first_offset, aborted[0].last_offset), (0, 3));
}
