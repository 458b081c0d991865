//! When a node may be restarted, and what is said when it may not.

use crate::common::World;
use ottla_controller::Settings;
use ottla_controller::restart::{
    MAX_REASONS, MAX_VOTER_LAG, MAX_VOTER_SILENCE_MS, QuorumView, Reason, Verdict, VoterView,
    restart_safety,
};

fn voter(id: i32) -> VoterView {
    VoterView { id, end_offset: Some(5_000), heard_ms_ago: Some(10) }
}

fn quorum(ids: &[i32]) -> QuorumView {
    QuorumView {
        leader: ids.first().copied(),
        high_watermark: 5_000,
        voters: ids.iter().map(|id| voter(*id)).collect(),
    }
}

fn world() -> World {
    let mut world = World::default();
    for id in 1..=3 {
        world.broker(id, "");
    }
    world.topic("t", &[&[1, 2, 3], &[2, 3, 1]]);
    world.config("t", "min.insync.replicas", "2");
    world
}

fn judge(world: &World, quorum: &QuorumView, node: i32) -> Verdict {
    restart_safety(&world.image, &Settings::default(), quorum, node)
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(Reason::code).collect()
}

#[test]
fn a_healthy_cluster_lets_any_node_go() {
    let world = world();
    for node in 1..=3 {
        let verdict = judge(&world, &quorum(&[1, 2, 3]), node);
        assert!(verdict.is_safe(), "{verdict:?}");
    }
    assert_eq!(codes(&judge(&world, &quorum(&[1, 2, 3]), 9)), ["UNKNOWN_NODE"]);
}

#[test]
fn partitions_keep_what_they_need() {
    let mut world = world();
    world.topic_with("u", &[&[1, 2, 3]], |p| p.isr = vec![1, 2]);
    world.config("u", "min.insync.replicas", "2");
    world.topic("v", &[&[1]]);
    let verdict = judge(&world, &quorum(&[1, 2, 3]), 1);
    assert_eq!(codes(&verdict), ["UNDER_MIN_ISR", "NO_OTHER_IN_SYNC"]);
    assert_eq!(
        verdict.reasons[0].to_string(),
        "u-0 would have 1 replica(s) in sync, fewer than min.insync.replicas=2: it could not be written with acks=all"
    );
    assert_eq!(verdict.reasons[1].partition().map(ToString::to_string), Some("v-0".into()));
    assert_eq!(codes(&judge(&world, &quorum(&[1, 2, 3]), 3)), ["NOT_IN_SYNC"]);
}

#[test]
fn a_minimum_above_the_replicas_is_the_replicas() {
    let mut world = world();
    world.topic("w", &[&[1, 2]]);
    world.config("w", "min.insync.replicas", "5");
    let verdict = judge(&world, &quorum(&[1, 2, 3]), 1);
    assert!(matches!(verdict.reasons[..], [Reason::UnderMinIsr { left: 1, needed: 2, .. }]));
}

#[test]
fn reassignments_that_the_node_has_a_part_in_come_first() {
    let mut world = world();
    world.topic_with("u", &[&[1, 2, 3]], |p| {
        p.isr = vec![1, 2];
        p.adding_replicas = vec![3];
    });
    assert_eq!(codes(&judge(&world, &quorum(&[1, 2, 3]), 3)), ["REASSIGNING"]);
    world.broker(4, "");
    assert!(judge(&world, &quorum(&[1, 2, 3]), 4).is_safe());
}

#[test]
fn the_quorum_must_go_on() {
    let world = world();
    assert_eq!(codes(&judge(&world, &quorum(&[1]), 1)), ["ONLY_VOTER"]);
    assert_eq!(codes(&judge(&world, &quorum(&[1, 2]), 1)), ["TOO_FEW_VOTERS"]);
    assert!(judge(&world, &quorum(&[1]), 2).is_safe(), "a broker without a vote");
    let mut view = quorum(&[1, 2, 3]);
    view.voters[1].end_offset = Some(5_000 - MAX_VOTER_LAG - 1);
    assert_eq!(codes(&judge(&world, &view, 1)), ["VOTER_BEHIND", "TOO_FEW_VOTERS"]);
    assert!(judge(&world, &view, 2).is_safe(), "the one behind may be restarted");
    view.voters[1].end_offset = Some(5_000 - MAX_VOTER_LAG);
    assert!(judge(&world, &view, 1).is_safe());
    view.voters[1].heard_ms_ago = Some(MAX_VOTER_SILENCE_MS + 1);
    assert_eq!(codes(&judge(&world, &view, 1)), ["VOTER_SILENT", "TOO_FEW_VOTERS"]);
    view.voters[1].heard_ms_ago = None;
    assert_eq!(codes(&judge(&world, &view, 3)), ["VOTER_UNKNOWN", "TOO_FEW_VOTERS"]);
    view.leader = None;
    assert_eq!(codes(&judge(&world, &view, 3)), ["NO_QUORUM_LEADER"]);
    let mut five = quorum(&[1, 2, 3, 4, 5]);
    five.voters[4].heard_ms_ago = Some(60_000);
    assert_eq!(codes(&judge(&world, &five, 1)), ["VOTER_SILENT"], "one away is enough");
}

#[test]
fn reasons_are_bounded_and_the_rest_is_counted() {
    let mut world = World::default();
    world.broker(1, "");
    let alone: Vec<&[i32]> = vec![&[1]; MAX_REASONS + 7];
    world.topic("t", &alone);
    let verdict = judge(&world, &quorum(&[2, 3, 4]), 1);
    assert_eq!((verdict.reasons.len(), verdict.more), (MAX_REASONS, 7));
}
