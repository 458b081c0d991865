//! Randomness for ids and placement, all of it from one seed.

use ottla_wire::Uuid;

/// A generator of the xoshiro256** family: small, fast, and the same numbers for the same seed. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    pub(crate) fn new(seed: [u64; 4]) -> Self {
        // The state must not be all zeroes.
        Self(if seed == [0; 4] { [0x9e37_79b9_7f4a_7c15, 1, 2, 3] } else { seed })
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The bias is below bound / 2^64, which no placement can show.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        loop {
            let bytes = (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes();
            if let Some(id) = Uuid::from_random(bytes) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_their_bound_and_repeat_with_the_seed() {
        let (mut a, mut b) = (Rng::new([1, 2, 3, 4]), Rng::new([1, 2, 3, 4]));
        for bound in 1..100 {
            let n = a.below(bound);
            assert!(n < bound);
            assert_eq!(n, b.below(bound));
        }
        assert_eq!((a.below(0), b.below(0)), (0, 0));
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.uuid(), a.uuid());
    }
}
