//! Even, sticky, by subscription and by rack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_wire::Uuid;
use ottla_wire::schema::group::ConsumerGroupMemberMetadataValue;
use proptest::prelude::*;

use super::{Assignment, Spec, range, uniform};
use crate::group::consumer::{ConsumerGroup, ConsumerRecord};
use crate::group::tests::consumer::harness::Cluster;

fn join(group: &mut ConsumerGroup, id: &str, topics: &[&str], rack: Option<&str>) {
    let value = ConsumerGroupMemberMetadataValue {
        subscribed_topic_names: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        rack_id: rack.map(str::to_owned),
        ..Default::default()
    };
    group.apply(&ConsumerRecord::member("g", id, Some(value)));
}

/// Assigns, and makes that the target.
fn assign(
    group: &mut ConsumerGroup,
    cluster: &Cluster,
    by: fn(&Spec<'_>) -> Vec<Assignment>,
) -> BTreeMap<Arc<str>, Assignment> {
    let spec = Spec::of(group, &cluster.image);
    let ids: Vec<Arc<str>> = spec.members.iter().map(|member| Arc::clone(member.id)).collect();
    let all: BTreeMap<_, _> = ids.into_iter().zip(by(&spec)).collect();
    for (id, target) in &all {
        group.apply(&ConsumerRecord::target("g", id, Some(target)));
    }
    all
}

fn load(target: &Assignment) -> usize {
    target.values().map(|partitions| partitions.len()).sum()
}

fn partitions(target: &Assignment) -> BTreeSet<(Uuid, i32)> {
    target.iter().flat_map(|(t, all)| all.iter().map(move |p| (*t, *p))).collect()
}

#[test]
fn uniform_moves_no_more_than_it_must() {
    let cluster = Cluster::of(&[("t", 10), ("u", 5)]);
    let mut group = ConsumerGroup::default();
    for id in ["a", "b", "c"] {
        join(&mut group, id, &["t", "u"], None);
    }
    let before = assign(&mut group, &cluster, uniform);
    assert!(before.values().all(|target| load(target) == 5));
    join(&mut group, "d", &["t", "u"], None);
    let after = assign(&mut group, &cluster, uniform);
    let mut loads: Vec<usize> = after.values().map(load).collect();
    loads.sort_unstable();
    assert_eq!(loads, [3, 4, 4, 4]);
    for (id, target) in &before {
        assert!(partitions(&after[id]).is_subset(&partitions(target)), "{id} only gives");
    }
    group.apply(&ConsumerRecord::member("g", "a", None));
    group.apply(&ConsumerRecord::target("g", "a", None));
    let last = assign(&mut group, &cluster, uniform);
    for id in ["b", "c", "d"] {
        assert!(partitions(&after[id]).is_subset(&partitions(&last[id])), "{id} only gets");
    }
}

#[test]
fn uniform_gives_to_members_of_the_rack() {
    let mut cluster = Cluster::of(&[("t", 6)]);
    cluster.racks(&["r0", "r1", "r2"]);
    let mut group = ConsumerGroup::default();
    for (id, rack) in [("a", "r2"), ("b", "r0"), ("c", "r1")] {
        join(&mut group, id, &["t"], Some(rack));
    }
    let all = assign(&mut group, &cluster, uniform);
    let numbers = |id: &str| all[id].values().flat_map(|p| p.to_vec()).collect::<Vec<_>>();
    assert_eq!((numbers("a"), numbers("b"), numbers("c")), (vec![2, 5], vec![0, 3], vec![1, 4]));
}

#[test]
fn uniform_levels_overlapping_subscriptions() {
    let cluster = Cluster::of(&[("t", 8), ("u", 4)]);
    let mut group = ConsumerGroup::default();
    join(&mut group, "both", &["t", "u"], None);
    assign(&mut group, &cluster, uniform);
    join(&mut group, "t", &["t"], None);
    join(&mut group, "u", &["u"], None);
    let all = assign(&mut group, &cluster, uniform);
    assert!(all.values().all(|target| (3..=5).contains(&load(target))), "{all:?}");
}

#[test]
fn ranges_of_topics_go_together() {
    let cluster = Cluster::of(&[("t", 5), ("u", 5), ("v", 1)]);
    let mut group = ConsumerGroup::default();
    join(&mut group, "a", &["t", "u"], None);
    join(&mut group, "b", &["t", "u", "v"], None);
    let all = assign(&mut group, &cluster, range);
    let numbers = |id: &str, topic: &str| all[id].get(&cluster.id(topic)).map(|p| p.to_vec());
    for topic in ["t", "u"] {
        assert_eq!(numbers("a", topic), Some(vec![0, 1, 2]));
        assert_eq!(numbers("b", topic), Some(vec![3, 4]));
    }
    assert_eq!((numbers("a", "v"), numbers("b", "v")), (None, Some(vec![0])));
}

proptest! {
    /// Each partition has one member, which subscribes to its topic; nobody has two more than
    /// somebody to whom it could give one.
    #[test]
    fn every_partition_has_one_member_and_loads_are_even(
        sizes in prop::collection::vec(0..9_i32, 1..5),
        rounds in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 1..4),
    ) {
        let names = ["t0", "t1", "t2", "t3"];
        let topics: Vec<(&str, i32)> = names.iter().copied().zip(sizes).collect();
        let cluster = Cluster::of(&topics);
        let mut group = ConsumerGroup::default();
        for (round, members) in rounds.iter().enumerate() {
            for (at, wants) in members.iter().enumerate() {
                let wants: Vec<&str> = topics.iter().enumerate()
                    .filter(|(topic, _)| wants >> topic & 1 == 1)
                    .map(|(_, (name, _))| *name)
                    .collect();
                join(&mut group, &format!("m{at}"), &wants, None);
            }
            let by = if round % 3 == 2 { range } else { uniform };
            let all = assign(&mut group, &cluster, by);
            let mut owned: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
            for (id, target) in &all {
                for partition in partitions(target) {
                    prop_assert!(owned.insert(partition, id).is_none(), "two members");
                    let name = &cluster.image.topic(partition.0).expect("a topic").name;
                    prop_assert!(group.member(id).expect("a member").topics.contains(&**name));
                }
            }
            let wanted: usize = topics.iter()
                .filter(|(name, _)| group.names.contains_key(*name))
                .map(|(_, size)| usize::try_from(*size).expect("a size"))
                .sum();
            prop_assert_eq!(owned.len(), wanted);
            if round % 3 != 2 {
                for ((topic, _), from) in &owned {
                    let name = &cluster.image.topic(*topic).expect("a topic").name;
                    for (to, member) in &group.members {
                        let could = member.topics.contains(&**name);
                        prop_assert!(!could || load(&all[*from]) <= load(&all[to]) + 1);
                    }
                }
            }
        }
    }
}
