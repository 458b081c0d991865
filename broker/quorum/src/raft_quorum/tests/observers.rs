//! Nodes that pull from the members.

use super::*;
use crate::observer::ObserverQuorum;
use crate::pull::{LeaderHint, PullAsk, PullError, Pulled, Puller, SnapshotAsk, SnapshotChunk};

/// Asks whoever is named, or any member, without bytes in between.
#[derive(Clone, Debug, Default)]
struct Hands {
    nodes: Arc<Mutex<BTreeMap<i32, Arc<RaftQuorum>>>>,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl Hands {
    fn of(cluster: &Cluster) -> Self {
        let hands = Self::default();
        hands.renew(cluster);
        hands
    }

    fn renew(&self, cluster: &Cluster) {
        self.nodes.lock().unwrap().clone_from(&cluster.nodes);
    }

    fn reach(&self, whom: Option<&LeaderHint>) -> Result<Arc<RaftQuorum>, PullError> {
        let nodes = self.nodes.lock().unwrap();
        let n = self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let found = match whom {
            Some(hint) => nodes.get(&hint.id),
            None => nodes.values().nth(n % nodes.len().max(1)),
        };
        found.cloned().ok_or_else(|| PullError::Unreachable("it is gone".into()))
    }
}

impl Puller for Hands {
    fn fetch(&self, ask: PullAsk) -> BoxFuture<'_, Result<Pulled, PullError>> {
        Box::pin(async move {
            let node = self.reach(ask.whom.as_ref())?;
            let asked = tokio::time::timeout(Duration::from_secs(5), node.pull(ask)).await;
            asked.unwrap_or_else(|_| Err(PullError::Unreachable("it is silent".into())))
        })
    }

    fn snapshot(&self, ask: SnapshotAsk) -> BoxFuture<'_, Result<SnapshotChunk, PullError>> {
        Box::pin(async move { self.reach(ask.whom.as_ref())?.snapshot_chunk(ask).await })
    }
}

fn options(root: &Path, id: i32) -> Options {
    let dir = root.join(format!("observer-{id}"));
    std::fs::create_dir_all(&dir).unwrap();
    let clock = || 1_800_000_000_000;
    let cluster_id = CLUSTER.to_owned();
    Options { cluster_id, ..Options::new(key(id), Arc::new(RealDisk), dir, clock) }
}

async fn follow(cluster: &Cluster, hands: &Hands, id: i32) -> ObserverQuorum {
    let options = options(cluster.root.path(), id);
    ObserverQuorum::start(options, Arc::new(hands.clone())).await.unwrap()
}

async fn reaches(observer: &ObserverQuorum, offset: i64) {
    let mut updates = observer.updates();
    let reached = async {
        while updates.image().provenance().offset < offset {
            updates.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the observer stays behind");
}

fn topics(quorum: &dyn Quorum) -> Vec<String> {
    quorum.updates().image().topics().map(|t| t.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_follows_through_changes_of_the_leader() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let mut last = cluster.write(0).await;
    let hands = Hands::of(&cluster);
    let observer = follow(&cluster, &hands, 10).await;
    tokio::time::timeout(PATIENCE, observer.caught_up()).await.unwrap().unwrap();
    assert!(observer.updates().image().provenance().offset >= last.offset);
    for n in 1..5u128 {
        let (leader, _) = cluster.leader().await;
        cluster.stop_node(leader).await;
        hands.renew(&cluster);
        last = cluster.write(n).await;
        reaches(&observer, last.offset).await;
        cluster.start_node(leader, Start::default()).await;
        hands.renew(&cluster);
    }
    last = cluster.write(9).await;
    reaches(&observer, last.offset).await;
    let begun = std::time::Instant::now();
    let leader = loop {
        let (leader, epoch) = cluster.leader().await;
        let now = *observer.leadership().borrow();
        let described = cluster.nodes[&leader].describe();
        let known = described.observers.iter().find(|r| r.key == key(10));
        let known =
            known.is_some_and(|r| r.log_end_offset.is_some() && r.caught_up_ms_ago.is_some());
        if (now.leader, now.epoch) == (Some(key(leader)), epoch) && known {
            break leader;
        }
        assert!(begun.elapsed() < PATIENCE, "{now:?} {described:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(topics(&observer), topics(&*cluster.nodes[&leader]));
    assert_eq!(observer.describe().voters.len(), 3);
    // What it wrote is what the leader has, byte for byte.
    observer.shutdown().await.unwrap();
    let theirs = log_bytes(&cluster.dir(leader));
    let ours = log_bytes(&cluster.root.path().join("observer-10"));
    let common = ours.len().min(theirs.len());
    assert!(common > 500 && ours[..common] == theirs[..common]);
    // It starts from that.
    let observer = follow(&cluster, &hands, 10).await;
    assert!(observer.updates().image().provenance().offset >= last.offset);
    observer.shutdown().await.unwrap();
}

/// A commit wakes who waits at once: nothing polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_waits_is_answered_by_the_next_commit() {
    let cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let node = cluster.nodes[&1].clone();
    let ask = PullAsk {
        whom: None,
        cluster_id: CLUSTER.into(),
        replica: key(10),
        epoch: -1,
        offset: node.high_watermark(),
        last_epoch: -1,
        max_bytes: 1 << 20,
        max_wait: Duration::from_secs(20),
    };
    let waits = tokio::spawn({
        let (node, ask) = (node.clone(), ask.clone());
        async move { node.pull(ask).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = std::time::Instant::now();
    cluster.write(1).await;
    let pulled = waits.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    let crate::pull::Found::Batches(piece) = pulled.found else { panic!("no batches") };
    assert!(!piece.read().unwrap().is_empty());
    // Without anything it comes back empty.
    let ask = PullAsk { offset: node.high_watermark(), max_wait: Duration::ZERO, ..ask };
    let pulled = node.pull(ask).await.unwrap();
    assert!(matches!(pulled.found, crate::pull::Found::Batches(piece) if piece.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_far_behind_takes_a_snapshot_and_goes_on_from_it() {
    let cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    let hands = Hands::of(&cluster);
    let early = follow(&cluster, &hands, 11).await;
    let mut last = cluster.write(0).await;
    reaches(&early, last.offset).await;
    early.shutdown().await.unwrap();
    for n in 1..(KEPT_ENTRIES as u128 + 50) {
        cluster.write(n).await;
    }
    let node = &cluster.nodes[&1];
    node.snapshot().await.unwrap();
    let purged = |m: &openraft::RaftMetrics<TypeConfig>| m.purged.is_some();
    node.raft.wait(Some(PATIENCE)).metrics(purged, "purged").await.unwrap();
    last = cluster.write(5_000).await;
    // The log is cut behind the next snapshot.
    node.snapshot().await.unwrap();
    node.store.log().set_start_offset(last.offset - 20).unwrap();
    for id in [11, 12] {
        let observer = follow(&cluster, &hands, id).await;
        tokio::time::timeout(PATIENCE, observer.caught_up()).await.unwrap().unwrap();
        reaches(&observer, last.offset).await;
        assert_eq!(topics(&observer), topics(&**node));
        assert!(observer.log().start_offset() > 1000);
        // One of its own, and a restart from it.
        let path = observer.snapshot().await.unwrap();
        assert!(path.exists());
        last = cluster.write(6_000 + id as u128).await;
        reaches(&observer, last.offset).await;
        observer.shutdown().await.unwrap();
        let observer = follow(&cluster, &hands, id).await;
        assert_eq!(topics(&observer), topics(&**node));
        observer.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_contradicts_the_leader_ends_and_says_what_to_do() {
    let one = Cluster::start(&[1]).await;
    level(&one).await;
    let mut last = one.write(0).await;
    for n in 1..10 {
        last = one.write(n).await;
    }
    let hands = Hands::of(&one);
    let observer = follow(&one, &hands, 10).await;
    reaches(&observer, last.offset).await;
    observer.shutdown().await.unwrap();
    // The controllers lost their disks, and began anew under the same cluster id.
    let other = Cluster::start(&[1]).await;
    level(&other).await;
    hands.renew(&other);
    let observer = follow(&one, &hands, 10).await;
    let why = tokio::time::timeout(PATIENCE, observer.ended()).await.unwrap();
    assert!(why.contains("move") && why.contains("offset"), "{why}");
    assert!(observer.caught_up().await.is_err());
    // And another cluster.
    let mut foreign = options(one.root.path(), 20);
    foreign.cluster_id = "another".to_owned();
    let observer = ObserverQuorum::start(foreign, Arc::new(hands.clone())).await.unwrap();
    let why = tokio::time::timeout(PATIENCE, observer.ended()).await.unwrap();
    let told = ["cluster another", "controller.quorum.bootstrap.servers", "format"];
    assert!(told.iter().all(|part| why.contains(part)), "{why}");
}

/// A controller that became a broker: what its log ends with need not be committed, and is pulled again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_member_follows_from_its_own_directory() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (old, epoch) = cluster.leader().await;
    cluster.cut(old);
    let record = TopicRecord { name: "lost".into(), topic_id: Uuid::from_u128(77) }.into();
    let lost = cluster.nodes[&old].propose(epoch, MetadataVersion::LATEST, vec![record]).await;
    drop(lost);
    let last = cluster.write(1).await;
    cluster.stop_node(old).await;
    cluster.mend();
    let hands = Hands::of(&cluster);
    let mut options = options(cluster.root.path(), old);
    options.metadata_dir = cluster.dir(old);
    let observer = ObserverQuorum::start(options, Arc::new(hands)).await.unwrap();
    reaches(&observer, last.offset).await;
    assert!(!topics(&observer).contains(&"lost".to_owned()));
    observer.shutdown().await.unwrap();
}
