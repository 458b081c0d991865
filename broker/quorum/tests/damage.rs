//! A byte of the metadata log is another one than was written: where an interrupted write could have left it so, the
//! log is cut there; elsewhere the node does not start, and says what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::sim::SimDisk;
use ottla_log::disk::{Disk, Open};
use ottla_metadata::MetadataVersion;
use ottla_quorum::network::Alone;
use ottla_quorum::{Member, NodeKey, Options, Quorum, QuorumError, RaftQuorum, Role, Voter};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, TopicRecord};

const PATIENCE: Duration = Duration::from_secs(20);
const LOG: &str = "/data/__cluster_metadata-0/00000000000000000000.log";
const FLUSHED: &str = "/data/__cluster_metadata-0/flushed-offset";

fn options(disk: &SimDisk) -> Options {
    let node = NodeKey::new(1, Uuid::from_u128(7));
    let dir = PathBuf::from("/data");
    Options {
        initial_voters: vec![Voter { key: node, member: Member::default() }],
        ..Options::new(node, Arc::new(disk.clone()), dir, || 1_800_000_000_000)
    }
}

async fn leads(quorum: &RaftQuorum) -> i32 {
    let mut leadership = quorum.leadership();
    let leader = leadership.wait_for(|l| l.role == Role::Leader);
    tokio::time::timeout(PATIENCE, leader).await.expect("no leader").unwrap().epoch
}

/// The names of the topics a node has.
async fn topics(disk: &SimDisk) -> Result<Vec<String>, QuorumError> {
    let quorum = RaftQuorum::start(options(disk), Alone).await?;
    leads(&quorum).await;
    let image = quorum.updates().image();
    quorum.shutdown().await?;
    Ok(image.topics().map(|t| t.name.to_string()).collect())
}

/// A log with a few topics, closed, and where its batches begin.
struct Written {
    log: Vec<u8>,
    batches: Vec<usize>,
    flushed: Vec<u8>,
    votes: Vec<u8>,
    topics: Vec<String>,
}

const VOTES: &str = "/data/__cluster_metadata-0/quorum-state";

impl Written {
    async fn new() -> Self {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/data")).unwrap();
        let quorum = RaftQuorum::start(options(&disk), Alone).await.unwrap();
        let epoch = leads(&quorum).await;
        let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
        let mut records = vec![level.into()];
        for n in 0..5 {
            let topic = TopicRecord { name: format!("t{n}"), topic_id: Uuid::from_u128(100 + n) };
            records.push(topic.into());
            let proposal = quorum.propose(epoch, MetadataVersion::LATEST, records).await.unwrap();
            proposal.await.unwrap();
            records = Vec::new();
        }
        quorum.shutdown().await.unwrap();
        let read = |path: &str| disk.read(Path::new(path), 1 << 20).unwrap();
        let log = read(LOG);
        let (mut batches, mut at) = (Vec::new(), 0);
        while at < log.len() {
            batches.push(at);
            at += 12 + u32::from_be_bytes(log[at + 8..at + 12].try_into().unwrap()) as usize;
        }
        let topics = (0..5).map(|n| format!("t{n}")).collect();
        Self { log, batches, flushed: read(FLUSHED), votes: read(VOTES), topics }
    }

    /// A disk with the log, changed, and with what is said about how far it was flushed.
    fn disk(&self, flushed: Option<&[u8]>, change: impl FnOnce(&mut Vec<u8>)) -> SimDisk {
        let disk = SimDisk::new(2);
        disk.create_dir_all(Path::new(LOG).parent().unwrap()).unwrap();
        let mut log = self.log.clone();
        change(&mut log);
        let files = [(LOG, Some(&log[..])), (FLUSHED, flushed), (VOTES, Some(&self.votes[..]))];
        for (path, bytes) in files {
            if let Some(bytes) = bytes {
                disk.open(Path::new(path), Open::Create).unwrap().write_at(bytes, 0).unwrap();
            }
        }
        disk
    }

    /// The bytes of the last batch, and of one in the middle.
    fn last(&self) -> std::ops::Range<usize> {
        *self.batches.last().unwrap()..self.log.len()
    }

    fn middle(&self) -> std::ops::Range<usize> {
        let n = self.batches.len();
        self.batches[n - 3]..self.batches[n - 2]
    }
}

fn refused(found: Result<Vec<String>, QuorumError>, what: &str) -> String {
    match found {
        Err(e @ QuorumError::Damaged { .. }) => e.to_string(),
        other => panic!("{what}: {other:?}"),
    }
}

/// `flushed-offset` as it was when the last batch was not flushed yet.
async fn before_last(written: &Written) -> Vec<u8> {
    let disk = written.disk(None, |log| log.truncate(written.last().start));
    let quorum = RaftQuorum::start(options(&disk), Alone).await.unwrap();
    // The file as it is at the start, before this process leads and writes.
    let text = disk.read(Path::new(FLUSHED), 1 << 10).unwrap();
    let lines: Vec<_> = text.chunks(30).collect();
    quorum.shutdown().await.unwrap();
    let least = lines.iter().filter(|l| l.len() == 30 && l[0] == b'0').min();
    least.expect("a line").to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_is_never_cut() {
    let written = Written::new().await;
    assert_eq!(
        topics(&written.disk(Some(&written.flushed), |_| ())).await.unwrap(),
        written.topics
    );
    for at in written.middle().chain(written.last()) {
        for bit in [1 << (at % 8), 0x80] {
            let disk = written.disk(Some(&written.flushed), |log| log[at] ^= bit);
            let what = format!("byte {at} of {:?} {:?}", written.middle(), written.last());
            refused(topics(&disk).await, &what);
            let mut changed = written.log.clone();
            changed[at] ^= bit;
            assert_eq!(disk.read(Path::new(LOG), 1 << 20).unwrap(), changed, "{what} was changed");
        }
    }
    // Cut short anywhere in them, too.
    for at in written.middle().chain(written.last()) {
        let disk = written.disk(Some(&written.flushed), |log| log.truncate(at));
        refused(topics(&disk).await, &format!("cut at {at}"));
    }
    let at = written.middle().start;
    let disk = written.disk(Some(&written.flushed), |log| log[at + 70] ^= 1);
    let text = refused(topics(&disk).await, "one byte");
    assert!(!text.contains('\n'), "{text}");
    for part in [
        "/data/__cluster_metadata-0/00000000000000000000.log: wrong checksum at byte ",
        &format!("at byte {at}, where offset "),
        "mv -T /data/__cluster_metadata-0 /data.damaged && mkdir /data/__cluster_metadata-0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_interrupted_write_is_cut() {
    let written = Written::new().await;
    let flushed = before_last(&written).await;
    let rest = &written.topics[..4];
    for at in written.last() {
        let torn = written.disk(Some(&flushed), |log| log.truncate(at));
        assert_eq!(topics(&torn).await.unwrap(), rest, "torn at byte {at}");
        // Lost in the middle, as sectors are: nothing but zeros from here on.
        let zeros = written.disk(Some(&flushed), |log| log[at..].fill(0));
        let found = topics(&zeros).await.unwrap();
        assert!(found == rest || written.log[at..].iter().all(|b| *b == 0), "zeros from byte {at}");
        // Without a word about what was flushed, nothing valid follows.
        let unclear = written.disk(None, |log| log.truncate(at));
        assert_eq!(topics(&unclear).await.unwrap(), rest, "torn at byte {at}, nothing said");
    }
    for at in written.middle() {
        let disk = written.disk(Some(&flushed), |log| log[at] ^= 1);
        refused(topics(&disk).await, &format!("byte {at}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_about_what_was_flushed_valid_batches_speak() {
    let written = Written::new().await;
    for at in written.middle() {
        let disk = written.disk(None, |log| log[at] ^= 1 << (at % 8));
        let text = refused(topics(&disk).await, &format!("byte {at}"));
        assert!(text.contains("there are valid batches behind it, from byte "), "{text}");
    }
}
