//! How one partition changes: who leads it, who is in sync, who is eligible.

use ottla_metadata::{
    NO_LEADER, NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, Partition, Recovery, directory,
};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::PartitionChangeRecord;
use std::collections::{BTreeMap, BTreeSet};

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first replica, if it can lead; else as [`Election::Online`].
    Preferred,
    /// The present leader if it can go on, else the first replica that is in sync or eligible.
    Online,
    /// As [`Election::Online`], and when there is none, any replica that is alive, at the price of what only the
    /// others have.
    Unclean,
}

/// A change of one partition in the making. What is not set stays as it is, but the leader is chosen anew, a
/// reassignment that is done is ended, and the eligible leaders follow (KIP-966).
pub(crate) struct Change<'a> {
    partition: &'a Partition,
    topic_id: Uuid,
    id: i32,
    acceptable: &'a dyn Fn(i32) -> bool,
    /// The least number in sync, no more than there are replicas.
    min_isr: usize,
    elr_enabled: bool,
    bump_on_shrink: bool,
    election: Election,
    isr: Vec<i32>,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
    elr: Vec<i32>,
    recovery: Recovery,
    uncleanly_shut_down: Option<i32>,
    directories: BTreeMap<i32, Uuid>,
}

/// The rules of the cluster and topic that a change goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The least number in sync, no more than there are replicas.
    pub(crate) min_isr: usize,
    /// Whether eligible leaders are kept.
    pub(crate) elr_enabled: bool,
    /// Whether a smaller ISR raises the leader epoch.
    pub(crate) bump_on_shrink: bool,
}

impl<'a> Change<'a> {
    /// No change yet. `acceptable` says which brokers may lead the partition.
    pub(crate) fn new(
        partition: &'a Partition,
        topic_id: Uuid,
        id: i32,
        acceptable: &'a dyn Fn(i32) -> bool,
        rules: Rules,
    ) -> Self {
        let dirs = partition
            .replicas
            .iter()
            .map(|r| (*r, partition.directory_of(*r).unwrap_or(directory::MIGRATING)));
        Self {
            partition,
            topic_id,
            id,
            acceptable,
            min_isr: rules.min_isr,
            elr_enabled: rules.elr_enabled,
            bump_on_shrink: rules.bump_on_shrink,
            election: Election::Online,
            isr: partition.isr.to_vec(),
            replicas: partition.replicas.to_vec(),
            adding: partition.adding().to_vec(),
            removing: partition.removing().to_vec(),
            elr: partition.elr().to_vec(),
            recovery: partition.recovery,
            uncleanly_shut_down: None,
            directories: dirs.collect(),
        }
    }

    pub(crate) fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    pub(crate) fn isr(mut self, isr: Vec<i32>) -> Self {
        self.isr = isr;
        self
    }

    pub(crate) fn replicas(mut self, replicas: Vec<i32>) -> Self {
        self.replicas = replicas;
        self
    }

    pub(crate) fn adding(mut self, adding: Vec<i32>) -> Self {
        self.adding = adding;
        self
    }

    pub(crate) fn removing(mut self, removing: Vec<i32>) -> Self {
        self.removing = removing;
        self
    }

    pub(crate) fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// A broker that stopped without closing its logs: it may lack records, so it is not eligible.
    pub(crate) fn uncleanly_shut_down(mut self, broker: i32) -> Self {
        self.uncleanly_shut_down = Some(broker);
        self
    }

    pub(crate) fn directory(mut self, broker: i32, dir: Uuid) -> Self {
        self.directories.insert(broker, dir);
        self
    }

    /// The record of the change; `None` if nothing changes. `default_directory` says where a new replica starts;
    /// without it the metadata version knows no directories.
    pub(crate) fn build(
        mut self,
        default_directory: Option<&dyn Fn(i32) -> Uuid>,
    ) -> Option<PartitionChangeRecord> {
        let mut record = PartitionChangeRecord {
            topic_id: self.topic_id,
            partition_id: self.id,
            ..PartitionChangeRecord::default()
        };
        self.complete_reassignment();
        self.choose_eligible();
        self.elect(&mut record);
        let lost_replica = self.partition.replicas.iter().any(|r| !self.replicas.contains(r));
        if record.leader == NO_LEADER_CHANGE && lost_replica {
            // A new epoch tells the replica that leaves that it is out.
            record.leader = self.partition.leader;
        }
        self.record_eligible(&mut record);
        let changed = self.isr != self.partition.isr.as_slice();
        if record.isr.is_none() && changed && (!self.isr.is_empty() || self.elr_enabled) {
            record.isr = Some(self.isr.clone());
        }
        let shrunk = self.partition.isr.iter().any(|r| !self.isr.contains(r));
        if record.leader == NO_LEADER_CHANGE && self.bump_on_shrink && shrunk {
            record.leader = self.partition.leader;
        }
        self.record_last_leader(&mut record);
        self.record_assignment(&mut record, default_directory);
        if self.recovery != self.partition.recovery {
            record.leader_recovery_state = self.recovery.code();
        }
        (!is_empty(&record)).then_some(record)
    }

    /// Ends the reassignment when all replicas it adds are in sync, and no fewer of those that stay
    /// than `min.insync.replicas` asks for.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let staying = |id: &i32| !self.removing.contains(id);
        let isr: Vec<i32> = self.isr.iter().copied().filter(staying).collect();
        // As many as must have what is committed, or the next accident could take it along with the
        // replicas that left.
        let stay = self.replicas.iter().filter(|id| staying(id)).count();
        let least = self.min_isr.min(stay).max(1);
        if isr.len() < least || !self.adding.iter().all(|id| isr.contains(id)) {
            return;
        }
        self.replicas = self.replicas.iter().copied().filter(staying).collect();
        self.isr = isr;
        self.adding.clear();
        self.removing.clear();
    }

    fn choose_eligible(&mut self) {
        if !self.elr_enabled {
            return;
        }
        // Of a smaller assignment no more can be asked for than it has.
        if self.isr.len() >= self.min_isr.min(self.replicas.len()) {
            self.elr.clear();
            return;
        }
        // Whoever was in sync or eligible has all that is committed while too few are in sync to commit more.
        let candidates: BTreeSet<i32> =
            self.elr.iter().chain(self.partition.isr.iter()).copied().collect();
        // One that holds no replica any more would be eligible still when it is given an empty one.
        let eligible = candidates.into_iter().filter(|id| {
            self.replicas.contains(id)
                && !self.isr.contains(id)
                && self.uncleanly_shut_down != Some(*id)
        });
        self.elr = eligible.collect();
    }

    fn can_lead(&self, id: i32) -> bool {
        let known = self.isr.contains(&id) || (self.isr.is_empty() && self.elr.contains(&id));
        known && (self.acceptable)(id)
    }

    /// The last leader may lead again when nobody is left that is known to have everything: it has the most.
    fn last_leader(&self) -> Option<i32> {
        if !self.elr_enabled || !self.isr.is_empty() || !self.elr.is_empty() {
            return None;
        }
        match self.partition.last_known_elr().as_slice() {
            [last] if (self.acceptable)(*last) => Some(*last),
            _ => None,
        }
    }

    /// The leader to be, and whether it may lack records.
    fn candidate(&self) -> (i32, bool) {
        if self.election == Election::Preferred
            && let Some(first) = self.replicas.first().filter(|id| self.can_lead(**id))
        {
            return (*first, false);
        }
        if self.can_lead(self.partition.leader) {
            return (self.partition.leader, false);
        }
        if let Some(id) = self.replicas.iter().find(|id| self.can_lead(**id)) {
            return (*id, false);
        }
        if let Some(id) = self.last_leader() {
            return (id, true);
        }
        if self.election == Election::Unclean
            && let Some(id) = self.replicas.iter().find(|id| (self.acceptable)(**id))
        {
            return (*id, true);
        }
        (NO_LEADER, false)
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let (leader, unclean) = self.candidate();
        if leader == self.partition.leader {
            return;
        }
        if self.elr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|id| *id != leader);
        }
        record.leader = leader;
        if unclean {
            record.isr = Some(vec![leader]);
            if self.partition.recovery != Recovery::Recovering {
                record.leader_recovery_state = Recovery::Recovering.code();
            }
        }
    }

    fn record_eligible(&mut self, record: &mut PartitionChangeRecord) {
        // After an unclean election nobody else is known to have what the leader has.
        if record.isr.is_some() || !self.elr_enabled {
            self.elr.clear();
        }
        if self.elr != self.partition.elr().as_slice() {
            record.eligible_leader_replicas = Some(self.elr.clone());
        }
    }

    /// Keeps the last leader's name while there is no leader.
    fn record_last_leader(&self, record: &mut PartitionChangeRecord) {
        let known = self.partition.last_known_elr();
        if !self.elr_enabled {
            if !known.is_empty() {
                record.last_known_elr = Some(Vec::new());
            }
        } else if record.leader == NO_LEADER && known.is_empty() {
            record.last_known_elr = Some(vec![self.partition.leader]);
        } else if record.leader >= 0 && !known.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn record_assignment(
        &self,
        record: &mut PartitionChangeRecord,
        default_directory: Option<&dyn Fn(i32) -> Uuid>,
    ) {
        let other = |new: &Vec<i32>, old: &[i32]| (new.as_slice() != old).then(|| new.clone());
        if !self.replicas.is_empty() {
            record.replicas = other(&self.replicas, &self.partition.replicas);
        }
        record.removing_replicas = other(&self.removing, self.partition.removing());
        record.adding_replicas = other(&self.adding, self.partition.adding());
        let Some(default_directory) = default_directory else { return };
        let dir =
            |id: &i32| self.directories.get(id).copied().unwrap_or_else(|| default_directory(*id));
        let directories: Vec<Uuid> = self.replicas.iter().map(dir).collect();
        if directories != *self.partition.directories {
            record.directories = Some(directories);
        }
    }
}

fn is_empty(r: &PartitionChangeRecord) -> bool {
    r.isr.is_none()
        && r.leader == NO_LEADER_CHANGE
        && r.replicas.is_none()
        && r.removing_replicas.is_none()
        && r.adding_replicas.is_none()
        && r.leader_recovery_state == NO_RECOVERY_CHANGE
        && r.directories.is_none()
        && r.eligible_leader_replicas.is_none()
        && r.last_known_elr.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::schema::metadata::PartitionRecord;

    const DIRS: fn(i32) -> Uuid = |_| directory::UNASSIGNED;

    fn partition(isr: &[i32], leader: i32) -> Partition {
        let record = PartitionRecord {
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            leader,
            leader_epoch: 5,
            partition_epoch: 7,
            ..PartitionRecord::default()
        };
        Partition::from_record(&record, vec![directory::UNASSIGNED; 3].into())
    }

    fn rules(min_isr: usize, elr_enabled: bool) -> Rules {
        Rules { min_isr, elr_enabled, bump_on_shrink: false }
    }

    fn step(
        p: &Partition,
        live: &[i32],
        elr: bool,
        f: impl Fn(Change<'_>) -> Change<'_>,
    ) -> Partition {
        let acceptable = |id| live.contains(&id);
        let change = f(Change::new(p, Uuid::ZERO, 0, &acceptable, rules(2, elr)));
        match change.build(Some(&DIRS)) {
            Some(record) => {
                let dirs = record.directories.clone().map(Into::into);
                p.merged(&record, dirs)
            }
            None => p.clone(),
        }
    }

    #[test]
    fn nothing_to_change_is_no_record() {
        let p = partition(&[1, 2, 3], 1);
        let acceptable = |_| true;
        let change = Change::new(&p, Uuid::ZERO, 0, &acceptable, rules(2, true));
        assert_eq!(change.build(Some(&DIRS)), None);
    }

    #[test]
    fn a_lost_leader_is_followed_by_the_next_in_sync() {
        let p = step(&partition(&[1, 2, 3], 1), &[2, 3], true, |c| c.isr(vec![2, 3]));
        assert_eq!((p.leader, p.leader_epoch, p.partition_epoch), (2, 6, 8));
        assert_eq!(p.isr.as_slice(), [2, 3]);
        assert!(p.elr().is_empty());
    }

    #[test]
    fn the_last_in_sync_stays_when_there_is_no_elr() {
        let p = step(&partition(&[1], 1), &[2, 3], false, |c| c.isr(vec![]));
        assert_eq!(p.leader, NO_LEADER);
        assert_eq!(p.isr.as_slice(), [1]);
    }

    #[test]
    fn those_that_leave_below_the_minimum_are_eligible_and_lead_again() {
        // 3 and 2 fall out; 1 leads alone and then shuts down in order.
        let p = step(&partition(&[1, 2], 1), &[1], true, |c| c.isr(vec![1]));
        assert_eq!(p.elr().as_slice(), [2]);
        let p = step(&p, &[], true, |c| c.isr(vec![]));
        assert_eq!(
            (p.leader, p.isr.as_slice(), p.elr().as_slice()),
            (NO_LEADER, &[][..], &[1, 2][..])
        );
        assert_eq!(p.last_known_elr().as_slice(), [1]);
        // 2 comes first: it is eligible, so this is clean.
        let p = step(&p, &[2], true, |c| c);
        assert_eq!((p.leader, p.isr.as_slice(), p.elr().as_slice()), (2, &[2][..], &[1][..]));
        assert_eq!(p.recovery, Recovery::Recovered);
        assert!(p.last_known_elr().is_empty());
    }

    #[test]
    fn a_sole_replica_killed_leads_again_uncleanly() {
        let record = PartitionRecord {
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            ..PartitionRecord::default()
        };
        let p = Partition::from_record(&record, vec![directory::UNASSIGNED].into());
        let p = step(&p, &[], true, |c| c.isr(vec![]).uncleanly_shut_down(1));
        assert_eq!((p.leader, p.isr.len(), p.elr().len()), (NO_LEADER, 0, 0));
        assert_eq!(p.last_known_elr().as_slice(), [1]);
        let p = step(&p, &[1], true, |c| c);
        assert_eq!((p.leader, p.isr.as_slice(), p.recovery), (1, &[1][..], Recovery::Recovering));
        assert_eq!(p.leader_epoch, 2);
    }

    #[test]
    fn an_unclean_election_takes_anyone_alive_when_asked() {
        let p =
            step(&partition(&[1], 1), &[3], false, |c| c.isr(vec![]).election(Election::Unclean));
        assert_eq!((p.leader, p.isr.as_slice(), p.recovery), (3, &[3][..], Recovery::Recovering));
    }

    #[test]
    fn a_preferred_leader_takes_over() {
        let p = step(&partition(&[1, 2], 2), &[1, 2], true, |c| c.election(Election::Preferred));
        assert_eq!((p.leader, p.leader_epoch), (1, 6));
        let p = step(&partition(&[1, 2], 2), &[2], true, |c| c.election(Election::Preferred));
        assert_eq!((p.leader, p.leader_epoch), (2, 5));
    }

    #[test]
    fn a_reassignment_ends_when_the_added_are_in_sync() {
        let p = partition(&[1, 2, 3], 1);
        let p = step(&p, &[1, 2, 3, 4], true, |c| {
            c.replicas(vec![4, 2, 3, 1]).adding(vec![4]).removing(vec![1])
        });
        assert!(p.is_reassigning());
        assert_eq!(p.directories.len(), 4);
        assert_eq!((p.leader, p.leader_epoch), (1, 5));
        let p = step(&p, &[1, 2, 3, 4], true, |c| c.isr(vec![1, 2, 3, 4]));
        assert!(!p.is_reassigning());
        assert_eq!(p.replicas.as_slice(), [4, 2, 3]);
        assert_eq!(p.isr.as_slice(), [2, 3, 4]);
        assert_eq!((p.leader, p.leader_epoch), (4, 6));
    }

    #[test]
    fn a_replica_that_is_left_out_is_not_eligible() {
        let p = step(&partition(&[1, 2, 3], 1), &[1], true, |c| c.isr(vec![1]));
        assert_eq!(p.elr().as_slice(), [2, 3]);
        let p = step(&p, &[1], true, |c| c.removing(vec![2, 3]));
        assert_eq!((p.replicas.as_slice(), p.isr.as_slice()), (&[1][..], &[1][..]));
        assert!(p.elr().is_empty(), "{:?}", p.elr());
    }

    #[test]
    fn a_reassignment_does_not_end_with_fewer_in_sync_than_must_be() {
        let p = step(&partition(&[1, 3], 1), &[1, 3], true, |c| c.removing(vec![3]));
        assert!(p.is_reassigning());
        let p = step(&p, &[1, 2, 3], true, |c| c.isr(vec![1, 2, 3]));
        assert_eq!((p.replicas.as_slice(), p.isr.as_slice()), (&[1, 2][..], &[1, 2][..]));
        assert!(!p.is_reassigning());
    }
}
