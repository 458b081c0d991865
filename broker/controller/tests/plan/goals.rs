//! What plans say, case by case.

use crate::common::{World, after, dir, loads};
use ottla_controller::plan::{Goal, Move, Plan, PlanError, Topics, plan};
use std::collections::BTreeSet;

fn three_racks() -> World {
    let mut world = World::default();
    for (id, rack) in [(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "b"), (6, "c")] {
        world.broker(id, rack);
    }
    world
}

fn brokers(ids: &[i32]) -> BTreeSet<i32> {
    ids.iter().copied().collect()
}

fn all(world: &World, goal: &Goal) -> Plan {
    plan(&world.image, goal, &Topics::All).expect("a plan")
}

fn to(plan: &Plan) -> Vec<(&str, i32, Vec<i32>)> {
    plan.moves.iter().map(|m| (m.topic.as_ref(), m.partition, m.to.clone())).collect()
}

#[test]
fn an_emptied_broker_hands_its_replicas_to_its_own_rack() {
    let mut world = three_racks();
    world.topic("t", &[&[1, 2, 3], &[2, 3, 4]]);
    let found = all(&world, &Goal::EmptyBrokers(brokers(&[1])));
    assert_eq!(to(&found), [("t", 0, vec![4, 2, 3])]);
    let found = all(&world, &Goal::EmptyBrokers(brokers(&[1, 4])));
    let racks_left = to(&found);
    assert_eq!(racks_left.len(), 2, "rack a is gone, so that racks are shared: {racks_left:?}");
}

#[test]
fn nobody_moves_when_nothing_is_to_be_emptied() {
    let mut world = three_racks();
    world.topic("t", &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]]);
    assert_eq!(all(&world, &Goal::EmptyBrokers(brokers(&[6, 99]))), Plan::default());
    assert_eq!(all(&world, &Goal::ReplicationFactor(3)), Plan::default());
}

#[test]
fn a_broker_that_nobody_can_stand_in_for_is_not_emptied() {
    let mut world = World::default();
    world.broker(1, "");
    world.broker(2, "");
    world.topic("t", &[&[1, 2]]);
    let goal = Goal::EmptyBrokers(brokers(&[1]));
    let refused = plan(&world.image, &goal, &Topics::All).unwrap_err();
    assert!(matches!(refused, PlanError::TooFewBrokers { wanted: 2, found: 1, .. }), "{refused}");
    // A broker that is down takes nothing either.
    world.broker_with(3, "", |b| b.fenced = true);
    assert!(plan(&world.image, &goal, &Topics::All).is_err());
    world.broker(3, "");
    assert_eq!(to(&all(&world, &goal)), [("t", 0, vec![3, 2])]);
}

#[test]
fn more_and_fewer_replicas() {
    let mut world = three_racks();
    world.topic("t", &[&[1], &[2]]);
    let found = all(&world, &Goal::ReplicationFactor(3));
    assert_eq!(found.moves.len(), 2);
    for m in &found.moves {
        assert_eq!(m.to.first(), m.from.first(), "the leader stays");
        let racks: BTreeSet<i32> = m.to.iter().map(|b| b % 3).collect();
        assert_eq!(racks.len(), 3, "{m:?}");
    }
    let mut world = three_racks();
    world.topic("t", &[&[1, 2, 4]]);
    assert_eq!(to(&all(&world, &Goal::ReplicationFactor(2))), [("t", 0, vec![1, 2])]);
    let bad = plan(&world.image, &Goal::ReplicationFactor(0), &Topics::All);
    assert_eq!(bad, Err(PlanError::Factor(0)));
    let many = plan(&world.image, &Goal::ReplicationFactor(7), &Topics::All);
    assert!(matches!(many, Err(PlanError::TooFewBrokers { wanted: 7, found: 6, .. })));
}

#[test]
fn replicas_that_are_behind_go_first() {
    let mut world = three_racks();
    world.topic_with("t", &[&[1, 2, 3]], |p| p.isr = vec![2, 3]);
    let found = all(&world, &Goal::ReplicationFactor(2));
    let kept: BTreeSet<i32> = found.moves[0].to.iter().copied().collect();
    assert_eq!(kept, brokers(&[2, 3]));
}

#[test]
fn a_new_broker_gets_its_share_of_replicas_and_leaders() {
    let mut world = World::default();
    for id in 1..=3 {
        world.broker(id, "");
    }
    let stripes: Vec<Vec<i32>> =
        (0..30).map(|n| vec![n % 3 + 1, (n + 1) % 3 + 1, (n + 2) % 3 + 1]).collect();
    world.topic("t", &stripes.iter().map(Vec::as_slice).collect::<Vec<_>>());
    world.broker(4, "");
    let found = all(&world, &Goal::Spread(brokers(&[4])));
    let now = after(&world.image, &found);
    let held = loads(&world.image, &now);
    assert!((22..=23).contains(&held[&4]), "{held:?}");
    assert_eq!(found.moves.len(), held[&4], "one replica moves for each that it gets");
    let leads = now.values().filter(|r| r[0] == 4).count();
    assert!((7..=8).contains(&leads), "{leads} of 30");
    assert_eq!(
        all(&world, &Goal::Spread(brokers(&[4]))),
        found,
        "the same plan for the same image"
    );
}

#[test]
fn what_takes_nothing_is_no_goal() {
    let mut world = three_racks();
    world.topic("t", &[&[1, 2, 3]]);
    world.broker_with(7, "a", |b| b.cordoned_log_dirs = Some(vec![dir(7, 0)]));
    let spread = |ids: &[i32]| plan(&world.image, &Goal::Spread(brokers(ids)), &Topics::All);
    assert_eq!(spread(&[7]), Err(PlanError::TakesNothing(7)));
    assert_eq!(spread(&[8]), Err(PlanError::UnknownBroker(8)));
    assert_eq!(spread(&[]), Err(PlanError::NoBroker));
    let topics = Topics::Named(BTreeSet::from(["u".to_owned()]));
    let unknown = plan(&world.image, &Goal::ReplicationFactor(1), &topics);
    assert_eq!(unknown, Err(PlanError::UnknownTopic("u".into())));
}

#[test]
fn a_directory_is_emptied_into_others_that_are_not_cordoned() {
    let mut world = World::default();
    world.broker_with(1, "", |b| b.log_dirs = vec![dir(1, 0), dir(1, 1), dir(1, 2)]);
    world.broker(2, "");
    world.broker(3, "");
    world.topic("t", &[&[1, 2], &[2, 1], &[2, 3]]);
    let goal = Goal::EmptyDirectory { broker: 1, directory: dir(1, 0) };
    let found = all(&world, &goal);
    let directories: Vec<_> = found.moves.iter().map(|m| m.directories[&1]).collect();
    assert_eq!(directories, [dir(1, 1), dir(1, 2)], "one each");
    assert!(found.moves.iter().all(|m| m.from == m.to), "nothing crosses the network");
    assert!(found.request(1).topics.is_empty());
    world.broker_with(1, "", |b| {
        b.log_dirs = vec![dir(1, 0), dir(1, 1)];
        b.cordoned_log_dirs = Some(vec![dir(1, 1)]);
    });
    let found = all(&world, &goal);
    assert_eq!(
        to(&found),
        [("t", 0, vec![3, 2]), ("t", 1, vec![2, 3])],
        "no other directory takes"
    );
    let unknown = Goal::EmptyDirectory { broker: 1, directory: dir(9, 9) };
    assert!(matches!(
        plan(&world.image, &unknown, &Topics::All),
        Err(PlanError::UnknownDirectory { broker: 1, .. })
    ));
}

#[test]
fn topics_go_onto_the_brokers_named_and_only_there() {
    let mut world = three_racks();
    world.topic("other", &[&[1, 2, 3]]);
    world.topic("t", &[&[1, 2], &[3, 4], &[5, 6]]);
    let topics = Topics::Named(BTreeSet::from(["t".to_owned()]));
    let found = plan(&world.image, &Goal::Only(brokers(&[4, 5, 6])), &topics).expect("a plan");
    assert!(found.moves.iter().all(|m| *m.topic == *"t"));
    let now = after(&world.image, &found);
    for ((topic, _), replicas) in &now {
        assert!(topic == "other" || replicas.iter().all(|b| *b > 3), "{now:?}");
    }
    let request = found.request(5);
    assert_eq!(request.topics.len(), 1);
    assert_eq!(request.topics[0].partitions.len(), found.moves.len());
}

#[test]
fn what_is_under_way_counts_as_done() {
    let mut world = three_racks();
    world.topic_with("t", &[&[4, 2, 3, 1]], |p| {
        p.adding_replicas = vec![4];
        p.removing_replicas = vec![1];
        p.isr = vec![1, 2, 3];
    });
    assert_eq!(all(&world, &Goal::EmptyBrokers(brokers(&[1]))), Plan::default());
    let found = all(&world, &Goal::EmptyBrokers(brokers(&[4])));
    let Move { from, to, .. } = &found.moves[0];
    assert_eq!((from.as_slice(), to.len()), (&[4, 2, 3][..], 3));
    assert!(to.contains(&1), "the rack's other broker: {to:?}");
}

/// 60 brokers in three racks, and 20,000 partitions of three replicas, one in each rack.
fn large() -> World {
    let mut world = World::default();
    for id in 1..=60 {
        world.broker(id, ["a", "b", "c"][(id % 3) as usize]);
    }
    for topic in 0..200 {
        let stripes: Vec<Vec<i32>> =
            (0..100).map(|n| (0..3).map(|r| (topic * 100 + n + r) % 60 + 1).collect()).collect();
        let slices: Vec<&[i32]> = stripes.iter().map(Vec::as_slice).collect();
        world.topic(&format!("t{topic:03}"), &slices);
    }
    world
}

#[test]
fn a_large_cluster_stays_even_with_few_moves() {
    let mut world = large();
    let drained = all(&world, &Goal::EmptyBrokers(brokers(&[1])));
    assert_eq!(drained.moves.len(), 1_000, "each partition moves one replica");
    let held = loads(&world.image, &after(&world.image, &drained));
    let same_rack = (4..=60).filter(|id| id % 3 == 1).map(|id| held[&id]);
    assert!(same_rack.clone().all(|n| (1_052..=1_053).contains(&n)), "{held:?}");
    for (id, rack) in [(61, "a"), (62, "b"), (63, "c")] {
        world.broker(id, rack);
    }
    let spread = all(&world, &Goal::Spread(brokers(&[61, 62, 63])));
    let held = loads(&world.image, &after(&world.image, &spread));
    assert!(held.values().all(|n| (952..=953).contains(n)), "{held:?}");
    let crossed = spread.moves.iter().flat_map(|m| m.to.iter().filter(|b| !m.from.contains(b)));
    assert_eq!(crossed.count(), held[&61] + held[&62] + held[&63]);
}
