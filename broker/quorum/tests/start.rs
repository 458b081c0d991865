//! What a node finds when it starts: everything, or a reason why it cannot be understood.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::real::RealDisk;
use ottla_log::disk::{Disk, DiskFile, Entry, Open, Space};
use ottla_metadata::{MetadataVersion, features};
use ottla_quorum::network::Alone;
use ottla_quorum::{Member, NodeKey, Options, Quorum, RaftQuorum, Role, Voter};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord, TopicRecord};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

/// More of a log than is read at once.
const CHUNK: u64 = 2 << 20;

/// A disk that, once something was written to the metadata log, gives nothing behind its first chunk until it is told
/// to: what a slow disk does to the end of a long log.
#[derive(Clone, Debug)]
struct Slow {
    written: Arc<watch::Sender<bool>>,
    released: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn DiskFile>,
    slow: Option<Slow>,
}

impl Slow {
    fn new() -> Self {
        Self {
            written: Arc::new(watch::Sender::new(false)),
            released: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl DiskFile for SlowFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if let Some(slow) = &self.slow
            && *slow.written.borrow()
            && position >= CHUNK
        {
            let begun = std::time::Instant::now();
            while !*slow.released.borrow() {
                if begun.elapsed() > 2 * PATIENCE {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.file.read_at(buf, position)
    }
    fn write_vectored_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        if let Some(slow) = &self.slow {
            slow.written.send_replace(true);
        }
        self.file.write_vectored_at(bufs, position)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.file.set_modified_ms(ms)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Disk for Slow {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let file = RealDisk.open(path, how)?;
        let slow = path.extension().is_some_and(|e| e == "log").then(|| self.clone());
        Ok(Arc::new(SlowFile { file, slow }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir_all(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        RealDisk.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_all(path)
    }
}

fn options(disk: Arc<dyn Disk>, dir: &Path) -> Options {
    let node = NodeKey::new(1, Uuid::from_u128(7));
    Options {
        initial_voters: vec![Voter { key: node, member: Member::default() }],
        ..Options::new(node, disk, dir.to_owned(), || 1_800_000_000_000)
    }
}

async fn start(dir: &Path) -> RaftQuorum {
    RaftQuorum::start(options(Arc::new(RealDisk), dir), Alone).await.unwrap()
}

async fn epoch(quorum: &RaftQuorum) -> i32 {
    let mut leadership = quorum.leadership();
    let leader = leadership.wait_for(|l| l.role == Role::Leader);
    tokio::time::timeout(PATIENCE, leader).await.expect("no leader").unwrap().epoch
}

async fn write(quorum: &RaftQuorum, records: Vec<MetadataRecord>) {
    let epoch = epoch(quorum).await;
    let proposal = quorum.propose(epoch, MetadataVersion::LATEST, records).await.unwrap();
    proposal.await.unwrap();
}

fn level(name: &str, feature_level: i16) -> MetadataRecord {
    FeatureLevelRecord { name: name.into(), feature_level }.into()
}

fn topic(n: u128) -> MetadataRecord {
    let name = format!("a-topic-with-a-name-that-takes-some-bytes-of-the-log-{n}");
    TopicRecord { name, topic_id: Uuid::from_u128(1000 + n) }.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_first_served_from_holds_all_that_was_committed_before() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    write(&quorum, vec![level("metadata.version", 30)]).await;
    const TOPICS: usize = 40_000;
    for first in (0..TOPICS as u128).step_by(500) {
        write(&quorum, (first..first + 500).map(topic).collect()).await;
    }
    assert!(quorum.log().size() > CHUNK + (1 << 20));
    quorum.shutdown().await.unwrap();

    let disk = Slow::new();
    let quorum = RaftQuorum::start(options(Arc::new(disk.clone()), dir.path()), Alone).await;
    let quorum = Arc::new(quorum.unwrap());
    let whole = tokio::spawn({
        let quorum = quorum.clone();
        async move { quorum.caught_up().await.unwrap() }
    });
    // A piece of it is published, which says of itself nothing of being one.
    let mut updates = quorum.updates();
    let first = tokio::time::timeout(PATIENCE, updates.next()).await.expect("a piece").unwrap();
    assert!(first.image.features().recorded_version().is_some());
    assert!((1..TOPICS).contains(&first.image.topic_count()), "{}", first.image.topic_count());
    assert!(!whole.is_finished());
    disk.released.send_replace(true);
    let whole = tokio::time::timeout(PATIENCE, whole).await.expect("the whole").unwrap();
    assert_eq!(whole.topic_count(), TOPICS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_of_tomorrow_ends_the_node_and_every_start() {
    for (name, known) in [
        ("metadata.version", "levels 7-31 are known here"),
        ("group.version", "levels 0-1 are known here"),
        ("feature.of.tomorrow", "no level is known here"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let quorum = start(dir.path()).await;
        write(&quorum, vec![level("metadata.version", 30)]).await;
        let offset = quorum.end_offset();
        let epoch = epoch(&quorum).await;
        let newer = quorum.propose(epoch, MetadataVersion::LATEST, vec![level(name, 99)]).await;
        assert!(newer.unwrap().await.is_err());
        let ended = tokio::time::timeout(PATIENCE, quorum.ended()).await.expect("it goes on");
        let place = dir.path().join("__cluster_metadata-0");
        let line = format!(
            "{}, offset {offset}: {name} is at level 99, and {known}. Nothing was changed. Start a version of this \
             software that knows that level, at least as new as the one that set it",
            place.display()
        );
        assert_eq!(ended, line);
        drop(quorum);

        let quorum = start(dir.path()).await;
        let refused = tokio::time::timeout(PATIENCE, quorum.caught_up()).await.expect("it waits");
        let refused = refused.expect_err("a level of tomorrow").to_string();
        assert_eq!(refused, format!("the metadata quorum has stopped: {line}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_of_the_configuration_have_no_kraft_version() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = start(dir.path()).await;
    write(&quorum, vec![level("metadata.version", 30)]).await;
    assert_eq!(quorum.updates().image().features().level(features::KRAFT), 0);
    let snapshot = quorum.snapshot().await.unwrap();
    let read = ottla_quorum::snapshot::read(&RealDisk, &snapshot).unwrap();
    assert_eq!((read.kraft_version, read.voters().len()), (Some(0), 1));
    quorum.shutdown().await.unwrap();
    let quorum = start(dir.path()).await;
    write(&quorum, vec![topic(1)]).await;
    assert_eq!(quorum.updates().image().features().level(features::KRAFT), 0);
}
