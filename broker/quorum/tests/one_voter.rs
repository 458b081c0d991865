//! A quorum of one, as a node runs it: start, propose, restart, snapshots.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_log::disk::real::RealDisk;
use ottla_metadata::{Image, MetadataVersion};
use ottla_quorum::network::Alone;
use ottla_quorum::{
    Endpoint, Leadership, Member, NodeKey, Options, Quorum, QuorumError, RaftQuorum, Role, Voter,
};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, MetadataRecord, TopicRecord};

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
        let started = Instant::now();
        let quorum = RaftQuorum::start(options(dir.path()), Alone).await.unwrap();
        let epoch = leader(&quorum).await.epoch;
        println!("round {round}: leading epoch {epoch} after {:?}", started.elapsed());
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
    if let Some(keep) = std::env::var_os("KEEP") {
        quorum.shutdown().await.unwrap();
        std::fs::rename(dir.path().join("__cluster_metadata-0"), keep).unwrap();
    }
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
