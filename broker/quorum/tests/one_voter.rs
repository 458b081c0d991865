//! A quorum of one, as a node runs it: start, propose, restart, snapshots.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::real::RealDisk;
use ottla_metadata::{Image, MetadataVersion};
use ottla_quorum::network::Alone;
use ottla_quorum::{
    Endpoint, Leadership, Member, NodeKey, Options, Quorum, QuorumError, RaftQuorum, Retention,
    Role, SnapshotPolicy, Voter,
};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    BeginTransactionRecord, FeatureLevelRecord, MetadataRecord, TopicRecord,
};

fn clock() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis() as i64)
}

fn options(dir: &Path) -> Options {
    let node = NodeKey::new(1, Uuid::from_u128(0x1111_2222_3333_4444));
    let endpoint = Endpoint { name: "CONTROLLER".into(), host: "127.0.0.1".into(), port: 9093 };
    let member = Member { endpoints: vec![endpoint], ..Member::default() };
    Options {
        initial_voters: vec![Voter { key: node, member }],
        ..Options::new(node, Arc::new(RealDisk), dir.to_owned(), clock)
    }
}

async fn leader(quorum: &RaftQuorum) -> Leadership {
    let mut leadership = quorum.leadership();
    let known = leadership.wait_for(|l| l.role == Role::Leader);
    *tokio::time::timeout(Duration::from_secs(10), known).await.expect("no leader").unwrap()
}

fn topic(n: u128) -> MetadataRecord {
    TopicRecord { name: format!("topic-{n}"), topic_id: Uuid::from_u128(1000 + n) }.into()
}

fn level() -> MetadataRecord {
    FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 }.into()
}

async fn propose(quorum: &RaftQuorum, epoch: i32, records: Vec<MetadataRecord>) -> i64 {
    let proposal = quorum.propose(epoch, MetadataVersion::LATEST, records).await.unwrap();
    proposal.await.unwrap().offset
}

fn image(quorum: &RaftQuorum) -> Image {
    quorum.updates().image()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_there_after_each_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..5u128 {
        let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
        let epoch = leader(&quorum).await.epoch;
        assert_eq!(epoch, round as i32 + 1);
        let names: Vec<_> = image(&quorum).topics().map(|t| t.name.to_string()).collect();
        assert_eq!(names, expected);
        if round == 0 {
            propose(&quorum, epoch, vec![level()]).await;
        }
        let offset = propose(&quorum, epoch, vec![topic(2 * round), topic(2 * round + 1)]).await;
        assert_eq!(image(&quorum).provenance().offset, offset);
        assert_eq!(quorum.end_offset(), offset + 1);
        assert_eq!(quorum.high_watermark(), offset + 1);
        expected.push(format!("topic-{}", 2 * round));
        expected.push(format!("topic-{}", 2 * round + 1));
        expected.sort();
        if round % 2 == 0 {
            quorum.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_many_megabytes_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut topics = 0;
    for round in 0..2 {
        let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
        let epoch = leader(&quorum).await.epoch;
        assert_eq!(image(&quorum).topics().count() as u128, topics);
        if round == 0 {
            propose(&quorum, epoch, vec![level()]).await;
        }
        // Batches of sizes that no read ends with.
        for size in (0..60).map(|n| 400 + 37 * n) {
            propose(&quorum, epoch, (topics..topics + size).map(topic).collect()).await;
            topics += size;
        }
    }
    let log = dir.path().join("__cluster_metadata-0/00000000000000000000.log");
    assert!(std::fs::metadata(log).unwrap().len() > 4 << 20);
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    leader(&quorum).await;
    assert_eq!(image(&quorum).topics().count() as u128, topics);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_begun_from() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    for n in 0..20 {
        propose(&quorum, epoch, vec![topic(n)]).await;
    }
    let path = quorum.snapshot().await.unwrap();
    assert!(path.exists(), "{path:?}");
    let last = propose(&quorum, epoch, vec![topic(77)]).await;
    let before = image(&quorum);
    quorum.shutdown().await.unwrap();

    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let leading = leader(&quorum).await;
    assert_eq!(leading.epoch, epoch + 1);
    assert_eq!(image(&quorum), before);
    let next = propose(&quorum, leading.epoch, vec![topic(78)]).await;
    assert_eq!(next, last + 2, "the leader change takes one offset");
    let description = quorum.describe();
    assert_eq!(description.voters.len(), 1);
    assert_eq!(description.voters[0].log_end_offset, Some(next + 1));
    assert_eq!(description.voters[0].member.endpoints[0].port, 9093);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_is_over_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    let end = quorum.end_offset();
    let refused = quorum.propose(epoch + 1, MetadataVersion::LATEST, vec![level()]).await;
    assert!(matches!(refused, Err(QuorumError::NotLeader { .. })), "{refused:?}");
    assert_eq!(quorum.end_offset(), end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    let mut updates = quorum.updates();
    let first = updates.next().await.unwrap();
    assert!(first.delta.features.contains("metadata.version"));
    for n in 0..600 {
        propose(&quorum, epoch, vec![topic(n)]).await;
        if n == 3 {
            let update = updates.next().await.unwrap();
            assert_eq!(update.delta.topics.len(), 4);
        }
    }
    // Further behind than deltas are kept.
    let update = updates.next().await.unwrap();
    assert_eq!(update.delta.topics.len(), 596);
    assert_eq!(update.image.topic_count(), 600);
    assert!(updates.try_next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_gone_is_not_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    leader(&quorum).await;
    quorum.shutdown().await.unwrap();
    let partition = dir.path().join("__cluster_metadata-0");
    std::fs::remove_file(partition.join("00000000000000000000.log")).unwrap();
    let refused = RaftQuorum::start(options(dir.path()), Alone).await.unwrap_err().to_string();
    assert!(refused.contains("no segment at byte 0, where offset 0 should begin"), "{refused}");
    std::fs::remove_file(partition.join("flushed-offset")).unwrap();
    let refused = RaftQuorum::start(options(dir.path()), Alone).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the metadata log of node 1 is gone, though the node led epoch 1 before: restore the directory, or format it anew"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_written_by_size_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        snapshots: SnapshotPolicy { max_bytes: 4000, max_interval_ms: 0 },
        retention: Retention { bytes: Some(1), ms: None },
        ..options(dir.path())
    };
    let quorum = RaftQuorum::start(options(), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    for n in 0..400 {
        propose(&quorum, epoch, vec![topic(n)]).await;
    }
    let before = image(&quorum);
    quorum.shutdown().await.unwrap();
    let partition = dir.path().join("__cluster_metadata-0");
    let names = std::fs::read_dir(partition).unwrap().map(|e| e.unwrap().file_name());
    let snapshots: Vec<_> =
        names.filter(|n| n.to_string_lossy().ends_with(".checkpoint")).collect();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    let quorum = RaftQuorum::start(options(), Alone).await.unwrap();
    leader(&quorum).await;
    assert_eq!(image(&quorum), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_snapshot_is_enough_for_the_log_before_it_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { kept_entries: 0, segment_bytes: 4096, ..options(dir.path()) };
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    for n in 0..200 {
        propose(&quorum, epoch, vec![topic(n)]).await;
    }
    let first = dir.path().join("__cluster_metadata-0/00000000000000000000.log");
    assert!(first.exists());
    quorum.snapshot().await.unwrap();
    let gone = async {
        while first.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the log stays");
    assert!(quorum.log().start_offset() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_written_when_enough_time_went_by() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        snapshots: SnapshotPolicy { max_bytes: u64::MAX, max_interval_ms: 50 },
        ..options(dir.path())
    };
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    let found = async {
        loop {
            let entries = std::fs::read_dir(dir.path().join("__cluster_metadata-0")).unwrap();
            let mut names = entries.map(|e| e.unwrap().file_name());
            if names.any(|n| n.to_string_lossy().ends_with(".checkpoint")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("no snapshot");
}

/// Each publication makes a snapshot due, most of them while another one is being written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_many_snapshots_that_are_due_at_once_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        snapshots: SnapshotPolicy { max_bytes: 1, max_interval_ms: 0 },
        ..options(dir.path())
    };
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level()]).await;
    for n in 0..300 {
        propose(&quorum, epoch, vec![topic(n)]).await;
    }
    let end = quorum.end_offset();
    let newest = || {
        let entries = std::fs::read_dir(dir.path().join("__cluster_metadata-0")).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let snapshots = names.filter(|name| name.ends_with(".checkpoint"));
        snapshots.filter_map(|name| name[..20].parse::<i64>().ok()).max()
    };
    let written = async {
        while newest() != Some(end) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(10), written).await;
    assert!(written.is_ok(), "the newest snapshot ends at {:?}, the log at {end}", newest());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_without_an_end_is_aborted_by_the_next_leader() {
    let dir = tempfile::tempdir().unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    propose(&quorum, epoch, vec![level(), topic(1)]).await;
    let begin = BeginTransactionRecord { name: Some("many topics".into()) };
    propose(&quorum, epoch, vec![begin.into(), topic(2)]).await;
    let last = propose(&quorum, epoch, vec![topic(3)]).await;
    assert_eq!(image(&quorum).topic_count(), 1, "it is not seen before its end");
    assert_eq!(quorum.high_watermark(), last + 1);
    quorum.shutdown().await.unwrap();
    let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
    let epoch = leader(&quorum).await.epoch;
    assert_eq!(image(&quorum).topic_count(), 1);
    propose(&quorum, epoch, vec![topic(4)]).await;
    assert_eq!(image(&quorum).topic_count(), 2);
}
