//! Sharing of equal lists of directories between partitions.

use imbl::OrdSet;
use ottla_wire::Uuid;
use std::sync::Arc;

/// The most lists remembered. Clusters have few distinct lists a replica set and far more partitions; past this
/// bound each partition keeps its own.
const MAX_LISTS: usize = 4096;

/// Lists seen before, so that partitions with equal lists share one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directories(OrdSet<Arc<[Uuid]>>);

impl Directories {
    /// A shared list equal to this one.
    pub(crate) fn share(&mut self, list: &[Uuid]) -> Arc<[Uuid]> {
        if let Some(known) = self.0.get(list) {
            return known.clone();
        }
        let list: Arc<[Uuid]> = list.into();
        if self.0.len() >= MAX_LISTS {
            // Starting over keeps the lists of brokers that are gone from being remembered for ever.
            self.0 = OrdSet::new();
        }
        self.0.insert(list.clone());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_shared_and_memory_is_bounded() {
        let mut all = Directories::default();
        let one = all.share(&[Uuid::from_u128(7)]);
        assert!(Arc::ptr_eq(&one, &all.share(&[Uuid::from_u128(7)])));
        for n in 0..2 * MAX_LISTS as u128 {
            all.share(&[Uuid::from_u128(n)]);
        }
        assert!(all.0.len() <= MAX_LISTS);
    }
}
