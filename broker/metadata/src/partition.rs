//! One partition as the cluster's metadata knows it.

use crate::replicas::Replicas;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{PartitionChangeRecord, PartitionRecord};
use std::sync::Arc;

/// The leader id of a partition that has none.
pub const NO_LEADER: i32 = -1;
/// The leader in a PartitionChangeRecord that leaves leader and leader epoch as they are.
pub const NO_LEADER_CHANGE: i32 = -2;
/// The recovery state in a PartitionChangeRecord that leaves it as it is.
pub const NO_RECOVERY_CHANGE: i8 = -1;

/// Special values of a replica's log directory (KIP-858).
pub mod directory {
    use ottla_wire::Uuid;

    /// From before directories had ids.
    pub const MIGRATING: Uuid = Uuid::MIGRATING_DIRECTORY;
    /// Not yet put into a directory by the broker.
    pub const UNASSIGNED: Uuid = Uuid::UNASSIGNED_DIRECTORY;
    /// In a directory that went offline.
    pub const LOST: Uuid = Uuid::LOST_DIRECTORY;

    /// Whether a replica in `dir` is online on a broker that registered `online` directories. A broker that named
    /// none is taken at its word for every directory.
    #[must_use]
    pub fn is_online(dir: Uuid, online: &[Uuid]) -> bool {
        if dir == UNASSIGNED || dir == MIGRATING {
            return true;
        }
        if dir == LOST {
            return false;
        }
        online.is_empty() || online.contains(&dir)
    }
}

/// Whether the leader is trusted to have all committed records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Recovery {
    /// It is.
    #[default]
    Recovered = 0,
    /// It was elected uncleanly and has not yet recovered; the ISR must not grow meanwhile (KIP-704).
    Recovering = 1,
}

impl Recovery {
    /// The state with this code of a record, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }

    /// The code in a record.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// What most partitions do not have, kept out of line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    elr: Replicas,
    last_known_elr: Replicas,
    adding: Replicas,
    removing: Replicas,
}

/// One partition: who holds it, who leads it, and the epochs that fence those who know less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: Replicas,
    /// The in-sync replicas.
    pub isr: Replicas,
    /// The leader's id, or [`NO_LEADER`].
    pub leader: i32,
    /// Grows with every change of leader.
    pub leader_epoch: i32,
    /// Grows with every change of the partition.
    pub partition_epoch: i32,
    /// Whether the leader has recovered from an unclean election.
    pub recovery: Recovery,
    /// The log directory of each replica, in the order of `replicas`; empty when the cluster's metadata version
    /// knows no directories.
    pub directories: Arc<[Uuid]>,
    rare: Option<Arc<Rare>>,
}

impl Partition {
    /// The partition of a record that creates it.
    #[must_use]
    pub fn from_record(record: &PartitionRecord, directories: Arc<[Uuid]>) -> Self {
        let mut partition = Self {
            replicas: Replicas::new(&record.replicas),
            isr: Replicas::new(&record.isr),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            recovery: Recovery::from_code(record.leader_recovery_state).unwrap_or_default(),
            directories,
            rare: None,
        };
        partition.set_rare(Rare {
            elr: record.eligible_leader_replicas.as_deref().map(Replicas::from).unwrap_or_default(),
            last_known_elr: record
                .last_known_elr
                .as_deref()
                .map(Replicas::from)
                .unwrap_or_default(),
            adding: Replicas::new(&record.adding_replicas),
            removing: Replicas::new(&record.removing_replicas),
        });
        partition
    }

    /// The record that creates this partition. Empty ELRs are left out, and what the version lacks is dropped.
    #[must_use]
    pub fn to_record(&self, topic_id: Uuid, partition_id: i32, version: i16) -> PartitionRecord {
        let some = |ids: &Replicas| (version >= 2 && !ids.is_empty()).then(|| ids.to_vec());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing().to_vec(),
            adding_replicas: self.adding().to_vec(),
            leader: self.leader,
            leader_recovery_state: self.recovery.code(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: if version >= 1 { self.directories.to_vec() } else { Vec::new() },
            eligible_leader_replicas: some(self.elr()),
            last_known_elr: some(self.last_known_elr()),
        }
    }

    /// This partition after a change. `directories` are the change's own, already shared.
    #[must_use]
    pub fn merged(&self, change: &PartitionChangeRecord, directories: Option<Arc<[Uuid]>>) -> Self {
        let or = |new: &Option<Vec<i32>>, old: &Replicas| match new {
            Some(ids) => Replicas::new(ids),
            None => old.clone(),
        };
        let led = change.leader != NO_LEADER_CHANGE;
        let replicas = or(&change.replicas, &self.replicas);
        let directories = directories.unwrap_or_else(|| {
            if replicas.len() == self.replicas.len() {
                self.directories.clone()
            } else {
                // Lengths must agree; a record from before directories gives none for the new replicas.
                vec![directory::MIGRATING; replicas.len()].into()
            }
        });
        let mut merged = Self {
            replicas,
            isr: or(&change.isr, &self.isr),
            leader: if led { change.leader } else { self.leader },
            leader_epoch: if led { self.leader_epoch.wrapping_add(1) } else { self.leader_epoch },
            partition_epoch: self.partition_epoch.wrapping_add(1),
            recovery: Recovery::from_code(change.leader_recovery_state).unwrap_or(self.recovery),
            directories,
            rare: None,
        };
        merged.set_rare(Rare {
            elr: or(&change.eligible_leader_replicas, self.elr()),
            last_known_elr: or(&change.last_known_elr, self.last_known_elr()),
            adding: or(&change.adding_replicas, self.adding()),
            removing: or(&change.removing_replicas, self.removing()),
        });
        merged
    }

    /// This partition with no eligible leader replicas, neither present nor last known; the partition epoch grows
    /// when there were any.
    #[must_use]
    pub fn without_elr(&self) -> Self {
        let mut cleared = self.clone();
        if self.elr().is_empty() && self.last_known_elr().is_empty() {
            return cleared;
        }
        cleared.partition_epoch = self.partition_epoch.wrapping_add(1);
        cleared.set_rare(Rare {
            elr: Replicas::EMPTY,
            last_known_elr: Replicas::EMPTY,
            adding: self.adding().clone(),
            removing: self.removing().clone(),
        });
        cleared
    }

    /// The eligible leader replicas: out of the ISR, but known to have everything committed (KIP-966).
    #[must_use]
    pub fn elr(&self) -> &Replicas {
        self.rare.as_ref().map_or(&Replicas::EMPTY, |r| &r.elr)
    }

    /// Replicas that were last known to be eligible, or the last leader when none is left (KIP-966).
    #[must_use]
    pub fn last_known_elr(&self) -> &Replicas {
        self.rare.as_ref().map_or(&Replicas::EMPTY, |r| &r.last_known_elr)
    }

    /// Replicas that a reassignment under way adds.
    #[must_use]
    pub fn adding(&self) -> &Replicas {
        self.rare.as_ref().map_or(&Replicas::EMPTY, |r| &r.adding)
    }

    /// Replicas that a reassignment under way removes.
    #[must_use]
    pub fn removing(&self) -> &Replicas {
        self.rare.as_ref().map_or(&Replicas::EMPTY, |r| &r.removing)
    }

    /// Whether a reassignment is under way.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding().is_empty() || !self.removing().is_empty()
    }

    /// Whether the partition has a leader.
    #[must_use]
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// The replica that should lead when it can: the first one.
    #[must_use]
    pub fn preferred_leader(&self) -> i32 {
        self.replicas.first().copied().unwrap_or(NO_LEADER)
    }

    /// Whether the preferred replica leads.
    #[must_use]
    pub fn has_preferred_leader(&self) -> bool {
        self.leader == self.preferred_leader()
    }

    /// The directory of the replica on a broker; `None` if it holds none, [`directory::MIGRATING`] if directories
    /// are not known.
    #[must_use]
    pub fn directory_of(&self, broker: i32) -> Option<Uuid> {
        let at = self.replicas.iter().position(|r| *r == broker)?;
        Some(self.directories.get(at).copied().unwrap_or(directory::MIGRATING))
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Arc::new(rare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        let record = PartitionRecord {
            partition_id: 0,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2],
            leader: 1,
            leader_epoch: 4,
            partition_epoch: 9,
            eligible_leader_replicas: Some(vec![3]),
            ..PartitionRecord::default()
        };
        Partition::from_record(&record, vec![directory::UNASSIGNED; 3].into())
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Partition>() <= 72, "{}", size_of::<Partition>());
    }

    #[test]
    fn a_change_without_a_leader_keeps_the_leader_epoch() {
        let change =
            PartitionChangeRecord { isr: Some(vec![1]), ..PartitionChangeRecord::default() };
        let merged = partition().merged(&change, None);
        assert_eq!((merged.leader, merged.leader_epoch, merged.partition_epoch), (1, 4, 10));
        assert_eq!(merged.isr.as_slice(), [1]);
        assert_eq!(merged.elr().as_slice(), [3]);
    }

    #[test]
    fn a_change_of_leader_raises_both_epochs_even_to_the_same_leader() {
        let change = PartitionChangeRecord { leader: 1, ..PartitionChangeRecord::default() };
        let merged = partition().merged(&change, None);
        assert_eq!((merged.leader, merged.leader_epoch, merged.partition_epoch), (1, 5, 10));
    }

    #[test]
    fn records_bring_the_partition_back() {
        let p = partition();
        let record = p.to_record(Uuid::ZERO, 0, 2);
        assert_eq!(Partition::from_record(&record, p.directories.clone()), p);
    }

    #[test]
    fn elr_is_cleared_once() {
        let cleared = partition().without_elr();
        assert!(cleared.elr().is_empty());
        assert_eq!(cleared.partition_epoch, 10);
        assert_eq!(cleared.without_elr().partition_epoch, 10);
    }
}
