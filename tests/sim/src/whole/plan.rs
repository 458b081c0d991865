//! What a cluster is made of, by seed.

use std::collections::BTreeMap;

use crate::rng::Rng;

/// Controllers that are brokers, too, at most: each broker costs time.
const MOST_COMBINED: usize = 3;

/// How late a voter starts at most.
const LATEST_MS: u64 = 10_000;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A controller: a voter, or one that stands by.
    Member,
    /// A broker, which pulls what is committed, and does no more.
    Observer,
    /// A whole broker.
    Broker,
    /// A controller and a whole broker in one process.
    Combined,
}

impl Kind {
    /// Whether it is a controller.
    pub fn is_member(self) -> bool {
        matches!(self, Self::Member | Self::Combined)
    }

    /// Whether it is a whole broker.
    pub fn is_broker(self) -> bool {
        matches!(self, Self::Broker | Self::Combined)
    }
}

/// How much of a node is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The quorum alone; what is proposed is thought up.
    Quorum,
    /// Controllers on the quorum, and whole brokers.
    Nodes,
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

/// What brokers do with records before they say that they have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushes {
    /// Nothing, as Kafka's do by default: their power must not fail.
    Never,
    /// They are flushed (`flush.messages=1`).
    Always,
}

/// The cluster, and how hard its life is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How much of a node is simulated.
    pub scope: Scope,
    /// Who there is.
    pub hosts: BTreeMap<i32, Kind>,
    /// The first voters.
    pub voters: Vec<i32>,
    /// Who is to vote at first: more than these, where the quorum grows from one.
    pub wanted: Vec<i32>,
    /// Who starts only after so many milliseconds.
    pub late: BTreeMap<i32, u64>,
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
    /// How many propose side by side, or ask controllers.
    pub proposers: u64,
    /// What brokers do before they say that they have something.
    pub flushes: Flushes,
    /// The mean time between faults.
    pub fault_gap_ms: u64,
    /// How long faults come.
    pub faults_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(scope: Scope, rng: &mut Rng) -> Self {
        let count = if rng.chance(600) { 3 } else { 5 };
        let keys = if rng.chance(600) { Keys::Directories } else { Keys::Nodes };
        let standby = if keys == Keys::Directories { rng.within(0, 2) } else { 0 };
        let observers = rng.within(1, 2);
        let last = count + standby.cast_signed() as i32;
        let mut hosts: BTreeMap<_, _> = (1..=last).map(|id| (id, Kind::Member)).collect();
        let pulls = (last + 1)..=(last + observers.cast_signed() as i32);
        hosts.extend(pulls.map(|id| (id, Kind::Observer)));
        let mut plan = Self {
            scope,
            hosts,
            voters: (1..=count).collect(),
            wanted: (1..=count).collect(),
            late: BTreeMap::new(),
            keys,
            disks: if rng.chance(500) { Disks::Harsh } else { Disks::Mild },
            segment_bytes: if rng.chance(500) { 1 << 20 } else { rng.within(500, 4_000) as u32 },
            snapshot_bytes: if rng.chance(300) { 1 << 20 } else { rng.within(800, 20_000) },
            kept_entries: rng.within(2, 200),
            election_timeout_ms: rng.within(200, 1_000),
            proposers: rng.within(1, 4),
            flushes: Flushes::Never,
            fault_gap_ms: rng.within(150, 1_500),
            faults_ms: rng.within(4_000, 15_000),
        };
        // What came later to this plan has its own chance, so that the seeds of before stay what they were.
        let mut more = Rng::new(rng.clone().draw());
        if scope == Scope::Nodes {
            plan.with_brokers(rng);
        }
        plan.begin_apart(&mut more);
        plan
    }

    /// Not all first voters begin at once: the quorum grows from one, or some come late.
    fn begin_apart(&mut self, rng: &mut Rng) {
        match rng.below(8) {
            0 | 1 if self.keys == Keys::Directories => self.voters = vec![1],
            2 | 3 => {
                let most = (self.voters.len() - 1) / 2;
                let late = rng.some(&self.voters, most);
                self.late = late.into_iter().map(|id| (id, rng.within(1, LATEST_MS))).collect();
            }
            _ => {}
        }
    }

    /// Whether all that are to vote at first begin together.
    pub fn begins_at_once(&self) -> bool {
        self.late.is_empty() && self.voters == self.wanted
    }

    /// Most that only pull are whole brokers, and there are some more.
    fn with_brokers(&mut self, rng: &mut Rng) {
        let pulling = self.hosts.values_mut().filter(|kind| **kind == Kind::Observer);
        for kind in pulling.skip(usize::from(rng.chance(200))) {
            *kind = Kind::Broker;
        }
        let last = self.hosts.last_key_value().map_or(0, |(id, _)| *id);
        // In half of the clusters some controllers, or all, are brokers, too.
        let share = if rng.chance(500) { rng.within(300, 1_000) } else { 0 };
        let mut combined = 0;
        for kind in self.hosts.values_mut().filter(|kind| **kind == Kind::Member) {
            if combined < MOST_COMBINED && rng.chance(share) {
                *kind = Kind::Combined;
                combined += 1;
            }
        }
        let more = if combined > 1 { 1 } else { rng.within(2, 3) as i32 };
        self.hosts.extend((last + 1..=last + more).map(|id| (id, Kind::Broker)));
        if rng.chance(500) {
            self.flushes = Flushes::Always;
        }
    }

    /// All brokers.
    pub fn brokers(&self) -> Vec<i32> {
        self.hosts.iter().filter(|(_, kind)| kind.is_broker()).map(|(id, _)| *id).collect()
    }
}
