//! Which partition a record goes to, as Kafka's Java client chooses it.

use std::hash::{BuildHasher, Hasher};

/// MurmurHash2 with the seed that Kafka's producers use. Keys must go where other producers send them.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // Kafka's Java code keeps the length in an int, so it wraps as this does.
    let mut h: u32 = 0x9747_b28c ^ (data.len() as u32);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `partitions`, which is at least one.
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or_default();
    positive % partitions.max(1)
}

/// Chooses for records without a key: one partition until a batch of it is full, then another, so that batches become
/// large and partitions still get as much each.
#[derive(Debug)]
pub(crate) struct Sticky {
    next: usize,
    bytes: usize,
}

impl Sticky {
    /// Begins with any partition.
    pub(crate) fn new() -> Self {
        let any = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Self { next: usize::try_from(any & 0xffff).unwrap_or_default(), bytes: 0 }
    }

    /// The partition for a record of so many bytes, among those that have a leader.
    pub(crate) fn choose(&mut self, available: &[i32], bytes: usize, batch: usize) -> Option<i32> {
        let chosen = available.get(self.next.checked_rem(available.len())?).copied();
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= batch {
            self.bytes = 0;
            self.next = self.next.wrapping_add(1);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_javas() {
        for (key, hash) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    /// Which of the keys k0 to k49 Kafka's console producer put into partition 0 of 2.
    #[test]
    fn keys_go_where_kafkas_producer_puts_them() {
        let golden = include_str!("../../../tests/conformance/golden/console-consumer.txt");
        let first: Vec<&str> = golden
            .lines()
            .filter_map(|line| line.strip_prefix("Partition:0\t")?.split('\t').nth(1))
            .collect();
        assert_eq!(first.len(), 29);
        let ours: Vec<String> = (0..50)
            .map(|i| format!("k{i}"))
            .filter(|k| partition_of_key(k.as_bytes(), 2) == 0)
            .collect();
        assert_eq!(ours, first);
    }

    #[test]
    fn records_without_a_key_fill_a_batch_and_move_on() {
        let mut sticky = Sticky::new();
        let chosen: Vec<_> = (0..9).filter_map(|_| sticky.choose(&[4, 5, 9], 10, 30)).collect();
        assert!(chosen.chunks(3).all(|c| c.iter().all(|p| p == &c[0])), "{chosen:?}");
        let mut each: Vec<_> = chosen.iter().step_by(3).copied().collect();
        each.sort_unstable();
        assert_eq!(each, [4, 5, 9]);
        assert_eq!(sticky.choose(&[], 1, 1), None);
    }

    proptest::proptest! {
        #[test]
        fn a_key_has_one_partition(key: Vec<u8>, partitions in 1..1000) {
            let partition = partition_of_key(&key, partitions);
            proptest::prop_assert!((0..partitions).contains(&partition));
            proptest::prop_assert_eq!(partition, partition_of_key(&key, partitions));
        }
    }
}
