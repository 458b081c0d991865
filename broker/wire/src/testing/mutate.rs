//! Small damage to good bytes, from a seed.

/// A source of damage. The same seed gives the same damage.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

/// Numbers that lie at the edge of something, as the four bytes of a count or a length, or as a
/// varint.
const EDGES: [&[u8]; 10] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0, 0, 0xff, 0xff],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0x7f],
    &[0],
];

/// The most damages at once.
const MAX_DAMAGES: u64 = 4;

impl Mutator {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number (splitmix64).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end.max(1) as u64).unwrap_or(0)
    }

    /// So many random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.number() as u8).collect()
    }

    /// Damages the bytes; `other` lends a piece of itself now and then.
    pub fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.number() % MAX_DAMAGES {
            self.damage_once(bytes, other);
        }
    }

    fn damage_once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        let end = at + self.below((bytes.len() - at).min(32) + 1);
        match self.number() % 8 {
            0 | 1 => {
                let bit = 1 << (self.number() % 8);
                if let Some(b) = bytes.get_mut(at) {
                    *b ^= bit;
                }
            }
            2 => {
                let value = self.number() as u8;
                if let Some(b) = bytes.get_mut(at) {
                    *b = value;
                }
            }
            3 | 4 => {
                let edge = EDGES[self.below(EDGES.len())];
                let end = bytes.len().min(at + edge.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            5 => bytes.truncate(at),
            6 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let from = self.below(other.len());
                let to = from + self.below((other.len() - from).min(32) + 1);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}
