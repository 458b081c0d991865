//! Offsets of consumer groups.

use ottla_wire::ErrorCode;
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::api::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::api::offset_fetch::OffsetFetchRequestGroup;
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::harness::{Client, Cluster, described, settle, shard, shard_with};
use crate::group::tests::harness::{GROUP, Shard, fetch_topic};
use crate::group::{GroupSettings, Reply, Request, Stability};

/// Commits as a member in an epoch.
fn commit(
    shard: &mut Shard,
    version: i16,
    (id, epoch): (&str, i32),
    (topic, partition): (&str, i32),
) -> ErrorCode {
    let partition =
        OffsetCommitRequestPartition { partition_index: partition, ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: epoch,
        member_id: id.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    match shard.ask_as(version, Request::OffsetCommit(request)) {
        Reply::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
        other => panic!("not a commit's answer: {other:?}"),
    }
}

fn fetch(shard: &mut Shard, member: Option<&str>, epoch: i32) -> ErrorCode {
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.to_owned(),
        member_id: member.map(str::to_owned),
        member_epoch: epoch,
        topics: Some(vec![fetch_topic("t")]),
    };
    match shard.ask(Request::OffsetFetch { group, stability: Stability::Any }) {
        Reply::OffsetFetch(response) => response.error_code,
        other => panic!("not a fetch's answer: {other:?}"),
    }
}

#[test]
fn members_commit_in_their_epoch() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    one.beat(&mut shard);
    assert_eq!(commit(&mut shard, 9, ("one", 2), ("t", 1)), ErrorCode::NONE);
    assert_eq!(commit(&mut shard, 8, ("one", 2), ("t", 1)), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(commit(&mut shard, 9, ("one", 3), ("t", 1)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(commit(&mut shard, 9, ("two", 2), ("t", 1)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&mut shard, 9, ("", -1), ("t", 0)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(fetch(&mut shard, Some("one"), 2), ErrorCode::NONE);
    assert_eq!(fetch(&mut shard, Some("one"), 0), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(fetch(&mut shard, Some("two"), 2), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(fetch(&mut shard, None, -1), ErrorCode::NONE);
}

#[test]
fn an_old_epoch_commits_for_what_it_still_has() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    settle(&mut shard, &mut [&mut one, &mut two]);
    // It does not know yet that it is in the next epoch.
    let kept = one.owned.first().expect("something").1;
    let given = two.owned.first().expect("something").1;
    assert_eq!(commit(&mut shard, 9, ("one", 2), ("t", kept)), ErrorCode::NONE);
    assert_eq!(commit(&mut shard, 9, ("one", 2), ("t", given)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(commit(&mut shard, 9, ("two", 2), ("t", given)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(commit(&mut shard, 9, ("two", 3), ("t", given)), ErrorCode::NONE);
}

#[test]
fn transactions_commit_for_members_and_for_nobody() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    one.beat(&mut shard);
    let mut commit = |member: &str, generation| {
        let request = TxnOffsetCommitRequest {
            group_id: GROUP.to_owned(),
            member_id: member.to_owned(),
            generation_id: generation,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "t".to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition::default()],
            }],
            ..Default::default()
        };
        match shard.ask_as(3, Request::TxnOffsetCommit(request)) {
            Reply::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
            other => panic!("not a commit's answer: {other:?}"),
        }
    };
    assert_eq!(commit("one", 2), ErrorCode::NONE);
    assert_eq!(commit("", -1), ErrorCode::NONE);
    assert_eq!(commit("one", 3), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(commit("two", 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn offsets_outlive_members_until_they_expire() {
    let cluster = Cluster::of(&[("t", 1), ("u", 1)]);
    let settings = GroupSettings {
        offsets_retention_ms: 100_000,
        offsets_retention_check_interval_ms: 10_000,
        ..GroupSettings::default()
    };
    let mut shard = shard_with(settings, &cluster);
    let mut one = Client::new("one", &["t"]);
    one.beat(&mut shard);
    assert_eq!(commit(&mut shard, 9, ("one", 2), ("t", 1)), ErrorCode::NONE);
    assert_eq!(commit(&mut shard, 9, ("one", 2), ("u", 1)), ErrorCode::NONE);
    for _ in 0..11 {
        shard.pass(10_000);
        assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
    }
    let topics: Vec<_> = shard.state.committed().map(|c| c.topic.to_owned()).collect();
    assert_eq!(topics, ["t"], "only what nobody subscribes to expires");
    one.leave(&mut shard, -1);
    assert_eq!(commit(&mut shard, 9, ("", -1), ("u", 0)), ErrorCode::NONE, "from outside");
    shard.pass(50_000);
    assert_eq!(shard.state.groups(), 1);
    shard.pass(70_000);
    assert_eq!((shard.state.groups(), shard.state.offsets()), (0, 0));
    assert_eq!(described(&mut shard, GROUP).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    shard.restart();
}

#[test]
fn offsets_of_topics_in_use_are_not_deleted() {
    let cluster = Cluster::of(&[("log-a", 1), ("u", 1)]);
    let mut shard = shard(&cluster);
    let mut one = Client::of_pattern("one", "log-.*");
    one.beat(&mut shard);
    let topic = |name: &str| OffsetDeleteRequestTopic {
        name: name.to_owned(),
        partitions: vec![OffsetDeleteRequestPartition::default()],
    };
    let request = OffsetDeleteRequest {
        group_id: GROUP.to_owned(),
        topics: vec![topic("log-a"), topic("u")],
    };
    let Reply::OffsetDelete(response) = shard.ask(Request::OffsetDelete(request)) else {
        panic!("not a deletion's answer");
    };
    assert_eq!(response.error_code, ErrorCode::NONE);
    let errors: Vec<_> = response.topics.iter().map(|t| t.partitions[0].error_code).collect();
    assert_eq!(errors, [ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode::NONE]);
}
