//! Several voters in one process, over a network that can be cut.

mod crash;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend, RaftNetworkV2};
use ottla_log::disk::real::RealDisk;
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{FeatureLevelRecord, TopicRecord};

use super::*;
use crate::quorum::Role;
use crate::state_machine::RaftSnapshot;
use crate::types::Vote;

const PATIENCE: Duration = Duration::from_secs(30);

fn key(id: i32) -> NodeKey {
    NodeKey::new(id, Uuid::from_u128(1000 + id as u128))
}

/// Who can be reached.
#[derive(Clone, Debug, Default)]
struct Wires {
    nodes: Arc<Mutex<BTreeMap<NodeKey, Node>>>,
    cut: Arc<Mutex<BTreeSet<NodeKey>>>,
}

#[derive(Clone, Debug)]
struct Wire {
    wires: Wires,
    from: NodeKey,
    to: NodeKey,
}

impl Wire {
    fn peer(&self) -> Result<Node, Unreachable<TypeConfig>> {
        let cut = self.wires.cut.lock().unwrap();
        let nodes = self.wires.nodes.lock().unwrap();
        match nodes.get(&self.to) {
            Some(node) if !cut.contains(&self.to) && !cut.contains(&self.from) => Ok(node.clone()),
            _ => Err(Unreachable::new(&AnyError::error("cut"))),
        }
    }

    fn failed(e: impl std::fmt::Display) -> RPCError<TypeConfig> {
        RPCError::Unreachable(Unreachable::new(&AnyError::error(e.to_string())))
    }
}

/// One node's side of the wires.
struct Plug(Wires, NodeKey);

impl RaftNetworkFactory<TypeConfig> for Plug {
    type Network = Wire;

    async fn new_client(&mut self, to: NodeKey, _: &Member) -> Wire {
        Wire { wires: self.0.clone(), from: self.1, to }
    }
}

impl RaftNetworkV2<TypeConfig> for Wire {
    type SnapshotData = SnapshotSource;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peer()?.append_entries(rpc).await.map_err(Self::failed)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peer()?.vote(rpc).await.map_err(Self::failed)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peer()?.pre_vote(rpc).await.map_err(Self::failed)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let bytes = snapshot.snapshot.bytes().unwrap();
        let sent = RaftSnapshot { meta: snapshot.meta, snapshot: SnapshotSource::Received(bytes) };
        let installed = self.peer()?.install_full_snapshot(vote, sent).await;
        installed.map_err(|e| StreamingError::Unreachable(Unreachable::new(&AnyError::error(e))))
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peer()?.handle_transfer_leader(req).await.map_err(Self::failed)
    }
}

struct Cluster {
    root: tempfile::TempDir,
    wires: Wires,
    nodes: BTreeMap<i32, RaftQuorum>,
}

impl Cluster {
    async fn start(ids: &[i32]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut cluster = Self { root, wires: Wires::default(), nodes: BTreeMap::new() };
        for id in ids {
            cluster.start_node(*id, ids).await;
        }
        cluster
    }

    fn dir(&self, id: i32) -> PathBuf {
        self.root.path().join(id.to_string())
    }

    async fn start_node(&mut self, id: i32, voters: &[i32]) {
        let dir = self.dir(id);
        std::fs::create_dir_all(&dir).unwrap();
        let voters = voters.iter().map(|id| Voter { key: key(*id), member: Member::default() });
        let options = Options {
            initial_voters: voters.collect(),
            election_timeout_ms: 200,
            ..Options::new(key(id), Arc::new(RealDisk), dir, || 1_800_000_000_000)
        };
        let quorum = RaftQuorum::start(options, Plug(self.wires.clone(), key(id))).await.unwrap();
        self.wires.nodes.lock().unwrap().insert(key(id), quorum.raft.clone());
        self.nodes.insert(id, quorum);
    }

    async fn stop_node(&mut self, id: i32) {
        self.wires.nodes.lock().unwrap().remove(&key(id));
        if let Some(node) = self.nodes.remove(&id) {
            node.shutdown().await.unwrap();
        }
    }

    fn cut(&self, id: i32) {
        self.wires.cut.lock().unwrap().insert(key(id));
    }

    fn mend(&self) {
        self.wires.cut.lock().unwrap().clear();
    }

    /// The one node that leads with the others following it.
    async fn leader(&self) -> (i32, i32) {
        let found = async {
            loop {
                let cut = self.wires.cut.lock().unwrap().clone();
                for (id, node) in self.nodes.iter().filter(|(id, _)| !cut.contains(&key(**id))) {
                    let leading = *node.leadership().borrow();
                    if leading.role == Role::Leader {
                        return (*id, leading.epoch);
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("no leader")
    }

    /// Writes a topic through whoever leads.
    async fn write(&self, n: u128) -> Committed {
        let written = async {
            loop {
                let (id, epoch) = self.leader().await;
                let name = format!("topic-{n}");
                let record = TopicRecord { name, topic_id: Uuid::from_u128(10_000 + n) }.into();
                let proposal =
                    self.nodes[&id].propose(epoch, MetadataVersion::LATEST, vec![record]);
                match proposal.await {
                    Ok(proposal) => match proposal.await {
                        Ok(committed) => return committed,
                        Err(QuorumError::NotLeader { .. }) => {}
                        Err(e) => panic!("{e}"),
                    },
                    Err(QuorumError::NotLeader { .. }) => {}
                    Err(e) => panic!("{e}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("nothing could be written")
    }

    /// Waits until every node has applied up to an offset, and compares what they have.
    async fn agree(&self, offset: i64) {
        let mut images = Vec::new();
        for (id, node) in &self.nodes {
            let mut updates = node.updates();
            let caught_up = async {
                while updates.image().provenance().offset < offset {
                    updates.next().await.unwrap();
                }
                updates.image()
            };
            let image = tokio::time::timeout(PATIENCE, caught_up).await;
            images.push(image.unwrap_or_else(|_| panic!("node {id} stays behind {offset}")));
        }
        assert!(images.windows(2).all(|two| two[0] == two[1]));
    }
}

fn log_bytes(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("__cluster_metadata-0/00000000000000000000.log")).unwrap()
}

async fn level(cluster: &Cluster) {
    let (id, epoch) = cluster.leader().await;
    let record = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 }.into();
    let proposal = cluster.nodes[&id].propose(epoch, MetadataVersion::LATEST, vec![record]).await;
    proposal.unwrap().await.unwrap();
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
        cluster.start_node(id, &[]).await;
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
    cluster.start_node(follower, &[]).await;
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
    cluster.start_node(away, &[]).await;
    cluster.agree(last.offset).await;
    assert!(cluster.nodes[&away].store.newest_snapshot().is_some());
    let last = cluster.write(9_999).await;
    cluster.agree(last.offset).await;
    // What it got survives a restart.
    cluster.stop_node(away).await;
    cluster.start_node(away, &[]).await;
    cluster.agree(last.offset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_come_and_go_and_leadership_is_handed_over() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.start_node(4, &[]).await;
    let (leader, epoch) = cluster.leader().await;
    let add = VoterChange::Add(Voter { key: key(4), member: Member::default() });
    cluster.nodes[&leader].change_voters(add.clone()).await.unwrap();
    let again = cluster.nodes[&leader].change_voters(add).await;
    assert!(matches!(again, Err(QuorumError::Membership(_))), "{again:?}");
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    assert_eq!(cluster.nodes[&4].voters().len(), 4);

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
        cluster.start_node(*id, &[]).await;
    }
    cluster.write(2).await;
    let voters: Vec<_> = cluster.nodes[&4].voters().into_iter().map(|k| k.id).collect();
    assert_eq!(voters, rest);
}
