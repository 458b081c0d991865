//! How long a proposal takes against what the disk takes; printed, and held to a generous bound.

// The figures are what this test is for; they are seen with --nocapture.
#![allow(clippy::print_stdout)]

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_log::disk::real::RealDisk;
use ottla_metadata::MetadataVersion;
use ottla_quorum::network::Alone;
use ottla_quorum::{Member, NodeKey, Options, Quorum, RaftQuorum, Role, Voter};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, NoOpRecord};

const ROUNDS: usize = 300;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn raw(dir: &std::path::Path) -> Duration {
    let mut file = std::fs::File::create(dir.join("raw")).unwrap();
    let times = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        file.write_all(&[7; 90]).unwrap();
        file.sync_data().unwrap();
        begin.elapsed()
    });
    median(times.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_costs_little_more_than_the_disk() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let node = NodeKey::new(1, Uuid::from_u128(5));
    let options = Options {
        initial_voters: vec![Voter { key: node, member: Member::default() }],
        ..Options::new(node, Arc::new(RealDisk), dir.path().to_owned(), || 0)
    };
    let begin = Instant::now();
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    let epoch = quorum.leadership().wait_for(|l| l.role == Role::Leader).await.unwrap().epoch;
    println!("leading after {:?}", begin.elapsed());
    let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
    let first = quorum.propose(epoch, MetadataVersion::LATEST, vec![level.into()]).await.unwrap();
    first.await.unwrap();
    let before = raw(dir.path());
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let records = vec![NoOpRecord::default().into()];
        let proposal = quorum.propose(epoch, MetadataVersion::LATEST, records).await.unwrap();
        proposal.await.unwrap();
        times.push(begin.elapsed());
    }
    let p50 = median(times);
    let after = raw(dir.path());
    println!(
        "propose to image p50 {p50:?}; write and fdatasync alone p50 {before:?} and {after:?}"
    );
    let begin = Instant::now();
    let mut line = Vec::new();
    for _ in 0..10 * ROUNDS {
        let records = vec![NoOpRecord::default().into()];
        line.push(quorum.propose(epoch, MetadataVersion::LATEST, records).await.unwrap());
    }
    for proposal in line {
        proposal.await.unwrap();
    }
    println!("{} proposals in line: {:?}", 10 * ROUNDS, begin.elapsed());
    assert!(p50 < before.max(after) * 20 + Duration::from_millis(5), "{p50:?}");
}
