//! Several members in one process, over wires that can be cut, lose, delay and double what they carry.

mod changes;
mod crash;
mod faults;
mod observers;
mod succession;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ottla_log::disk::real::RealDisk;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, TopicRecord};

use super::*;
use crate::quorum::Role;
use crate::transport::TransportError;

const PATIENCE: Duration = Duration::from_secs(60);

const CLUSTER: &str = "a-cluster";

fn key(id: i32) -> NodeKey {
    NodeKey::new(id, Uuid::from_u128(1000 + id as u128))
}

/// A member that listens at a port; the wires know nothing else of an address.
fn member(port: i32) -> Member {
    let endpoint = Endpoint { name: "C".into(), host: "h".into(), port: port as u16 };
    Member { endpoints: vec![endpoint], ..Member::default() }
}

fn voter(id: i32) -> Voter {
    Voter { key: key(id), member: member(id) }
}

/// What happens to what is carried, each in a thousandth of the cases.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// The request is lost.
    lose: u32,
    /// The request arrives, its answer is lost.
    lose_answer: u32,
    /// The request arrives twice.
    double: u32,
    /// The longest delay.
    delay_ms: u64,
}

/// Who can be reached, by port.
#[derive(Clone, Debug, Default)]
struct Wires {
    desks: Arc<Mutex<BTreeMap<u16, Arc<Desk>>>>,
    /// Node ids that nobody reaches, and that reach nobody.
    cut: Arc<Mutex<BTreeSet<i32>>>,
    faults: Arc<Mutex<Faults>>,
}

/// One node's side of the wires.
#[derive(Clone, Debug)]
struct Plug(Wires, i32);

impl Plug {
    fn reach(&self, member: &Member) -> Result<Arc<Desk>, TransportError> {
        let nobody = || TransportError::Unreachable("nobody is there".into());
        let port = member.endpoints.first().ok_or_else(nobody)?.port;
        let desks = self.0.desks.lock().unwrap();
        let desk = desks.get(&port).ok_or_else(nobody)?;
        let cut = self.0.cut.lock().unwrap();
        if cut.contains(&self.1) || cut.contains(&desk.node.id) {
            return Err(TransportError::Unreachable("cut".into()));
        }
        Ok(desk.clone())
    }
}

impl Transport for Plug {
    fn exchange(
        &self,
        _: NodeKey,
        member: &Member,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        let member = member.clone();
        Box::pin(async move {
            assert!(request.len() <= crate::MAX_MESSAGE_BYTES);
            let faults = *self.0.faults.lock().unwrap();
            let happens = |chance: u32| rand::random_range(0..1000) < chance;
            if faults.delay_ms > 0 {
                let delay = rand::random_range(0..=faults.delay_ms);
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            if happens(faults.lose) {
                tokio::time::sleep(patience).await;
                return Err(TransportError::Timeout(patience));
            }
            let desk = self.reach(&member)?;
            let broken = |e: QuorumError| TransportError::Broken(e.to_string());
            if happens(faults.double) {
                let (again, desk) = (request.clone(), desk.clone());
                tokio::spawn(async move {
                    let delay = rand::random_range(0..=10);
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    desk.receive(again).await
                });
            }
            let answer = desk.receive(request).await.map_err(broken)?;
            // A cut hits answers, too.
            self.reach(&member)?;
            if happens(faults.lose_answer) {
                return Err(TransportError::Broken("the answer was lost".into()));
            }
            Ok(answer)
        })
    }
}

/// The voters by the log of a node.
fn voters(node: &RaftQuorum) -> BTreeSet<NodeKey> {
    node.store.membership().voter_ids().collect()
}

/// How a node is started.
#[derive(Clone, Debug, Default)]
struct Start {
    voters: Vec<Voter>,
    /// Ports of `controller.quorum.bootstrap.servers`.
    bootstrap: Vec<i32>,
    auto_join: AutoJoin,
    port: Option<i32>,
    directory: Option<u128>,
    cluster: Option<&'static str>,
}

impl Start {
    fn voters(ids: &[i32]) -> Self {
        Self { voters: ids.iter().map(|id| voter(*id)).collect(), ..Self::default() }
    }
}

struct Cluster {
    root: tempfile::TempDir,
    wires: Wires,
    nodes: BTreeMap<i32, Arc<RaftQuorum>>,
}

impl Cluster {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root, wires: Wires::default(), nodes: BTreeMap::new() }
    }

    async fn start(ids: &[i32]) -> Self {
        let mut cluster = Self::new();
        for id in ids {
            cluster.start_node(*id, Start::voters(ids)).await;
        }
        cluster
    }

    fn dir(&self, id: i32) -> PathBuf {
        self.root.path().join(id.to_string())
    }

    async fn start_node(&mut self, id: i32, start: Start) {
        let dir = self.dir(id);
        std::fs::create_dir_all(&dir).unwrap();
        let directory = start.directory.map(Uuid::from_u128).unwrap_or(key(id).directory);
        let port = start.port.unwrap_or(id);
        let clock = || 1_800_000_000_000;
        let options = Options {
            cluster_id: start.cluster.unwrap_or(CLUSTER).to_owned(),
            member: member(port),
            initial_voters: start.voters,
            bootstrap: start.bootstrap.iter().flat_map(|port| member(*port).endpoints).collect(),
            auto_join: start.auto_join,
            election_timeout_ms: 800,
            ..Options::new(NodeKey::new(id, directory), Arc::new(RealDisk), dir, clock)
        };
        let quorum = RaftQuorum::join(options, Arc::new(Plug(self.wires.clone(), id))).await;
        let quorum = Arc::new(quorum.unwrap());
        let desk = quorum.desk.clone().unwrap();
        self.wires.desks.lock().unwrap().insert(port as u16, desk);
        self.nodes.insert(id, quorum);
    }

    async fn stop_node(&mut self, id: i32) {
        self.wires.desks.lock().unwrap().retain(|_, desk| desk.node.id != id);
        if let Some(node) = self.nodes.remove(&id) {
            node.shutdown().await.unwrap();
        }
    }

    fn cut(&self, id: i32) {
        self.wires.cut.lock().unwrap().insert(id);
    }

    fn mend(&self) {
        self.wires.cut.lock().unwrap().clear();
    }

    /// The node that leads the newest epoch, of those that can be reached.
    async fn leader(&self) -> (i32, i32) {
        let found = async {
            loop {
                let cut = self.wires.cut.lock().unwrap().clone();
                let able = self.nodes.iter().filter(|(id, _)| !cut.contains(id));
                let leading = able.map(|(id, node)| (*id, *node.leadership().borrow()));
                let leading = leading.filter(|(_, now)| now.role == Role::Leader);
                if let Some((id, now)) = leading.max_by_key(|(_, now)| now.epoch) {
                    return (id, now.epoch);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("no leader: {}", self.states()),
        }
    }

    /// What each node knows, for a failure's text.
    fn states(&self) -> String {
        let of = |(id, node): (&i32, &Arc<RaftQuorum>)| {
            let standing = node.desk.as_ref().map(|desk| desk.standings.now());
            let metrics = node.raft.metrics().borrow_watched().to_string();
            format!("\nnode {id}: {standing:?} {:?} {metrics}", *node.leadership().borrow())
        };
        self.nodes.iter().map(of).collect()
    }

    /// Waits until a node says something of itself.
    async fn until(&self, id: i32, what: &str, holds: impl Fn(&RaftQuorum) -> bool) {
        let node = &self.nodes[&id];
        let begun = std::time::Instant::now();
        while !holds(node) {
            assert!(begun.elapsed() < PATIENCE, "node {id}: {what}: {:?}", node.describe());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Writes a topic through whoever leads.
    async fn write(&self, n: u128) -> Committed {
        let name = format!("topic-{n}");
        let record = TopicRecord { name, topic_id: Uuid::from_u128(10_000 + n) };
        self.propose(vec![record.into()]).await
    }

    /// Writes records through whoever leads; again after an answer that says nothing.
    async fn propose(&self, records: Vec<MetadataRecord>) -> Committed {
        let written = async {
            loop {
                let (id, epoch) = self.leader().await;
                let proposal =
                    self.nodes[&id].propose(epoch, MetadataVersion::LATEST, records.clone());
                let answered = async { proposal.await?.await };
                // A leader that lost the others never answers.
                let answered = tokio::time::timeout(Duration::from_secs(3), answered).await;
                match answered {
                    Ok(Ok(committed)) => return committed,
                    Ok(Err(QuorumError::NotLeader { .. } | QuorumError::Stopped(_))) | Err(_) => {}
                    Ok(Err(e)) => panic!("{e}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("nothing can be written")
    }

    /// Waits until all nodes have everything up to an offset, and the same.
    async fn agree(&self, offset: i64) {
        let mut images = Vec::new();
        for (id, node) in &self.nodes {
            let mut updates = node.updates();
            let image = tokio::time::timeout(PATIENCE, async {
                while updates.image().provenance().offset < offset {
                    updates.next().await.unwrap();
                }
                updates.image()
            });
            let image = image.await;
            let late = |_| panic!("node {id} stays behind {offset}: {}", self.states());
            images.push(image.unwrap_or_else(late));
        }
        let topics = |image: &ottla_metadata::Image| -> Vec<_> {
            image.topics().map(|t| t.name.to_string()).collect()
        };
        assert!(images.windows(2).all(|two| topics(&two[0]) == topics(&two[1])));
    }
}

fn log_bytes(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("__cluster_metadata-0/00000000000000000000.log")).unwrap()
}

async fn level(cluster: &Cluster) {
    let record = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
    cluster.propose(vec![record.into()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_store_the_same_bytes() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let mut last = cluster.write(0).await;
    for n in 1..50 {
        last = cluster.write(n).await;
    }
    cluster.agree(last.offset).await;
    let (leader, epoch) = cluster.leader().await;
    let description = cluster.nodes[&leader].describe();
    assert_eq!((description.voters.len(), description.leadership.epoch), (3, epoch));
    let has_all = |node: &RaftQuorum| {
        node.describe().voters.iter().all(|voter| voter.caught_up_ms_ago.is_some())
    };
    cluster.until(leader, "all have caught up", has_all).await;
    for id in [1, 2, 3] {
        cluster.stop_node(id).await;
    }
    let first = log_bytes(&cluster.dir(1));
    let shortest = [2, 3].map(|id| log_bytes(&cluster.dir(id)));
    for other in shortest {
        let common = first.len().min(other.len());
        assert!(common > 4000 && first[..common] == other[..common]);
    }
    for id in [1, 2, 3] {
        cluster.start_node(id, Start::default()).await;
    }
    let last = cluster.write(50).await;
    assert!(last.epoch > epoch);
    cluster.agree(last.offset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_is_replaced_and_what_it_had_alone_is_dropped() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (old, epoch) = cluster.leader().await;
    cluster.cut(old);
    let record = TopicRecord { name: "lost".into(), topic_id: Uuid::from_u128(77) }.into();
    let lost = cluster.nodes[&old].propose(epoch, MetadataVersion::LATEST, vec![record]).await;
    let last = cluster.write(1).await;
    assert!(last.epoch > epoch);
    // It says of itself that it leads no more, though nobody can tell it so.
    let mut leadership = cluster.nodes[&old].leadership();
    let resigned = leadership.wait_for(|l| l.role == Role::Follower && l.leader.is_none());
    tokio::time::timeout(PATIENCE, resigned).await.expect("it leads on").unwrap();
    let refused = cluster.nodes[&old].propose(epoch, MetadataVersion::LATEST, vec![]).await;
    assert!(matches!(refused, Err(QuorumError::NotLeader { .. })), "{refused:?}");
    cluster.mend();
    let last = cluster.write(2).await;
    cluster.agree(last.offset).await;
    if let Ok(proposal) = lost {
        assert!(tokio::time::timeout(PATIENCE, proposal).await.unwrap().is_err());
    }
    assert!(cluster.nodes[&old].updates().image().topic_named("lost").is_none());
}

/// A leader that has not heard of the others for a while refuses what it is given, and need not be another one after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_aborted_again_when_that_was_refused() {
    let cluster = Cluster::start(&[1, 2]).await;
    level(&cluster).await;
    let (leader, _) = cluster.leader().await;
    cluster.cut(leader);
    let lease_is_over = |node: &RaftQuorum| {
        let acked = node.raft.metrics().borrow_watched().last_quorum_acked;
        acked.is_some_and(|at| openraft::Instant::elapsed(&*at) > Duration::from_millis(700))
    };
    cluster.until(leader, "it hears of nobody", lease_is_over).await;
    let node = &cluster.nodes[&leader];
    node.signals.orphaned.send_replace(true);
    let mut leadership = node.leadership();
    let seen = leadership.wait_for(|now| now.role != Role::Leader);
    tokio::time::timeout(PATIENCE, seen).await.expect("it leads on").unwrap();
    cluster.mend();
    cluster.write(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_whole_on_a_follower_too() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let mut last = cluster.write(0).await;
    for n in 1..300 {
        last = cluster.write(n).await;
    }
    let (leader, _) = cluster.leader().await;
    let follower = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(follower).await;
    cluster.start_node(follower, Start::default()).await;
    let whole = tokio::time::timeout(PATIENCE, cluster.nodes[&follower].caught_up()).await;
    let image = whole.expect("it waits").unwrap();
    assert!(image.provenance().offset >= last.offset);
    assert_eq!(image.topic_count(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_too_long_gets_a_snapshot() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (leader, _) = cluster.leader().await;
    let away = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(away).await;
    let mut last = cluster.write(1).await;
    for n in 2..(KEPT_ENTRIES as u128 + 100) {
        last = cluster.write(n).await;
    }
    let (leader, _) = cluster.leader().await;
    cluster.nodes[&leader].snapshot().await.unwrap();
    let purged = |m: &openraft::RaftMetrics<TypeConfig>| m.purged.is_some_and(|p| p.index > 50);
    let wait = cluster.nodes[&leader].raft.wait(Some(PATIENCE));
    wait.metrics(purged, "old entries are purged").await.unwrap();
    cluster.start_node(away, Start::default()).await;
    cluster.agree(last.offset).await;
    assert!(cluster.nodes[&away].store.newest_snapshot().is_some());
    let last = cluster.write(9_999).await;
    cluster.agree(last.offset).await;
    // What it got survives a restart.
    cluster.stop_node(away).await;
    cluster.start_node(away, Start::default()).await;
    cluster.agree(last.offset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_come_and_go_and_leadership_is_handed_over() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.start_node(4, Start::default()).await;
    let (leader, epoch) = cluster.leader().await;
    let add = VoterChange::Add(voter(4));
    cluster.nodes[&leader].change_voters(add.clone()).await.unwrap();
    let again = cluster.nodes[&leader].change_voters(add).await;
    assert!(matches!(again, Err(QuorumError::DuplicateVoter { .. })), "{again:?}");
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    cluster.until(4, "four voters", |node| voters(node).len() == 4).await;

    cluster.nodes[&leader].resign(Some(key(4))).await.unwrap();
    let mut leadership = cluster.nodes[&4].leadership();
    let handed = leadership.wait_for(|l| l.role == Role::Leader);
    let now = *tokio::time::timeout(PATIENCE, handed).await.unwrap().unwrap();
    assert!(now.epoch > epoch);
    cluster.nodes[&4].change_voters(VoterChange::Remove(key(leader))).await.unwrap();
    cluster.stop_node(leader).await;
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
    // The members are in the log.
    let rest: Vec<_> = cluster.nodes.keys().copied().collect();
    for id in &rest {
        cluster.stop_node(*id).await;
    }
    for id in &rest {
        cluster.start_node(*id, Start::default()).await;
    }
    cluster.write(2).await;
    let voters: Vec<_> = voters(&cluster.nodes[&4]).into_iter().map(|k| k.id).collect();
    assert_eq!(voters, rest);
}
