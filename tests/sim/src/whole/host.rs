//! A node: its disk, and its part in the quorum while it lives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use ottla_engine::ControllerHandle;
use ottla_log::Log;
use ottla_log::disk::Disk;
use ottla_log::disk::sim::SimDisk;
use ottla_quorum::simulated::Life;
use ottla_quorum::{
    Endpoint, Member, NodeKey, ObserverQuorum, Options, Quorum, RaftQuorum, Retention,
    SnapshotPolicy, Voter,
};
use ottla_wire::Uuid;

use super::broker::{Broker, Seat};
use super::clock;
use super::plan::{Disks, Keys, Kind, Plan};
use crate::CLUSTER;

/// Where the metadata log is.
pub const DATA: &str = "/data";

/// Where a broker's logs are.
pub const LOGS: &str = "/logs";

/// What a living node runs.
#[derive(Clone, Debug)]
pub enum Part {
    /// A controller's; the quorum alone where no more of a node is simulated.
    Member(Arc<RaftQuorum>, Option<ControllerHandle>),
    /// That of one who only pulls.
    Observer(Arc<ObserverQuorum>),
    /// A broker's, which may be a controller, too.
    Broker(Arc<Broker>),
}

impl Part {
    /// A controller's part in the quorum.
    pub fn member(&self) -> Option<&Arc<RaftQuorum>> {
        match self {
            Self::Member(quorum, _) => Some(quorum),
            Self::Observer(_) => None,
            Self::Broker(broker) => match &broker.seat {
                Seat::Beside(_) => None,
                Seat::Among(quorum, _) => Some(quorum),
            },
        }
    }

    /// A controller.
    pub fn controller(&self) -> Option<(&Arc<RaftQuorum>, &ControllerHandle)> {
        match self {
            Self::Member(quorum, controller) => Some((quorum, controller.as_ref()?)),
            Self::Observer(_) => None,
            Self::Broker(broker) => match &broker.seat {
                Seat::Beside(_) => None,
                Seat::Among(quorum, controller) => Some((quorum, controller)),
            },
        }
    }

    /// What the rest of a node sees of it.
    pub fn quorum(&self) -> Arc<dyn Quorum> {
        match self {
            Self::Member(quorum, _) => quorum.clone(),
            Self::Observer(quorum) => quorum.clone(),
            Self::Broker(broker) => broker.seat.quorum(),
        }
    }

    /// The metadata log.
    pub fn log(&self) -> &Arc<Log> {
        match self {
            Self::Member(quorum, _) => quorum.log(),
            Self::Observer(quorum) => quorum.log(),
            Self::Broker(broker) => match &broker.seat {
                Seat::Beside(quorum) => quorum.log(),
                Seat::Among(quorum, _) => quorum.log(),
            },
        }
    }

    /// Why it takes part no more, if so.
    pub fn ended(&self) -> Option<String> {
        match self {
            Self::Member(quorum, _) => quorum.ended().now_or_never(),
            Self::Observer(quorum) => quorum.ended().now_or_never(),
            Self::Broker(broker) => match &broker.seat {
                Seat::Beside(quorum) => quorum.ended().now_or_never(),
                Seat::Among(quorum, _) => quorum.ended().now_or_never(),
            },
        }
    }
}

/// What is gone of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Everything, and with it who it was.
    All,
    /// The metadata log.
    Log,
}

/// A node.
#[derive(Debug)]
pub struct Host {
    /// `node.id`.
    pub id: i32,
    /// What it is.
    pub kind: Kind,
    /// The id of its directory.
    pub directory: Uuid,
    /// Its disk, as the process of now sees it.
    pub disk: SimDisk,
    /// The process of now.
    pub life: Option<Life>,
    /// When it is started again.
    pub start_at: Option<u64>,
    /// Until when it is held up.
    pub held_until: Option<u64>,
    /// The process that was told to stop.
    pub leaving: Option<Life>,
    /// Whether its directory was emptied.
    pub was_emptied: bool,
    /// Until when its disk is full.
    pub full_until: Option<u64>,
    /// Whether its disk was full at any time in the life of now: then what it has to write may end it.
    pub was_full: bool,
}

/// An empty disk.
fn disk(harshness: Disks, kind: Kind, seed: u64) -> SimDisk {
    let disk = match harshness {
        Disks::Mild => SimDisk::new(seed),
        Disks::Harsh => SimDisk::harsh(seed),
    };
    // A node finds its directory there, whatever happens.
    let dirs: &[&str] = if kind.is_broker() { &[DATA, LOGS] } else { &[DATA] };
    for dir in dirs {
        let made = disk.create_dir_all(Path::new(dir)).and_then(|()| disk.sync_dir(Path::new("/")));
        assert!(made.is_ok(), "{made:?}");
    }
    disk
}

impl Host {
    /// A node whose directory is empty.
    pub fn new(id: i32, kind: Kind, plan: &Plan, seed: u64) -> Self {
        Self {
            id,
            kind,
            directory: Uuid::from_u128(1_000 + id as u128),
            disk: disk(plan.disks, kind, seed),
            life: None,
            start_at: Some(plan.late.get(&id).copied().unwrap_or_default()),
            held_until: None,
            leaving: None,
            was_emptied: false,
            full_until: None,
            was_full: false,
        }
    }

    /// The disk is another one, and empty. Where only the log is gone, the directory is still known by its id.
    pub fn empty(&mut self, plan: &Plan, seed: u64, lost: Lost) {
        self.disk = disk(plan.disks, self.kind, seed);
        if lost == Lost::All {
            self.directory = Uuid::from_u128((u128::from(seed) << 20) | self.id as u128);
        }
        self.was_emptied = true;
        self.full_until = None;
    }

    /// The disk takes so many bytes more, and no more until a time.
    pub fn fill(&mut self, room: u64, until: u64) {
        self.disk.set_capacity(self.disk.used().saturating_add(room));
        (self.full_until, self.was_full) = (Some(until), true);
    }

    /// The disk has room again.
    pub fn clear(&mut self) {
        self.disk.set_capacity(u64::MAX);
        self.full_until = None;
    }

    /// Who it is, by its directory.
    pub fn key(&self) -> NodeKey {
        NodeKey::new(self.id, self.directory)
    }

    /// What it is started with.
    pub fn options(&self, plan: &Plan) -> Options {
        let controllers = || plan.hosts.iter().filter(|(_, kind)| kind.is_member());
        let directory = |id: i32| match plan.keys {
            Keys::Directories => Uuid::from_u128(1_000 + id as u128),
            Keys::Nodes => Uuid::ZERO,
        };
        let named = self.kind.is_member()
            && plan.voters.contains(&self.id)
            && !(self.was_emptied && plan.keys == Keys::Directories);
        let voter =
            |id: &i32| Voter { key: NodeKey::new(*id, directory(*id)), member: member(*id) };
        let initial_voters = if named { plan.voters.iter().map(voter).collect() } else { vec![] };
        Options {
            cluster_id: CLUSTER.to_owned(),
            member: member(self.id),
            initial_voters,
            bootstrap: controllers().flat_map(|(id, _)| member(*id).endpoints).collect(),
            election_timeout_ms: plan.election_timeout_ms,
            kept_entries: plan.kept_entries,
            segment_bytes: plan.segment_bytes,
            snapshots: SnapshotPolicy { max_bytes: plan.snapshot_bytes, max_interval_ms: 0 },
            retention: Retention { bytes: Some(1), ms: Some(0) },
            ..Options::new(
                self.key(),
                Arc::new(self.disk.clone()),
                PathBuf::from(DATA),
                clock::of(self.id),
            )
        }
    }
}

/// Where a node is. The wires know it by its port.
pub fn member(id: i32) -> Member {
    let port = u16::try_from(id).unwrap_or_default();
    let endpoint = Endpoint { name: "C".into(), host: "h".into(), port };
    Member { endpoints: vec![endpoint], ..Member::default() }
}
