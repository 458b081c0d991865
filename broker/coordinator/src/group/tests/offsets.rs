//! Offsets: committed, fetched, in transactions, deleted, expired.

use ottla_wire::api::offset_commit::OffsetCommitRequest;
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::api::offset_fetch::OffsetFetchRequestGroup;
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::{ErrorCode, Uuid};

use super::harness::{GROUP, Joiner, Shard, commit_request, fetch_topic};
use crate::group::{
    DeletedTopic, Effect, GroupRecord, Producer, Reply, Request, Stability, TxnMarker, TxnOutcome,
};

const NONE: (i64, ErrorCode) = (-1, ErrorCode::NONE);
const DAY_MS: u64 = 86_400_000;

fn delete(shard: &mut Shard, topic: &str) -> (ErrorCode, Option<ErrorCode>) {
    let request = OffsetDeleteRequest {
        group_id: GROUP.to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.to_owned(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    match shard.ask(Request::OffsetDelete(request)) {
        Reply::OffsetDelete(response) => {
            let partition = response.topics.first().map(|t| t.partitions[0].error_code);
            (response.error_code, partition)
        }
        other => panic!("{other:?}"),
    }
}

fn delete_group(shard: &mut Shard) -> ErrorCode {
    match shard.ask(Request::DeleteGroups(vec![GROUP.to_owned()])) {
        Reply::DeleteGroups(results) => results[0].error_code,
        other => panic!("{other:?}"),
    }
}

fn txn_commit(shard: &mut Shard, producer: Producer, topic: &str, offset: i64) -> ErrorCode {
    let partition = TxnOffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        ..Default::default()
    };
    let request = TxnOffsetCommitRequest {
        transactional_id: "x".to_owned(),
        group_id: GROUP.to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
        }],
        ..Default::default()
    };
    match shard.ask_as(3, Request::TxnOffsetCommit(request)) {
        Reply::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
        other => panic!("{other:?}"),
    }
}

fn end(shard: &mut Shard, producer: Producer, outcome: TxnOutcome) {
    let marker = TxnMarker { producer, coordinator_epoch: 0, outcome };
    assert_eq!(shard.ask(Request::CompleteTransaction(marker)), Reply::Done);
}

#[test]
fn a_consumer_without_membership_commits_and_fetches() {
    let mut shard = Shard::new();
    assert_eq!(shard.fetch("t", Stability::Any), NONE);
    assert_eq!(shard.commit("", -1, "t", 42), ErrorCode::NONE);
    assert_eq!(shard.fetch("t", Stability::Any), (42, ErrorCode::NONE));
    assert_eq!(shard.fetch("u", Stability::Any), NONE);
    assert_eq!(shard.phase(), "Empty");
    assert_eq!(shard.effects, vec![Effect::OffsetsCommitted(1)]);
    shard.restart();
    assert_eq!(shard.fetch("t", Stability::Required), (42, ErrorCode::NONE));
}

#[test]
fn only_members_of_the_generation_commit_to_an_active_group() {
    let mut shard = Shard::new();
    assert_eq!(shard.commit("m", 0, "t", 1), ErrorCode::GROUP_ID_NOT_FOUND);
    let request = commit_request(GROUP, "m", 0, "t", 1);
    let Reply::OffsetCommit(old) = shard.ask_as(8, Request::OffsetCommit(request)) else {
        panic!("not a commit's answer");
    };
    assert_eq!(old.topics[0].partitions[0].error_code, ErrorCode::ILLEGAL_GENERATION);
    let ids = shard.stable(1);
    assert_eq!(shard.commit(&ids[0], 1, "t", 5), ErrorCode::NONE);
    assert_eq!(shard.commit(&ids[0], 2, "t", 6), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shard.commit(&ids[0], 0, "t", 6), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shard.commit("other", 1, "t", 6), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shard.commit("", -1, "t", 6), ErrorCode::UNKNOWN_MEMBER_ID);
    let ticket = shard.join(9, &Joiner::new(&ids[0]));
    assert_eq!(shard.joined(ticket).generation_id, 2);
    assert_eq!(shard.commit(&ids[0], 2, "t", 6), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shard.fetch("t", Stability::Any), (5, ErrorCode::NONE));
}

#[test]
fn a_commit_keeps_its_member_alive() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    for offset in 0..5 {
        shard.pass(9_000);
        assert_eq!(shard.commit(&ids[0], 1, "t", offset), ErrorCode::NONE);
    }
    assert_eq!(shard.phase(), "Stable");
}

#[test]
fn metadata_that_is_too_large_is_refused_by_itself() {
    let mut shard = Shard::new();
    let mut request = commit_request(GROUP, "", -1, "t", 1);
    let mut second = request.topics[0].partitions[0].clone();
    second.partition_index = 1;
    request.topics[0].partitions[0].committed_metadata = Some("é".repeat(4_096));
    second.committed_metadata = Some("x".repeat(4_097));
    request.topics[0].partitions.push(second);
    let Reply::OffsetCommit(response) = shard.ask(Request::OffsetCommit(request)) else {
        panic!("not a commit's answer");
    };
    let codes: Vec<_> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE]);
    assert_eq!(shard.log.len(), 1);
}

#[test]
fn an_offset_of_another_topic_of_the_name_is_no_offset() {
    let mut shard = Shard::new();
    let id = Uuid::from_u128(7);
    let mut request = commit_request(GROUP, "", -1, "t", 3);
    request.topics[0].topic_id = id;
    let Reply::OffsetCommit(response) = shard.ask_as(10, Request::OffsetCommit(request)) else {
        panic!("not a commit's answer");
    };
    assert_eq!(response.topics[0].topic_id, id);
    let mut fetch = |topic_id| {
        let topic = ottla_wire::api::offset_fetch::OffsetFetchRequestTopics {
            topic_id,
            ..fetch_topic("t")
        };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.to_owned(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        match shard.ask(Request::OffsetFetch { group, stability: Stability::Any }) {
            Reply::OffsetFetch(response) => {
                assert_eq!(response.topics[0].topic_id, topic_id);
                response.topics[0].partitions[0].committed_offset
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch(id), 3);
    assert_eq!(fetch(Uuid::ZERO), 3);
    assert_eq!(fetch(Uuid::from_u128(8)), -1);
}

#[test]
fn all_offsets_of_a_group_are_fetched_at_once() {
    let mut shard = Shard::new();
    for topic in ["a", "b"] {
        shard.commit("", -1, topic, 1);
    }
    let mut all = |group_id: &str| {
        let group = OffsetFetchRequestGroup {
            group_id: group_id.to_owned(),
            topics: None,
            ..Default::default()
        };
        match shard.ask(Request::OffsetFetch { group, stability: Stability::Any }) {
            Reply::OffsetFetch(response) => response.topics,
            other => panic!("{other:?}"),
        }
    };
    let names: Vec<String> = all(GROUP).into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(all("other").is_empty());
}

#[test]
fn offsets_of_a_transaction_count_when_it_commits() {
    let mut shard = Shard::new();
    let producer = Producer { id: 9, epoch: 1 };
    shard.commit("", -1, "t", 1);
    assert_eq!(txn_commit(&mut shard, producer, "t", 5), ErrorCode::NONE);
    assert_eq!(shard.fetch("t", Stability::Any), (1, ErrorCode::NONE));
    let unstable = (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    assert_eq!(shard.fetch("t", Stability::Required), unstable);
    shard.restart();
    assert_eq!(shard.fetch("t", Stability::Required), unstable);
    end(&mut shard, producer, TxnOutcome::Commit);
    assert_eq!(shard.fetch("t", Stability::Required), (5, ErrorCode::NONE));
    assert_eq!(txn_commit(&mut shard, producer, "t", 9), ErrorCode::NONE);
    end(&mut shard, producer, TxnOutcome::Abort);
    assert_eq!(shard.fetch("t", Stability::Required), (5, ErrorCode::NONE));
    end(&mut shard, producer, TxnOutcome::Commit);
    assert_eq!(shard.fetch("t", Stability::Required), (5, ErrorCode::NONE));
}

#[test]
fn a_later_plain_commit_outlives_an_earlier_transaction() {
    let mut shard = Shard::new();
    let producer = Producer { id: 9, epoch: 0 };
    txn_commit(&mut shard, producer, "t", 5);
    shard.commit("", -1, "t", 3);
    end(&mut shard, producer, TxnOutcome::Commit);
    assert_eq!(shard.fetch("t", Stability::Required), (3, ErrorCode::NONE));
    shard.restart();
    assert_eq!(shard.fetch("t", Stability::Required), (3, ErrorCode::NONE));
}

#[test]
fn a_deleted_offset_does_not_come_back_with_its_transaction() {
    let mut shard = Shard::new();
    let producer = Producer { id: 9, epoch: 0 };
    txn_commit(&mut shard, producer, "t", 5);
    assert_eq!(delete(&mut shard, "t"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
    end(&mut shard, producer, TxnOutcome::Commit);
    assert_eq!(shard.fetch("t", Stability::Required), NONE);
}

#[test]
fn offsets_are_deleted_unless_subscribed() {
    let mut shard = Shard::new();
    assert_eq!(delete(&mut shard, "t"), (ErrorCode::GROUP_ID_NOT_FOUND, None));
    let ids = shard.stable(1);
    shard.commit(&ids[0], 1, "t", 1);
    shard.commit(&ids[0], 1, "u", 1);
    let subscribed = Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(delete(&mut shard, "t"), (ErrorCode::NONE, subscribed));
    assert_eq!(delete(&mut shard, "u"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
    assert_eq!(shard.fetch("u", Stability::Any), NONE);
    shard.leave(&ids[0], None);
    assert_eq!(delete(&mut shard, "t"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
}

#[test]
fn only_consumers_may_be_deleted_from_while_active() {
    let mut shard = Shard::new();
    let joiner = Joiner { kind: "connect".to_owned(), ..Joiner::new("") };
    let ticket = shard.join(3, &joiner);
    shard.pass(0);
    let id = shard.joined(ticket).member_id;
    shard.sync_all(&[id], 1);
    assert_eq!(delete(&mut shard, "t"), (ErrorCode::NON_EMPTY_GROUP, None));
}

#[test]
fn a_group_is_deleted_with_its_offsets_once_it_is_empty() {
    let mut shard = Shard::new();
    assert_eq!(delete_group(&mut shard), ErrorCode::GROUP_ID_NOT_FOUND);
    let ids = shard.stable(1);
    shard.commit(&ids[0], 1, "t", 1);
    assert_eq!(delete_group(&mut shard), ErrorCode::NON_EMPTY_GROUP);
    shard.leave(&ids[0], None);
    let records = shard.log.len();
    txn_commit(&mut shard, Producer { id: 1, epoch: 0 }, "u", 1);
    assert_eq!(delete_group(&mut shard), ErrorCode::NONE);
    assert_eq!(shard.log.len(), records + 1 + 3, "two offsets and the group");
    assert_eq!((shard.state.groups(), shard.state.offsets()), (0, 0));
    shard.restart();
    assert_eq!(shard.phase(), "Dead");
}

#[test]
fn offsets_go_with_their_partitions() {
    let mut shard = Shard::new();
    shard.commit("", -1, "t", 1);
    shard.commit("", -1, "u", 1);
    let topics = vec![DeletedTopic { name: "t".to_owned(), partitions: vec![0, 1] }];
    assert_eq!(shard.ask(Request::PartitionsDeleted(topics)), Reply::Done);
    assert_eq!(shard.fetch("t", Stability::Any), NONE);
    assert_eq!(shard.fetch("u", Stability::Any), (1, ErrorCode::NONE));
}

#[test]
fn offsets_of_simple_consumers_expire_after_their_commit() {
    let mut shard = Shard::new();
    shard.commit("", -1, "t", 1);
    shard.pass(4 * DAY_MS);
    shard.commit("", -1, "u", 1);
    shard.pass(3 * DAY_MS + 600_000);
    assert_eq!(shard.fetch("t", Stability::Any), NONE);
    assert_eq!(shard.fetch("u", Stability::Any), (1, ErrorCode::NONE));
    shard.pass(4 * DAY_MS);
    assert_eq!(shard.phase(), "Dead", "nothing was left of the group");
    assert!(shard.effects.contains(&Effect::GroupsExpired(1)));
}

#[test]
fn offsets_of_groups_expire_after_the_group_became_empty() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    shard.commit(&ids[0], 1, "t", 1);
    shard.commit(&ids[0], 1, "u", 1);
    for _ in 0..8 * DAY_MS / 9_000 {
        shard.pass(9_000);
        shard.heartbeat(&ids[0], 1);
    }
    assert_eq!(shard.fetch("t", Stability::Any), (1, ErrorCode::NONE), "subscribed");
    assert_eq!(shard.fetch("u", Stability::Any), NONE, "not subscribed");
    shard.leave(&ids[0], None);
    shard.restart();
    shard.pass(6 * DAY_MS);
    assert_eq!(shard.fetch("t", Stability::Any), (1, ErrorCode::NONE));
    shard.pass(DAY_MS + 600_000);
    assert_eq!(shard.phase(), "Dead");
}

#[test]
fn an_old_clients_retention_holds_for_its_commit() {
    let mut shard = Shard::new();
    let request =
        OffsetCommitRequest { retention_time_ms: 1_000, ..commit_request(GROUP, "", -1, "t", 1) };
    shard.ask_as(4, Request::OffsetCommit(request));
    let GroupRecord::Offset { value: Some(value), .. } = &shard.log[0] else {
        panic!("no offset");
    };
    assert_eq!(value.expire_timestamp, shard.wall_ms() + 1_000);
    shard.pass(1_200_000);
    assert_eq!(shard.phase(), "Dead");
}

#[test]
fn an_open_transaction_keeps_offsets_and_group() {
    let mut shard = Shard::new();
    let producer = Producer { id: 1, epoch: 0 };
    shard.commit("", -1, "t", 1);
    txn_commit(&mut shard, producer, "t", 2);
    shard.pass(8 * DAY_MS);
    assert_eq!(shard.fetch("t", Stability::Any), (1, ErrorCode::NONE));
    end(&mut shard, producer, TxnOutcome::Abort);
    shard.pass(600_000);
    assert_eq!(shard.phase(), "Dead");
}

#[test]
fn a_large_clean_up_is_spread_over_many_ticks() {
    let mut shard = Shard::new();
    for index in 0..3_500 {
        let mut request = commit_request(&format!("g{}", index % 7), "", -1, "t", 1);
        request.topics[0].partitions[0].partition_index = index;
        shard.ask(Request::OffsetCommit(request));
    }
    let before = shard.log.len();
    shard.pass(7 * DAY_MS + 600_000);
    assert_eq!(shard.state.offsets(), 0);
    assert_eq!(shard.state.groups(), 0);
    assert_eq!(shard.log.len(), before + 3_500 + 7);
    let expired: Vec<usize> = shard
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::OffsetsExpired(count) => Some(*count),
            _ => None,
        })
        .collect();
    assert!(expired.len() > 3 && expired.iter().all(|count| *count <= 1_000), "{expired:?}");
}
