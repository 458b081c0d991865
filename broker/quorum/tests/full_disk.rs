//! A disk that is full: what ends the quorum says so, and a snapshot that finds no room does not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_log::disk::sim::SimDisk;
use ottla_log::disk::{Disk, DiskFile, Entry, Open, Space};
use ottla_metadata::MetadataVersion;
use ottla_quorum::network::Alone;
use ottla_quorum::{
    Member, NodeKey, Options, Quorum, QuorumError, RaftQuorum, Role, SnapshotPolicy, Voter,
};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord, TopicRecord};

const PATIENCE: Duration = Duration::from_secs(20);
const DIR: &str = "/data/__cluster_metadata-0";

/// A disk that can be told to have no room for snapshots.
#[derive(Clone, Debug)]
struct NoRoom {
    disk: SimDisk,
    full: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

impl Disk for NoRoom {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let part = path.extension().is_some_and(|e| e == "part");
        if part && self.full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.open(path, how)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.disk.space(path)
    }
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_all(path)
    }
}

fn options(disk: Arc<dyn Disk>, snapshots: SnapshotPolicy) -> Options {
    let node = NodeKey::new(1, Uuid::from_u128(7));
    let dir = PathBuf::from("/data");
    Options {
        initial_voters: vec![Voter { key: node, member: Member::default() }],
        snapshots,
        ..Options::new(node, disk, dir, || 1_800_000_000_000)
    }
}

async fn start(disk: Arc<dyn Disk>, snapshots: SnapshotPolicy) -> (RaftQuorum, i32) {
    disk.create_dir_all(Path::new("/data")).unwrap();
    let quorum = RaftQuorum::start(options(disk, snapshots), Alone).await.unwrap();
    let mut leadership = quorum.leadership();
    let leader = leadership.wait_for(|l| l.role == Role::Leader);
    let epoch = tokio::time::timeout(PATIENCE, leader).await.expect("no leader").unwrap().epoch;
    let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
    propose(&quorum, epoch, vec![level.into()]).await.unwrap();
    (quorum, epoch)
}

async fn propose(
    quorum: &RaftQuorum,
    epoch: i32,
    records: Vec<MetadataRecord>,
) -> Result<i64, QuorumError> {
    let proposal = quorum.propose(epoch, MetadataVersion::LATEST, records).await?;
    Ok(proposal.await?.offset)
}

fn topics(from: u128, n: u128) -> Vec<MetadataRecord> {
    let one = |n| TopicRecord { name: format!("topic-{n}"), topic_id: Uuid::from_u128(1000 + n) };
    (from..from + n).map(|n| one(n).into()).collect()
}

/// Bytes of all files of the metadata log.
fn used(disk: &SimDisk) -> u64 {
    let entries = disk.list(Path::new(DIR)).unwrap();
    let len = |name: &str| {
        let file = disk.open(&Path::new(DIR).join(name), Open::Write).unwrap();
        file.len().unwrap()
    };
    entries.iter().map(|e| len(&e.name)).sum()
}

fn names(disk: &SimDisk, ending: &str) -> usize {
    let entries = disk.list(Path::new(DIR)).unwrap();
    entries.iter().filter(|e| e.name.ends_with(ending)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_the_quorum_and_says_so() {
    let disk = SimDisk::new(1);
    let (quorum, epoch) = start(Arc::new(disk.clone()), SnapshotPolicy::default()).await;
    let ended = quorum.ended();
    disk.set_capacity(used(&disk) + 10_000);
    assert!(propose(&quorum, epoch, topics(0, 10_000)).await.is_err());
    let why = tokio::time::timeout(PATIENCE, ended).await.expect("nobody is told");
    assert!(!why.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_finds_no_room_is_tried_again() {
    let (full, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let disk = NoRoom { disk: SimDisk::new(2), full: full.clone(), refused: refused.clone() };
    let often = SnapshotPolicy { max_bytes: 100_000, ..SnapshotPolicy::default() };
    let (quorum, epoch) = start(Arc::new(disk.clone()), often).await;
    let begin = Instant::now();
    let mut from = 0;
    while refused.load(Ordering::SeqCst) < 2 {
        assert!(begin.elapsed() < PATIENCE, "tried {} times", refused.load(Ordering::SeqCst));
        propose(&quorum, epoch, topics(from, 1000)).await.expect("it goes on without a snapshot");
        from += 1000;
    }
    assert_eq!(names(&disk.disk, ".checkpoint"), 0);
    full.store(false, Ordering::SeqCst);
    while names(&disk.disk, ".checkpoint") == 0 {
        assert!(begin.elapsed() < 2 * PATIENCE, "no snapshot though there is room");
        propose(&quorum, epoch, topics(from, 1000)).await.unwrap();
        from += 1000;
    }
    quorum.shutdown().await.unwrap();
}
