//! Groups between the two protocols, with members of both.

use bytes::Bytes;
use ottla_wire::ErrorCode;
use ottla_wire::schema::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription, ConsumerProtocolSubscriptionTopicPartition,
};
use ottla_wire::{Decoder, Encoder, Message};

use super::harness::{Client, Cluster, described, settle, shard, shard_with};
use crate::group::tests::harness::{GROUP, Joiner, Shard};
use crate::group::{GroupSettings, MigrationPolicy, Reply, Request};

/// A consumer of the classic protocol, as it sees itself.
#[derive(Debug, Default)]
struct Classic {
    id: String,
    instance: Option<String>,
    generation: i32,
    owned: Vec<i32>,
}

fn versioned(message: &impl Message) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.raw(&3_i16.to_be_bytes());
    message.encode(&mut encoder, 3).expect("a small message");
    encoder.into_bytes().expect("a small message")
}

impl Classic {
    fn joiner(&self) -> Joiner {
        let owned = ConsumerProtocolSubscriptionTopicPartition {
            topic: "t".to_owned(),
            partitions: self.owned.clone(),
        };
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["t".to_owned()],
            owned_partitions: vec![owned],
            generation_id: self.generation,
            ..Default::default()
        };
        let protocols = vec![("range".to_owned(), versioned(&subscription))];
        Joiner { instance: self.instance.clone(), protocols, ..Joiner::new(&self.id) }
    }

    /// Joins, coming back with its id if it was given one; says how that ended.
    fn join(&mut self, shard: &mut Shard) -> ErrorCode {
        for _ in 0..2 {
            let ticket = shard.join(9, &self.joiner());
            let response = shard.joined(ticket);
            self.id = response.member_id;
            self.generation = response.generation_id;
            if response.error_code != ErrorCode::MEMBER_ID_REQUIRED {
                return response.error_code;
            }
        }
        ErrorCode::MEMBER_ID_REQUIRED
    }

    /// Syncs, and takes what it is given.
    fn sync(&mut self, shard: &mut Shard) -> ErrorCode {
        let ticket = shard.sync(&self.id, self.generation, &[]);
        let response = shard.synced(ticket);
        // As the leader of a classic group this one assigns nothing to anybody.
        if response.error_code.is_none() && !response.assignment.is_empty() {
            let mut decoder = Decoder::new(response.assignment);
            decoder.array::<2>().expect("a version");
            let assignment =
                ConsumerProtocolAssignment::decode(&mut decoder, 3).expect("an assignment");
            self.owned =
                assignment.assigned_partitions.into_iter().flat_map(|t| t.partitions).collect();
        }
        response.error_code
    }

    /// Beats, and joins again when it is asked to.
    fn beat(&mut self, shard: &mut Shard) -> ErrorCode {
        let instance = self.instance.clone();
        let error = shard.heartbeat_as(&self.id, instance.as_deref(), self.generation);
        if error != ErrorCode::REBALANCE_IN_PROGRESS {
            return error;
        }
        match self.join(shard) {
            ErrorCode::NONE => self.sync(shard),
            error => error,
        }
    }

    /// As the only member of a new classic group.
    fn first(shard: &mut Shard) -> Self {
        let mut one = Self { id: shard.member_id(), ..Self::default() };
        let ticket = shard.join(9, &one.joiner());
        shard.pass(0);
        one.generation = shard.joined(ticket).generation_id;
        let all = ConsumerProtocolAssignmentTopicPartition {
            topic: "t".to_owned(),
            partitions: vec![0, 1, 2, 3],
        };
        let assignment =
            ConsumerProtocolAssignment { assigned_partitions: vec![all], user_data: None };
        let request = ottla_wire::api::sync_group::SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: one.generation,
            member_id: one.id.clone(),
            assignments: vec![ottla_wire::api::sync_group::SyncGroupRequestAssignment {
                member_id: one.id.clone(),
                assignment: versioned(&assignment),
            }],
            ..Default::default()
        };
        let ticket = shard.send(4, Request::SyncGroup(request));
        assert_eq!(shard.synced(ticket).error_code, ErrorCode::NONE);
        one.owned = vec![0, 1, 2, 3];
        one
    }
}

fn settings(migration: MigrationPolicy) -> GroupSettings {
    let mut settings = GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() };
    settings.consumer.assignment_interval_ms.value = 0;
    settings.consumer.migration = migration;
    settings
}

/// Has both beat until nothing changes.
fn settle_both(shard: &mut Shard, classic: &mut Classic, client: &mut Client) {
    for _ in 0..8 {
        assert_eq!(classic.beat(shard), ErrorCode::NONE, "{classic:?}");
        assert_eq!(client.beat(shard), ErrorCode::NONE, "{client:?}");
    }
}

#[test]
fn a_group_goes_over_and_back_with_members_of_both() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Bidirectional), &cluster);
    let mut old = Classic::first(&mut shard);
    let mut new = Client::new("new", &["t"]);
    assert_eq!(new.beat(&mut shard), ErrorCode::NONE);
    assert_eq!((new.epoch, new.owned.len()), (2, 0), "the other has all of it");
    let group = described(&mut shard, GROUP);
    assert_eq!(group.members.iter().map(|m| m.member_type).sum::<i8>(), 1);
    assert!(shard.waits.live.is_empty());
    shard.restart();
    cluster.tell(&mut shard);
    settle_both(&mut shard, &mut old, &mut new);
    assert_eq!((old.owned.len(), new.owned.len()), (2, 2));
    assert!(new.owned.iter().all(|(_, partition)| !old.owned.contains(partition)));
    assert_eq!(described(&mut shard, GROUP).group_state, "Stable");
    // Another of the old ones joins, and leaves.
    let mut other = Classic::default();
    assert_eq!(other.join(&mut shard), ErrorCode::NONE);
    assert_eq!(other.sync(&mut shard), ErrorCode::NONE);
    for _ in 0..4 {
        settle_both(&mut shard, &mut old, &mut new);
        assert_eq!(other.beat(&mut shard), ErrorCode::NONE);
    }
    assert_eq!(old.owned.len() + new.owned.len() + other.owned.len(), 4);
    assert!(!other.owned.is_empty());
    let left = shard.leave(&other.id, None);
    assert_eq!(left.members[0].error_code, ErrorCode::NONE);
    settle_both(&mut shard, &mut old, &mut new);
    // The last of the new ones goes, and the group with it back to what it was.
    assert_eq!(new.leave(&mut shard, -1), ErrorCode::NONE);
    assert_eq!(described(&mut shard, GROUP).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(shard.phase(), "PreparingRebalance");
    assert!(shard.waits.consumers.is_empty());
    let error = shard.heartbeat(&old.id, old.generation);
    assert!(matches!(error, ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(old.join(&mut shard), ErrorCode::NONE);
    assert_eq!(shard.phase(), "CompletingRebalance");
    shard.restart();
    assert_eq!(shard.phase(), "Stable", "the log has it as it was when it went back");
}

#[test]
fn a_member_that_falls_silent_takes_the_group_back_too() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Bidirectional), &cluster);
    let mut old = Classic::first(&mut shard);
    let mut new = Client::new("new", &["t"]);
    new.beat(&mut shard);
    settle_both(&mut shard, &mut old, &mut new);
    for _ in 0..10 {
        shard.pass(5_000);
        old.beat(&mut shard);
    }
    assert!(shard.state.consumer(GROUP).is_none());
    assert!(shard.waits.consumers.is_empty());
}

#[test]
fn classic_members_are_held_to_their_rules() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard(&cluster);
    let mut new = Client::new("new", &["t"]);
    new.beat(&mut shard);
    let mut old = Classic::default();
    assert_eq!(old.join(&mut shard), ErrorCode::NONE);
    let of = |kind: &str, names: &[&str]| Joiner {
        kind: kind.to_owned(),
        ..Joiner::new("x").knowing(names)
    };
    for joiner in [of("connect", &["range"]), of("consumer", &["sticky"]), of("consumer", &[])] {
        let ticket = shard.join(9, &joiner);
        assert_eq!(shard.joined(ticket).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    assert_eq!(shard.heartbeat(&old.id, old.generation + 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shard.heartbeat("nobody", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shard.heartbeat("new", 1), ErrorCode::UNKNOWN_MEMBER_ID, "it speaks the other one");
    assert_eq!(shard.leave("nobody", None).members[0].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let ticket = shard.sync(&old.id, old.generation + 1, &[]);
    assert_eq!(shard.synced(ticket).error_code, ErrorCode::ILLEGAL_GENERATION);
    // Who does not sync in time is out; its session would last longer.
    shard.pass(9_000);
    new.beat(&mut shard);
    assert_eq!(shard.heartbeat(&old.id, old.generation), ErrorCode::NONE);
    for _ in 0..8 {
        shard.pass(9_000);
        new.beat(&mut shard);
        shard.heartbeat(&old.id, old.generation);
    }
    assert_eq!(shard.heartbeat(&old.id, old.generation), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_policy_may_forbid_either_way() {
    let cluster = Cluster::of(&[("t", 4)]);
    for (policy, up) in [(MigrationPolicy::Disabled, false), (MigrationPolicy::Upgrade, true)] {
        let mut shard = shard_with(settings(policy), &cluster);
        let mut old = Classic::first(&mut shard);
        let mut new = Client::new("new", &["t"]);
        let error = new.beat(&mut shard);
        assert_eq!(error, if up { ErrorCode::NONE } else { ErrorCode::GROUP_ID_NOT_FOUND });
        if !up {
            assert_eq!(old.beat(&mut shard), ErrorCode::NONE, "it stays what it was");
            continue;
        }
        settle_both(&mut shard, &mut old, &mut new);
        new.leave(&mut shard, -1);
        assert!(shard.state.consumer(GROUP).is_some(), "no way back");
        assert_eq!(old.beat(&mut shard), ErrorCode::NONE);
        assert_eq!(old.owned.len(), 4);
    }
    let mut shard = shard_with(settings(MigrationPolicy::Disabled), &cluster);
    Client::new("new", &["t"]).beat(&mut shard);
    assert_eq!(Classic::default().join(&mut shard), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_classic_group_that_is_no_consumers_stays_one() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Bidirectional), &cluster);
    let joiner = Joiner { kind: "connect".to_owned(), ..Joiner::new("") };
    let ticket = shard.join(3, &joiner);
    shard.pass(0);
    assert_eq!(shard.joined(ticket).error_code, ErrorCode::NONE);
    let mut new = Client::new("new", &["t"]);
    assert_eq!(new.beat(&mut shard), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(shard.phase(), "CompletingRebalance");
}

#[test]
fn who_waits_for_a_rebalance_is_told_to_join_again() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Bidirectional), &cluster);
    let old = Classic::first(&mut shard);
    let mut parked = Classic { id: shard.member_id(), ..Classic::default() };
    let ticket = shard.join(9, &parked.joiner());
    assert!(shard.reply(ticket).is_none(), "it waits for the other");
    let mut new = Client::new("new", &["t"]);
    assert_eq!(new.beat(&mut shard), ErrorCode::NONE);
    assert_eq!(shard.joined(ticket).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(parked.join(&mut shard), ErrorCode::NONE);
    assert_eq!(shard.heartbeat(&old.id, old.generation), ErrorCode::REBALANCE_IN_PROGRESS);
    shard.restart();
}

#[test]
fn an_empty_group_becomes_whatever_joins_it() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Disabled), &cluster);
    shard.commit("", -1, "t", 7);
    let mut new = Client::new("new", &["t"]);
    assert_eq!(new.beat(&mut shard), ErrorCode::NONE);
    new.leave(&mut shard, -1);
    let old = Classic::first(&mut shard);
    assert_eq!(described(&mut shard, GROUP).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    shard.leave(&old.id, None);
    shard.pass(0);
    assert_eq!(new.beat(&mut shard), ErrorCode::NONE);
    assert_eq!((new.epoch, new.owned.len()), (2, 4));
    assert_eq!(shard.fetch("t", crate::group::Stability::Any), (7, ErrorCode::NONE));
    shard.restart();
}

#[test]
fn a_static_member_goes_back_in_its_own_place() {
    let cluster = Cluster::of(&[("t", 4)]);
    let mut shard = shard_with(settings(MigrationPolicy::Bidirectional), &cluster);
    let mut new = Client::of_instance("new", "i", &["t"]);
    settle(&mut shard, &mut [&mut new]);
    new.leave(&mut shard, -2);
    let mut old = Classic { instance: Some("i".to_owned()), ..Classic::default() };
    assert_eq!(old.join(&mut shard), ErrorCode::NONE);
    assert!(shard.state.consumer(GROUP).is_none(), "all members are classic now");
    let reply = shard.ask_as(5, Request::DescribeGroups(vec![GROUP.to_owned()]));
    let Reply::DescribeGroups(groups) = reply else { panic!("not a description") };
    assert_eq!((&*groups[0].group_state, groups[0].members.len()), ("Stable", 1));
    assert_eq!(old.sync(&mut shard), ErrorCode::NONE);
    assert_eq!(old.owned, [0, 1, 2, 3]);
    shard.restart();
}
