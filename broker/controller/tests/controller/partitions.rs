//! Leaders, in-sync replicas, reassignments and directories.

use crate::common::{Rig, assigned, dir, registration};
use ottla_controller::{Command, Reply};
use ottla_metadata::{NO_LEADER, Partition, directory};
use ottla_wire::api::alter_partition::*;
use ottla_wire::api::alter_partition_reassignments::*;
use ottla_wire::api::assign_replicas_to_dirs::*;
use ottla_wire::api::elect_leaders::*;
use ottla_wire::api::list_partition_reassignments::*;
use ottla_wire::{ErrorCode, Uuid};

fn partition(rig: &Rig) -> Partition {
    let topic = rig.image().topic_named("t").expect("the topic");
    topic.partition(0).expect("the partition").clone()
}

fn three() -> Rig {
    let mut rig = Rig::with_brokers(&[1, 2, 3]);
    rig.create(assigned("t", &[(0, &[1, 2, 3])]));
    rig
}

fn say(rig: &mut Rig, leader: i32, isr: &[i32]) -> AlterPartitionResponsePartitionData {
    rig.say(leader, isr)
}

#[test]
fn a_leader_shrinks_and_grows_the_in_sync_replicas() {
    let mut rig = three();
    let said = say(&mut rig, 1, &[1, 2]);
    assert_eq!(
        (said.error_code, said.isr.as_slice(), said.partition_epoch),
        (ErrorCode::NONE, &[1, 2][..], 1)
    );
    assert_eq!((said.leader_id, said.leader_epoch), (1, 0));
    let said = say(&mut rig, 1, &[1, 2, 3]);
    assert_eq!((said.error_code, said.partition_epoch), (ErrorCode::NONE, 2));
    assert_eq!(partition(&rig).isr.as_slice(), [1, 2, 3]);
}

#[test]
fn what_a_leader_must_not_say_is_refused() {
    let mut rig = three();
    say(&mut rig, 1, &[1, 2]);
    use ErrorCode as E;
    let mut code = |leader, isr: &[i32], change: fn(&mut AlterPartitionRequestPartitionData)| {
        let before = partition(&rig);
        let said = rig.say_with(leader, isr, change).error_code;
        assert_eq!(partition(&rig), before, "nothing changes");
        said
    };
    assert_eq!(code(1, &[1], |d| d.leader_epoch += 1), E::NOT_CONTROLLER);
    assert_eq!(code(1, &[1], |d| d.partition_epoch += 1), E::NOT_CONTROLLER);
    assert_eq!(code(1, &[1], |d| d.leader_epoch -= 1), E::FENCED_LEADER_EPOCH);
    assert_eq!(code(1, &[1], |d| d.partition_epoch -= 1), E::INVALID_UPDATE_VERSION);
    assert_eq!(code(2, &[2], |_| {}), E::INVALID_REQUEST);
    assert_eq!(code(1, &[2], |_| {}), E::INVALID_REQUEST);
    assert_eq!(code(1, &[], |_| {}), E::INVALID_REQUEST);
    assert_eq!(code(1, &[1, 1], |_| {}), E::INVALID_REQUEST);
    assert_eq!(code(1, &[1, 9], |_| {}), E::INVALID_REQUEST);
    assert_eq!(code(1, &[1], |d| d.leader_recovery_state = 1), E::INVALID_REQUEST);
    assert_eq!(code(1, &[1], |d| d.partition_index = 5), E::UNKNOWN_TOPIC_OR_PARTITION);
    let before = partition(&rig);
    let stale = |d: &mut AlterPartitionRequestPartitionData| {
        d.new_isr_with_epochs
            .iter_mut()
            .filter(|s| s.broker_id == 3)
            .for_each(|s| s.broker_epoch = 1);
    };
    assert_eq!(rig.say_with(1, &[1, 2, 3], stale).error_code, E::INELIGIBLE_REPLICA);
    let mut counted = before;
    counted.partition_epoch += 1;
    assert_eq!(partition(&rig), counted, "nothing but its epoch changes");
}

/// The third is silent until it is fenced.
fn three_of_which_the_last_is_fenced() -> Rig {
    let mut rig = three();
    rig.now += 5_000;
    rig.beat(1);
    rig.beat(2);
    rig.now += 5_000;
    rig.tick();
    rig
}

#[test]
fn a_fenced_broker_cannot_be_in_sync() {
    let mut rig = three_of_which_the_last_is_fenced();
    assert_eq!(partition(&rig).isr.as_slice(), [1, 2]);
    assert_eq!(say(&mut rig, 1, &[1, 2, 3]).error_code, ErrorCode::INELIGIBLE_REPLICA);
}

#[test]
fn a_refused_change_that_was_asked_for_twice_stays_refused() {
    let mut rig = three_of_which_the_last_is_fenced();
    let asked_at = partition(&rig).partition_epoch;
    assert_eq!(say(&mut rig, 1, &[1, 2, 3]).error_code, ErrorCode::INELIGIBLE_REPLICA);
    // The broker is back in service when the same request comes once more, which the network held up.
    rig.beat(3);
    let late = rig.say_with(1, &[1, 2, 3], |d| d.partition_epoch = asked_at);
    assert_eq!(late.error_code, ErrorCode::INVALID_UPDATE_VERSION);
    assert_eq!(partition(&rig).isr.as_slice(), [1, 2]);
    assert_eq!(say(&mut rig, 1, &[1, 2, 3]).error_code, ErrorCode::NONE, "asked for anew");
}

fn elect(
    rig: &mut Rig,
    kind: i8,
    partitions: Option<&[(&str, i32)]>,
) -> Vec<(i32, ErrorCode, String)> {
    let topic_partitions = partitions.map(|list| {
        let each = list.iter().map(|(topic, id)| TopicPartitions {
            topic: (*topic).to_owned(),
            partitions: vec![*id],
        });
        each.collect()
    });
    let request =
        ElectLeadersRequest { election_type: kind, topic_partitions, ..Default::default() };
    match rig.ask(Command::ElectLeaders(request)) {
        Reply::ElectLeaders(r) => {
            let all = r.replica_election_results.into_iter().flat_map(|t| t.partition_result);
            all.map(|p| (p.partition_id, p.error_code, p.error_message.unwrap_or_default()))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn preferred_leaders_are_elected() {
    let mut rig = three();
    rig.now += 5_000;
    rig.beat(2);
    rig.beat(3);
    rig.now += 5_000;
    rig.tick();
    assert_eq!(partition(&rig).leader, 2);
    let unavailable = ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE;
    let told = (0, unavailable, "The preferred leader was not available.".to_owned());
    assert_eq!(elect(&mut rig, 0, Some(&[("t", 0)])), [told]);
    rig.beat(1);
    say(&mut rig, 2, &[1, 2, 3]);
    assert_eq!(elect(&mut rig, 0, None), [(0, ErrorCode::NONE, String::new())]);
    assert_eq!(partition(&rig).leader, 1);
    assert_eq!(elect(&mut rig, 0, None), []);
    let said = elect(&mut rig, 0, Some(&[("t", 0), ("zzz", 0), ("t", 99)]));
    assert_eq!(said[0].1, ErrorCode::ELECTION_NOT_NEEDED);
    assert_eq!(
        (said[1].1, said[1].2.as_str()),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "No such topic as zzz")
    );
    assert_eq!(said[2].2, "No such partition as t-99");
}

#[test]
fn unclean_elections_happen_only_when_asked() {
    let mut rig = three();
    say(&mut rig, 1, &[1]);
    rig.now += 60_000;
    rig.beat(2);
    rig.beat(3);
    // Broker 1 was in sync alone, so it stays eligible and nobody else may lead.
    while rig.image().is_active(1) {
        rig.tick();
    }
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.len(), p.elr().as_slice()), (NO_LEADER, 0, &[1][..]));
    let unavailable = ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE;
    assert_eq!(elect(&mut rig, 0, Some(&[("t", 0)]))[0].1, unavailable);
    assert!(elect(&mut rig, 1, Some(&[("t", 0)]))[0].1.is_none());
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.as_slice()), (2, &[2][..]));
    assert!(p.elr().is_empty());
}

fn reassign(rig: &mut Rig, replicas: Option<&[i32]>) -> (ErrorCode, String) {
    reassign_with(rig, "t", 0, replicas, true)
}

fn reassign_with(
    rig: &mut Rig,
    topic: &str,
    partition_index: i32,
    replicas: Option<&[i32]>,
    allow_replication_factor_change: bool,
) -> (ErrorCode, String) {
    let replicas = replicas.map(<[i32]>::to_vec);
    let partitions = vec![ReassignablePartition { partition_index, replicas }];
    let topics = vec![ReassignableTopic { name: topic.into(), partitions }];
    let request = AlterPartitionReassignmentsRequest {
        topics,
        allow_replication_factor_change,
        ..Default::default()
    };
    match rig.ask(Command::AlterPartitionReassignments(request)) {
        Reply::AlterPartitionReassignments(mut r) => {
            let p = r.responses.remove(0).partitions.remove(0);
            (p.error_code, p.error_message.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

fn ongoing(rig: &mut Rig) -> Vec<OngoingPartitionReassignment> {
    match rig.ask(Command::ListPartitionReassignments(Default::default())) {
        Reply::ListPartitionReassignments(r) => {
            r.topics.into_iter().flat_map(|t| t.partitions).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn replicas_move_when_the_new_ones_are_in_sync() {
    let mut rig = three();
    rig.start_broker(4);
    rig.start_broker(5);
    assert!(reassign(&mut rig, Some(&[4, 5, 3])).0.is_none());
    let listed = ongoing(&mut rig);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].replicas, [4, 5, 3, 1, 2]);
    assert_eq!(
        (listed[0].adding_replicas.as_slice(), listed[0].removing_replicas.as_slice()),
        (&[4, 5][..], &[1, 2][..])
    );
    let p = partition(&rig);
    assert_eq!((p.leader, p.isr.as_slice(), p.directories.len()), (1, &[1, 2, 3][..], 5));
    assert_eq!(p.directory_of(4), Some(dir(4)));
    say(&mut rig, 1, &[1, 2, 3, 4]);
    assert_eq!(ongoing(&mut rig).len(), 1, "one is still missing");
    let said = say(&mut rig, 1, &[1, 2, 3, 4, 5]);
    assert_eq!(said.error_code, ErrorCode::NEW_LEADER_ELECTED);
    let p = partition(&rig);
    assert_eq!((p.replicas.as_slice(), p.leader), (&[4, 5, 3][..], 4));
    assert_eq!(p.isr.as_slice(), [3, 4, 5]);
    assert!(ongoing(&mut rig).is_empty());
}

#[test]
fn a_reassignment_is_cancelled() {
    let mut rig = three();
    rig.start_broker(4);
    assert!(reassign(&mut rig, Some(&[4, 2, 3])).0.is_none());
    say(&mut rig, 1, &[1, 2, 3]);
    assert!(reassign(&mut rig, None).0.is_none());
    let p = partition(&rig);
    assert_eq!((p.replicas.as_slice(), p.isr.as_slice()), (&[2, 3, 1][..], &[1, 2, 3][..]));
    assert!(!p.is_reassigning());
    let (code, words) = reassign(&mut rig, None);
    assert_eq!(code, ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    assert_eq!(words, "No partition reassignment is in progress.");
}

#[test]
fn reassignments_that_cannot_be_are_refused() {
    let mut rig = three();
    use ErrorCode as E;
    let manual = "The manual partition assignment includes";
    assert_eq!(
        reassign(&mut rig, Some(&[9])),
        (
            E::INVALID_REPLICA_ASSIGNMENT,
            format!("{manual} broker 9, but no such broker is registered.")
        )
    );
    assert_eq!(
        reassign(&mut rig, Some(&[1, 1])),
        (E::INVALID_REPLICA_ASSIGNMENT, format!("{manual} the broker 1 more than once."))
    );
    assert_eq!(
        reassign_with(&mut rig, "zzz", 0, Some(&[1]), true),
        (E::UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named zzz.".to_owned())
    );
    assert_eq!(
        reassign_with(&mut rig, "t", 9, Some(&[1]), true),
        (E::UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition t:9.".to_owned())
    );
    assert_eq!(
        reassign_with(&mut rig, "t", 0, Some(&[1]), false),
        (E::INVALID_REPLICATION_FACTOR, "The replication factor is changed from 3 to 1".to_owned())
    );
    assert_eq!(reassign(&mut rig, Some(&[1, 2, 3])), (E::NONE, String::new()));
    assert!(reassign(&mut rig, Some(&[1, 2])).0.is_none(), "fewer replicas at once");
    assert_eq!(partition(&rig).replicas.as_slice(), [1, 2]);
}

#[test]
fn directories_of_replicas_are_recorded() {
    let mut rig = Rig::new();
    let mut request = registration(1, 1);
    let (here, there) = (Uuid::from_u128(777), Uuid::from_u128(778));
    request.log_dirs = vec![here, there];
    rig.register(request);
    rig.beat(1);
    rig.start_broker(2);
    rig.create(assigned("t", &[(0, &[1, 2])]));
    assert_eq!(partition(&rig).directory_of(1), Some(directory::UNASSIGNED));
    let topic_id = rig.image().topic_id("t").expect("the topic");
    let mut assign = |id, partition_index| {
        let partitions = vec![AssignReplicasToDirsRequestPartitionData { partition_index }];
        let topics = vec![AssignReplicasToDirsRequestTopicData { topic_id, partitions }];
        let directories = vec![AssignReplicasToDirsRequestDirectoryData { id, topics }];
        let request =
            AssignReplicasToDirsRequest { broker_id: 1, broker_epoch: rig.epoch(1), directories };
        let reply = rig.ask(Command::AssignReplicasToDirs(request));
        let Reply::AssignReplicasToDirs(r) = reply else { panic!() };
        (r.directories[0].topics[0].partitions[0].error_code, partition(&rig))
    };
    let (code, p) = assign(there, 0);
    assert!(code.is_none());
    assert_eq!((p.directory_of(1), p.leader, p.leader_epoch), (Some(there), 1, 0));
    assert_eq!(assign(there, 7).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    // A directory that is not online takes the leadership away.
    let (code, p) = assign(Uuid::from_u128(999), 0);
    assert!(code.is_none());
    assert_eq!((p.leader, p.isr.as_slice()), (2, &[2][..]));
}
