//! The process dies, or the power goes, at each change of the disk in turn: what was acknowledged is there afterwards, and
//! nothing that was not proposed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::sim::SimDisk;
use ottla_metadata::MetadataVersion;
use ottla_quorum::format::{FormatRequest, IfFormatted, InitialQuorum, Unstable, format};
use ottla_quorum::network::Alone;
use ottla_quorum::{NodeKey, Options, Quorum, RaftQuorum, Retention, Role, SnapshotPolicy};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, TopicRecord};

const PATIENCE: Duration = Duration::from_secs(20);

fn clock() -> i64 {
    1_800_000_000_000
}

fn metadata_dir() -> PathBuf {
    PathBuf::from("/data")
}

/// A disk, and the change at which the process on it dies.
struct Machine {
    disk: SimDisk,
    dies_at: u64,
}

impl Machine {
    fn dies_after(&mut self, changes: u64) {
        self.dies_at = self.disk.changes() + changes;
        self.disk.die_after(changes);
    }

    fn is_dead(&self) -> bool {
        self.disk.changes() > self.dies_at
    }

    /// Begins anew, by chance after a loss of power or with all that was written.
    fn begin_anew(&mut self, power: Power) {
        match power {
            Power::Stays => self.disk.revive(),
            Power::Goes => self.disk.lose_power(),
        }
        self.dies_at = u64::MAX;
    }
}

#[derive(Clone, Copy, Debug)]
enum Power {
    Stays,
    Goes,
}

/// A machine with a formatted node, and the node.
fn formatted(seed: u64) -> (Machine, NodeKey) {
    let disk = SimDisk::new(seed);
    let request = FormatRequest {
        node_id: 1,
        cluster_id: "cluster".into(),
        log_dirs: vec![metadata_dir()],
        metadata_dir: metadata_dir(),
        controller_listener: "CONTROLLER".into(),
        quorum: InitialQuorum::Standalone { host: "localhost".into(), port: 9093 },
        release: None,
        features: Vec::new(),
        scram: Vec::new(),
        formatted: IfFormatted::Refuse,
        unstable: Unstable::Refused,
    };
    format(&disk, &request, clock()).unwrap();
    let properties =
        ottla_quorum::meta_properties::MetaProperties::read(&disk, &metadata_dir()).unwrap();
    let node = NodeKey::new(1, properties.unwrap().directory_id.unwrap());
    (Machine { disk, dies_at: u64::MAX }, node)
}

fn options(machine: &Machine, node: NodeKey) -> Options {
    Options {
        snapshots: SnapshotPolicy { max_bytes: 1500, max_interval_ms: 0 },
        retention: Retention { bytes: Some(1), ms: Some(0) },
        ..Options::new(node, Arc::new(machine.disk.clone()), metadata_dir(), clock)
    }
}

/// Waits until the node leads; `None` when the disk dies before.
async fn leader(quorum: &RaftQuorum, disk: &Machine) -> Option<i32> {
    let mut leadership = quorum.leadership();
    let waiting = async {
        loop {
            let now = *leadership.borrow_and_update();
            if now.role == Role::Leader {
                return Some(now.epoch);
            }
            if disk.is_dead() {
                return None;
            }
            let _ = tokio::time::timeout(Duration::from_millis(2), leadership.changed()).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("neither a leader nor a dead disk")
}

/// Proposes topics until all are there or the disk dies. Returns which were acknowledged and which were proposed.
async fn work(
    disk: &Machine,
    node: NodeKey,
    topics: std::ops::Range<u128>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut acknowledged, mut proposed) = (BTreeSet::new(), BTreeSet::new());
    let Ok(quorum) = RaftQuorum::start(options(disk, node), Alone).await else {
        assert!(disk.is_dead(), "the node does not start on a disk that works");
        return (acknowledged, proposed);
    };
    if let Some(epoch) = leader(&quorum, disk).await {
        for n in topics {
            let name = format!("topic-{n}");
            let topic = TopicRecord { name: name.clone(), topic_id: Uuid::from_u128(1000 + n) };
            let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
            let records = vec![level.into(), topic.into()];
            proposed.insert(name.clone());
            let Ok(proposal) = quorum.propose(epoch, MetadataVersion::LATEST, records).await else {
                break;
            };
            match tokio::time::timeout(PATIENCE, proposal).await.expect("no answer") {
                Ok(_) => drop(acknowledged.insert(name)),
                Err(_) => break,
            }
        }
        assert!(disk.is_dead() || acknowledged.len() == proposed.len());
    }
    let _ = quorum.shutdown().await;
    (acknowledged, proposed)
}

async fn there(disk: &Machine, node: NodeKey, what: &str) -> BTreeSet<String> {
    let quorum = RaftQuorum::start(options(disk, node), Alone).await;
    let quorum = quorum.unwrap_or_else(|e| panic!("{what}: {e}"));
    leader(&quorum, disk).await.unwrap_or_else(|| panic!("{what}: no leader"));
    let image = quorum.updates().image();
    quorum.shutdown().await.unwrap();
    image.topics().map(|t| t.name.to_string()).collect()
}

async fn dies_at_each_change(power: Power) {
    let (mut machine, node) = formatted(1);
    machine.begin_anew(power);
    let before = machine.disk.changes();
    let (all, _) = work(&machine, node, 0..30).await;
    assert_eq!(all.len(), 30);
    let changes = machine.disk.changes() - before;
    assert!(changes > 60, "only {changes} changes");
    for at in 0..changes {
        let (mut machine, node) = formatted(at);
        machine.dies_after(at);
        let (acknowledged, proposed) = work(&machine, node, 0..30).await;
        machine.begin_anew(power);
        // A second time, soon, as when a machine is in trouble.
        machine.dies_after(at % 13);
        let (more, tried) = work(&machine, node, 30..40).await;
        machine.begin_anew(power);
        let found = there(&machine, node, &format!("change {at}")).await;
        let must: BTreeSet<_> = acknowledged.union(&more).cloned().collect();
        let may: BTreeSet<_> = proposed.union(&tried).cloned().collect();
        assert!(must.is_subset(&found), "change {at}: lost {:?}", must.difference(&found));
        assert!(found.is_subset(&may), "change {at}: made up {:?}", found.difference(&may));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_dies_at_each_change() {
    dies_at_each_change(Power::Stays).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_goes_at_each_change() {
    dies_at_each_change(Power::Goes).await;
}
