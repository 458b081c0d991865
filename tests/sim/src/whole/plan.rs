//! What a cluster is made of, by seed.

use std::collections::BTreeMap;

use crate::rng::Rng;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A controller: a voter, or one that stands by.
    Member,
    /// A broker, which pulls what is committed.
    Observer,
}

/// How members know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// By node and directory: an emptied disk is another member.
    Directories,
    /// By node alone, as with `controller.quorum.voters`: an emptied disk is the same member, and catches up.
    Nodes,
}

/// How disks lose what was not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disks {
    /// As a journaling file system does.
    Mild,
    /// As POSIX allows.
    Harsh,
}

/// The cluster, and how hard its life is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who there is.
    pub hosts: BTreeMap<i32, Kind>,
    /// The first voters.
    pub voters: Vec<i32>,
    /// How members know each other.
    pub keys: Keys,
    /// What disks do.
    pub disks: Disks,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// Bytes of log between snapshots.
    pub snapshot_bytes: u64,
    /// Entries kept for slow followers.
    pub kept_entries: u64,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: u64,
    /// How many propose side by side.
    pub proposers: u64,
    /// The mean time between faults.
    pub fault_gap_ms: u64,
    /// How long faults come.
    pub faults_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(rng: &mut Rng) -> Self {
        let count = if rng.chance(600) { 3 } else { 5 };
        let keys = if rng.chance(600) { Keys::Directories } else { Keys::Nodes };
        let standby = if keys == Keys::Directories { rng.within(0, 2) } else { 0 };
        let observers = rng.within(1, 2);
        let last = count + standby.cast_signed() as i32;
        let mut hosts: BTreeMap<_, _> = (1..=last).map(|id| (id, Kind::Member)).collect();
        let pulls = (last + 1)..=(last + observers.cast_signed() as i32);
        hosts.extend(pulls.map(|id| (id, Kind::Observer)));
        Self {
            hosts,
            voters: (1..=count).collect(),
            keys,
            disks: if rng.chance(500) { Disks::Harsh } else { Disks::Mild },
            segment_bytes: if rng.chance(500) { 1 << 20 } else { rng.within(500, 4_000) as u32 },
            snapshot_bytes: if rng.chance(300) { 1 << 20 } else { rng.within(800, 20_000) },
            kept_entries: rng.within(2, 200),
            election_timeout_ms: rng.within(200, 1_000),
            proposers: rng.within(1, 4),
            fault_gap_ms: rng.within(150, 1_500),
            faults_ms: rng.within(4_000, 15_000),
        }
    }
}
