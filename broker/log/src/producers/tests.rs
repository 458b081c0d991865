use super::*;
use crate::batch::Parsed;
use crate::testing::Make;

fn batch(make: Make, base_offset: i64) -> Batch {
    let mut header = make.build().header;
    header[..8].copy_from_slice(&base_offset.to_be_bytes());
    match Batch::parse(&header) {
        Parsed::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// Stages and commits one batch of a client.
fn append(producers: &mut Producers, make: Make) -> Result<Option<BatchMeta>> {
    let batch = batch(make, producers.end_offset());
    let mut staged = Staged::default();
    let earlier = producers.stage(&mut staged, &batch, None, Rules::of(Origin::Client))?;
    if earlier.is_none() {
        producers.commit(staged, batch.last_offset + 1);
    }
    Ok(earlier)
}

fn mark(
    producers: &mut Producers,
    epoch: i16,
    coordinator_epoch: i32,
    rule: MarkerRule,
) -> Result<usize> {
    let batch = batch(Make::marker(1, epoch, 1, coordinator_epoch), producers.end_offset());
    let marker = Marker { outcome: Outcome::Commit, coordinator_epoch, timestamp: 5 };
    let mut staged = Staged::default();
    let rules = Rules { marker: rule, ..Rules::of(Origin::Coordinator) };
    producers.stage(&mut staged, &batch, Some(marker), rules)?;
    Ok(producers.commit(staged, batch.last_offset + 1).len())
}

fn data(epoch: i16, sequence: i32) -> Make {
    Make::sized(2, 1).producer(1, epoch, sequence)
}

#[test]
fn sequences() {
    let mut p = Producers::at(100);
    append(&mut p, data(0, 7)).expect("a new producer begins anywhere");
    append(&mut p, data(0, 9)).expect("in order");
    let e = append(&mut p, data(0, 12)).expect_err("a gap");
    assert!(matches!(e, LogError::OutOfOrderSequence { last: 10, sequence: 12, .. }));
    let earlier = append(&mut p, data(0, 7)).expect("a duplicate").expect("found");
    assert_eq!((earlier.first_offset(), earlier.last_offset), (100, 101));
    let e = append(&mut p, data(1, 3)).expect_err("a new epoch begins at 0");
    assert!(matches!(e, LogError::OutOfOrderSequence { last: -1, .. }));
    append(&mut p, data(1, 0)).expect("new epoch");
    let e = append(&mut p, data(0, 11)).expect_err("old epoch");
    assert!(matches!(e, LogError::InvalidProducerEpoch { epoch: 0, current: 1, .. }));
    assert_eq!(p.end_offset(), 106);
}

#[test]
fn sequences_go_on_at_zero() {
    let mut p = Producers::at(0);
    append(&mut p, data(0, i32::MAX - 2)).expect("up to the last but one");
    append(&mut p, data(0, i32::MAX)).expect("the last, and 0");
    append(&mut p, data(0, 1)).expect("1 and 2");
    let earlier = append(&mut p, data(0, i32::MAX)).expect("a duplicate").expect("found");
    assert_eq!(earlier.first_offset(), 2);
    assert_eq!(earlier.first_sequence(), i32::MAX);
}

#[test]
fn several_batches_at_once() {
    let p = Producers::at(0);
    let mut staged = Staged::default();
    for (i, sequence) in [0, 2, 4].into_iter().enumerate() {
        let batch = batch(data(0, sequence), 2 * i as i64);
        let rules = Rules::of(Origin::Client);
        p.stage(&mut staged, &batch, None, rules).expect("in order");
    }
    let mut p = p;
    p.commit(staged, 6);
    assert_eq!(p.get(1).expect("producer").batches().len(), 3);
    assert_eq!(p.list()[0].last_sequence(), 5);
}

#[test]
fn epochs_of_markers() {
    let later = MarkerRule::Later;
    let mut p = Producers::at(0);
    append(&mut p, data(3, 0).transactional()).expect("data");
    assert_eq!((p.first_unstable_offset(), p.first_undecided_offset()), (Some(0), Some(0)));
    assert!(matches!(
        append(&mut p, data(3, 2)),
        Err(LogError::InvalidTxnState { producer_id: 1 })
    ));
    let e = mark(&mut p, 3, 0, later).expect_err("version 2 bumps the epoch");
    assert!(matches!(e, LogError::InvalidProducerEpoch { .. }));
    assert_eq!(mark(&mut p, 4, 0, later).expect("bumped"), 1);
    assert_eq!(p.first_undecided_offset(), None);
    assert_eq!(p.first_unstable_offset(), Some(0), "until it is replicated");
    p.forget_replicated(p.end_offset());
    assert_eq!(p.first_unstable_offset(), None);
    assert_eq!(mark(&mut p, 4, 0, later).expect("sent again"), 0);
    assert!(mark(&mut p, 3, 0, MarkerRule::SameOrLater).is_err());
    assert_eq!(mark(&mut p, 4, 2, MarkerRule::SameOrLater).expect("coordinator moved"), 0);
    let e = mark(&mut p, 4, 1, MarkerRule::SameOrLater).expect_err("old coordinator");
    assert!(matches!(e, LogError::CoordinatorFenced { epoch: 1, current: 2 }));
    append(&mut p, data(4, 0)).expect("a new epoch begins at 0");
}

#[test]
fn expiry_spares_open_transactions() {
    let mut p = Producers::at(0);
    append(&mut p, data(0, 0).at(1000)).expect("append");
    let txn = Make::sized(1, 1).producer(2, 0, 0).transactional().at(1000);
    append(&mut p, txn).expect("append");
    assert!(p.has_late_txn(2001, 1000) && !p.has_late_txn(2000, 1000));
    assert_eq!(p.remove_expired(1099, 100), 0);
    assert_eq!(p.remove_expired(1100, 100), 1);
    assert!(p.has_ongoing_txn(2, 0) && !p.has_ongoing_txn(2, 1));
}

#[test]
fn snapshots() {
    let mut p = Producers::at(0);
    append(&mut p, data(0, 0).at(50)).expect("append");
    let txn = Make::sized(1, 1).producer(2, 0, 0).transactional().at(60);
    append(&mut p, txn).expect("append");
    let bytes = snapshot::encode(&p.list());
    assert_eq!(bytes.len(), 10 + 2 * 46);
    let entries = snapshot::decode(&bytes).expect("decode");
    assert_eq!(entries, p.list());
    let again = Producers::from_snapshot(3, entries.clone(), 100, 50);
    assert_eq!((again.len(), again.end_offset()), (1, 3), "one has expired");
    assert_eq!(again.first_undecided_offset(), Some(2));
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        assert_eq!(snapshot::decode(&wrong), None, "changed at {at}");
        assert_eq!(snapshot::decode(&bytes[..at]), None, "cut at {at}");
    }
    assert_eq!(snapshot::decode(&snapshot::encode(&[])), Some(Vec::new()));
}
