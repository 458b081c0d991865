//! Which brokers hold the replicas of new partitions.

mod beside;

pub(crate) use beside::Racks;

use crate::error::ApiError;
use crate::rng::Rng;
use ottla_metadata::{BrokerRegistration, Image};
use ottla_wire::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The brokers that may take replicas: not shutting down, and with a log directory that is not cordoned.
fn takers(image: &Image) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
    image.brokers().filter(|b| !b.in_controlled_shutdown && !b.is_cordoned())
}

/// Brokers of one rack that are alike, taken in turn.
#[derive(Debug, Default)]
struct Ring {
    brokers: Vec<i32>,
    round: Option<u64>,
    taken: usize,
    start: usize,
}

impl Ring {
    fn ready(&mut self, rng: &mut Rng) {
        self.start = rng.below(self.brokers.len());
    }

    /// The next broker of this round, each once a round; every round begins one further on.
    fn next(&mut self, round: u64) -> Option<i32> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.round != Some(round) {
            self.round = Some(round);
            self.taken = 0;
            self.start = (self.start + 1) % self.brokers.len();
        }
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers.get((self.start + self.taken) % self.brokers.len()).copied();
        self.taken += 1;
        broker
    }
}

#[derive(Debug, Default)]
struct Rack {
    live: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self, round: u64) -> Option<i32> {
        self.live.next(round).or_else(|| self.fenced.next(round))
    }
}

/// Places replicas in stripes over racks and brokers.
///
/// The first replica, which will lead, goes to each rack and within it to each live broker in turn. The others go
/// to the racks after it, so that replicas share a rack only when there are more of them than racks, and to fenced
/// brokers of a rack only when its live ones are used up. When every live broker has led once, the order of brokers
/// and racks is shuffled, so that followers do not always stand behind the same leader.
#[derive(Debug)]
pub(crate) struct Placer {
    racks: Vec<Rack>,
    /// The rack whose turn it is to lead.
    turn: usize,
    round: u64,
    since_shuffle: usize,
    live: usize,
    total: usize,
}

impl Placer {
    /// A placer over the brokers that may take replicas.
    pub(crate) fn new(image: &Image, rng: &mut Rng) -> Self {
        let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut live, mut total) = (0, 0);
        for broker in takers(image) {
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                rack.live.brokers.push(broker.id);
                live += 1;
            }
            total += 1;
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for rack in &mut racks {
            rack.live.ready(rng);
            rack.fenced.ready(rng);
        }
        let turn = rng.below(racks.len());
        Self { racks, turn, round: 0, since_shuffle: 0, live, total }
    }

    /// Brokers for each of `partitions` partitions.
    pub(crate) fn place(
        &mut self,
        partitions: usize,
        replicas: i16,
        rng: &mut Rng,
    ) -> Result<Vec<Vec<i32>>, ApiError> {
        let refuse = |text: String| Err(ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
        let wanted = match usize::try_from(replicas) {
            Ok(n) if n > 0 => n,
            _ => {
                return refuse(format!(
                    "Invalid replication factor {replicas}: the replication factor must be positive."
                ));
            }
        };
        if self.live == 0 {
            return refuse(
                "All brokers are currently fenced, or have all their log directories cordoned."
                    .to_owned(),
            );
        }
        if wanted > self.total {
            return refuse(format!(
                "The target replication factor of {wanted} cannot be reached because only {} \
                 broker(s) are registered or some brokers have all their log directories cordoned.",
                self.total
            ));
        }
        Ok((0..partitions).map(|_| self.place_one(wanted, rng)).collect())
    }

    fn place_one(&mut self, wanted: usize, rng: &mut Rng) -> Vec<i32> {
        if self.since_shuffle == self.live && self.live > 1 {
            self.shuffle(rng);
            self.since_shuffle = 0;
        }
        let count = self.racks.len();
        let turn = self.turn % count;
        let round = self.round;
        let mut brokers = Vec::with_capacity(wanted);
        // There is a live broker, so one rack of them all gives a leader.
        let mut leading = turn;
        for step in 0..count {
            leading = (turn + step) % count;
            if let Some(broker) = self.racks.get_mut(leading).and_then(|r| r.live.next(round)) {
                brokers.push(broker);
                break;
            }
        }
        let mut skip = Some(leading);
        let mut at = turn;
        // Each rack gives each of its brokers once a round, so that racks running dry end the search at last.
        let mut dry = 0;
        while brokers.len() < wanted && dry <= count {
            // The leader's rack is passed over the first time, to come last.
            let found = if skip == Some(at) {
                skip = None;
                None
            } else {
                self.racks.get_mut(at).and_then(|r| r.next(round))
            };
            dry = if found.is_some() { 0 } else { dry + 1 };
            brokers.extend(found);
            at = (at + 1) % count;
        }
        self.round += 1;
        self.since_shuffle += 1;
        self.turn = turn + 1;
        brokers
    }

    fn shuffle(&mut self, rng: &mut Rng) {
        rng.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            rng.shuffle(&mut rack.live.brokers);
            rng.shuffle(&mut rack.fenced.brokers);
        }
    }
}
