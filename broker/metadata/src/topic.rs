//! One topic and its partitions.

use crate::partition::Partition;
use ottla_wire::Uuid;
use std::sync::Arc;

/// Partitions that share one allocation. A change copies one chunk, so this bounds what a change of one partition
/// costs in a topic of many, while a topic of few wastes nothing.
const CHUNK: usize = 64;

/// The partitions of a topic, numbered from 0 without a gap. A clone shares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partitions {
    // All chunks but the last are full.
    chunks: Vec<Arc<Vec<Partition>>>,
}

impl Partitions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK + last.len(),
            None => 0,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The partition with this number.
    #[must_use]
    pub fn get(&self, id: i32) -> Option<&Partition> {
        let at = usize::try_from(id).ok()?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    /// All partitions with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Partition)> {
        // A number of a partition fits an i32: `push` sees to it.
        (0..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    /// Adds the partition after the last one. Returns its number, or `None` when there can be no more.
    pub(crate) fn push(&mut self, partition: Partition) -> Option<i32> {
        let id = i32::try_from(self.len()).ok()?;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => {
                let last = Arc::make_mut(last);
                // A full chunk is the likely end of one that is outgrowing its first few partitions.
                last.push(partition);
            }
            _ => self.chunks.push(Arc::new(vec![partition])),
        }
        Some(id)
    }

    /// Puts another partition in the place of one that exists. Returns whether it exists.
    pub(crate) fn replace(&mut self, id: i32, partition: Partition) -> bool {
        let Ok(at) = usize::try_from(id) else { return false };
        let Some(chunk) = self.chunks.get_mut(at / CHUNK) else { return false };
        if at % CHUNK >= chunk.len() {
            return false;
        }
        if let Some(place) = Arc::make_mut(chunk).get_mut(at % CHUNK) {
            *place = partition;
        }
        true
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// The topic's id: never used again, even for a topic of the same name.
    pub id: Uuid,
    /// The topic's name.
    pub name: Arc<str>,
    /// Its partitions.
    pub partitions: Partitions,
}

impl Topic {
    /// A topic with no partitions yet.
    #[must_use]
    pub fn new(id: Uuid, name: &str) -> Self {
        Self { id, name: name.into(), partitions: Partitions::default() }
    }

    /// The partition with this number.
    #[must_use]
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        self.partitions.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::schema::metadata::PartitionRecord;

    fn partition(leader: i32) -> Partition {
        let record = PartitionRecord { leader, ..PartitionRecord::default() };
        Partition::from_record(&record, Arc::from([]))
    }

    #[test]
    fn partitions_are_numbered_without_a_gap() {
        let mut all = Partitions::default();
        for n in 0..200 {
            assert_eq!(all.len(), n as usize);
            assert_eq!(all.push(partition(n)), Some(n));
        }
        for n in 0..200 {
            assert_eq!(all.get(n).map(|p| p.leader), Some(n));
        }
        assert_eq!(all.get(200), None);
        assert_eq!(all.get(-1), None);
        assert!(all.iter().all(|(n, p)| p.leader == n));
        assert_eq!(all.iter().count(), 200);
    }

    #[test]
    fn a_change_leaves_earlier_clones_alone() {
        let mut all = Partitions::default();
        for n in 0..130 {
            all.push(partition(n));
        }
        let before = all.clone();
        assert!(all.replace(129, partition(-5)));
        assert!(!all.replace(130, partition(0)));
        assert!(!all.replace(-1, partition(0)));
        assert_eq!(before.get(129).map(|p| p.leader), Some(129));
        assert_eq!(all.get(129).map(|p| p.leader), Some(-5));
        assert!(Arc::ptr_eq(&before.chunks[0], &all.chunks[0]));
    }
}
