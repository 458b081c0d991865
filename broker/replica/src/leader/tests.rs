use ottla_wire::ErrorCode;
use ottla_wire::api::alter_partition::AlterPartitionResponsePartitionData;

use super::*;
use crate::world::{ActiveBrokers, StillWorld};

const LAG: u64 = 700;

fn at(now: u64) -> StillWorld {
    let brokers = ActiveBrokers::new([(1, 11), (2, 22), (3, 33)]);
    StillWorld { now: Mono(now), lag_ms: LAG, brokers }
}

fn leader(replicas: &[i32], isr: &[i32], min_in_sync: usize) -> Leader {
    let start = LeaderStart {
        me: 1,
        epoch: 5,
        partition_epoch: 8,
        replicas: replicas.to_vec(),
        isr: isr.to_vec(),
        end_offset: 10,
        high_watermark: 4,
        min_in_sync,
    };
    Leader::new(start, &at(1000))
}

fn fetch(replica: i32, offset: i64) -> FollowerFetch {
    let broker_epoch = i64::from(replica) * 11;
    FollowerFetch { replica, broker_epoch, offset, start_offset: 0 }
}

fn committed(partition_epoch: i32, isr: &[i32]) -> IsrAnswer {
    IsrAnswer::Committed { leader_epoch: 5, partition_epoch, isr: isr.to_vec() }
}

fn membership(partition_epoch: i32, replicas: &[i32], isr: &[i32]) -> Membership {
    Membership { partition_epoch, replicas: replicas.to_vec(), isr: isr.to_vec() }
}

#[test]
fn alone_everything_is_committed_at_once() {
    let mut leader = leader(&[1], &[1], 2);
    assert!(leader.alone());
    assert_eq!(leader.high_watermark(), 10);
    assert_eq!(leader.appended(17, &at(0)), Some(17));
    assert_eq!(leader.appended(17, &at(0)), None);
    leader.check_append(Acks::All).unwrap();
}

#[test]
fn the_high_watermark_is_the_least_end_in_sync() {
    let mut leader = leader(&[1, 2, 3], &[1, 2, 3], 1);
    let world = at(1001);
    assert_eq!(leader.high_watermark(), 4);
    assert_eq!(leader.fetched(&fetch(2, 10), &world), Ok(None));
    assert_eq!(leader.fetched(&fetch(3, 7), &world), Ok(Some(7)));
    assert_eq!(leader.fetched(&fetch(3, 6), &world), Ok(None), "never back");
    assert_eq!(leader.high_watermark(), 7);
    // The third, out of sync, was never caught up: nobody waits for it.
    assert_eq!(leader.changed(&membership(9, &[1, 2, 3], &[1, 2]), &at(9000)), Some(10));
    let unknown = Err(ReplicaError::UnknownReplica(9));
    assert_eq!(leader.fetched(&fetch(9, 0), &world), unknown);
}

#[test]
fn too_few_in_sync_stop_writes_and_the_high_watermark() {
    let mut leader = leader(&[1, 2, 3], &[1], 2);
    assert_eq!(leader.high_watermark(), 4);
    let refused = ReplicaError::NotEnoughReplicas { in_sync: 1, required: 2 };
    assert_eq!(leader.check_append(Acks::All), Err(refused));
    leader.check_append(Acks::Leader).unwrap();
    assert_eq!(leader.appended(12, &at(1001)), None);
    leader.fetched(&fetch(2, 12), &at(1001)).unwrap();
    let proposal = leader.propose_join(2, 0, &at(1001)).unwrap();
    assert_eq!(proposal.isr, [(1, -1), (2, 22)]);
    assert_eq!((proposal.leader_epoch, proposal.partition_epoch), (5, 8));
    assert_eq!(leader.high_watermark(), 4, "not before it is agreed");
    assert!(leader.check_append(Acks::All).is_err());
    assert_eq!(leader.isr_answered(&proposal, committed(9, &[1, 2]), &at(1002)), Some(12));
    leader.check_append(Acks::All).unwrap();
    assert_eq!(leader.propose_join(2, 0, &at(1002)), None, "it is in already");
    assert_eq!(leader.propose_join(3, 0, &at(1002)), None, "it has nothing");
}

#[test]
fn a_follower_that_keeps_asking_stays_in_while_the_log_grows() {
    let mut leader = leader(&[1, 2], &[1, 2], 1);
    leader.fetched(&fetch(2, 10), &at(1500)).unwrap();
    leader.appended(20, &at(1500));
    // It asks at 2000 for what ended the log at 1500: caught up as of then.
    leader.fetched(&fetch(2, 10), &at(2000)).unwrap();
    leader.appended(30, &at(2000));
    leader.fetched(&fetch(2, 20), &at(2500)).unwrap();
    assert_eq!(leader.propose_leave(&at(2700)), None);
    let proposal = leader.propose_leave(&at(2701)).unwrap();
    assert_eq!(proposal.isr, [(1, -1)]);
    assert_eq!(leader.propose_leave(&at(2701)), None, "one change at a time");
    assert_eq!(leader.high_watermark(), 20, "it counts until it is out");
    assert_eq!(leader.isr_answered(&proposal, committed(9, &[1]), &at(2702)), Some(30));
}

#[test]
fn one_that_is_to_join_counts_for_the_high_watermark_until_refused() {
    let mut leader = leader(&[1, 2, 3], &[1, 3], 1);
    leader.fetched(&fetch(3, 10), &at(1001)).unwrap();
    leader.fetched(&fetch(2, 10), &at(1001)).unwrap();
    let proposal = leader.propose_join(2, 0, &at(1001)).unwrap();
    leader.appended(15, &at(1001));
    let late = at(5000);
    assert_eq!(leader.fetched(&fetch(3, 15), &late), Ok(None), "2 has not got it");
    assert_eq!(leader.isr_answered(&proposal, IsrAnswer::Outdated, &late), None);
    assert!(leader.isr_is_pending(), "it may have come about");
    assert_eq!(leader.isr_answered(&proposal, IsrAnswer::Refused, &late), Some(15));
    // For a moment nothing is proposed.
    leader.fetched(&fetch(2, 15), &late).unwrap();
    assert_eq!(leader.propose_join(2, 0, &late), None);
    assert!(leader.propose_join(2, 0, &at(5100)).is_some());
}

#[test]
fn who_has_not_deleted_what_the_leader_deleted_does_not_join() {
    let mut leader = leader(&[1, 2], &[1], 1);
    leader.fetched(&fetch(2, 10), &at(1001)).unwrap();
    assert_eq!(leader.propose_join(2, 10, &at(1001)), None, "it may have something else there");
    assert_eq!(leader.propose_any_join(10, &at(1001)), None);
    leader.fetched(&FollowerFetch { start_offset: 10, ..fetch(2, 10) }, &at(1002)).unwrap();
    assert!(leader.propose_join(2, 10, &at(1002)).is_some());
}

#[test]
fn those_that_may_join_do_so_one_after_another() {
    let mut leader = leader(&[1, 2, 3], &[1], 1);
    let fenced = StillWorld { brokers: ActiveBrokers::new([(1, 11)]), ..at(1001) };
    for id in [2, 3] {
        leader.fetched(&fetch(id, 10), &fenced).unwrap();
    }
    assert_eq!(leader.propose_any_join(0, &fenced), None);
    let first = leader.propose_any_join(0, &at(1002)).unwrap();
    assert_eq!(first.isr, [(1, -1), (2, 22)]);
    assert_eq!(leader.propose_any_join(0, &at(1002)), None, "one change at a time");
    leader.isr_answered(&first, committed(9, &[1, 2]), &at(1003));
    let second = leader.propose_any_join(0, &at(1003)).unwrap();
    assert_eq!(second.isr, [(1, -1), (2, 22), (3, 33)]);
    leader.isr_answered(&second, committed(10, &[1, 2, 3]), &at(1003));
    assert_eq!(leader.propose_any_join(0, &at(1004)), None);
}

#[test]
fn the_high_watermark_waits_for_one_that_has_all_but_joined() {
    let mut leader = leader(&[1, 2], &[1], 1);
    assert_eq!(leader.high_watermark(), 10);
    leader.fetched(&fetch(2, 10), &at(1001)).unwrap();
    assert_eq!(leader.appended(12, &at(1002)), None, "2 is caught up and may join");
    let gone = StillWorld { brokers: ActiveBrokers::new([(1, 11)]), ..at(1003) };
    assert_eq!(leader.reconsider(&gone), Some(12));
    assert_eq!(leader.appended(13, &at(1003)), None);
    assert_eq!(leader.reconsider(&at(1002 + LAG)), Some(13));
}

#[test]
fn a_former_process_of_a_broker_is_not_believed() {
    let mut leader = leader(&[1, 2], &[1], 1);
    let old = FollowerFetch { broker_epoch: 21, ..fetch(2, 10) };
    let refused = ReplicaError::StaleBroker { broker: 2, theirs: 21, known: 22 };
    assert_eq!(leader.fetched(&old, &at(1001)), Err(refused));
    // A process that is ahead of our metadata is believed, but let in later.
    let new = FollowerFetch { broker_epoch: 23, ..fetch(2, 10) };
    leader.fetched(&new, &at(1001)).unwrap();
    assert_eq!(leader.propose_join(2, 0, &at(1001)), None);
    let known = ReplicaError::StaleBroker { broker: 2, theirs: 22, known: 23 };
    assert_eq!(leader.fetched(&fetch(2, 10), &at(1001)), Err(known));
    let brokers = ActiveBrokers::new([(1, 11), (2, 23)]);
    let proposal = leader.propose_join(2, 0, &StillWorld { brokers, ..at(1002) }).unwrap();
    assert_eq!(proposal.isr, [(1, -1), (2, 23)]);
}

#[test]
fn metadata_that_are_older_than_the_controllers_answer_change_nothing() {
    let mut leader = leader(&[1, 2], &[1, 2], 1);
    leader.appended(12, &at(1000));
    let proposal = leader.propose_leave(&at(9000)).unwrap();
    leader.isr_answered(&proposal, committed(9, &[1]), &at(9000));
    leader.changed(&membership(8, &[1, 2], &[1, 2]), &at(9001));
    assert_eq!(leader.isr().len(), 1);
    // Of the same partition epoch, they may name other replicas all the same.
    leader.changed(&membership(9, &[1, 2, 3], &[1]), &at(9001));
    assert_eq!(leader.followers().count(), 2);
    leader.changed(&membership(8, &[1], &[1]), &at(9001));
    assert_eq!(leader.followers().count(), 2, "older replicas are no news either");
    // Newer ones end what is under way.
    leader.fetched(&fetch(3, 12), &at(9002)).unwrap();
    let proposal = leader.propose_join(3, 0, &at(9002)).unwrap();
    leader.changed(&membership(10, &[1, 3], &[1, 3]), &at(9003));
    assert!(!leader.isr_is_pending());
    assert_eq!(leader.isr_answered(&proposal, IsrAnswer::Refused, &at(9003)), None);
    assert_eq!(leader.isr().iter().copied().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_replica_in_sync_that_is_not_known_stops_the_high_watermark() {
    let mut leader = leader(&[1], &[1, 2], 1);
    assert_eq!(leader.high_watermark(), 4);
    assert_eq!(leader.appended(12, &at(1000)), None);
    assert_eq!(leader.changed(&membership(9, &[1, 2], &[1]), &at(1000)), Some(12));
}

#[test]
fn the_low_watermark_is_the_least_start_of_brokers_in_service() {
    let mut leader = leader(&[1, 2, 3], &[1, 2, 3], 1);
    assert_eq!(leader.low_watermark(7, &at(1000)), -1);
    let started = |replica, start_offset| FollowerFetch { start_offset, ..fetch(replica, 10) };
    leader.fetched(&started(2, 5), &at(1000)).unwrap();
    leader.fetched(&started(3, 3), &at(1000)).unwrap();
    assert_eq!(leader.low_watermark(7, &at(1000)), 3);
    let brokers = ActiveBrokers::new([(1, 11), (2, 22)]);
    assert_eq!(leader.low_watermark(7, &StillWorld { brokers, ..at(1000) }), 5);
}

#[test]
fn consumers_are_sent_to_a_near_replica_that_has_what_they_want() {
    let mut leader = leader(&[1, 2, 3], &[1, 2, 3], 1);
    leader.fetched(&fetch(2, 8), &at(1000)).unwrap();
    leader.fetched(&FollowerFetch { start_offset: 5, ..fetch(3, 10) }, &at(1000)).unwrap();
    assert_eq!(leader.nearest(6, |_| true), None, "the leader is near");
    assert_eq!(leader.nearest(6, |id| id != 1), Some(3));
    assert_eq!(leader.nearest(4, |id| id != 1), Some(2), "3 begins behind it");
    assert_eq!(leader.nearest(9, |id| id == 2), None, "2 has not got it");
    leader.changed(&membership(9, &[1, 2, 3], &[1, 2]), &at(1000));
    assert_eq!(leader.nearest(6, |id| id == 3), None, "3 is out of sync");
}

#[test]
fn epochs_fence() {
    let leader = leader(&[1], &[1], 1);
    leader.check_epoch(EpochCheck::from_wire(-1)).unwrap();
    leader.check_epoch(EpochCheck::from_wire(5)).unwrap();
    let fenced = ReplicaError::FencedEpoch { theirs: 4, ours: 5 };
    assert_eq!(leader.check_epoch(EpochCheck::Is(4)), Err(fenced));
    let unknown = ReplicaError::UnknownEpoch { theirs: 6, ours: 5 };
    assert_eq!(leader.check_epoch(EpochCheck::Is(6)), Err(unknown));
    assert_eq!(leader.last_stable_offset(Some(3)), 3);
    assert_eq!(leader.last_stable_offset(None), 10);
}

fn data(error_code: ErrorCode) -> AlterPartitionResponsePartitionData {
    AlterPartitionResponsePartitionData {
        partition_index: 1,
        error_code,
        leader_epoch: 5,
        partition_epoch: 9,
        isr: vec![1, 2],
        ..Default::default()
    }
}

#[test]
fn what_an_answer_means() {
    let committed = IsrAnswer::Committed { leader_epoch: 5, partition_epoch: 9, isr: vec![1, 2] };
    assert_eq!(IsrAnswer::of(&data(ErrorCode::NONE)), Some(committed));
    let refused = Some(IsrAnswer::Refused);
    assert_eq!(IsrAnswer::of(&data(ErrorCode::INELIGIBLE_REPLICA)), refused);
    let outdated = Some(IsrAnswer::Outdated);
    assert_eq!(IsrAnswer::of(&data(ErrorCode::INVALID_UPDATE_VERSION)), outdated);
    assert_eq!(IsrAnswer::of(&data(ErrorCode::FENCED_LEADER_EPOCH)), outdated);
    assert_eq!(IsrAnswer::of(&data(ErrorCode::NOT_CONTROLLER)), None);
    assert_eq!(IsrAnswer::of(&data(ErrorCode::REQUEST_TIMED_OUT)), None);
}
