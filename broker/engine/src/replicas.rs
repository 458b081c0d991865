//! All partitions that this node holds a replica of.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::dirs::LogDir;
use crate::error::EngineError;
use crate::ids::{IdBuildHasher, PartitionId};
use crate::partition::{Partition, Retire};

/// Parts of the map, so that a change stops few readers. A power of two.
const PARTS: usize = 64;

#[derive(Clone, Debug)]
enum Hosted {
    Online(Arc<Partition>),
    /// Its directory was offline when the node started, or has failed.
    Offline,
}

type Part = RwLock<HashMap<PartitionId, Hosted, IdBuildHasher>>;

/// A concurrent map of partitions. A look-up costs a read lock of one of many parts, which nobody
/// holds for longer than an insertion takes.
#[derive(Debug)]
pub struct Replicas {
    parts: Box<[Part]>,
    hasher: IdBuildHasher,
}

impl Default for Replicas {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Self { parts, hasher: IdBuildHasher::default() }
    }
}

impl Replicas {
    /// A node without partitions.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn part(&self, id: &PartitionId) -> &Part {
        let hash = self.hasher.hash_one(id);
        // The low bits choose within the part, these choose the part.
        &self.parts[usize::try_from(hash >> 57).unwrap_or(0) % PARTS]
    }

    /// Finds a partition.
    ///
    /// # Errors
    /// [`EngineError::NotHere`], or [`EngineError::Offline`] if its directory is.
    pub fn get(&self, id: PartitionId) -> Result<Arc<Partition>, EngineError> {
        match self.part(&id).read().get(&id) {
            Some(Hosted::Online(partition)) => Ok(Arc::clone(partition)),
            Some(Hosted::Offline) => Err(EngineError::Offline),
            None => Err(EngineError::NotHere),
        }
    }

    pub(crate) fn insert(&self, partition: Arc<Partition>) {
        let id = partition.id();
        self.part(&id).write().insert(id, Hosted::Online(partition));
    }

    pub(crate) fn insert_offline(&self, id: PartitionId) {
        self.part(&id).write().insert(id, Hosted::Offline);
    }

    pub(crate) fn remove(&self, id: PartitionId) -> Option<Arc<Partition>> {
        match self.part(&id).write().remove(&id)? {
            Hosted::Online(partition) => Some(partition),
            Hosted::Offline => None,
        }
    }

    pub(crate) fn knows(&self, id: PartitionId) -> bool {
        self.part(&id).read().contains_key(&id)
    }

    /// All partitions that are online, as of now, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Partition>> {
        let mut all = Vec::new();
        for part in &self.parts {
            let part = part.read();
            all.extend(part.values().filter_map(|hosted| match hosted {
                Hosted::Online(partition) => Some(Arc::clone(partition)),
                Hosted::Offline => None,
            }));
        }
        all
    }

    /// How many there are, those offline included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are offline.
    #[must_use]
    pub fn offline(&self) -> usize {
        let count = |part: &Part| {
            part.read().values().filter(|hosted| matches!(hosted, Hosted::Offline)).count()
        };
        self.parts.iter().map(count).sum()
    }

    /// Takes all partitions of a failed directory out of service. Returns their ids.
    pub(crate) fn fail_dir(&self, dir: &Arc<LogDir>) -> Vec<PartitionId> {
        let mut failed = Vec::new();
        for part in &self.parts {
            let mut part = part.write();
            for (id, hosted) in part.iter_mut() {
                if let Hosted::Online(partition) = hosted
                    && Arc::ptr_eq(&partition.dir(), dir)
                {
                    failed.push(Arc::clone(partition));
                    *hosted = Hosted::Offline;
                    debug_assert_eq!(failed.last().map(|p| p.id()), Some(*id));
                }
            }
        }
        failed.iter().for_each(|partition| partition.retire(Retire::Failed));
        failed.iter().map(|partition| partition.id()).collect()
    }
}
