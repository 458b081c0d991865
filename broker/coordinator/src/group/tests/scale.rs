//! Ten thousand groups, and one of a thousand members: what it costs grows as the work does.

use std::time::Instant;

use ottla_wire::ErrorCode;
use ottla_wire::api::heartbeat::HeartbeatRequest;

use super::harness::{Joiner, Shard, commit_request};
use crate::group::{GroupSettings, Reply, Request};

const GROUPS: usize = 10_000;
const MEMBERS: usize = 1_000;

/// Runs `act`, prints what it took, and gives the microseconds of one operation.
#[allow(clippy::disallowed_methods, clippy::print_stdout)] // Only tests may.
fn measured(name: &str, operations: usize, act: impl FnOnce()) -> f64 {
    let start = Instant::now();
    act();
    let took = start.elapsed();
    let each = took.as_secs_f64() * 1e6 / operations as f64;
    println!("{name}: {operations} operations in {took:?}, {each:.2} µs each");
    each
}

#[test]
fn ten_thousand_groups_commit_and_beat() {
    let mut shard = Shard::new();
    let mut members = Vec::with_capacity(GROUPS);
    measured("groups made stable", GROUPS * 2, || {
        for index in 0..GROUPS {
            let group = format!("group-{index}");
            let mut joiner = Joiner::new("");
            joiner.group.clone_from(&group);
            let join = shard.join(3, &joiner);
            shard.pass(0);
            let id = shard.joined(join).member_id;
            let sync = shard.sync_in(&group, &id, 1, std::slice::from_ref(&id));
            assert_eq!(shard.synced(sync).error_code, ErrorCode::NONE);
            members.push((group, id));
        }
    });
    shard.replies.clear();
    let beat = |shard: &mut Shard| {
        for (group, id) in &members {
            let request = HeartbeatRequest {
                group_id: group.clone(),
                generation_id: 1,
                member_id: id.clone(),
                group_instance_id: None,
            };
            let Reply::Heartbeat(answer) = shard.ask(Request::Heartbeat(request)) else {
                panic!("not a heartbeat's answer");
            };
            assert_eq!(answer.error_code, ErrorCode::NONE);
        }
        shard.replies.clear();
    };
    let first = measured("heartbeats", GROUPS, || beat(&mut shard));
    measured("commits", GROUPS * 10, || {
        for round in 0..10 {
            for (group, id) in &members {
                let request = commit_request(group, id, 1, "topic", round);
                shard.send(9, Request::OffsetCommit(request));
            }
            shard.replies.clear();
        }
    });
    assert!(shard.waits.timers.len() <= GROUPS, "one alarm a member");
    let ticks = shard.asked.len();
    measured("three rounds of heartbeats and the ticks between", 3 * GROUPS, || {
        for _ in 0..3 {
            shard.pass(9_000);
            beat(&mut shard);
        }
    });
    let ticks = shard.asked.len() - ticks - 3 * GROUPS;
    assert!(ticks <= 3 * GROUPS, "{ticks} ticks for sessions that were kept alive");
    assert!(first < 500.0, "a heartbeat scans nothing: {first} µs");
    measured("replay", shard.log.len(), || shard.restart());
    measured("sessions ended after the restart", GROUPS, || shard.pass(20_000));
    assert_eq!(shard.state.groups_with_members().count(), 0);
}

#[test]
fn a_thousand_members_join_one_group() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 3_000, ..Default::default() };
    let mut shard = Shard::with(settings);
    let mut ids = Vec::with_capacity(MEMBERS);
    measured("ids given", MEMBERS, || {
        ids = (0..MEMBERS).map(|_| shard.member_id()).collect();
    });
    let mut joins = Vec::with_capacity(MEMBERS);
    measured("joins parked", MEMBERS, || {
        joins = ids.iter().map(|id| shard.join(9, &Joiner::new(id))).collect();
    });
    measured("the generation begun", MEMBERS, || shard.pass(6_000));
    let leader = shard.joined(joins[0]).leader;
    measured("syncs", MEMBERS, || shard.sync_all(&ids, 1));
    assert_eq!(shard.log.len(), 2, "one record of its birth, one of the generation");
    measured("heartbeats", MEMBERS * 10, || {
        for _ in 0..10 {
            for id in &ids {
                assert_eq!(shard.heartbeat(id, 1), ErrorCode::NONE);
            }
        }
    });
    measured("a rebalance of all", MEMBERS, || {
        // The leader's join begins it; the others must come before it ends.
        let first = shard.join(9, &Joiner::new(&leader));
        for id in ids.iter().filter(|id| **id != leader) {
            joins.push(shard.join(9, &Joiner::new(id)));
        }
        assert_eq!(shard.joined(first).members.len(), MEMBERS);
    });
    assert_eq!(shard.phase(), "CompletingRebalance");
}
