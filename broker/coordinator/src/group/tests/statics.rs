//! Members with an instance id (KIP-345).

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::join_group::JoinGroupResponse;

use super::harness::{Joiner, Shard};
use crate::group::GroupRecord;

/// A stable group of the instances; gives their ids in order, the leader's being the first.
fn stable(shard: &mut Shard, instances: &[&str]) -> Vec<String> {
    let tickets: Vec<_> =
        instances.iter().map(|instance| shard.join(9, &Joiner::of_instance(instance))).collect();
    shard.pass(0);
    let ids: Vec<String> = tickets.iter().map(|t| shard.joined(*t).member_id).collect();
    assert_eq!(shard.joined(tickets[0]).leader, ids[0]);
    shard.sync_all(&ids, 1);
    ids
}

fn returns(shard: &mut Shard, version: i16, joiner: &Joiner) -> JoinGroupResponse {
    let ticket = shard.join(version, joiner);
    shard.joined(ticket)
}

#[test]
fn a_static_member_joins_without_asking_for_an_id() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    assert!(ids[0].starts_with("a-") && ids[1].starts_with("b-"));
}

#[test]
fn one_that_returns_takes_its_place_without_a_rebalance() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    let records = shard.log.len();
    let back = returns(&mut shard, 9, &Joiner::of_instance("b"));
    assert_eq!((back.error_code, back.generation_id), (ErrorCode::NONE, 1));
    assert_ne!(back.member_id, ids[1]);
    assert!(!back.skip_assignment && back.members.is_empty());
    assert_eq!(back.leader, ids[0]);
    assert_eq!(shard.phase(), "Stable");
    let Some(GroupRecord::Group { value: Some(value), .. }) = shard.log.last() else {
        panic!("the new id is not written");
    };
    assert_eq!(shard.log.len(), records + 1);
    assert!(value.members.iter().any(|member| member.member_id == back.member_id));
    let ticket = shard.sync(&back.member_id, 1, &[]);
    assert_eq!(shard.synced(ticket).assignment, Bytes::from(ids[1].clone()));
    assert_eq!(shard.heartbeat_as(&ids[1], Some("b"), 1), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(shard.heartbeat(&ids[1], 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_returns_is_told_to_skip_the_assignment() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    let back = returns(&mut shard, 9, &Joiner::of_instance("a"));
    assert!(back.skip_assignment);
    assert_eq!((back.leader.as_str(), back.members.len()), (back.member_id.as_str(), 2));
    let old = returns(&mut shard, 8, &Joiner::of_instance("a"));
    assert!(!old.skip_assignment);
    assert_eq!(old.leader, back.member_id, "the former id, so that it does not assign");
    assert!(old.members.is_empty());
    assert_ne!(old.member_id, ids[0]);
}

#[test]
fn a_change_of_protocol_rebalances() {
    let mut shard = Shard::new();
    stable(&mut shard, &["a"]);
    let joiner = Joiner::of_instance("a").knowing(&["sticky", "range"]);
    let ticket = shard.join(9, &joiner);
    assert_eq!(shard.joined(ticket).generation_id, 2);
    assert_eq!(shard.joined(ticket).protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn the_former_self_is_fenced_in_whatever_it_waits_for() {
    let mut shard = Shard::new();
    let a = shard.join(9, &Joiner::of_instance("a"));
    let twin = shard.join(9, &Joiner::of_instance("a"));
    let fenced = shard.joined(a);
    assert_eq!(fenced.error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fenced.protocol_name, None);
    let b = shard.join(9, &Joiner::of_instance("b"));
    shard.pass(0);
    let (twin, b) = (shard.joined(twin).member_id, shard.joined(b).member_id);
    let leader = twin.clone();
    let waiting = shard.sync(&b, 1, &[]);
    let again = shard.join(9, &Joiner::of_instance("b"));
    assert_eq!(shard.synced(waiting).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(shard.phase(), "PreparingRebalance");
    assert!(shard.reply(again).is_none());
    let joiner = Joiner { id: leader, ..Joiner::of_instance("a") };
    shard.join(9, &joiner);
    assert_eq!(shard.joined(again).generation_id, 2);
}

#[test]
fn a_wrong_id_for_an_instance_is_fenced() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    let joiner = Joiner { id: ids[1].clone(), ..Joiner::of_instance("a") };
    assert_eq!(returns(&mut shard, 9, &joiner).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let joiner = Joiner { id: ids[1].clone(), ..Joiner::of_instance("c") };
    assert_eq!(returns(&mut shard, 9, &joiner).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let left = shard.leave(&ids[1], Some("a"));
    assert_eq!(left.members[0].error_code, ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn an_absent_static_member_stays_until_its_session_ends() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    let new = shard.member_id();
    let joined = shard.join(9, &Joiner { rebalance_ms: 7_000, ..Joiner::new(&new) });
    let back = Joiner { id: ids[0].clone(), rebalance_ms: 7_000, ..Joiner::of_instance("a") };
    let back = shard.join(9, &back);
    // The rebalance waits as long as its slowest member may take; heartbeats keep b in.
    for _ in 0..13 {
        shard.heartbeat_as(&ids[1], Some("b"), 1);
        shard.pass(5_000);
    }
    assert_eq!(shard.joined(joined).generation_id, 2);
    assert_eq!(shard.joined(back).members.len(), 3, "b is still in");
}

#[test]
fn an_instance_is_removed_from_outside_by_its_name() {
    let mut shard = Shard::new();
    let ids = stable(&mut shard, &["a", "b"]);
    let left = shard.leave("", Some("b"));
    assert_eq!(left.members[0].error_code, ErrorCode::NONE);
    assert_eq!(left.members[0].group_instance_id.as_deref(), Some("b"));
    assert_eq!(shard.phase(), "PreparingRebalance");
    assert_eq!(shard.heartbeat(&ids[1], 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let left = shard.leave("", Some("b"));
    assert_eq!(left.members[0].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let left = shard.leave("", None);
    assert_eq!(left.members[0].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}
