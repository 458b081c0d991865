//! Three voters, of which one dies at a change of its disk, is left behind, and dies again while it catches up: with
//! the snapshot it gets, or with the cut of what it alone had. In the end all may lose power at once.

use ottla_log::disk::sim::SimDisk;

use super::*;

const VOTERS: [i32; 3] = [1, 2, 3];

/// How long a topic may take to be written, or a node to catch up.
const STEP: Duration = Duration::from_secs(20);

/// Numbers that follow from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound.max(1)
    }
}

struct Fleet {
    seed: u64,
    chance: Chance,
    wires: Wires,
    disks: BTreeMap<i32, SimDisk>,
    nodes: BTreeMap<i32, Arc<RaftQuorum>>,
    segment_bytes: u32,
    next_topic: u128,
    acknowledged: BTreeSet<String>,
    proposed: BTreeSet<String>,
}

impl Fleet {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let harsh = chance.below(2) == 0;
        let disk = |id: i32| {
            let seed = seed * 10 + id as u64;
            (id, if harsh { SimDisk::harsh(seed) } else { SimDisk::new(seed) })
        };
        let segment_bytes = if chance.below(2) == 0 { 1 << 30 } else { 1000 };
        Self {
            seed,
            chance,
            wires: Wires::default(),
            disks: VOTERS.into_iter().map(disk).collect(),
            nodes: BTreeMap::new(),
            segment_bytes,
            next_topic: 0,
            acknowledged: BTreeSet::new(),
            proposed: BTreeSet::new(),
        }
    }

    /// Starts a node, unless its disk dies before it could.
    async fn start(&mut self, id: i32) {
        let voters = VOTERS.map(voter);
        let disk = self.disks[&id].clone();
        let dir = PathBuf::from("/data");
        if let Err(e) = disk.create_dir_all(&dir) {
            assert!(disk.is_dead(), "seed {}: {e}", self.seed);
            return;
        }
        let options = Options {
            cluster_id: CLUSTER.to_owned(),
            member: member(id),
            initial_voters: voters.to_vec(),
            election_timeout_ms: 300,
            kept_entries: 4,
            segment_bytes: self.segment_bytes,
            snapshots: SnapshotPolicy { max_bytes: 1500, max_interval_ms: 0 },
            retention: Retention { bytes: Some(1), ms: Some(0) },
            ..Options::new(key(id), Arc::new(disk.clone()), dir, || 1_800_000_000_000)
        };
        match RaftQuorum::join(options, Arc::new(Plug(self.wires.clone(), id))).await {
            Ok(quorum) => {
                let desk = quorum.desk.clone().unwrap();
                self.wires.desks.lock().unwrap().insert(id as u16, desk);
                self.nodes.insert(id, Arc::new(quorum));
            }
            Err(e) => assert!(disk.is_dead(), "seed {}: node {id} does not start: {e}", self.seed),
        }
    }

    /// Ends a node's process at once; what is left of it cannot touch the disk. It begins anew with all it wrote, or
    /// after a loss of power.
    async fn dies(&mut self, id: i32) {
        self.wires.desks.lock().unwrap().remove(&(id as u16));
        let disk = self.disks[&id].clone();
        let next = disk.next_process();
        if self.chance.below(2) == 0 {
            next.revive();
        } else {
            next.lose_power();
        }
        self.disks.insert(id, next);
        if let Some(node) = self.nodes.remove(&id) {
            let _ = node.shutdown().await;
        }
    }

    /// A node that leads and could do so for the others, too.
    fn leader(&self) -> Option<(i32, i32)> {
        let cut = self.wires.cut.lock().unwrap();
        let able = |id: &i32| !cut.contains(id) && !self.disks[id].is_dead();
        let leading = self.nodes.iter().filter(|(id, _)| able(id)).filter_map(|(id, node)| {
            let now = *node.leadership().borrow();
            (now.role == Role::Leader).then_some((*id, now.epoch))
        });
        leading.max_by_key(|(_, epoch)| *epoch)
    }

    fn topic(&mut self) -> (String, Vec<MetadataRecord>) {
        self.next_topic += 1;
        let n = self.next_topic;
        let name = format!("topic-{n}");
        self.proposed.insert(name.clone());
        let topic = TopicRecord { name: name.clone(), topic_id: Uuid::from_u128(10_000 + n) };
        let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
        (name, vec![level.into(), topic.into()])
    }

    /// Writes a topic through whoever leads; after an answer that says nothing, another one.
    async fn write(&mut self) {
        let begun = std::time::Instant::now();
        loop {
            assert!(begun.elapsed() < STEP, "seed {}: nothing can be written", self.seed);
            let Some((id, epoch)) = self.leader() else {
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            };
            let (name, records) = self.topic();
            let node = &self.nodes[&id];
            let answered =
                async { node.propose(epoch, MetadataVersion::LATEST, records).await?.await };
            // A leader whose disk died, or that lost its followers, may never answer.
            let answer = tokio::time::timeout(Duration::from_millis(500), answered).await;
            if let Ok(Ok(_)) = answer {
                self.acknowledged.insert(name);
                return;
            }
        }
    }

    async fn write_many(&mut self, count: usize) {
        for _ in 0..count {
            self.write().await;
        }
    }

    /// Waits until a node has all that the leader has, or its disk died.
    async fn catches_up(&self, id: i32) {
        let Some(node) = self.nodes.get(&id) else { return };
        let begun = std::time::Instant::now();
        while !self.disks[&id].is_dead() {
            assert!(begun.elapsed() < STEP, "seed {}: node {id} stays behind", self.seed);
            if let Some((leader, _)) = self.leader() {
                let goal = self.nodes[&leader].updates().image().provenance().offset;
                if node.updates().image().provenance().offset >= goal {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The leader is cut off with entries that nobody else has; the rest goes on, then it comes back.
    async fn divides(&mut self) {
        let Some((old, epoch)) = self.leader() else { return };
        self.wires.cut.lock().unwrap().insert(old);
        for _ in 0..3 {
            let (_, records) = self.topic();
            let proposed = self.nodes[&old].propose(epoch, MetadataVersion::LATEST, records);
            let _ = tokio::time::timeout(Duration::from_millis(100), proposed).await;
        }
        let count = self.chance.below(12) as usize;
        self.write_many(1 + count).await;
        let changes = self.chance.below(30);
        self.disks[&old].die_after(changes);
        self.wires.cut.lock().unwrap().clear();
        self.catches_up(old).await;
        self.dies(old).await;
        self.start(old).await;
    }

    /// All nodes have what was acknowledged, and nothing that was not proposed.
    async fn agree(&mut self) {
        self.write().await;
        for id in VOTERS {
            self.catches_up(id).await;
        }
        let seed = self.seed;
        for id in VOTERS {
            let image = self.nodes[&id].updates().image();
            let found: BTreeSet<_> = image.topics().map(|t| t.name.to_string()).collect();
            let lost: Vec<_> = self.acknowledged.difference(&found).collect();
            assert!(lost.is_empty(), "seed {seed}: node {id} lost {lost:?}");
            let made_up: Vec<_> = found.difference(&self.proposed).collect();
            assert!(made_up.is_empty(), "seed {seed}: node {id} made up {made_up:?}");
        }
    }
}

async fn sweep(seed: u64) {
    let mut fleet = Fleet::new(seed);
    for id in VOTERS {
        fleet.start(id).await;
    }
    let victim = 1 + fleet.chance.below(3) as i32;
    fleet.disks[&victim].die_after(seed % 170);
    fleet.write_many(20).await;
    fleet.dies(victim).await;
    // The others write snapshots, and forget what the victim lacks.
    let count = fleet.chance.below(20) as usize;
    fleet.write_many(count).await;
    for _ in 0..2 {
        let changes = fleet.chance.below(40);
        fleet.disks[&victim].die_after(changes);
        fleet.start(victim).await;
        fleet.catches_up(victim).await;
        fleet.dies(victim).await;
    }
    fleet.start(victim).await;
    fleet.catches_up(victim).await;
    fleet.divides().await;
    if fleet.chance.below(2) == 0 {
        for id in VOTERS {
            fleet.dies(id).await;
        }
        for id in VOTERS {
            fleet.start(id).await;
        }
    }
    fleet.agree().await;
    for (_, node) in std::mem::take(&mut fleet.nodes) {
        let _ = node.shutdown().await;
    }
}

/// The seeds of `OTTLA_CRASH_SEEDS=FROM..TO` for a long sweep, else a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_die_and_come_back() {
    let text = std::env::var("OTTLA_CRASH_SEEDS").unwrap_or_default();
    let range = text.split_once("..");
    let range = range.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    for seed in range.unwrap_or(1..9) {
        sweep(seed).await;
    }
}
