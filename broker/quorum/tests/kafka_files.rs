//! What Apache Kafka 4.3.1 wrote, read by us; the files are in `tests/data`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::real::RealDisk;
use ottla_metadata::{Image, MetadataVersion, ResourceType, features};
use ottla_quorum::network::Alone;
use ottla_quorum::snapshot::{self, SnapshotId};
use ottla_quorum::{NodeKey, Options, Quorum, RaftQuorum, Role, format};
use ottla_wire::schema::metadata::NoOpRecord;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka-4.3.1")
}

fn voter() -> NodeKey {
    NodeKey::new(1, "jghKNZ8kShKszGvxgJLbXA".parse().unwrap())
}

/// A node's directory with some of Kafka's files.
fn directory(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("__cluster_metadata-0");
    std::fs::create_dir(&partition).unwrap();
    for file in files {
        std::fs::copy(data().join(file), partition.join(file)).unwrap();
    }
    dir
}

async fn start(dir: &Path) -> (RaftQuorum, i32) {
    let options = Options::new(voter(), Arc::new(RealDisk), dir.to_owned(), || 1_800_000_000_000);
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    let mut leadership = quorum.leadership();
    let leading = leadership.wait_for(|l| l.role == Role::Leader);
    let epoch =
        tokio::time::timeout(Duration::from_secs(10), leading).await.unwrap().unwrap().epoch;
    (quorum, epoch)
}

fn check(image: &Image) {
    let topics: Vec<_> = image.topics().map(|t| t.name.to_string()).collect();
    assert_eq!(topics, ["one"]);
    assert_eq!(image.partition_count(), 3);
    assert_eq!(image.features().version(), MetadataVersion::LATEST);
    assert_eq!(image.brokers().count(), 1);
    assert_eq!(image.controllers().count(), 1);
    assert_eq!(image.quota_entities().count(), 1);
    assert_eq!(image.scram_credentials().count(), 1);
    let resources: Vec<_> =
        image.config_resources().map(|(r, _)| (r.kind, r.name.to_string())).collect();
    assert!(resources.contains(&(ResourceType::Topic, "one".to_owned())), "{resources:?}");
    assert_eq!(resources.len(), 2);
}

#[test]
fn a_snapshot_becomes_an_image() {
    let id = SnapshotId { end_offset: 175, epoch: 1 };
    let read = snapshot::read(&RealDisk, &data().join(id.file_name())).unwrap();
    assert_eq!(read.kraft_version, Some(1));
    assert_eq!(read.voters()[0].key, voter());
    assert_eq!(read.voters()[0].member.endpoints[0].port, 20801);
    check(&Image::from_snapshot(&read.records, id.end_offset - 1).unwrap());
}

#[test]
fn a_snapshot_that_was_damaged_is_refused() {
    let id = SnapshotId { end_offset: 175, epoch: 1 };
    let bytes = std::fs::read(data().join(id.file_name())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(id.file_name());
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(snapshot::read(&RealDisk, &path).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        // Offsets and epochs lie outside of the checksum, as everywhere in Kafka.
        let read = snapshot::read(&RealDisk, &path);
        assert!(read.is_err() || read.is_ok_and(|s| s.records.len() == 17), "byte {at}");
    }
}

#[test]
fn the_bootstrap_file_is_read() {
    let records = format::read_bootstrap(&RealDisk, &data()).unwrap().unwrap();
    assert_eq!(records.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_gone_on_with() {
    let dir = directory(&["00000000000000000000.log", "quorum-state", "leader-epoch-checkpoint"]);
    let (quorum, epoch) = start(dir.path()).await;
    assert_eq!(epoch, 3, "the epoch after the last that Kafka led");
    check(&quorum.updates().image());
    assert_eq!(quorum.updates().image().features().level(features::KRAFT), 1);
    let record = NoOpRecord::default().into();
    let proposal = quorum.propose(epoch, MetadataVersion::LATEST, vec![record]).await.unwrap();
    assert_eq!(proposal.await.unwrap().epoch, 3);
    quorum.shutdown().await.unwrap();
    let (quorum, epoch) = start(dir.path()).await;
    assert_eq!(epoch, 4);
    check(&quorum.updates().image());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_and_the_log_behind_it_are_gone_on_with() {
    let dir = directory(&[
        "00000000000000000000.log",
        "00000000000000000000-0000000000.checkpoint",
        "00000000000000000175-0000000001.checkpoint",
        "quorum-state",
    ]);
    let (quorum, epoch) = start(dir.path()).await;
    assert_eq!(epoch, 3);
    check(&quorum.updates().image());
    assert_eq!(quorum.updates().image().features().level(features::KRAFT), 1);
    let snapshot = quorum.snapshot().await.unwrap();
    quorum.shutdown().await.unwrap();
    // Our own snapshot alone is enough.
    let alone = directory(&[]);
    let partition = alone.path().join("__cluster_metadata-0");
    std::fs::copy(&snapshot, partition.join(snapshot.file_name().unwrap())).unwrap();
    let (quorum, _) = start(alone.path()).await;
    check(&quorum.updates().image());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_formatted_directory_is_begun_with() {
    let dir = directory(&["00000000000000000000-0000000000.checkpoint"]);
    let (quorum, epoch) = start(dir.path()).await;
    assert_eq!(epoch, 1);
    let image = quorum.updates().image();
    assert!(image.features().recorded_version().is_none() && image.topic_count() == 0);
    // Its voters are dynamic ones, as the formatted snapshot says.
    assert_eq!(image.features().level(features::KRAFT), 1);
    assert_eq!(quorum.describe().voters[0].member.endpoints[0].port, 20801);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_anywhere_is_a_prefix() {
    let whole = std::fs::read(data().join("00000000000000000000.log")).unwrap();
    let mut ends = Vec::new();
    for cut in (0..whole.len()).step_by(997) {
        let dir = directory(&["quorum-state"]);
        let path = dir.path().join("__cluster_metadata-0/00000000000000000000.log");
        std::fs::write(&path, &whole[..cut]).unwrap();
        let options = Options::new(voter(), Arc::new(RealDisk), dir.path().to_owned(), || 0);
        let quorum = RaftQuorum::start(options, Alone).await.unwrap();
        ends.push(quorum.end_offset());
        quorum.shutdown().await.unwrap();
    }
    assert!(ends.is_sorted(), "{ends:?}");
}
