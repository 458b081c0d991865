//! Leadership that is handed over.

use super::*;
use crate::hand_over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_in_order_hands_over_before() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (old, epoch) = cluster.leader().await;
    let hears = |node: &RaftQuorum| {
        node.describe().voters.iter().all(|voter| voter.last_heard_ms_ago.is_some())
    };
    cluster.until(old, "it hears of the others", hears).await;
    // A follower has nothing to hand over.
    let follower = [1, 2, 3].into_iter().find(|id| *id != old).unwrap();
    assert_eq!(hand_over(&*cluster.nodes[&follower], PATIENCE).await, None);
    let next = hand_over(&*cluster.nodes[&old], PATIENCE).await.expect("nobody took over");
    assert_ne!(next.id, old);
    cluster.stop_node(old).await;
    let (leader, later) = cluster.leader().await;
    assert!(leader == next.id && later > epoch, "{leader} leads epoch {later} after {next}");
    cluster.write(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_alone_stops_at_once() {
    let cluster = Cluster::start(&[1]).await;
    cluster.leader().await;
    let handed = tokio::time::timeout(PATIENCE / 2, hand_over(&*cluster.nodes[&1], PATIENCE));
    assert_eq!(handed.await.expect("it waits"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_is_no_successor() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, _) = cluster.leader().await;
    let mut others = [1, 2, 3].into_iter().filter(|id| *id != leader);
    let (there, gone) = (others.next().unwrap(), others.next().unwrap());
    let has_all = |node: &RaftQuorum| {
        let end = Some(node.end_offset());
        node.describe().voters.iter().all(|voter| voter.log_end_offset == end)
    };
    cluster.until(leader, "all have everything", has_all).await;
    cluster.stop_node(gone).await;
    let succeeds = |node: &RaftQuorum| node.changer.best_successor() == Some(key(there));
    cluster.until(leader, "who is there succeeds", succeeds).await;
}
