//! The network: what is delayed, lost and doubled, and who cannot reach whom.

use std::collections::BTreeSet;

use crate::message::Party;
use crate::rng::Rng;

/// How well messages travel.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Lost, of a thousand.
    pub lost: u64,
    /// Doubled, of a thousand.
    pub doubled: u64,
    /// Much delayed, of a thousand.
    pub late: u64,
    /// By how many milliseconds at most those are.
    pub late_ms: u64,
}

impl Quality {
    /// Nothing happens to messages.
    pub const GOOD: Self = Self { lost: 0, doubled: 0, late: 0, late_ms: 0 };
}

/// The network.
#[derive(Clone, Debug)]
pub struct Net {
    /// How well messages travel now.
    pub quality: Quality,
    /// What does not get through, from whom to whom.
    cut: BTreeSet<(Party, Party)>,
}

impl Default for Net {
    fn default() -> Self {
        Self { quality: Quality::GOOD, cut: BTreeSet::new() }
    }
}

impl Net {
    /// After how many milliseconds each copy of a message arrives; none if it is lost.
    pub fn travel(&self, rng: &mut Rng, from: Party, to: Party) -> Vec<u64> {
        let Quality { lost, doubled, late, late_ms } = self.quality;
        if self.cut.contains(&(from, to)) || rng.chance(lost) {
            return Vec::new();
        }
        let copies = if rng.chance(doubled) { 2 } else { 1 };
        let one = |rng: &mut Rng| {
            let soon = rng.within(1, 8);
            if rng.chance(late) { soon + rng.below(late_ms) } else { soon }
        };
        (0..copies).map(|_| one(rng)).collect()
    }

    /// Whether messages get through at all.
    #[must_use]
    pub fn connects(&self, from: Party, to: Party) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Stops messages one way.
    pub fn cut(&mut self, from: Party, to: Party) {
        self.cut.insert((from, to));
    }

    /// Stops messages both ways.
    pub fn part(&mut self, one: Party, other: Party) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Everybody reaches everybody.
    pub fn mend(&mut self) {
        self.cut.clear();
    }
}
