//! Joining, syncing, beating, leaving.

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::api::leave_group::LeaveGroupRequest;
use ottla_wire::api::sync_group::SyncGroupRequest;

use super::harness::{GROUP, Joiner, Shard};
use crate::group::{Effect, GroupRecord, GroupSettings, Reply, Request};

#[test]
fn a_new_member_is_given_an_id_and_the_group_a_record() {
    let mut shard = Shard::new();
    let id = shard.member_id();
    assert!(id.starts_with("client-"));
    let uuid = id.trim_start_matches("client-");
    assert_eq!(uuid.len(), 36);
    assert_eq!(uuid.as_bytes()[14], b'4');
    let GroupRecord::Group { key, value: Some(value) } = &shard.log[0] else {
        panic!("no record of the group");
    };
    assert_eq!(
        (key.group.as_str(), value.generation, value.protocol_type.as_str()),
        (GROUP, 0, "")
    );
    assert_eq!(value.current_state_timestamp, shard.wall_ms());
    assert_eq!(shard.log.len(), 1);
}

#[test]
fn an_old_client_joins_without_an_id() {
    let mut shard = Shard::new();
    let ticket = shard.join(3, &Joiner::new(""));
    assert!(shard.reply(ticket).is_none());
    shard.pass(0);
    let response = shard.joined(ticket);
    assert_eq!((response.error_code, response.generation_id), (ErrorCode::NONE, 1));
    assert_eq!(response.leader, response.member_id);
    assert_eq!(response.members.len(), 1);
}

#[test]
fn a_generation_begins_when_all_are_back() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    assert_eq!(shard.phase(), "Stable");
    assert_eq!(shard.effects, vec![Effect::RebalanceCompleted]);
    let third = shard.member_id();
    let new = shard.join(9, &Joiner::new(&third));
    assert_eq!(shard.phase(), "PreparingRebalance");
    assert_eq!(shard.heartbeat(&ids[0], 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let one = shard.join(9, &Joiner::new(&ids[0]));
    assert!(shard.reply(new).is_none());
    let two = shard.join(9, &Joiner::new(&ids[1]));
    for ticket in [new, one, two] {
        let response = shard.joined(ticket);
        assert_eq!((response.error_code, response.generation_id), (ErrorCode::NONE, 2));
        assert_eq!(response.leader, ids[0], "a leader that is there goes on leading");
        assert_eq!(response.protocol_name.as_deref(), Some("range"));
        assert_eq!(response.protocol_type.as_deref(), Some("consumer"));
        let listed = if response.member_id == ids[0] { 3 } else { 0 };
        assert_eq!(response.members.len(), listed);
    }
    assert_eq!(shard.phase(), "CompletingRebalance");
}

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let mut shard = Shard::new();
    let ids = [shard.member_id(), shard.member_id()];
    let tickets = [shard.join(9, &Joiner::new(&ids[0])), shard.join(9, &Joiner::new(&ids[1]))];
    shard.pass(0);
    let leader = shard.joined(tickets[0]).leader;
    let follower = ids.iter().find(|id| **id != leader).expect("two members").clone();
    let waiting = shard.sync(&follower, 1, &[]);
    assert!(shard.reply(waiting).is_none());
    let records = shard.log.len();
    let first = shard.sync(&leader, 1, std::slice::from_ref(&follower));
    assert_eq!(shard.synced(waiting).assignment, Bytes::from(follower.clone()));
    assert_eq!(shard.synced(first).assignment, Bytes::new(), "left out of the assignment");
    assert_eq!(shard.log.len(), records + 1);
    let again = shard.sync(&follower, 1, &[]);
    assert_eq!(shard.synced(again).assignment, Bytes::from(follower));
}

#[test]
fn a_sync_must_fit_the_group() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    let ask = |shard: &mut Shard, change: &dyn Fn(&mut SyncGroupRequest)| {
        let mut request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: 1,
            member_id: ids[0].clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            ..Default::default()
        };
        change(&mut request);
        match shard.ask_as(5, Request::SyncGroup(request)) {
            Reply::SyncGroup(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut shard, &|_| {}), ErrorCode::NONE);
    assert_eq!(ask(&mut shard, &|r| r.group_id.clear()), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(ask(&mut shard, &|r| r.group_id = "no".into()), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut shard, &|r| r.member_id = "no".into()), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut shard, &|r| r.generation_id = 2), ErrorCode::ILLEGAL_GENERATION);
    let other = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(ask(&mut shard, &|r| r.protocol_type = Some("connect".into())), other);
    assert_eq!(ask(&mut shard, &|r| r.protocol_name = Some("sticky".into())), other);
    assert_eq!(ask(&mut shard, &|r| r.protocol_name = None), other);
    assert_eq!(ask(&mut shard, &|r| r.protocol_type = None), other);
}

#[test]
fn joins_are_refused_with_the_right_error() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 0, ..Default::default() };
    let mut shard = Shard::with(settings);
    let refused = |shard: &mut Shard, joiner: &Joiner| {
        let ticket = shard.join(9, joiner);
        shard.joined(ticket).error_code
    };
    for session_ms in [5_999, 1_800_001] {
        let joiner = Joiner { session_ms, ..Joiner::new("") };
        assert_eq!(refused(&mut shard, &joiner), ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    assert!(shard.log.is_empty());
    assert_eq!(refused(&mut shard, &Joiner::new("nobody")), ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(shard.log.is_empty(), "an unknown member makes no group");
    let none = Joiner::new("").knowing(&[]);
    assert_eq!(refused(&mut shard, &none), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(shard.log.len(), 1, "but a refused new one does, as in Kafka");
    shard.stable(1);
    let other = Joiner { kind: "connect".to_owned(), ..Joiner::new("") };
    assert_eq!(refused(&mut shard, &other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let sticky = Joiner::new("").knowing(&["sticky"]);
    assert_eq!(refused(&mut shard, &sticky), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(refused(&mut shard, &Joiner::new("nobody")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_protocol_most_prefer_is_chosen_among_those_all_know() {
    let mut shard = Shard::new();
    let preferences = [&["a", "b", "c"][..], &["c", "b"], &["b", "c"], &["c", "b", "a"]];
    let tickets = preferences.map(|names| {
        let joiner = Joiner::new("").knowing(names);
        shard.join(3, &joiner)
    });
    shard.pass(0);
    for ticket in tickets {
        // Votes: b by the first and third, c by the second and fourth; the name decides.
        assert_eq!(shard.joined(ticket).protocol_name.as_deref(), Some("b"));
    }
}

#[test]
fn the_first_rebalance_waits_for_more_members_up_to_the_rebalance_timeout() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 3_000, ..Default::default() };
    let mut shard = Shard::with(settings);
    let first = shard.join(3, &Joiner { rebalance_ms: 8_000, ..Joiner::new("") });
    shard.pass(2_000);
    let second = shard.join(3, &Joiner { rebalance_ms: 8_000, ..Joiner::new("") });
    shard.pass(1_500);
    assert!(shard.reply(first).is_none(), "the second member made it longer");
    let third = shard.join(3, &Joiner { rebalance_ms: 8_000, ..Joiner::new("") });
    shard.pass(2_600);
    assert!(shard.reply(first).is_none());
    shard.pass(5_000);
    for ticket in [first, second, third] {
        assert_eq!(shard.joined(ticket).error_code, ErrorCode::NONE);
        assert_eq!(shard.joined(ticket).generation_id, 1);
    }
}

#[test]
fn who_does_not_rejoin_in_time_is_out() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    let rejoined = shard.join(9, &Joiner::new(&ids[0]));
    for _ in 0..12 {
        shard.pass(5_000);
        shard.heartbeat(&ids[1], 1);
    }
    assert_eq!(shard.joined(rejoined).generation_id, 2);
    assert_eq!(shard.joined(rejoined).members.len(), 1);
    assert_eq!(shard.heartbeat(&ids[1], 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_does_not_sync_in_time_is_out_and_the_others_rebalance() {
    let mut shard = Shard::new();
    let ids = [shard.member_id(), shard.member_id()];
    let joins = ids.clone().map(|id| shard.join(9, &Joiner::new(&id)));
    shard.pass(0);
    let leader = shard.joined(joins[0]).leader;
    let follower = ids.iter().find(|id| **id != leader).expect("two").clone();
    let waiting = shard.sync(&follower, 1, &[]);
    for _ in 0..12 {
        shard.heartbeat(&leader, 1);
        shard.pass(5_000);
    }
    assert_eq!(shard.synced(waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shard.heartbeat(&leader, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let again = shard.join(9, &Joiner::new(&follower));
    assert_eq!(shard.joined(again).leader, follower);
}

#[test]
fn sessions_end_and_the_last_one_empties_the_group() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    shard.pass(9_000);
    assert_eq!(shard.heartbeat(&ids[1], 1), ErrorCode::NONE);
    shard.pass(2_000);
    assert_eq!(shard.phase(), "PreparingRebalance");
    assert_eq!(shard.heartbeat(&ids[0], 1), ErrorCode::UNKNOWN_MEMBER_ID);
    shard.pass(20_000);
    assert_eq!(shard.phase(), "Empty");
    let Some(GroupRecord::Group { value: Some(value), .. }) = shard.log.last() else {
        panic!("no record of the empty group");
    };
    assert_eq!((value.generation, value.members.len()), (2, 0));
    assert_eq!((value.protocol_type.as_str(), value.protocol.as_ref()), ("consumer", None));
}

#[test]
fn a_parked_new_member_is_told_to_come_again_after_five_minutes() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    let id = shard.member_id();
    let joiner = Joiner { rebalance_ms: 1_000_000, ..Joiner::new(&id) };
    let ticket = shard.join(9, &joiner);
    for _ in 0..59 {
        shard.pass(5_000);
        shard.heartbeat(&ids[0], 1);
    }
    assert!(shard.reply(ticket).is_none());
    shard.pass(6_000);
    assert_eq!(shard.joined(ticket).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_id_not_used_holds_the_others_up_no_longer_than_its_session() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    let unused = shard.member_id();
    let ticket = shard.join(9, &Joiner::new(&ids[0]));
    assert!(shard.reply(ticket).is_none());
    shard.pass(10_001);
    assert_eq!(shard.joined(ticket).generation_id, 2);
    let late = shard.join(9, &Joiner::new(&unused));
    assert_eq!(shard.joined(late).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_full_group_takes_nobody_else() {
    let settings =
        GroupSettings { max_size: 2, initial_rebalance_delay_ms: 0, ..Default::default() };
    let mut shard = Shard::with(settings);
    let ids = shard.stable(2);
    let ticket = shard.join(9, &Joiner::new(""));
    let refused = shard.joined(ticket);
    assert_eq!(refused.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(refused.member_id, "");
    let known = shard.join(9, &Joiner::new(&ids[0]));
    assert!(shard.reply(known).is_none(), "a member may come back");
}

#[test]
fn a_group_that_is_too_large_after_a_restart_shrinks() {
    let mut shard = Shard::new();
    let ids = shard.stable(3);
    shard.waits.settings.max_size = 2;
    shard.restart();
    assert_eq!(shard.phase(), "PreparingRebalance");
    let tickets: Vec<_> = ids.iter().map(|id| shard.join(9, &Joiner::new(id))).collect();
    assert_eq!(shard.joined(tickets[2]).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    shard.pass(60_000);
    assert_eq!(shard.joined(tickets[0]).error_code, ErrorCode::NONE);
    assert_eq!(shard.joined(tickets[1]).error_code, ErrorCode::NONE);
}

#[test]
fn members_leave_one_by_one_and_the_group_is_empty() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    let response = shard.leave(&ids[1], None);
    assert_eq!(response.members[0].error_code, ErrorCode::NONE);
    assert_eq!(shard.phase(), "PreparingRebalance");
    let unknown = shard.leave(&ids[1], None);
    assert_eq!(unknown.error_code, ErrorCode::NONE);
    assert_eq!(unknown.members[0].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    shard.leave(&ids[0], None);
    assert_eq!(shard.phase(), "Empty");
    let old = LeaveGroupRequest {
        group_id: GROUP.to_owned(),
        member_id: ids[0].clone(),
        ..Default::default()
    };
    let Reply::LeaveGroup(response) = shard.ask_as(1, Request::LeaveGroup(old)) else {
        panic!("not a leave's answer");
    };
    assert_eq!(response.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(response.members.is_empty());
}

#[test]
fn a_member_with_the_same_metadata_gets_its_generation_again() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    let follower = shard.join(9, &Joiner::new(&ids[1]));
    let response = shard.joined(follower);
    assert_eq!((response.generation_id, response.members.len()), (1, 0));
    assert_eq!(shard.phase(), "Stable");
    let changed = shard.join(9, &Joiner::new(&ids[1]).knowing(&["range"]));
    assert!(shard.reply(changed).is_none());
    assert_eq!(shard.phase(), "PreparingRebalance");
}

#[test]
fn a_leader_that_joins_asks_for_a_rebalance() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    let ticket = shard.join(9, &Joiner::new(&ids[0]));
    assert!(shard.reply(ticket).is_none());
    assert_eq!(shard.phase(), "PreparingRebalance");
}

#[test]
fn a_second_join_of_a_member_takes_the_place_of_its_first() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    let first = shard.join(9, &Joiner::new(&ids[0]));
    let second = shard.join(9, &Joiner::new(&ids[0]));
    assert_eq!(shard.joined(first).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(shard.reply(second).is_none());
    let other = shard.join(9, &Joiner::new(&ids[1]));
    assert_eq!(shard.joined(second).generation_id, 2);
    assert_eq!(shard.joined(other).generation_id, 2);
}

#[test]
fn a_restart_keeps_a_stable_group_and_forgets_a_rebalance() {
    let mut shard = Shard::new();
    let ids = shard.stable(2);
    shard.restart();
    assert_eq!(shard.heartbeat(&ids[0], 1), ErrorCode::NONE);
    let again = shard.sync(&ids[1], 1, &[]);
    assert_eq!(shard.synced(again).assignment, Bytes::from(ids[1].clone()));
    shard.join(9, &Joiner::new(&ids[0]));
    shard.restart();
    assert_eq!(shard.phase(), "Stable");
    shard.pass(10_001);
    assert_eq!(shard.phase(), "Empty", "nobody came back");
}

#[test]
fn old_versions_know_no_null_protocol() {
    let mut shard = Shard::new();
    shard.stable(1);
    for (version, name) in [(5, Some(String::new())), (9, None)] {
        let joiner = Joiner { instance: Some("i".to_owned()), ..Joiner::new("nobody") };
        let ticket = shard.join(version, &joiner);
        assert_eq!(shard.joined(ticket).protocol_name, name);
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut shard = Shard::new();
    shard.stable(1);
    let list = |shard: &mut Shard, states: &[&str], types: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match shard.ask(Request::ListGroups { states: own(states), types: own(types) }) {
            Reply::ListGroups(groups) => groups,
            other => panic!("{other:?}"),
        }
    };
    let all = list(&mut shard, &[], &[]);
    assert_eq!((all[0].group_state.as_str(), all[0].group_type.as_str()), ("Stable", "classic"));
    assert_eq!(all[0].protocol_type, "consumer");
    assert_eq!(list(&mut shard, &["sTABLE ", "Dead"], &["CLASSIC"]).len(), 1);
    assert_eq!(list(&mut shard, &["Empty"], &[]).len(), 0);
    assert_eq!(list(&mut shard, &[], &["consumer", "nonsense"]).len(), 0);
}

#[test]
fn descriptions_show_what_was_agreed_only_while_stable() {
    let mut shard = Shard::new();
    let ids = shard.stable(1);
    let describe = |shard: &mut Shard, version, name: &str| match shard
        .ask_as(version, Request::DescribeGroups(vec![name.to_owned()]))
    {
        Reply::DescribeGroups(groups) => groups[0].clone(),
        other => panic!("{other:?}"),
    };
    let stable = describe(&mut shard, 6, GROUP);
    assert_eq!((stable.protocol_data.as_str(), stable.members.len()), ("range", 1));
    assert_eq!(stable.members[0].member_assignment, Bytes::from(ids[0].clone()));
    assert_eq!(stable.members[0].client_host, "/127.0.0.1");
    assert!(!stable.members[0].member_metadata.is_empty());
    let id = shard.member_id();
    shard.join(9, &Joiner::new(&id));
    let preparing = describe(&mut shard, 6, GROUP);
    assert_eq!((preparing.protocol_data.as_str(), preparing.members.len()), ("", 2));
    assert!(preparing.members[0].member_metadata.is_empty());
    let missing = describe(&mut shard, 6, "missing");
    assert_eq!(missing.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(missing.error_message.as_deref(), Some("Group missing not found."));
    let missing = describe(&mut shard, 5, "missing");
    assert_eq!((missing.error_code, missing.group_state.as_str()), (ErrorCode::NONE, "Dead"));
}

#[test]
fn a_member_that_leaves_while_it_waits_is_told() {
    let mut shard = Shard::new();
    let ids = [shard.member_id(), shard.member_id()];
    let joins = ids.clone().map(|id| shard.join(9, &Joiner::new(&id)));
    shard.leave(&ids[1], None);
    assert_eq!(shard.joined(joins[1]).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shard.joined(joins[1]).member_id, "");
    shard.pass(0);
    assert_eq!(shard.joined(joins[0]).generation_id, 1);
    let third = shard.join(3, &Joiner::new(""));
    let first = shard.join(9, &Joiner::new(&ids[0]));
    let third = shard.joined(third).member_id;
    assert_eq!(shard.joined(first).generation_id, 2);
    let waiting = shard.sync(&third, 2, &[]);
    shard.leave(&third, None);
    assert_eq!(shard.synced(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}
