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

/// A disk, and what becomes of it when the process on it dies.
struct Machine {
    disk: SimDisk,
    power: Power,
}

impl Machine {
    fn dies_after(&self, changes: u64) {
        self.disk.die_after(changes);
    }

    fn is_dead(&self) -> bool {
        self.disk.is_dead()
    }

    /// Begins anew, with all that was written or after a loss of power. What is left of the process before is cut off.
    fn begin_anew(&mut self) {
        self.disk = self.disk.next_process();
        match self.power {
            Power::Stays => self.disk.revive(),
            Power::Goes | Power::GoesHarshly => self.disk.lose_power(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Stays,
    /// Names come back in order, and with any flush.
    Goes,
    /// Only flushed directories keep names, and writes lose any of their sectors.
    GoesHarshly,
}

/// A machine with a formatted node, and the node.
fn formatted(seed: u64, power: Power) -> (Machine, NodeKey) {
    let disk = match power {
        Power::Stays | Power::Goes => SimDisk::new(seed),
        Power::GoesHarshly => SimDisk::harsh(seed),
    };
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
    (Machine { disk, power }, node)
}

/// With some seeds the log has many segments.
fn options(machine: &Machine, node: NodeKey, seed: u64) -> Options {
    let segment_bytes = if seed.is_multiple_of(2) { 1 << 30 } else { 1000 };
    Options {
        segment_bytes,
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

/// Topics that were acknowledged, and topics that were proposed.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    proposed: BTreeSet<String>,
}

/// Proposes topics, several before the first is answered, until all are there or the disk dies.
async fn work(
    machine: &Machine,
    node: NodeKey,
    seed: u64,
    topics: std::ops::Range<u128>,
    told: &mut Told,
) {
    let Ok(quorum) = RaftQuorum::start(options(machine, node, seed), Alone).await else {
        assert!(machine.is_dead(), "the node does not start on a disk that works");
        return;
    };
    if let Some(epoch) = leader(&quorum, machine).await {
        let width = 1 + (seed % 3) as usize;
        let topics: Vec<_> = topics.collect();
        'all: for some in topics.chunks(width) {
            let mut waiting = Vec::new();
            for n in some {
                let name = format!("topic-{n}");
                let topic = TopicRecord { name: name.clone(), topic_id: Uuid::from_u128(1000 + n) };
                let level =
                    FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
                let records = vec![level.into(), topic.into()];
                told.proposed.insert(name.clone());
                match quorum.propose(epoch, MetadataVersion::LATEST, records).await {
                    Ok(proposal) => waiting.push((name, proposal)),
                    Err(_) => break 'all,
                }
            }
            for (name, proposal) in waiting {
                match tokio::time::timeout(PATIENCE, proposal).await.expect("no answer") {
                    Ok(_) => drop(told.acknowledged.insert(name)),
                    Err(_) => break 'all,
                }
            }
        }
        assert!(machine.is_dead() || told.acknowledged.len() == told.proposed.len());
    }
    let _ = quorum.shutdown().await;
}

async fn there(machine: &Machine, node: NodeKey, seed: u64, what: &str) -> BTreeSet<String> {
    let quorum = RaftQuorum::start(options(machine, node, seed), Alone).await;
    let quorum = quorum.unwrap_or_else(|e| panic!("{what}: {e}"));
    leader(&quorum, machine).await.unwrap_or_else(|| panic!("{what}: no leader"));
    let image = quorum.updates().image();
    quorum.shutdown().await.unwrap();
    image.topics().map(|t| t.name.to_string()).collect()
}

/// The seeds to try: those of `OTTLA_CRASH_SEEDS=FROM..TO` for a long sweep, else a few.
fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("OTTLA_CRASH_SEEDS").unwrap_or_default();
    let parsed =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.unwrap_or(1..3)
}

async fn dies_at_each_change(power: Power) {
    for seed in seeds() {
        let (mut machine, node) = formatted(seed, power);
        machine.begin_anew();
        let (before, mut told) = (machine.disk.changes(), Told::default());
        work(&machine, node, seed, 0..30, &mut told).await;
        assert_eq!(told.acknowledged.len(), 30);
        let changes = machine.disk.changes() - before;
        assert!(changes > 40, "only {changes} changes");
        for at in 0..changes {
            dies_at(seed, at, power).await;
        }
    }
}

async fn dies_at(seed: u64, at: u64, power: Power) {
    let mut told = Told::default();
    let (mut machine, node) = formatted(seed.wrapping_mul(1 << 20) + at, power);
    machine.dies_after(at);
    work(&machine, node, seed, 0..30, &mut told).await;
    machine.begin_anew();
    // A second time, soon, as when a machine is in trouble.
    machine.dies_after((at + seed) % 13);
    work(&machine, node, seed, 30..40, &mut told).await;
    machine.begin_anew();
    let what = format!("seed {seed}, change {at}, {power:?}");
    let found = there(&machine, node, seed, &what).await;
    let Told { acknowledged: must, proposed: may } = told;
    assert!(must.is_subset(&found), "{what}: lost {:?}", must.difference(&found));
    assert!(found.is_subset(&may), "{what}: made up {:?}", found.difference(&may));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_dies_at_each_change() {
    dies_at_each_change(Power::Stays).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_goes_at_each_change() {
    dies_at_each_change(Power::Goes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_goes_harshly_at_each_change() {
    dies_at_each_change(Power::GoesHarshly).await;
}
