//! What the recording beside Kafka cannot show: waiting, used-up epochs, time, restarts.

use ottla_wire::ErrorCode;

use super::harness::{ID, Shard};
use crate::group::{Producer, TxnOutcome};
use crate::txn::rules::Live;
use crate::txn::{Request, TxnRecord, TxnSettings};

const BUSY: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;

#[test]
fn the_next_transaction_waits_for_the_markers_of_the_last() {
    let mut shard = Shard::new();
    let producer = shard.born();
    let added = shard.add(producer, 0);
    assert_eq!(shard.added(added), ErrorCode::NONE);
    let ended = shard.end(5, producer, true);
    let bumped = shard.ended(ended).expect("the outcome is written");
    assert_eq!(bumped, Producer { epoch: producer.epoch + 1, ..producer });
    assert_eq!(shard.status(), "PrepareCommit");
    assert_eq!(shard.endings.len(), 1);
    assert_eq!(shard.endings[0].0.producer, bumped, "markers carry the new epoch");
    assert_eq!(shard.endings[0].1, TxnOutcome::Commit);
    let next = shard.add(bumped, 1);
    assert!(!shard.replies.contains_key(&next), "it waits");
    shard.settle();
    assert_eq!(shard.added(next), ErrorCode::NONE);
    assert_eq!(shard.status(), "Ongoing");
}

#[test]
fn nobody_waits_longer_than_the_limit() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, true);
    let bumped = shard.ended(ended).expect("ended");
    let waiting = [shard.add(bumped, 1), shard.end(5, producer, true), shard.init(None, 60_000)];
    shard.pass(999);
    assert!(waiting.iter().all(|ticket| !shard.replies.contains_key(ticket)));
    shard.pass(1);
    assert_eq!(shard.added(waiting[0]), BUSY);
    assert_eq!(shard.ended(waiting[1]), Err(BUSY));
    assert_eq!(shard.inited(waiting[2]), Err(BUSY));
    shard.settle();
    assert_eq!(shard.status(), "CompleteCommit");
}

#[test]
fn only_so_many_wait() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, false);
    let bumped = shard.ended(ended).expect("ended");
    let waiting: Vec<_> = (0..70).map(|partition| shard.add(bumped, partition)).collect();
    let refused = waiting.iter().filter(|ticket| shard.replies.contains_key(ticket)).count();
    assert_eq!(refused, 70 - 64);
}

#[test]
fn a_producer_that_takes_over_waits_for_the_abort() {
    let mut shard = Shard::new();
    let old = shard.born();
    shard.add(old, 0);
    let init = shard.init(None, 60_000);
    assert_eq!(shard.status(), "PrepareAbort");
    let late = shard.add(old, 1);
    assert_eq!(shard.added(late), ErrorCode::PRODUCER_FENCED);
    assert_eq!(shard.endings[0].0.producer.epoch, old.epoch + 1);
    shard.settle();
    let new = shard.inited(init).expect("after the abort");
    assert_eq!(new, Producer { epoch: old.epoch + 2, ..old });
    let ended = shard.end(5, old, true);
    assert_eq!(shard.ended(ended), Err(ErrorCode::PRODUCER_FENCED));
}

/// One whose producer has its last epoch: the record is made so, as 32,765 transactions would.
fn worn() -> (Shard, Producer) {
    let mut shard = Shard::new();
    let producer = Producer { epoch: i16::MAX - 1, ..shard.born() };
    let mut worn = shard.state.txns[ID].clone();
    worn.producer = producer;
    let record = TxnRecord::of(ID, Some(worn.value()), 2);
    shard.state.apply(&record);
    shard.log.push(record);
    (shard, producer)
}

#[test]
fn the_next_abort_waits_for_the_markers_of_the_last() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, true);
    let bumped = shard.ended(ended).expect("ended");
    // Its client began a transaction and gave it up before anything was written.
    let next = shard.end(5, bumped, false);
    assert!(!shard.replies.contains_key(&next), "it waits");
    shard.settle();
    assert_eq!(shard.ended(next), Ok(Producer { epoch: bumped.epoch + 1, ..bumped }));
    assert_eq!(shard.status(), "CompleteAbort");
}

#[test]
fn an_epoch_that_is_used_up_gives_way_to_a_new_id() {
    let (mut shard, producer) = worn();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, true);
    let next = shard.ended(ended).expect("ended");
    assert_ne!(next.id, producer.id);
    assert_eq!(next.epoch, 0);
    let marker = shard.endings[0].0.producer;
    assert_eq!(marker, Producer { epoch: i16::MAX, ..producer }, "the old id is fenced");
    // The client knows it already, and the id changes with the markers only.
    let waiting = [shard.add(next, 0), shard.init(Some(next), 60_000)];
    assert!(waiting.iter().all(|ticket| !shard.replies.contains_key(ticket)), "they wait");
    shard.pass(999);
    shard.settle();
    assert_eq!(shard.added(waiting[0]), ErrorCode::NONE);
    shard.settle();
    let next = shard.inited(waiting[1]).expect("after the abort of what was added");
    let added = shard.add(next, 0);
    assert_eq!(shard.added(added), ErrorCode::NONE);
}

#[test]
fn an_end_is_told_again_after_the_id_changed() {
    let (mut shard, producer) = worn();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, true);
    let next = shard.ended(ended).expect("ended");
    shard.settle();
    let again = shard.end(5, producer, true);
    assert_eq!(shard.ended(again), Ok(next), "a retry is told the same");
    let added = shard.add(next, 0);
    assert_eq!(shard.added(added), ErrorCode::NONE);
}

#[test]
fn a_used_up_epoch_gives_way_at_a_new_start_too() {
    let mut shard = Shard::new();
    let producer = shard.born();
    let mut worn = shard.state.txns[ID].clone();
    worn.producer.epoch = i16::MAX - 1;
    let record = TxnRecord::of(ID, Some(worn.value()), 2);
    shard.state.apply(&record);
    shard.log.push(record);
    let worn = Producer { epoch: i16::MAX - 1, ..producer };
    let init = shard.init(Some(worn), 60_000);
    let next = shard.inited(init).expect("a producer");
    assert_ne!(next.id, producer.id);
    assert_eq!(next.epoch, 0);
    let again = shard.init(Some(worn), 60_000);
    assert_eq!(shard.inited(again), Ok(next), "the answer may have been lost");
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut shard = Shard::new();
    let init = shard.init(None, 5_000);
    let producer = shard.inited(init).expect("a producer");
    shard.add(producer, 0);
    shard.pass(5_000);
    assert_eq!(shard.status(), "Ongoing");
    shard.pass(10_000);
    assert_eq!(shard.status(), "PrepareAbort");
    let late = shard.end(5, producer, true);
    // Its epoch is that before the bump, so it could be the one that asked for the end.
    assert_eq!(shard.ended(late), Err(ErrorCode::INVALID_TXN_STATE));
    let late = shard.add(producer, 1);
    assert_eq!(shard.added(late), ErrorCode::PRODUCER_FENCED);
    shard.settle();
    assert_eq!(shard.status(), "CompleteAbort");
}

#[test]
fn a_restart_asks_for_markers_again_and_times_open_transactions() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 7);
    shard.end(5, producer, true);
    shard.restart();
    assert_eq!(shard.endings.len(), 1);
    assert_eq!(shard.endings[0].2, [("t".to_owned(), vec![7])]);
    shard.settle();
    assert_eq!(shard.status(), "CompleteCommit");
    let bumped = Producer { epoch: producer.epoch + 1, ..producer };
    shard.add(bumped, 1);
    shard.restart();
    assert!(shard.endings.is_empty());
    shard.pass(71_000);
    assert_eq!(shard.status(), "PrepareAbort");
}

#[test]
fn markers_of_the_past_complete_nothing() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 0);
    let ended = shard.end(5, producer, true);
    let bumped = shard.ended(ended).expect("ended");
    let old = shard.endings[0].0.clone();
    shard.settle();
    shard.add(bumped, 0);
    shard.end(5, bumped, false);
    shard.send(0, Request::MarkersWritten(old));
    assert_eq!(shard.status(), "PrepareAbort");
}

#[test]
fn ids_that_nobody_uses_expire() {
    let mut shard = Shard::new();
    shard.born();
    shard.pass(604_800_000 - 3_600_000);
    assert_eq!(shard.status(), "Empty");
    shard.pass(2 * 3_600_000);
    assert_eq!(shard.status(), "none");
    assert_eq!(shard.log.len(), 2);
    shard.restart();
    assert_eq!(shard.state.transactional_ids(), 0);
}

#[test]
fn an_open_transaction_keeps_its_id() {
    let settings = TxnSettings { abort_interval_ms: u64::MAX / 4, ..TxnSettings::default() };
    let mut shard = Shard::with(settings);
    let producer = shard.born();
    shard.add(producer, 0);
    shard.pass(2 * 604_800_000);
    assert_eq!(shard.status(), "Ongoing");
}

#[test]
fn the_record_of_an_id_is_its_whole_state() {
    let mut shard = Shard::new();
    let producer = shard.born();
    shard.add(producer, 3);
    shard.end(5, producer, false);
    let txn = shard.state.txns[ID].clone();
    let value = txn.value();
    assert_eq!(crate::txn::transaction::Txn::from_value(&value), Some(txn.clone()));
    let live = Live { txn, last_epoch: 0 };
    assert!(live.txn.status.is_ending());
    let strange = ottla_wire::schema::txn::TransactionLogValue { transaction_status: 9, ..value };
    shard.state.apply(&TxnRecord::of(ID, Some(strange), 2));
    assert_eq!(shard.state.skipped(), 1);
}

#[test]
fn every_record_has_a_form_at_every_level_of_the_feature() {
    for version in 0..=2 {
        let mut shard = Shard::with(TxnSettings { version, ..TxnSettings::default() });
        let mut producer = shard.born();
        for committed in [true, false] {
            shard.add(producer, 0);
            let ended = shard.end(if version == 2 { 5 } else { 4 }, producer, committed);
            producer = shard.ended(ended).expect("ended");
            shard.settle();
        }
        let init = shard.init(None, 60_000);
        shard.inited(init).expect("the next one");
        for record in &shard.log {
            let (key, value) = record.encode().expect("a form").expect("a record");
            assert_eq!(TxnRecord::decode(key, value).as_ref(), Ok(record));
        }
        shard.restart();
    }
}
