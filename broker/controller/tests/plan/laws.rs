//! Laws of plans over clusters of any shape.

use crate::common::{World, after, dir, loads};
use ottla_controller::plan::{Goal, Plan, PlanError, Topics, plan};
use ottla_metadata::Image;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A broker of a cluster to be.
#[derive(Clone, Copy, Debug)]
struct Broker {
    rack: u8,
    fenced: bool,
    stopping: bool,
    cordoned: bool,
}

fn a_broker() -> impl Strategy<Value = Broker> {
    (0..4u8, 0..10u8).prop_map(|(rack, fate)| Broker {
        rack,
        fenced: fate == 0,
        stopping: fate == 1,
        cordoned: fate == 2,
    })
}

/// Brokers numbered from 0, and topics of partitions: each a list of numbers that choose replicas.
fn a_world() -> impl Strategy<Value = World> {
    let brokers = prop::collection::vec(a_broker(), 2..9);
    let partition = prop::collection::vec(any::<u16>(), 1..4);
    let topic = prop::collection::vec(partition, 1..12);
    (brokers, prop::collection::vec(topic, 1..4)).prop_map(|(brokers, topics)| {
        let mut world = World::default();
        for (id, b) in (0..).zip(&brokers) {
            let rack = if b.rack == 3 { String::new() } else { format!("r{}", b.rack) };
            world.broker_with(id, &rack, |r| {
                r.fenced = b.fenced;
                r.in_controlled_shutdown = b.stopping;
                r.cordoned_log_dirs = b.cordoned.then(|| vec![dir(id, 0)]);
            });
        }
        for (n, topic) in topics.iter().enumerate() {
            let partitions: Vec<Vec<i32>> = topic
                .iter()
                .map(|seeds| {
                    let mut free: Vec<i32> = (0..).take(brokers.len()).collect();
                    let chosen = seeds.iter().take(brokers.len());
                    chosen.map(|s| free.remove(usize::from(*s) % free.len())).collect()
                })
                .collect();
            let slices: Vec<&[i32]> = partitions.iter().map(Vec::as_slice).collect();
            world.topic(&format!("t{n}"), &slices);
        }
        world
    })
}

fn takes(image: &Image, id: i32) -> bool {
    image.broker(id).is_some_and(|b| b.is_active() && !b.is_cordoned())
}

fn rack(image: &Image, id: i32) -> Option<Option<&str>> {
    image.broker(id).map(|b| b.rack.as_deref())
}

/// Pairs of replicas in one rack.
fn pairs(image: &Image, replicas: &[i32]) -> usize {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for rack in replicas.iter().filter_map(|b| rack(image, *b)) {
        *counts.entry(rack).or_default() += 1;
    }
    counts.values().map(|n| n * (n - 1) / 2).sum()
}

/// The fewest pairs that any choice of `more` takers beside `kept` makes, by trying them all.
fn fewest_pairs(image: &Image, kept: &[i32], takers: &[i32], more: usize) -> usize {
    fn search(image: &Image, chosen: &mut Vec<i32>, takers: &[i32], more: usize, best: &mut usize) {
        if more == 0 {
            *best = (*best).min(pairs(image, chosen));
            return;
        }
        for (at, taker) in takers.iter().enumerate() {
            chosen.push(*taker);
            search(image, chosen, &takers[at + 1..], more - 1, best);
            chosen.pop();
        }
    }
    let free: Vec<i32> = takers.iter().copied().filter(|b| !kept.contains(b)).collect();
    let mut best = usize::MAX;
    search(image, &mut kept.to_vec(), &free, more, &mut best);
    best
}

/// What every plan keeps.
fn check_all(image: &Image, found: &Plan) -> Result<(), TestCaseError> {
    for m in &found.moves {
        let distinct: BTreeSet<i32> = m.to.iter().copied().collect();
        prop_assert_eq!(distinct.len(), m.to.len(), "twice on a broker: {:?}", m);
        for new in m.to.iter().filter(|b| !m.from.contains(b)) {
            prop_assert!(takes(image, *new), "{} takes nothing: {:?}", new, m);
        }
        prop_assert!(m.from != m.to || !m.directories.is_empty(), "no move: {:?}", m);
    }
    let order: Vec<_> = found.moves.iter().map(|m| (m.topic.clone(), m.partition)).collect();
    prop_assert!(order.is_sorted());
    Ok(())
}

/// No replica that moved could have gone to a broker with two fewer without sharing racks more.
fn check_even(
    image: &Image,
    found: &Plan,
    allowed: &dyn Fn(i32) -> bool,
) -> Result<(), TestCaseError> {
    let held = loads(image, &after(image, found));
    for m in &found.moves {
        for new in m.to.iter().filter(|b| !m.from.contains(b)) {
            let others: Vec<i32> = m.to.iter().copied().filter(|b| b != new).collect();
            for other in held.keys().filter(|b| takes(image, **b) && allowed(**b)) {
                if m.from.contains(other) || m.to.contains(other) {
                    continue;
                }
                let with = |b: i32| pairs(image, &[&others[..], &[b]].concat());
                prop_assert!(
                    held[other] + 2 > held[new] || with(*other) > with(*new),
                    "{} of {:?} had better go to {}: {:?}",
                    new,
                    m,
                    other,
                    held
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn emptied_brokers_are_empty_and_nothing_else_moves(
        world in a_world(),
        chosen in prop::collection::btree_set(0..9i32, 1..4),
    ) {
        let image = &world.image;
        let takers: Vec<i32> = image.brokers().map(|b| b.id)
            .filter(|b| takes(image, *b) && !chosen.contains(b)).collect();
        match plan(image, &Goal::EmptyBrokers(chosen.clone()), &Topics::All) {
            Err(PlanError::TooFewBrokers { topic, partition, .. }) => {
                let topic = image.topic_named(&topic).expect("it is there");
                let p = topic.partition(partition).expect("it is there");
                let kept = p.replicas.iter().filter(|b| !chosen.contains(b)).count();
                let free = takers.iter().filter(|b| !p.replicas.contains(b)).count();
                prop_assert!(kept + free < p.replicas.len(), "there was room");
            }
            Err(other) => prop_assert!(false, "{}", other),
            Ok(found) => {
                check_all(image, &found)?;
                check_even(image, &found, &|b| !chosen.contains(&b))?;
                for m in &found.moves {
                    let kept: Vec<i32> =
                        m.from.iter().copied().filter(|b| !chosen.contains(b)).collect();
                    prop_assert!(kept.len() < m.from.len(), "moved without need: {:?}", m);
                    prop_assert!(kept.iter().all(|b| m.to.contains(b)), "moved too much: {:?}", m);
                    prop_assert_eq!(m.to.len(), m.from.len());
                    let more = m.to.len() - kept.len();
                    let best = fewest_pairs(image, &kept, &takers, more);
                    prop_assert_eq!(pairs(image, &m.to), best, "racks: {:?}", m);
                }
                for replicas in after(image, &found).values() {
                    prop_assert!(replicas.iter().all(|b| !chosen.contains(b)));
                }
                let again = plan(image, &Goal::EmptyBrokers(chosen), &Topics::All);
                prop_assert_eq!(again, Ok(found));
            }
        }
    }

    #[test]
    fn factors_change_by_what_is_missing_or_too_much(world in a_world(), factor in 1..5i16) {
        let image = &world.image;
        let takers: Vec<i32> =
            image.brokers().map(|b| b.id).filter(|b| takes(image, *b)).collect();
        let Ok(found) = plan(image, &Goal::ReplicationFactor(factor), &Topics::All) else {
            let wanted = usize::try_from(factor).expect("positive");
            let short = image.topics().flat_map(|t| t.partitions.iter()).any(|(_, p)| {
                let free = takers.iter().filter(|b| !p.replicas.contains(b)).count();
                p.replicas.len() + free < wanted
            });
            prop_assert!(short, "there was room");
            return Ok(());
        };
        check_all(image, &found)?;
        for m in &found.moves {
            prop_assert_eq!(i16::try_from(m.to.len()), Ok(factor));
            let (few, many) = if m.to.len() < m.from.len() { (&m.to, &m.from) } else { (&m.from, &m.to) };
            prop_assert!(few.iter().all(|b| many.contains(b)), "one way only: {:?}", m);
            let best = if m.to.len() > m.from.len() {
                fewest_pairs(image, &m.from, &takers, m.to.len() - m.from.len())
            } else {
                fewest_pairs(image, &[], &m.from, m.to.len())
            };
            prop_assert_eq!(pairs(image, &m.to), best, "racks: {:?}", m);
        }
        prop_assert!(after(image, &found).values().all(|r| i16::try_from(r.len()) == Ok(factor)));
    }

    #[test]
    fn new_brokers_get_a_share_and_old_ones_nothing(
        world in a_world(),
        onto in prop::collection::btree_set(0..9i32, 1..4),
    ) {
        let image = &world.image;
        let Ok(found) = plan(image, &Goal::Spread(onto.clone()), &Topics::All) else {
            prop_assert!(onto.iter().any(|b| !takes(image, *b)));
            return Ok(());
        };
        check_all(image, &found)?;
        let all = after(image, &found);
        let before = loads(image, &after(image, &Plan::default()));
        let held = loads(image, &all);
        let mut crossed = 0;
        for m in &found.moves {
            for new in m.to.iter().filter(|b| !m.from.contains(b)) {
                prop_assert!(onto.contains(new), "{:?}", m);
                crossed += 1;
            }
            for old in m.from.iter().filter(|b| !m.to.contains(b)) {
                prop_assert!(!onto.contains(old), "{:?}", m);
            }
            prop_assert_eq!(m.to.len(), m.from.len());
            prop_assert!(pairs(image, &m.to) <= pairs(image, &m.from), "racks: {:?}", m);
        }
        let gained: usize = onto.iter().map(|b| held[b] - before[b]).sum();
        prop_assert_eq!(crossed, gained, "no replica goes round about");
        // Nothing is left that could be moved with profit.
        for replicas in all.values() {
            for source in replicas.iter().filter(|b| !onto.contains(b) && image.broker(**b).is_some()) {
                for target in onto.iter().filter(|b| !replicas.contains(b)) {
                    let moved: Vec<i32> =
                        replicas.iter().map(|b| if b == source { *target } else { *b }).collect();
                    prop_assert!(
                        held[source] < held[target] + 2
                            || pairs(image, &moved) > pairs(image, replicas),
                        "{:?} could go from {} to {}: {:?}", replicas, source, target, held
                    );
                }
            }
        }
    }

    #[test]
    fn only_the_brokers_named_hold_replicas(
        world in a_world(),
        onto in prop::collection::btree_set(0..9i32, 1..6),
    ) {
        let image = &world.image;
        let Ok(found) = plan(image, &Goal::Only(onto.clone()), &Topics::All) else {
            let most = after(image, &Plan::default()).values().map(Vec::len).max();
            prop_assert!(onto.iter().any(|b| !takes(image, *b)) || most > Some(onto.len()));
            return Ok(());
        };
        check_all(image, &found)?;
        prop_assert!(after(image, &found).values().flatten().all(|b| onto.contains(b)));
    }
}
