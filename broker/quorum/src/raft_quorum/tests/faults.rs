//! Wires that lose, delay and double, and members that are killed: nothing that was acknowledged is lost, and all have
//! the same in the end.

use super::*;

/// Proposes through whoever leads until a time is over; gives what was acknowledged.
async fn load(cluster: &Cluster, from: u128, count: u128) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for n in from..from + count {
        cluster.write(n).await;
        acknowledged.insert(format!("topic-{n}"));
    }
    acknowledged
}

async fn check(cluster: &Cluster, acknowledged: &BTreeSet<String>, n: u128) {
    let last = cluster.write(n).await;
    cluster.agree(last.offset).await;
    for (id, node) in &cluster.nodes {
        let image = node.updates().image();
        let found: BTreeSet<String> = image.topics().map(|t| t.name.to_string()).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "node {id} lost {lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_members_lose_nothing_over_bad_wires() {
    let ids = [1, 2, 3, 4, 5];
    let mut cluster = Cluster::start(&ids).await;
    level(&cluster).await;
    let bad = Faults { lose: 30, lose_answer: 30, double: 100, delay_ms: 8 };
    *cluster.wires.faults.lock().unwrap() = bad;
    let mut acknowledged = BTreeSet::new();
    for round in 0..6u128 {
        acknowledged.extend(load(&cluster, round * 100, 15).await);
        let (leader, _) = cluster.leader().await;
        match round % 3 {
            0 => cluster.cut(leader),
            1 => cluster.stop_node(leader).await,
            _ => {
                let next = 1 + (leader % 5);
                cluster.nodes[&leader].resign(Some(key(next))).await.unwrap();
            }
        }
        acknowledged.extend(load(&cluster, round * 100 + 50, 10).await);
        cluster.mend();
        for id in ids {
            if !cluster.nodes.contains_key(&id) {
                cluster.start_node(id, Start::default()).await;
            }
        }
    }
    *cluster.wires.faults.lock().unwrap() = Faults::default();
    check(&cluster, &acknowledged, 9_999).await;
}

/// Snapshots in pieces over wires that lose pieces and answers, to a member that is far behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_snapshot_gets_through_bad_wires() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let (leader, _) = cluster.leader().await;
    let away = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(away).await;
    // Some megabytes of names, in few entries.
    for batch in 0..40u128 {
        let topic = |n: u128| {
            let id = batch * 1000 + n;
            let name = format!("{}-{id}", "long".repeat(50));
            TopicRecord { name, topic_id: Uuid::from_u128(1_000_000 + id) }.into()
        };
        let records = (0..600).map(topic).collect();
        cluster.propose(records).await;
    }
    let mut last = cluster.write(0).await;
    for n in 1..(KEPT_ENTRIES as u128 + 20) {
        last = cluster.write(n).await;
    }
    let (leader, _) = cluster.leader().await;
    let path = cluster.nodes[&leader].snapshot().await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 3 << 20);
    let purged = |m: &openraft::RaftMetrics<TypeConfig>| m.purged.is_some();
    let wait = cluster.nodes[&leader].raft.wait(Some(PATIENCE));
    wait.metrics(purged, "old entries are purged").await.unwrap();
    let bad = Faults { lose: 20, lose_answer: 100, double: 200, delay_ms: 5 };
    *cluster.wires.faults.lock().unwrap() = bad;
    cluster.start_node(away, Start::default()).await;
    cluster.agree(last.offset).await;
    let got = cluster.nodes[&away].store.newest_snapshot();
    assert!(got.is_some());
    let parts = std::fs::read_dir(cluster.dir(away).join("__cluster_metadata-0")).unwrap();
    let parts =
        parts.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "part"));
    assert_eq!(parts.count(), 0);
}

/// A member that comes back with an old log does not unseat the leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_does_not_unseat_a_healthy_leader() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (leader, epoch) = cluster.leader().await;
    let away = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    for n in 1..4 {
        cluster.cut(away);
        cluster.write(n).await;
        // Long enough to stand for election several times.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        cluster.mend();
        let last = cluster.write(10 + n).await;
        cluster.agree(last.offset).await;
        cluster.stop_node(away).await;
        cluster.start_node(away, Start::default()).await;
    }
    assert_eq!(cluster.leader().await, (leader, epoch));
}
