use std::cell::RefCell;
use std::collections::BTreeMap;

use ottla_coordinator::group::Producer;
use ottla_wire::api::write_txn_markers::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};

use super::*;

/// Who leads the partitions of topic `t`, which has those that are named here.
#[derive(Default)]
struct World(RefCell<BTreeMap<i32, Leader>>);

impl World {
    fn of(leaders: &[(i32, Leader)]) -> Self {
        Self(RefCell::new(leaders.iter().copied().collect()))
    }

    fn set(&self, partition: i32, leader: Leader) {
        self.0.borrow_mut().insert(partition, leader);
    }

    fn leader(&self) -> impl Fn(&str, i32) -> Leader + '_ {
        |_, partition| self.0.borrow().get(&partition).copied().unwrap_or(Leader::Gone)
    }
}

fn job(id: i64, partitions: &[i32]) -> Job {
    Job {
        from: Origin { partition: 7, epoch: 3 },
        ending: Ending {
            transactional_id: format!("id-{id}").into(),
            producer: Producer { id, epoch: 4 },
        },
        outcome: TxnOutcome::Commit,
        version: 2,
        partitions: vec![("t".to_owned(), partitions.to_vec())],
    }
}

fn done(job: &Job) -> Done {
    Done { from: job.from, ending: job.ending.clone() }
}

/// The answer to a request, with a code for each producer and partition.
fn answer(
    request: &WriteTxnMarkersRequest,
    code: impl Fn(i64, i32) -> ErrorCode,
) -> WriteTxnMarkersResponse {
    let marker = |m: &WritableTxnMarker| WritableTxnMarkerResult {
        producer_id: m.producer_id,
        topics: m
            .topics
            .iter()
            .map(|topic| WritableTxnMarkerTopicResult {
                name: topic.name.clone(),
                partitions: topic
                    .partition_indexes
                    .iter()
                    .map(|partition| WritableTxnMarkerPartitionResult {
                        partition_index: *partition,
                        error_code: code(m.producer_id, *partition),
                    })
                    .collect(),
            })
            .collect(),
    };
    WriteTxnMarkersResponse { markers: request.markers.iter().map(marker).collect() }
}

#[test]
fn markers_go_to_each_leader_in_one_request_and_the_last_one_ends_it() {
    let world =
        World::of(&[(0, Leader::Broker(1)), (1, Leader::Broker(2)), (2, Leader::Broker(1))]);
    let mut ledger = Ledger::default();
    let job = job(9, &[0, 1, 2]);
    let begun = ledger.add(job.clone(), world.leader());
    assert_eq!(begun, Outcome { send: vec![1, 2], ..Outcome::default() });
    let (first, items) = ledger.take(1).unwrap();
    assert_eq!(first.markers.len(), 1);
    let marker = &first.markers[0];
    assert!(marker.transaction_result);
    assert_eq!((marker.producer_id, marker.producer_epoch), (9, 4));
    assert_eq!((marker.coordinator_epoch, marker.transaction_version), (3, 2));
    assert_eq!(marker.topics[0].partition_indexes, [0, 2]);
    let written = answer(&first, |_, _| ErrorCode::NONE);
    assert_eq!(ledger.answered(items, Some(&written)), Outcome::default());
    let (second, items) = ledger.take(2).unwrap();
    let written = answer(&second, |_, _| ErrorCode::NONE);
    assert_eq!(ledger.answered(items, Some(&written)).done, [done(&job)]);
    assert_eq!((ledger.take(1), ledger.take(2), ledger.len()), (None, None, 0));
}

#[test]
fn what_was_not_written_goes_to_whoever_leads_then() {
    let world = World::of(&[(0, Leader::Broker(1)), (1, Leader::Broker(1))]);
    let mut ledger = Ledger::default();
    let job = job(9, &[0, 1]);
    ledger.add(job.clone(), world.leader());
    let (request, items) = ledger.take(1).unwrap();
    let half = answer(&request, |_, partition| match partition {
        0 => ErrorCode::NONE,
        _ => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    });
    let Outcome { again, done: ended, .. } = ledger.answered(items, Some(&half));
    assert_eq!((again.len(), ended), (1, vec![]));
    assert_eq!(ledger.take(1), None);
    world.set(1, Leader::Broker(2));
    assert_eq!(ledger.place(again, world.leader()).send, [2]);
    // No answer at all.
    let (_, items) = ledger.take(2).unwrap();
    let again = ledger.answered(items, None).again;
    world.set(1, Leader::None);
    assert_eq!(ledger.place(again, world.leader()), Outcome::default());
    assert_eq!(ledger.seek_leaders(world.leader()), Outcome::default());
    world.set(1, Leader::Gone);
    assert_eq!(ledger.seek_leaders(world.leader()).done, [done(&job)]);
    assert_eq!(ledger.len(), 0);
}

#[test]
fn a_transaction_is_taken_up_once_and_again_after_its_end() {
    let world = World::of(&[(0, Leader::Broker(1))]);
    let mut ledger = Ledger::default();
    let job = job(9, &[0]);
    assert_eq!(ledger.add(job.clone(), world.leader()).send, [1]);
    assert_eq!(ledger.add(job.clone(), world.leader()), Outcome::default());
    let (request, items) = ledger.take(1).unwrap();
    let written = answer(&request, |_, _| ErrorCode::NONE);
    assert_eq!(ledger.answered(items, Some(&written)).done.len(), 1);
    // The same producer's next one, with the same epoch, as before version 2.
    assert_eq!(ledger.add(job, world.leader()).send, [1]);
    assert!(ledger.take(1).is_some());
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    let world = World::of(&[(0, Leader::Broker(1)), (1, Leader::Broker(1))]);
    let mut ledger = Ledger::default();
    let (late, fenced) = (job(9, &[0]), job(10, &[0, 1]));
    ledger.add(late.clone(), world.leader());
    ledger.add(fenced, world.leader());
    let (request, items) = ledger.take(1).unwrap();
    assert_eq!(request.markers.len(), 2);
    let refused = answer(&request, |producer, _| match producer {
        9 => ErrorCode::INVALID_PRODUCER_EPOCH,
        _ => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
    });
    let outcome = ledger.answered(items, Some(&refused));
    // The partition knows better; and nobody is told of what another node ends.
    assert_eq!(outcome, Outcome { done: vec![done(&late)], ..Outcome::default() });
    assert_eq!(ledger.len(), 0);
}

#[test]
fn a_shard_that_went_has_no_markers_left() {
    let world = World::of(&[(0, Leader::Broker(1)), (1, Leader::None)]);
    let mut ledger = Ledger::default();
    let mut other = job(10, &[0]);
    other.from.partition = 8;
    ledger.add(job(9, &[0, 1]), world.leader());
    ledger.add(other.clone(), world.leader());
    ledger.drop_of(7);
    assert_eq!(ledger.len(), 1);
    let (request, items) = ledger.take(1).unwrap();
    assert_eq!(request.markers.iter().map(|m| m.producer_id).collect::<Vec<_>>(), [10]);
    world.set(1, Leader::Broker(1));
    assert_eq!(ledger.seek_leaders(world.leader()), Outcome::default());
    let written = answer(&request, |_, _| ErrorCode::NONE);
    assert_eq!(ledger.answered(items, Some(&written)).done, [done(&other)]);
}

#[test]
fn so_many_requests_are_under_way_and_no_more() {
    let world = World::of(&[(0, Leader::Broker(1))]);
    let mut ledger = Ledger::default();
    let begun: Vec<_> =
        (0..10).flat_map(|n| ledger.add(job(n, &[0]), world.leader()).send).collect();
    assert_eq!(begun.len(), MAX_UNDER_WAY);
    assert_eq!(ledger.take(1).unwrap().0.markers.len(), 10);
    for _ in 1..MAX_UNDER_WAY {
        assert_eq!(ledger.take(1), None);
    }
    // The one that has the ten is still under way.
    assert_eq!(ledger.add(job(11, &[0]), world.leader()).send, [1]);
}
