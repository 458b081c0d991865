//! The rule of placement for one more replica beside those that a partition has.

use super::takers;
use ottla_metadata::Image;
use std::collections::{BTreeMap, BTreeSet};

/// The racks of all brokers, and the brokers that take replicas now.
///
/// The rule is that of [`Placer`](super::Placer): racks take turns, so that replicas share one only when there are
/// more of them than racks. Where the placer begins with nothing and takes brokers in turn, whoever plans around
/// replicas that exist says whose turn it is. Fenced brokers take nothing here: a reassignment waits for each of its
/// new replicas, and would wait for the broker to come back.
#[derive(Debug)]
pub(crate) struct Racks {
    of: BTreeMap<i32, usize>,
    takers: BTreeSet<i32>,
}

impl Racks {
    /// The racks of an image. Brokers without a rack are one rack together, as in placement.
    pub(crate) fn new(image: &Image) -> Self {
        let names: BTreeSet<Option<&str>> = image.brokers().map(|b| b.rack.as_deref()).collect();
        let numbers: BTreeMap<Option<&str>, usize> = names.into_iter().zip(0..).collect();
        let of = image.brokers().filter_map(|b| Some((b.id, *numbers.get(&b.rack.as_deref())?)));
        Self {
            of: of.collect(),
            takers: takers(image).filter(|b| !b.fenced).map(|b| b.id).collect(),
        }
    }

    /// Whether a broker takes replicas now.
    pub(crate) fn takes(&self, broker: i32) -> bool {
        self.takers.contains(&broker)
    }

    /// How many of `replicas` on other brokers stand in the rack of `broker`. A broker that is not registered stands in
    /// no rack.
    pub(crate) fn sharing(&self, replicas: &[i32], broker: i32) -> usize {
        let Some(rack) = self.of.get(&broker) else { return 0 };
        replicas.iter().filter(|r| **r != broker && self.of.get(r) == Some(rack)).count()
    }

    /// The broker for one more replica beside `beside`: of those that share their rack with the fewest, the one whose
    /// `turn` is least.
    pub(crate) fn choose<T: Ord>(
        &self,
        beside: &[i32],
        allowed: impl Fn(i32) -> bool,
        turn: impl Fn(i32) -> T,
    ) -> Option<i32> {
        let free = self.takers.iter().copied().filter(|b| !beside.contains(b) && allowed(*b));
        free.min_by_key(|b| (self.sharing(beside, *b), turn(*b), *b))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Placer;
    use super::*;
    use crate::rng::Rng;
    use ottla_wire::schema::metadata::RegisterBrokerRecord;

    fn cluster(racks: &[usize]) -> Image {
        let mut image = Image::default();
        for (broker_id, rack) in (0..).zip(racks) {
            let rack = Some(format!("r{rack}"));
            let record =
                RegisterBrokerRecord { broker_id, rack, fenced: false, ..Default::default() };
            image.apply(&record.into(), 0).expect("fits");
        }
        image
    }

    /// Pairs of replicas in one rack.
    fn pairs(racks: &Racks, replicas: &[i32]) -> usize {
        replicas.iter().map(|b| racks.sharing(replicas, *b)).sum::<usize>() / 2
    }

    #[test]
    fn replica_by_replica_racks_are_spread_as_by_the_placer() {
        for layout in [&[0, 1, 2][..], &[0, 0, 0, 1, 2], &[0, 0, 1, 1, 1, 1], &[0, 0, 0, 0]] {
            let image = cluster(layout);
            let racks = Racks::new(&image);
            let mut rng = Rng::new([1, 2, 3, 4]);
            for factor in 1..=layout.len() {
                let mut chosen = Vec::new();
                while chosen.len() < factor {
                    chosen.extend(racks.choose(&chosen, |_| true, |b| b));
                }
                let wanted = i16::try_from(factor).expect("small");
                let mut placer = Placer::new(&image, &mut rng);
                for placed in placer.place(20, wanted, &mut rng).expect("room") {
                    assert_eq!(
                        pairs(&racks, &placed),
                        pairs(&racks, &chosen),
                        "{layout:?} {placed:?}"
                    );
                }
            }
        }
    }
}
