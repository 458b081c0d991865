//! What fits no batch is refused, and what may be cut is cut: nothing that a client sends makes a
//! decision that the log cannot take.

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::JoinGroupResponse;
use ottla_wire::api::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition};
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::harness::{GROUP, Joiner, Shard, commit_request};
use crate::group::room::size;
use crate::group::{DeletedTopic, Effect, Reply, Request, Stability};

const TOO_LARGE: ErrorCode = ErrorCode::UNKNOWN_SERVER_ERROR;

/// A commit of partitions 0 to `partitions` of topic `t`.
fn commit_of(group: &str, partitions: i32) -> OffsetCommitRequest {
    let mut request = commit_request(group, "", -1, "t", 1);
    let all = (0..partitions).map(|partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 1,
        ..Default::default()
    });
    request.topics[0].partitions = all.collect();
    request
}

fn commit(shard: &mut Shard, request: OffsetCommitRequest) -> Vec<ErrorCode> {
    match shard.ask(Request::OffsetCommit(request)) {
        Reply::OffsetCommit(response) => {
            response.topics[0].partitions.iter().map(|p| p.error_code).collect()
        }
        other => panic!("not a commit's answer: {other:?}"),
    }
}

#[test]
fn a_commit_that_fits_no_batch_is_refused_whole() {
    let mut shard = Shard::new();
    assert_eq!(commit(&mut shard, commit_of(GROUP, 100)), vec![ErrorCode::NONE; 100]);
    let exact = size(&shard.log, usize::MAX).unwrap();
    for (limit, error) in [(exact, ErrorCode::NONE), (exact - 1, TOO_LARGE), (100, TOO_LARGE)] {
        shard.waits.set_max_batch_bytes(limit);
        let before = (shard.log.len(), shard.effects.len());
        assert_eq!(commit(&mut shard, commit_of(GROUP, 100)), vec![error; 100], "{limit}");
        let written = if error.is_none() { (100, 1) } else { (0, 0) };
        assert_eq!(
            (shard.log.len(), shard.effects.len()),
            (before.0 + written.0, before.1 + written.1)
        );
    }
}

/// As many partitions as fit a request of 92 KB, each of which would repeat the name of the group:
/// 400 MB of records.
#[test]
fn a_long_name_does_not_multiply_what_a_request_holds() {
    let mut shard = Shard::new();
    let group = "g".repeat(32_767);
    let codes = commit(&mut shard, commit_of(&group, 13_000));
    assert_eq!(codes, vec![TOO_LARGE; 13_000]);
    assert_eq!((shard.log.len(), shard.state.groups()), (0, 0));
    assert_eq!(commit(&mut shard, commit_of(&group, 20)), vec![ErrorCode::NONE; 20]);
}

#[test]
fn a_commit_in_a_transaction_is_bounded_too() {
    let mut shard = Shard::new();
    let partitions = (0..13_000).map(|partition_index| TxnOffsetCommitRequestPartition {
        partition_index,
        ..Default::default()
    });
    let topic =
        TxnOffsetCommitRequestTopic { name: "t".to_owned(), partitions: partitions.collect() };
    let request = TxnOffsetCommitRequest {
        group_id: "g".repeat(32_767),
        topics: vec![topic],
        ..Default::default()
    };
    let Reply::TxnOffsetCommit(response) = shard.ask_as(3, Request::TxnOffsetCommit(request))
    else {
        panic!("not a commit's answer");
    };
    let codes = response.topics[0].partitions.iter().map(|p| p.error_code);
    assert!(codes.into_iter().eq(vec![TOO_LARGE; 13_000]));
    assert!(shard.log.is_empty());
}

fn joined(shard: &mut Shard, joiner: &Joiner) -> JoinGroupResponse {
    let ticket = shard.join(9, joiner);
    shard.joined(ticket)
}

#[test]
fn an_assignment_that_fits_no_batch_begins_another_rebalance() {
    let mut shard = Shard::new();
    let ids = [shard.member_id(), shard.member_id()];
    let tickets = ids.clone().map(|id| shard.join(9, &Joiner::new(&id)));
    shard.pass(0);
    let leader = shard.joined(tickets[0]).leader;
    let follower = ids.iter().find(|id| **id != leader).unwrap();
    let written = shard.log.len();
    shard.waits.set_max_batch_bytes(300);
    let waiting = shard.sync(follower, 1, &[]);
    let refused = shard.sync(&leader, 1, &ids);
    for ticket in [waiting, refused] {
        assert_eq!(shard.synced(ticket).error_code, TOO_LARGE);
    }
    assert_eq!((shard.log.len(), shard.phase().as_str()), (written, "PreparingRebalance"));
    assert_eq!(shard.heartbeat(follower, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    shard.waits.set_max_batch_bytes(1_000);
    let tickets = ids.clone().map(|id| shard.join(9, &Joiner::new(&id)));
    assert_eq!(shard.joined(tickets[0]).generation_id, 2);
    shard.sync_all(&ids, 2);
    assert_eq!(shard.phase(), "Stable");
}

#[test]
fn a_static_member_that_comes_back_too_large_stays_what_it_was() {
    let mut shard = Shard::new();
    let tickets = ["a", "b"].map(|instance| shard.join(9, &Joiner::of_instance(instance)));
    shard.pass(0);
    let ids = tickets.map(|ticket| shard.joined(ticket).member_id);
    shard.sync_all(&ids, 1);
    let written = shard.log.len();
    shard.waits.set_max_batch_bytes(1_000);
    let large = Bytes::from(vec![0; 1_000]);
    for (instance, id) in ["a", "b"].into_iter().zip(&ids) {
        let mut joiner = Joiner::of_instance(instance);
        joiner.protocols[0].1 = large.clone();
        let back = joined(&mut shard, &joiner);
        assert_eq!((back.error_code, back.generation_id), (TOO_LARGE, 1));
        assert_eq!((back.member_id.as_str(), &back.leader), ("", &ids[0]));
        assert_eq!(shard.heartbeat_as(id, Some(instance), 1), ErrorCode::NONE);
    }
    assert_eq!((shard.log.len(), shard.phase().as_str()), (written, "Stable"));
    let back = joined(&mut shard, &Joiner::of_instance("b"));
    assert_eq!(back.error_code, ErrorCode::NONE);
    assert_eq!(shard.heartbeat_as(&ids[1], Some("b"), 1), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn a_group_whose_record_fits_no_batch_does_not_begin() {
    let mut shard = Shard::new();
    shard.waits.set_max_batch_bytes(90);
    let joiner = Joiner { group: "g".repeat(90), ..Joiner::new("") };
    assert_eq!(joined(&mut shard, &joiner).error_code, TOO_LARGE);
    assert_eq!((shard.log.len(), shard.state.groups()), (0, 0));
    shard.waits.set_max_batch_bytes(1_000);
    assert_eq!(joined(&mut shard, &joiner).error_code, ErrorCode::MEMBER_ID_REQUIRED);
}

/// The longest that the field of a record takes is less than what the protocol lets a client say.
#[test]
fn a_member_whose_name_has_no_form_becomes_no_stable_member() {
    let mut shard = Shard::new();
    let joiner = Joiner::of_instance(&"i".repeat(32_767));
    let ticket = shard.join(9, &joiner);
    shard.pass(0);
    let id = shard.joined(ticket).member_id;
    assert!(id.len() > 32_767);
    let written = shard.log.len();
    let ticket = shard.sync(&id, 1, std::slice::from_ref(&id));
    assert_eq!(shard.synced(ticket).error_code, TOO_LARGE);
    assert_eq!(shard.log.len(), written);
}

#[test]
fn offsets_are_deleted_once_each_and_within_a_batch() {
    let mut shard = Shard::new();
    let group = "g".repeat(10_000);
    commit(&mut shard, commit_of(&group, 20));
    let delete = |shard: &mut Shard, asked: Vec<i32>| {
        let partitions = asked
            .into_iter()
            .map(|partition_index| OffsetDeleteRequestPartition { partition_index });
        let topic =
            OffsetDeleteRequestTopic { name: "t".to_owned(), partitions: partitions.collect() };
        let request = OffsetDeleteRequest { group_id: group.clone(), topics: vec![topic] };
        match shard.ask(Request::OffsetDelete(request)) {
            Reply::OffsetDelete(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    let written = shard.log.len();
    assert_eq!(delete(&mut shard, vec![3; 100_000]), ErrorCode::NONE);
    assert_eq!(shard.log.len(), written + 1);
    shard.waits.set_max_batch_bytes(100_000);
    assert_eq!(delete(&mut shard, (0..20).collect()), TOO_LARGE);
    assert_eq!((shard.log.len(), shard.state.offsets()), (written + 1, 19));
}

/// Three groups of 50 offsets each, which fit no batch together.
fn three_groups() -> (Shard, Vec<String>) {
    let mut shard = Shard::new();
    let groups: Vec<String> = ["a", "b", "c"].map(|name| name.repeat(100)).into();
    for group in &groups {
        assert_eq!(commit(&mut shard, commit_of(group, 50)), vec![ErrorCode::NONE; 50]);
    }
    shard.waits.set_max_batch_bytes(3_000);
    shard.batches = 0;
    (shard, groups)
}

#[test]
fn groups_are_deleted_in_pieces_and_answered_once() {
    let (mut shard, groups) = three_groups();
    let mut asked = groups.clone();
    asked.insert(1, "other".to_owned());
    asked.push(groups[0].clone());
    let Reply::DeleteGroups(results) = shard.ask(Request::DeleteGroups(asked)) else {
        panic!("not the answer to a deletion");
    };
    let results: Vec<_> = results.into_iter().map(|r| (r.group_id, r.error_code)).collect();
    let done = |name: &String| (name.clone(), ErrorCode::NONE);
    let missing = ("other".to_owned(), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(results, [done(&groups[0]), missing, done(&groups[1]), done(&groups[2])]);
    assert_eq!((shard.state.groups(), shard.state.offsets()), (0, 0));
    assert!(shard.batches > 5, "{}", shard.batches);
    assert_eq!(shard.log.len(), 150 + 153, "each offset and each group once");
}

#[test]
fn offsets_of_partitions_that_are_gone_go_in_pieces() {
    let (mut shard, groups) = three_groups();
    let topics = vec![
        DeletedTopic { name: "other".to_owned(), partitions: vec![0] },
        DeletedTopic { name: "t".to_owned(), partitions: (0..40).collect() },
    ];
    assert_eq!(shard.ask(Request::PartitionsDeleted(topics)), Reply::Done);
    assert_eq!(shard.state.offsets(), 3 * 10);
    assert_eq!(shard.log.len(), 150 + 120);
    assert!(shard.batches > 5, "{}", shard.batches);
    assert_eq!(groups.len(), shard.state.groups());
    assert_eq!(shard.fetch("t", Stability::Any), (-1, ErrorCode::NONE));
}

#[test]
fn offsets_expire_in_pieces() {
    let (mut shard, _) = three_groups();
    shard.pass(7 * 86_400_000 + 600_000);
    assert_eq!((shard.state.groups(), shard.state.offsets()), (0, 0));
    assert!(shard.batches > 5, "{}", shard.batches);
    assert_eq!(shard.log.len(), 150 + 153);
    let counted = shard.effects.iter().map(|effect| match effect {
        Effect::OffsetsExpired(count) => *count,
        _ => 0,
    });
    assert_eq!(counted.sum::<usize>(), 150);
}

/// A restart finds a hundred groups whose members are gone: all sessions end at one instant.
#[test]
fn sessions_that_end_together_are_seen_to_in_pieces() {
    let mut shard = Shard::new();
    for index in 0..100 {
        let joiner = Joiner { group: format!("{index}-{}", "g".repeat(1_000)), ..Joiner::new("") };
        let ticket = shard.join(3, &joiner);
        shard.pass(0);
        let id = shard.joined(ticket).member_id;
        let ticket = shard.sync_in(&joiner.group, &id, 1, std::slice::from_ref(&id));
        assert_eq!(shard.synced(ticket).error_code, ErrorCode::NONE);
    }
    shard.restart();
    shard.waits.set_max_batch_bytes(80_000);
    let (written, batches) = (shard.log.len(), shard.batches);
    shard.pass(20_000);
    assert_eq!(shard.log.len(), written + 100, "every group is empty now");
    assert!(shard.batches > batches + 5, "{}", shard.batches - batches);
}
