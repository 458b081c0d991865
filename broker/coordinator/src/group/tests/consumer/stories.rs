//! Joining, staying, leaving; epochs, topics and deadlines.

use ottla_wire::ErrorCode;
use ottla_wire::api::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;

use super::harness::{Client, Cluster, described, settle, shard, shard_with};
use crate::group::tests::harness::GROUP;
use crate::group::{Effect, GroupOverrides, GroupSettings, Reply, Request};

#[test]
fn the_first_member_has_everything_at_once() {
    let cluster = Cluster::of(&[("t", 3)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
    assert_eq!((one.epoch, one.owned.len()), (2, 3));
    let group = described(&mut shard, GROUP);
    assert_eq!((group.group_epoch, group.assignment_epoch), (2, 2));
    assert_eq!((group.group_state.as_str(), group.assignor_name.as_str()), ("Stable", "uniform"));
    assert_eq!(group.members[0].assignment, group.members[0].target_assignment);
    assert_eq!(group.members[0].assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(group.members[0].member_type, 1);
    assert!(shard.effects.contains(&Effect::ConsumerRebalance));
    shard.restart();
}

#[test]
fn a_partition_is_given_only_when_it_was_given_up() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    one.beat(&mut shard);
    two.beat(&mut shard);
    assert_eq!((two.epoch, two.owned.len()), (3, 0), "nothing is free yet");
    assert_eq!(described(&mut shard, GROUP).group_state, "Reconciling");
    // The first is told to give up two, but still has them.
    let full = one.full();
    let response = one.say(&mut shard, full.clone());
    assert_eq!(response.member_epoch, 2, "it keeps its epoch until it has given up");
    let kept = response.assignment.expect("what it may keep").topic_partitions[0].partitions.len();
    assert_eq!(kept, 2);
    let again = one.say(&mut shard, full);
    assert_eq!((again.member_epoch, again.error_code), (2, ErrorCode::NONE));
    // Who says nothing of what it has, may have it still.
    let quiet = ConsumerGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: "one".to_owned(),
        member_epoch: 2,
        ..Default::default()
    };
    let unsaid = one.say(&mut shard, quiet);
    assert_eq!((unsaid.member_epoch, unsaid.error_code), (2, ErrorCode::NONE));
    two.beat(&mut shard);
    assert!(two.owned.is_empty());
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!((one.epoch, one.owned.len(), two.epoch, two.owned.len()), (3, 2, 3, 2));
    assert!(one.owned.is_disjoint(&two.owned));
    assert_eq!(described(&mut shard, GROUP).group_state, "Stable");
    two.leave(&mut shard, -1);
    settle(&mut shard, &mut [&mut one]);
    assert_eq!((one.epoch, one.owned.len()), (4, 4));
    shard.restart();
}

#[test]
fn a_quiet_heartbeat_writes_nothing_and_says_nothing() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    one.beat(&mut shard);
    let written = shard.log.len();
    let request = ConsumerGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: "one".to_owned(),
        member_epoch: 2,
        ..Default::default()
    };
    let response = one.say(&mut shard, request);
    assert_eq!((response.error_code, response.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!((response.assignment, response.heartbeat_interval_ms), (None, 5_000));
    assert_eq!(shard.log.len(), written);
    one.beat(&mut shard);
    assert_eq!(shard.log.len(), written, "a full one, too");
}

#[test]
fn new_members_wait_for_the_next_assignment() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(GroupSettings::default(), &cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    one.beat(&mut shard);
    two.beat(&mut shard);
    assert_eq!((two.epoch, two.owned.len()), (2, 0), "the epoch of the last assignment");
    assert_eq!(described(&mut shard, GROUP).group_state, "Assigning");
    shard.pass(1_000);
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!((two.epoch, two.owned.len()), (3, 2));
}

#[test]
fn wrong_epochs_are_fenced_and_a_lost_answer_is_not() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    one.beat(&mut shard);
    two.beat(&mut shard);
    one.beat(&mut shard);
    // The answer that takes it to epoch 3 is lost.
    let lost = one.say(&mut shard, one.full());
    assert_eq!(lost.member_epoch, 3);
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
    assert_eq!(one.epoch, 3);
    let stale = Client { epoch: 2, ..two.clone() };
    let mut owns_more = stale.clone();
    owns_more.owned = one.owned.clone();
    assert_eq!(owns_more.beat(&mut shard), ErrorCode::FENCED_MEMBER_EPOCH);
    let mut ahead = Client { epoch: 9, ..one.clone() };
    assert_eq!(ahead.beat(&mut shard), ErrorCode::FENCED_MEMBER_EPOCH);
    // Who was fenced joins again, and is the member it was.
    ahead.owned.clear();
    assert_eq!(ahead.beat(&mut shard), ErrorCode::NONE);
    assert_eq!(ahead.epoch, 3);
    settle(&mut shard, &mut [&mut ahead]);
    assert_eq!(ahead.owned.len(), 2);
}

#[test]
fn strangers_and_nonsense_are_told_so() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    let mut early = Client { epoch: 3, ..one.clone() };
    assert_eq!(early.beat(&mut shard), ErrorCode::GROUP_ID_NOT_FOUND);
    one.beat(&mut shard);
    let mut stranger = Client { epoch: 1, ..Client::new("stranger", &["t"]) };
    assert_eq!(stranger.beat(&mut shard), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(stranger.leave(&mut shard, -1), ErrorCode::UNKNOWN_MEMBER_ID);
    let join = Client::new("two", &["t"]).full();
    let with = |change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = join.clone();
        change(&mut request);
        request
    };
    let none = |text: &str| Some(text.to_owned());
    for request in [
        with(&|r| r.group_id.clear()),
        with(&|r| r.member_id.clear()),
        with(&|r| r.instance_id = none("")),
        with(&|r| r.rack_id = none("")),
        with(&|r| r.rebalance_timeout_ms = -1),
        with(&|r| r.topic_partitions = None),
        with(&|r| (r.subscribed_topic_names, r.subscribed_topic_regex) = (None, None)),
        with(&|r| r.member_epoch = -2),
        with(&|r| r.member_epoch = -3),
    ] {
        let response = one.say(&mut shard, request.clone());
        assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST, "{request:?}");
        assert!(response.error_message.is_some());
    }
    let other = with(&|r| r.server_assignor = none("cooperative-sticky"));
    assert_eq!(one.say(&mut shard, other).error_code, ErrorCode::UNSUPPORTED_ASSIGNOR);
    assert_eq!(described(&mut shard, GROUP).members.len(), 1);
}

#[test]
fn members_of_version_0_are_given_an_id() {
    let cluster = Cluster::of(&[("t", 1)]);
    let mut shard = shard(&cluster);
    let request = Client::new("", &["t"]).full();
    let Reply::ConsumerGroupHeartbeat(response) =
        shard.ask_as(0, Request::ConsumerGroupHeartbeat { request, fresh: 77 << 80 })
    else {
        panic!("not a heartbeat's answer");
    };
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!(response.member_id.map(|id| id.len()), Some(22));
}

#[test]
fn nothing_is_decided_before_topics_are_known() {
    let mut shard = crate::group::tests::harness::Shard::new();
    let mut one = Client::new("one", &["t"]);
    assert_eq!(one.beat(&mut shard), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert!(shard.log.is_empty());
}

#[test]
fn a_full_group_takes_no_more_members() {
    let cluster = Cluster::of(&[("t", 1)]);
    let mut settings = GroupSettings::default();
    settings.consumer.max_size = 1;
    let mut shard = shard_with(settings, &cluster);
    let mut one = Client::new("one", &["t"]);
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
    let mut two = Client::new("two", &["t"]);
    assert_eq!(two.beat(&mut shard), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(one.beat(&mut shard), ErrorCode::NONE);
}

#[test]
fn a_member_that_falls_silent_is_out() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    settle(&mut shard, &mut [&mut one, &mut two]);
    shard.pass(40_000);
    one.beat(&mut shard);
    shard.pass(6_000);
    settle(&mut shard, &mut [&mut one]);
    assert_eq!(one.owned.len(), 4);
    assert_eq!(two.beat(&mut shard), ErrorCode::UNKNOWN_MEMBER_ID);
    shard.restart();
    cluster.tell(&mut shard);
    shard.pass(45_000);
    assert_eq!(described(&mut shard, GROUP).group_state, "Empty", "sessions begin at a restart");
}

#[test]
fn a_group_may_have_a_session_of_its_own() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let overrides = GroupOverrides {
        consumer_session_timeout_ms: Some(50_000),
        consumer_heartbeat_interval_ms: Some(1),
        ..GroupOverrides::default()
    };
    shard.ask(Request::ConfigureGroup { group: GROUP.to_owned(), overrides });
    let mut one = Client::new("one", &["t"]);
    let response = one.say(&mut shard, one.full());
    assert_eq!(response.heartbeat_interval_ms, 5_000, "not below the broker's least");
    one.hear(&response);
    shard.pass(49_999);
    assert_eq!(described(&mut shard, GROUP).members.len(), 1);
    shard.pass(1);
    assert_eq!(described(&mut shard, GROUP).members.len(), 0);
}

#[test]
fn who_does_not_give_up_in_time_is_out() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let (mut one, mut two) = (Client::new("one", &["t"]), Client::new("two", &["t"]));
    one.beat(&mut shard);
    two.beat(&mut shard);
    let full = one.full();
    for _ in 0..5 {
        one.say(&mut shard, full.clone());
        two.beat(&mut shard);
        shard.pass(6_000);
    }
    assert_eq!(one.say(&mut shard, full).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    settle(&mut shard, &mut [&mut two]);
    assert_eq!(two.owned.len(), 4);
}

#[test]
fn topics_that_grow_come_and_go_are_followed() {
    let mut cluster = Cluster::of(&[("t", 1)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t", "u"]);
    one.beat(&mut shard);
    assert_eq!((one.epoch, one.owned.len()), (2, 1));
    cluster.grow("t", 3);
    cluster.tell(&mut shard);
    one.beat(&mut shard);
    assert_eq!((one.epoch, one.owned.len()), (3, 3));
    cluster.grow("unrelated", 3);
    cluster.tell(&mut shard);
    one.beat(&mut shard);
    assert_eq!(one.epoch, 3);
    cluster.grow("u", 2);
    cluster.tell(&mut shard);
    one.beat(&mut shard);
    assert_eq!((one.epoch, one.owned.len()), (4, 5));
    cluster.delete("t");
    cluster.tell(&mut shard);
    settle(&mut shard, &mut [&mut one]);
    assert_eq!((one.epoch, one.owned.len()), (5, 2));
    // A topic of the same name is another topic.
    cluster.delete("u");
    cluster.grow("u", 2);
    cluster.tell(&mut shard);
    settle(&mut shard, &mut [&mut one]);
    assert_eq!((one.epoch, one.owned.iter().next().map(|p| p.0)), (6, Some(cluster.id("u"))));
    shard.restart();
}

#[test]
fn a_subscription_that_changes_takes_topics_at_once() {
    let cluster = Cluster::of(&[("t", 2), ("u", 2)]);
    let mut shard = shard_with(GroupSettings::default(), &cluster);
    let mut one = Client::new("one", &["t", "u"]);
    one.beat(&mut shard);
    assert_eq!(one.owned.len(), 4);
    one.topics = Some(vec!["u".to_owned()]);
    let response = one.say(&mut shard, one.full());
    let kept = response.assignment.expect("what it may keep");
    assert_eq!(kept.topic_partitions.len(), 1, "before there is another assignment");
    shard.pass(1_000);
    one.owned.retain(|(topic, _)| *topic == cluster.id("u"));
    one.epoch = 2;
    settle(&mut shard, &mut [&mut one]);
    assert_eq!((one.epoch, one.owned.len()), (3, 2));
}

#[test]
fn the_assignor_that_most_ask_for_is_taken() {
    let cluster = Cluster::of(&[("t", 2), ("u", 2)]);
    let mut shard = shard(&cluster);
    let ranged =
        |id: &str| Client { assignor: Some("range".to_owned()), ..Client::new(id, &["t", "u"]) };
    let (mut one, mut two) = (ranged("one"), ranged("two"));
    settle(&mut shard, &mut [&mut one, &mut two]);
    assert_eq!(described(&mut shard, GROUP).assignor_name, "range");
    let numbers = |client: &Client| client.owned.iter().map(|p| p.1).collect::<Vec<_>>();
    assert_eq!((numbers(&one), numbers(&two)), (vec![0, 0], vec![1, 1]));
}

#[test]
fn groups_are_listed_described_and_deleted_by_type() {
    let cluster = Cluster::of(&[("t", 2)]);
    let mut shard = shard(&cluster);
    let mut one = Client::new("one", &["t"]);
    one.beat(&mut shard);
    let list =
        |shard: &mut crate::group::tests::harness::Shard, states: &[&str], types: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
            match shard.ask(Request::ListGroups { states: own(states), types: own(types) }) {
                Reply::ListGroups(groups) => groups,
                other => panic!("not a list: {other:?}"),
            }
        };
    let listed = list(&mut shard, &[], &[]);
    assert_eq!(listed[0].group_type, "consumer");
    assert_eq!((&*listed[0].group_state, &*listed[0].protocol_type), ("Stable", "consumer"));
    assert_eq!(list(&mut shard, &["stable"], &["Consumer"]).len(), 1);
    assert!(list(&mut shard, &["empty"], &[]).is_empty());
    assert!(list(&mut shard, &[], &["classic"]).is_empty());
    let Reply::DescribeGroups(groups) =
        shard.ask_as(6, Request::DescribeGroups(vec![GROUP.to_owned()]))
    else {
        panic!("not a description");
    };
    assert_eq!(groups[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(described(&mut shard, "nobody").error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    let delete = |shard: &mut crate::group::tests::harness::Shard| match shard
        .ask(Request::DeleteGroups(vec![GROUP.to_owned()]))
    {
        Reply::DeleteGroups(results) => results[0].error_code,
        other => panic!("not a deletion's answer: {other:?}"),
    };
    assert_eq!(delete(&mut shard), ErrorCode::NON_EMPTY_GROUP);
    one.leave(&mut shard, -1);
    assert_eq!(list(&mut shard, &["empty"], &[]).len(), 1);
    assert_eq!(delete(&mut shard), ErrorCode::NONE);
    assert_eq!(shard.state.groups(), 0);
    assert_eq!(described(&mut shard, GROUP).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    shard.restart();
    cluster.tell(&mut shard);
    one.beat(&mut shard);
    assert_eq!((one.epoch, one.owned.len()), (2, 2), "it begins anew");
}
