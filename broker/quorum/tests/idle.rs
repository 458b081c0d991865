//! A quorum of one has nobody to beat for: while nothing is proposed, it does not wake up.

use std::sync::Arc;
use std::time::Duration;

use ottla_log::disk::real::RealDisk;
use ottla_quorum::network::Alone;
use ottla_quorum::{Member, NodeKey, Options, Quorum, RaftQuorum, Role, Voter};
use ottla_wire::Uuid;

/// How often threads of this process were put to sleep so far.
fn sleeps() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let statuses =
        tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("status")).ok());
    let counts = statuses.filter_map(|status| {
        let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().last()?.parse::<u64>().ok()
    });
    counts.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_voter_sleeps() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeKey::new(1, Uuid::from_u128(5));
    let options = Options {
        initial_voters: vec![Voter { key: node, member: Member::default() }],
        ..Options::new(node, Arc::new(RealDisk), dir.path().to_owned(), || 0)
    };
    let quorum = RaftQuorum::start(options, Alone).await.unwrap();
    quorum.leadership().wait_for(|l| l.role == Role::Leader).await.unwrap();
    // What was begun comes to its end first.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let before = sleeps();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = sleeps() - before;
    assert!(during < 20, "{during} wake-ups in 2 s");
}
