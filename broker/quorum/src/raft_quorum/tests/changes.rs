//! Members that come, go, move and lose their disks.

use ottla_wire::ErrorCode;

use super::*;

async fn change(cluster: &Cluster, change: VoterChange) -> Result<(), QuorumError> {
    let begun = std::time::Instant::now();
    loop {
        let (leader, _) = cluster.leader().await;
        match cluster.nodes[&leader].change_voters(change.clone()).await {
            Err(QuorumError::NotLeader { .. }) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

fn voter_ids(node: &RaftQuorum) -> Vec<i32> {
    voters(node).into_iter().map(|k| k.id).collect()
}

fn standing(node: &RaftQuorum) -> Standing {
    node.desk.as_ref().unwrap().standings.now()
}

/// Puts the note that a node catches up into its directory.
fn note_catching_up(dir: &Path) {
    let dir = dir.join("__cluster_metadata-0");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("catching-up"), []).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_voter_grows_to_five_and_shrinks_to_three_with_the_leader_removed_each_time() {
    let mut cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    let mut n = 0;
    for id in 2..=5 {
        let start = Start { bootstrap: vec![1, 2, 3], ..Start::default() };
        cluster.start_node(id, start).await;
        change(&cluster, VoterChange::Add(voter(id))).await.unwrap();
        n += 1;
        let last = cluster.write(n).await;
        cluster.agree(last.offset).await;
    }
    for _ in 0..2 {
        let (leader, epoch) = cluster.leader().await;
        let gone = cluster.nodes[&leader].change_voters(VoterChange::Remove(key(leader)));
        gone.await.unwrap();
        let (next, later) = cluster.leader().await;
        assert!(next != leader && later > epoch, "{leader} {next}");
        n += 1;
        // Who was removed hears of it, and follows.
        let last = cluster.write(n).await;
        cluster.agree(last.offset).await;
        cluster.until(leader, "has no vote", |node| !voter_ids(node).contains(&leader)).await;
        cluster.stop_node(leader).await;
    }
    let (leader, _) = cluster.leader().await;
    assert_eq!(voter_ids(&cluster.nodes[&leader]).len(), 3);
    // What was decided is in the log.
    let rest: Vec<i32> = cluster.nodes.keys().copied().collect();
    for id in &rest {
        cluster.stop_node(*id).await;
    }
    for id in &rest {
        cluster.start_node(*id, Start::default()).await;
    }
    let last = cluster.write(100).await;
    cluster.agree(last.offset).await;
    let (leader, _) = cluster.leader().await;
    assert_eq!(voter_ids(&cluster.nodes[&leader]), rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_cannot_be_are_refused() {
    let cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    let last = change(&cluster, VoterChange::Remove(key(1))).await;
    assert!(matches!(last, Err(QuorumError::Membership(_))), "{last:?}");
    let unknown = change(&cluster, VoterChange::Remove(key(7))).await;
    assert!(matches!(unknown, Err(QuorumError::VoterNotFound { .. })), "{unknown:?}");
    let unknown = change(&cluster, VoterChange::Update(voter(7))).await;
    assert!(matches!(unknown, Err(QuorumError::VoterNotFound { .. })), "{unknown:?}");
    let mut other = voter(1);
    other.key.directory = Uuid::from_u128(99);
    let asked = other.key;
    let twice = change(&cluster, VoterChange::Add(other)).await;
    let Err(QuorumError::DuplicateVoter { asked: told, voters }) = twice else {
        panic!("{twice:?}")
    };
    assert_eq!((told, voters), (asked, vec![key(1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_without_a_vote_stands_by_and_one_that_joins_gets_one() {
    let mut cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    let start = Start { bootstrap: vec![1], ..Start::default() };
    cluster.start_node(2, start.clone()).await;
    cluster.start_node(3, Start { auto_join: AutoJoin::On, ..start }).await;
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
    for id in [2, 3] {
        tokio::time::timeout(PATIENCE, cluster.nodes[&id].caught_up()).await.unwrap().unwrap();
    }
    cluster.until(1, "3 votes and 2 does not", |node| voter_ids(node) == [1, 3]).await;
    let described = |node: &RaftQuorum| {
        let described = node.describe();
        let observers: Vec<_> = described.observers.iter().map(|r| r.key).collect();
        observers == [key(2)] && described.voters.iter().all(|r| r.log_end_offset.is_some())
    };
    cluster.until(1, "2 is described as an observer, 1 and 3 as voters", described).await;
}

/// The disk of a voter is emptied, and comes back under a new directory id: as another node. With joining by itself it
/// takes the place of the one it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_is_another_node_and_takes_the_old_ones_place() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(1).await;
    let (leader, _) = cluster.leader().await;
    let victim = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(victim).await;
    std::fs::remove_dir_all(cluster.dir(victim)).unwrap();
    let last = cluster.write(2).await;
    let start = Start {
        bootstrap: vec![1, 2, 3],
        auto_join: AutoJoin::On,
        directory: Some(77),
        ..Start::default()
    };
    cluster.start_node(victim, start).await;
    cluster.agree(last.offset).await;
    let new = NodeKey::new(victim, Uuid::from_u128(77));
    let taken =
        |node: &RaftQuorum| voters(node).contains(&new) && !voters(node).contains(&key(victim));
    cluster.until(leader, "the new directory votes in the old one's place", taken).await;
    let last = cluster.write(3).await;
    cluster.agree(last.offset).await;
}

/// The same with the identity kept, as in a quorum that knows its members by their node ids: it gets the log back
/// before it votes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_of_a_quorum_without_directories_does_not_vote_before_it_has_the_log() {
    let voters: Vec<Voter> = [1, 2, 3]
        .map(|id| Voter { key: NodeKey::new(id, Uuid::ZERO), member: member(id) })
        .to_vec();
    let start = Start { voters: voters.clone(), ..Start::default() };
    let mut cluster = Cluster::new();
    for id in [1, 2, 3] {
        cluster.start_node(id, start.clone()).await;
    }
    level(&cluster).await;
    let (leader, _) = cluster.leader().await;
    assert!(super::voters(&cluster.nodes[&leader]).iter().all(|k| k.directory == Uuid::ZERO));
    let mut last = cluster.write(0).await;
    for n in 1..20 {
        last = cluster.write(n).await;
    }
    cluster.agree(last.offset).await;

    // The one that lags must not be elected by the one that forgot.
    let others: Vec<i32> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let (emptied, lagging) = (others[0], others[1]);
    cluster.stop_node(lagging).await;
    let last = cluster.write(20).await;
    cluster.stop_node(leader).await;
    cluster.stop_node(emptied).await;
    std::fs::remove_dir_all(cluster.dir(emptied)).unwrap();
    cluster.start_node(emptied, start.clone()).await;
    cluster.start_node(lagging, start.clone()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for id in [emptied, lagging] {
        let now = *cluster.nodes[&id].leadership().borrow();
        assert!(now.role != Role::Leader, "node {id} leads without what was committed");
    }
    cluster.start_node(leader, start.clone()).await;
    cluster.agree(last.offset).await;
    let full = |node: &RaftQuorum| standing(node) == Standing::Full;
    cluster.until(emptied, "votes again", full).await;
    // Now it counts: with it the quorum goes on without the one that had everything.
    let (leader, _) = cluster.leader().await;
    if leader != emptied {
        cluster.stop_node(leader).await;
    } else {
        cluster.stop_node(lagging).await;
    }
    let last = cluster.write(21).await;
    cluster.agree(last.offset).await;
}

/// Two of three disks are emptied. What the one heard of the third, which has the log and nobody to lead, it still knows after
/// a restart, and tells the other: they do not begin a quorum of their own when the third is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_majority_that_heard_of_a_past_begins_nothing() {
    let ids = [1, 2, 3];
    let mut cluster = Cluster::start(&ids).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    for id in ids {
        cluster.stop_node(id).await;
    }
    for id in [1, 2] {
        std::fs::remove_dir_all(cluster.dir(id)).unwrap();
    }
    cluster.start_node(3, Start::default()).await;
    cluster.start_node(1, Start::voters(&ids)).await;
    cluster.until(1, "it knows of a past", |node| standing(node) != Standing::Asking).await;
    cluster.stop_node(3).await;
    cluster.stop_node(1).await;
    cluster.start_node(1, Start::voters(&ids)).await;
    cluster.start_node(2, Start::voters(&ids)).await;
    cluster.until(2, "it knows of a past", |node| standing(node) != Standing::Asking).await;
    for id in [1, 2] {
        let node = &cluster.nodes[&id];
        assert_eq!(standing(node), Standing::CatchingUp, "node {id}");
        assert!(node.store.is_empty(), "node {id} begins anew");
    }
}

/// A leader may have no vote any more, and is to get it back: its own word nobody waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_may_vote_without_saying_so() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    let (leader, _) = cluster.leader().await;
    let now = tokio::time::Instant::now();
    cluster.nodes[&leader].changer.votes(key(leader), now).await.unwrap();
}

/// A quorum grew from one voter, whose log was lost and came back in part: in that part it is still the only voter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_half_a_log_does_not_lead_alone() {
    let mut cluster = Cluster::start(&[1]).await;
    level(&cluster).await;
    cluster.write(0).await;
    cluster.stop_node(1).await;
    let half = cluster.dir(90);
    copy_all(&cluster.dir(1), &half);
    cluster.start_node(1, Start::default()).await;
    for id in [2, 3] {
        let start = Start { bootstrap: vec![1, 2, 3], ..Start::default() };
        cluster.start_node(id, start).await;
        change(&cluster, VoterChange::Add(voter(id))).await.unwrap();
    }
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
    cluster.stop_node(1).await;
    let start = Start { bootstrap: vec![2, 3], ..Start::default() };
    // With nothing, nobody tells it that it is a voter.
    std::fs::remove_dir_all(cluster.dir(1)).unwrap();
    [2, 3].into_iter().for_each(|id| cluster.cut(id));
    cluster.start_node(1, start.clone()).await;
    assert_eq!(standing(&cluster.nodes[&1]), Standing::Asking);
    cluster.stop_node(1).await;
    // With half of it, it knows no better than that it is the only one.
    std::fs::remove_dir_all(cluster.dir(1)).unwrap();
    copy_all(&half, &cluster.dir(1));
    note_catching_up(&cluster.dir(1));
    cluster.start_node(1, start).await;
    assert_eq!(voter_ids(&cluster.nodes[&1]), [1]);
    let mut leadership = cluster.nodes[&1].leadership();
    let leads = leadership.wait_for(|now| now.leader == Some(key(1)));
    assert!(tokio::time::timeout(Duration::from_secs(3), leads).await.is_err(), "it leads alone");
    cluster.mend();
    let last = cluster.write(2).await;
    cluster.agree(last.offset).await;
    cluster.until(1, "it votes again", |node| standing(node) == Standing::Full).await;
    assert_eq!(voter_ids(&cluster.nodes[&1]), [1, 2, 3]);
}

/// While its leader runs, the leader refills a member that forgot what it had acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_refills_a_member_whose_disk_was_emptied_under_its_identity() {
    let ids = [1, 2, 3];
    let mut cluster = Cluster::start(&ids).await;
    level(&cluster).await;
    for n in 0..30 {
        cluster.write(n).await;
    }
    let (leader, _) = cluster.leader().await;
    let victim = ids.into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(victim).await;
    std::fs::remove_dir_all(cluster.dir(victim)).unwrap();
    cluster.start_node(victim, Start::voters(&ids)).await;
    let last = cluster.write(30).await;
    cluster.agree(last.offset).await;
}

/// The disk of a member is put back to what it was some time ago: it has forgotten what it acknowledged. It ends, and
/// says why; the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_was_put_back_ends_nobody() {
    let ids = [1, 2, 3];
    let mut cluster = Cluster::start(&ids).await;
    level(&cluster).await;
    let mut last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, epoch) = cluster.leader().await;
    let victim = ids.into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(victim).await;
    let (dir, copy) = (cluster.dir(victim), cluster.dir(90));
    copy_all(&dir, &copy);
    cluster.start_node(victim, Start::default()).await;
    for n in 1..30 {
        last = cluster.write(n).await;
    }
    cluster.agree(last.offset).await;
    cluster.stop_node(victim).await;
    std::fs::remove_dir_all(&dir).unwrap();
    copy_all(&copy, &dir);
    cluster.start_node(victim, Start::default()).await;
    let begun = std::time::Instant::now();
    let mut n = 30;
    while begun.elapsed() < Duration::from_secs(3) {
        cluster.write(n).await;
        n += 1;
    }
    assert_eq!(cluster.leader().await, (leader, epoch), "it leads on");
    let why =
        tokio::time::timeout(PATIENCE, cluster.nodes[&victim].ended()).await.expect("it goes on");
    assert!(
        why.contains("put back to an older state") && why.contains("catch up from them"),
        "{why}"
    );
    // As the error says.
    cluster.stop_node(victim).await;
    std::fs::remove_dir_all(&dir).unwrap();
    cluster.start_node(victim, Start::voters(&ids)).await;
    let last = cluster.write(n).await;
    cluster.agree(last.offset).await;
}

/// A leader that was cut off says that a member lacks what it acknowledged. It does: a later leader cut that off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_member_ends_on_the_word_of_an_earlier_leader() {
    use crate::rpc::{self, AppendAnswer, AppendBody, Kind, Refusal, RequestHead, WireVote};
    let cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let (old, _) = cluster.leader().await;
    let earlier = cluster.nodes[&old].raft.metrics().borrow_watched().vote;
    let next = 1 + (old % 3);
    cluster.nodes[&old].resign(Some(key(next))).await.unwrap();
    let leads = |node: &RaftQuorum| node.leadership().borrow().role == Role::Leader;
    cluster.until(next, "it leads", leads).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let third = [1, 2, 3].into_iter().find(|id| ![old, next].contains(id)).unwrap();
    let node = &cluster.nodes[&third];
    let newest = cluster.nodes[&next].raft.metrics().borrow_watched().vote;
    let mut answers = Vec::new();
    for vote in [earlier, newest] {
        let head = RequestHead {
            cluster_id: CLUSTER.into(),
            from: vote.leader_id().voted_for.into(),
            incarnation: 5,
            to: key(third).into(),
            ..RequestHead::default()
        };
        let vote = WireVote::new(&vote);
        let body = AppendBody { vote, lost_before: 1_000, ..AppendBody::default() };
        let request = rpc::request(head, Kind::Append, &body).unwrap();
        let answer = node.receive(request).await.unwrap();
        answers.push(rpc::read_answer::<AppendAnswer>(answer).unwrap().1);
    }
    // It is told of the later one.
    assert!(matches!(&answers[0], Ok(AppendAnswer { outcome: 3, .. })), "{answers:?}");
    assert!(matches!(&answers[1], Err(Refusal::Stopped)), "{answers:?}");
    tokio::time::timeout(PATIENCE, node.ended()).await.expect("it goes on");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_moved_tells_the_others_where_it_is() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (leader, _) = cluster.leader().await;
    let moved = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(moved).await;
    let last = cluster.write(1).await;
    cluster.start_node(moved, Start { port: Some(40 + moved), ..Start::default() }).await;
    cluster.agree(last.offset).await;
    let known = |node: &RaftQuorum| {
        node.store.membership().get_node(&key(moved)) == Some(&member(40 + moved))
    };
    cluster.until(leader, "the log has the new address", known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_process_is_gone_is_succeeded_at_once() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, epoch) = cluster.leader().await;
    let others: Vec<i32> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    for id in &others {
        // Nobody is elected because time went by.
        cluster.nodes[id].raft.runtime_config().elect(false);
        let follows = |node: &RaftQuorum| node.leadership().borrow().leader == Some(key(leader));
        cluster.until(*id, "it follows", follows).await;
    }
    let gone = *cluster.nodes[&others[0]].leadership().borrow();
    // What an earlier leader was is no reason to stand.
    cluster.nodes[&others[0]].succeed(Leadership { epoch: epoch - 1, ..gone }).await;
    cluster.cut(leader);
    tokio::join!(cluster.nodes[&others[0]].succeed(gone), cluster.nodes[&others[1]].succeed(gone));
    let (next, newer) = cluster.leader().await;
    assert!(others.contains(&next) && newer == epoch + 1, "{next} in epoch {newer}");
    cluster.write(1).await;
}

/// It says so once, and then the leader has to keep it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_moved_during_another_change_is_written_after_it() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    cluster.write(0).await;
    let (leader, _) = cluster.leader().await;
    let changer = cluster.nodes[&leader].changer.clone();
    let other_change = changer.changing.lock().await;
    let moved = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(moved).await;
    cluster.start_node(moved, Start { port: Some(40 + moved), ..Start::default() }).await;
    let heard = |node: &RaftQuorum| {
        let peers = &node.desk.as_ref().unwrap().peers;
        peers.address(key(moved), &member(moved)) == member(40 + moved)
    };
    cluster.until(leader, "it heard the new address", heard).await;
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
    let known = |node: &RaftQuorum| {
        node.store.membership().get_node(&key(moved)) == Some(&member(40 + moved))
    };
    assert!(!known(&cluster.nodes[&leader]));
    drop(other_change);
    cluster.until(leader, "the log has the new address", known).await;
}

/// All move at once, so that no address in the log is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_all_moved_find_each_other_by_the_configured_addresses() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    for id in [1, 2, 3] {
        cluster.stop_node(id).await;
    }
    for id in [1, 2, 3] {
        let bootstrap = vec![41, 42, 43];
        cluster.start_node(id, Start { port: Some(40 + id), bootstrap, ..Start::default() }).await;
    }
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
    // The one that leads writes and tells where it is itself, too.
    let (leader, _) = cluster.leader().await;
    let hint = cluster.nodes[&leader].leader_hint().unwrap();
    assert_eq!(hint.endpoints, member(40 + leader).endpoints);
    let known = |node: &RaftQuorum| {
        node.store.membership().get_node(&key(leader)) == Some(&member(40 + leader))
    };
    cluster.until(leader, "the log has the leader's own address", known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_belongs_elsewhere_is_refused() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (_, epoch) = cluster.leader().await;
    // Of another cluster: it stands by forever, and unseats nobody.
    let start = Start { cluster: Some("another"), bootstrap: vec![1, 2, 3], ..Start::default() };
    cluster.start_node(4, start).await;
    // A second process with the identity of node 1, at another address.
    cluster.stop_node(1).await;
    std::fs::create_dir_all(cluster.root.path().join("9")).unwrap();
    cluster.start_node(1, Start::default()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let described = cluster.nodes[&2].describe();
    assert!(described.observers.iter().all(|r| r.key.id != 4));
    assert_eq!(cluster.nodes[&4].updates().image().provenance().offset, -1);
    cluster.stop_node(4).await;
    let last = cluster.write(1).await;
    assert!(last.epoch <= epoch + 1, "{} {epoch}", last.epoch);
    cluster.agree(last.offset).await;
}

/// A request of an earlier process of a member must not be heard once a later one spoke.
#[tokio::test]
async fn the_desk_tells_what_it_refuses() {
    use crate::rpc::{self, Applicant, HelloAnswer, HelloBody, Kind, Refusal, RequestHead};
    let mut cluster = Cluster::new();
    cluster.start_node(1, Start::voters(&[1, 2, 3])).await;
    let ask = |cluster_id: &str, to: NodeKey, kind: Kind| {
        let head = RequestHead {
            cluster_id: cluster_id.into(),
            from: key(2).into(),
            incarnation: 5,
            to: to.into(),
            ..RequestHead::default()
        };
        let hello = HelloBody {
            member: crate::control::to_wire(key(2), &member(2)),
            applicant: Applicant::Blank as i8,
        };
        match kind {
            Kind::Hello => rpc::request(head, kind, &hello).unwrap(),
            _ => rpc::request(head, kind, &rpc::VoteBody::default()).unwrap(),
        }
    };
    let node = &cluster.nodes[&1];
    for (request, refusal) in [
        (ask("other", key(1), Kind::Hello), Refusal::ForeignCluster),
        (ask(CLUSTER, key(3), Kind::Hello), Refusal::WrongKey),
        (ask(CLUSTER, key(1), Kind::Vote), Refusal::NotReady),
        (Bytes::from_static(b"\0\x01junk"), Refusal::Invalid),
        (Bytes::new(), Refusal::Invalid),
    ] {
        let answer = node.receive(request).await.unwrap();
        let (_, body) = rpc::read_answer::<HelloAnswer>(answer).unwrap();
        assert_eq!(body, Err(refusal));
    }
    let answer = node.receive(ask(CLUSTER, key(1), Kind::Hello)).await.unwrap();
    let (head, body) = rpc::read_answer::<HelloAnswer>(answer).unwrap();
    assert_eq!((head.key.key(), body.unwrap().has_past), (key(1), false));
}

/// Who is removed while it is away is no member any more when it comes back: it asks to stand by, and learns why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_while_it_was_away_learns_of_it() {
    let mut cluster = Cluster::start(&[1, 2, 3, 4]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, _) = cluster.leader().await;
    let away = [1, 2, 3, 4].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(away).await;
    // Until nobody counts on hearing of it.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    change(&cluster, VoterChange::Remove(key(away))).await.unwrap();
    let gone = |node: &RaftQuorum| node.store.membership().get_node(&key(away)).is_none();
    let (leader, _) = cluster.leader().await;
    cluster.until(leader, "forgets who is not there", gone).await;
    let last = cluster.write(1).await;
    cluster.start_node(away, Start::default()).await;
    cluster.agree(last.offset).await;
    cluster.until(away, "has no vote", |node| !voter_ids(node).contains(&away)).await;
}

/// The same while it runs and nobody reaches it: what it takes for its leader is silent, so it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_while_it_was_cut_off_learns_of_it() {
    let cluster = Cluster::start(&[1, 2, 3, 4]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, _) = cluster.leader().await;
    let away = [1, 2, 3, 4].into_iter().find(|id| *id != leader).unwrap();
    cluster.cut(away);
    // Until nobody counts on hearing of it.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    change(&cluster, VoterChange::Remove(key(away))).await.unwrap();
    let gone = |node: &RaftQuorum| node.store.membership().get_node(&key(away)).is_none();
    let (leader, _) = cluster.leader().await;
    cluster.until(leader, "forgets who is not there", gone).await;
    let last = cluster.write(1).await;
    cluster.mend();
    cluster.agree(last.offset).await;
    cluster.until(away, "has no vote", |node| !voter_ids(node).contains(&away)).await;
}

/// The same while it catches up: it gets the log all the same, and stands by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_while_it_caught_up_is_taken_in() {
    let ids = [1, 2, 3, 4];
    let mut cluster = Cluster::new();
    for id in [1, 2, 3] {
        cluster.start_node(id, Start::voters(&ids)).await;
    }
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    change(&cluster, VoterChange::Remove(key(4))).await.unwrap();
    let (leader, _) = cluster.leader().await;
    let gone = |node: &RaftQuorum| node.store.membership().get_node(&key(4)).is_none();
    cluster.until(leader, "forgets who is not there", gone).await;
    // What is left of it when it ended as it caught up.
    note_catching_up(&cluster.dir(4));
    let last = cluster.write(1).await;
    cluster.start_node(4, Start::voters(&ids)).await;
    cluster.agree(last.offset).await;
    cluster.until(4, "stands by", |node| standing(node) == Standing::Full).await;
    let last = cluster.write(2).await;
    cluster.agree(last.offset).await;
    assert!(!voter_ids(&cluster.nodes[&4]).contains(&4));
}

/// A leader just elected hears the one it replaced ask for its removal before it hears anything else of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_to_be_removed_stays_to_hear_of_it() {
    use crate::rpc::{self, ChangeAnswer, ChangeBody, ChangeKind, Kind, RequestHead};
    let mut cluster = Cluster::start(&[1, 2, 3, 4]).await;
    level(&cluster).await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let (leader, _) = cluster.leader().await;
    let silent = [1, 2, 3, 4].into_iter().find(|id| *id != leader).unwrap();
    cluster.stop_node(silent).await;
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let (leader, _) = cluster.leader().await;
    let head = RequestHead {
        cluster_id: CLUSTER.into(),
        from: key(silent).into(),
        incarnation: 5,
        to: key(leader).into(),
        ..RequestHead::default()
    };
    let body = ChangeBody::new(ChangeKind::Remove, &voter(silent));
    let request = rpc::request(head, Kind::Change, &body).unwrap();
    let node = &cluster.nodes[&leader];
    let (_, answer) =
        rpc::read_answer::<ChangeAnswer>(node.receive(request).await.unwrap()).unwrap();
    assert_eq!(answer.unwrap().code, 0);
    assert!(!voters(node).contains(&key(silent)));
    assert!(node.store.membership().get_node(&key(silent)).is_some());
}

/// Of five first voters two began late: without one of the three others nobody could be elected. So that one stays, until
/// somebody has the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_stays_while_those_left_could_elect_nobody() {
    let ids = [1, 2, 3, 4, 5];
    let mut cluster = Cluster::new();
    for id in [1, 2, 3] {
        cluster.start_node(id, Start::voters(&ids)).await;
    }
    let (leader, _) = cluster.leader().await;
    let last = cluster.write(0).await;
    cluster.agree(last.offset).await;
    let gone = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    for id in [gone, leader] {
        let refused = change(&cluster, VoterChange::Remove(key(id))).await;
        let Err(e @ QuorumError::Busy(_)) = refused else { panic!("{refused:?}") };
        assert_eq!(e.code(), ErrorCode::REQUEST_TIMED_OUT);
        let why = e.to_string();
        assert!(why.contains("of the 4 voters left, 3 must"), "{why}");
        for late in [4, 5] {
            let late = format!("node {} was not heard", key(late));
            assert!(why.contains(&late), "{why}");
        }
    }
    cluster.leader().await;
    // With it most of those left vote, as soon as it has the log and has said so.
    cluster.start_node(4, Start::voters(&ids)).await;
    let removed = async {
        while let Err(e) = change(&cluster, VoterChange::Remove(key(gone))).await {
            assert!(matches!(e, QuorumError::Busy(_)), "{e}");
        }
    };
    tokio::time::timeout(PATIENCE, removed).await.unwrap();
    let full = |node: &RaftQuorum| standing(node) == Standing::Full;
    assert!(full(&cluster.nodes[&4]));
    let (leader, _) = cluster.leader().await;
    assert_eq!(voter_ids(&cluster.nodes[&leader]).len(), 4);
    // They do without the one, and elect another leader where the one of now ends.
    cluster.stop_node(gone).await;
    cluster.stop_node(leader).await;
    cluster.start_node(leader, Start::default()).await;
    let last = cluster.write(1).await;
    cluster.agree(last.offset).await;
}
