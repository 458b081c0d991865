//! Changes of the members, one at a time, by the leader.
//!
//! A change of the voters is one entry that adds or removes one of them: the majorities before and after it share a
//! member, so there is no joint configuration that a leader's death could leave behind. A leader does not remove itself:
//! it hands over, and asks the new one. Who is removed stays as a member without a vote, so that it hears of it; such a
//! member that is not there, or silent for long, is forgotten.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant, Precondition};
use ottla_wire::ErrorCode;
use tokio::sync::{Mutex, watch};

use super::moves::Moves;
use super::{Node, desk, refused, stopped};
use crate::error::QuorumError;
use crate::peers::{Peers, Word};
use crate::quorum::{Leadership, Role, VoterChange};
use crate::rpc::{Applicant, ChangeAnswer, ChangeBody, ChangeKind, Kind};
use crate::simulated;
use crate::types::{LogId, Membership, Payload, StoredMembership, TypeConfig};
use crate::voter::{Member, NodeKey, Voter};

/// Most members without a vote.
pub(super) const MAX_LEARNERS: usize = 64;

/// How long a new voter may take to catch up before the change is given up.
const CATCH_UP: Duration = Duration::from_secs(30);

/// How many entries a new voter may be behind.
const NEAR_ENOUGH: u64 = 64;

/// How long a change waits for the change before it, or for the leader's first entry.
const EARLIER_CHANGE: Duration = Duration::from_secs(5);

/// The rest after addresses that could not be written.
const MOVE_REST: Duration = Duration::from_millis(500);

/// How long a leader waits for another one after it resigned.
const SUCCESSION: Duration = Duration::from_secs(10);

/// Who answered within this time is there.
const RECENTLY: Duration = Duration::from_secs(5);

/// How long a member without a vote may be silent before it is forgotten, as Kafka's observers are.
const SILENCE: Duration = Duration::from_secs(300);

/// Changes the members.
#[derive(Clone, Debug)]
pub(crate) struct Changer {
    pub(super) node: NodeKey,
    pub(super) raft: Node,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) peers: Option<Arc<Peers>>,
    /// One change at a time.
    pub(super) changing: Arc<Mutex<()>>,
    /// Members that are elsewhere now, and whose addresses are to be written.
    pub(super) moves: Arc<Moves>,
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A person, or this node.
    Operator,
    /// Another member of the quorum.
    Member(NodeKey),
}

/// What a voter is that has no vote any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// A member without a vote, so that it hears of it.
    Follows,
    /// None: it is not there to hear of anything.
    Forgotten,
}

type WriteError = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

impl Changer {
    /// Makes a change that somebody asks for. It is committed when this returns.
    pub(crate) async fn change(&self, change: VoterChange, by: Asker) -> Result<(), QuorumError> {
        // A member may be being taken in, which takes no time to speak of.
        let Ok(one) = tokio::time::timeout(EARLIER_CHANGE, self.changing.lock()).await else {
            return Err(QuorumError::Busy("another change of the voters is under way".into()));
        };
        self.must_lead()?;
        match change {
            VoterChange::Add(voter) => self.add(voter).await,
            VoterChange::Remove(key) if key == self.node => {
                self.check_removable(key)?;
                self.check_spare(key).await?;
                drop(one);
                self.leave().await
            }
            VoterChange::Remove(key) => {
                self.check_removable(key)?;
                self.check_spare(key).await?;
                // Who asks is there, though a leader just elected may not have heard it yet.
                let is_there = by == Asker::Member(key) || self.is_heard(key);
                let stays = if is_there { Gone::Follows } else { Gone::Forgotten };
                self.remove(key, stays).await
            }
            VoterChange::Update(voter) => self.update(voter).await,
        }
    }

    pub(super) fn must_lead(&self) -> Result<(), QuorumError> {
        let now = *self.leadership.borrow();
        if now.leader == Some(self.node) && now.role != Role::Follower {
            return Ok(());
        }
        Err(QuorumError::NotLeader { leader: now.leader.filter(|leader| *leader != self.node) })
    }

    pub(super) fn membership(&self) -> Arc<StoredMembership> {
        self.raft.metrics().borrow_watched().membership_config.clone()
    }

    async fn add(&self, voter: Voter) -> Result<(), QuorumError> {
        let Voter { key, member } = voter;
        let now = self.membership();
        if now.voter_ids().any(|voter| voter.id == key.id) {
            let voters = now.voter_ids().collect();
            return Err(QuorumError::DuplicateVoter { asked: key, voters });
        }
        let by = tokio::time::Instant::now() + CATCH_UP;
        let added = self.set_node(key, member).await?;
        self.caught_up(key, added).await?;
        self.votes(key, by).await?;
        let add = |voters: &mut BTreeSet<NodeKey>, _: &mut BTreeMap<NodeKey, Member>| {
            voters.insert(key);
        };
        self.revote(add).await
    }

    /// Takes the vote from a member.
    async fn remove(&self, key: NodeKey, stays: Gone) -> Result<(), QuorumError> {
        let remove = |voters: &mut BTreeSet<NodeKey>, nodes: &mut BTreeMap<NodeKey, Member>| {
            voters.remove(&key);
            if stays == Gone::Forgotten {
                nodes.remove(&key);
            }
        };
        self.revote(remove).await
    }

    /// Whether a member answered not long ago.
    fn is_heard(&self, key: NodeKey) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let heard = metrics.heartbeat.as_ref().and_then(|h| h.get(&key).cloned().flatten());
        heard.is_some_and(|at| at.elapsed() < RECENTLY)
    }

    /// Makes sure that a node is a member, and is where it says. Returns the entry that did it.
    async fn set_node(&self, key: NodeKey, member: Member) -> Result<Option<LogId>, QuorumError> {
        let now = self.membership();
        let set = match now.get_node(&key) {
            Some(known) if *known == member => return Ok(*now.log_id()),
            Some(_) => ChangeMembers::SetNodes(BTreeMap::from([(key, member.clone())])),
            None if now.membership().learner_ids().count() >= MAX_LEARNERS => {
                return Err(QuorumError::Membership(format!(
                    "the quorum has {MAX_LEARNERS} members without a vote already"
                )));
            }
            None => ChangeMembers::AddNodes(BTreeMap::from([(key, member.clone())])),
        };
        let written = self.retried(|| self.raft.change_membership(set.clone(), true)).await?;
        if let Some(peers) = &self.peers {
            peers.moved_to(key, &member);
        }
        Ok(Some(written))
    }

    /// Waits until a member has all but the last few entries, and at least one entry.
    async fn caught_up(&self, key: NodeKey, entry: Option<LogId>) -> Result<(), QuorumError> {
        let near = |metrics: &openraft::RaftMetrics<TypeConfig>| {
            let Some(replication) = &metrics.replication else { return true };
            let matched = replication.get(&key).copied().flatten();
            let last = metrics.last_log_index.unwrap_or_default();
            matched.is_some_and(|matched| {
                Some(matched) >= entry && matched.index + NEAR_ENOUGH >= last
            })
        };
        let wait = self.raft.wait(Some(CATCH_UP)).metrics(near, "a new voter catches up").await;
        self.must_lead()?;
        wait.map(|_| ()).map_err(|_| {
            QuorumError::Busy(format!(
                "node {key} did not catch up with the metadata log within {CATCH_UP:?}: check that it runs, and that this \
                 node reaches its controller listener"
            ))
        })
    }

    /// Waits until a member says that it may vote: one that does not know yet that it has the log cannot help to elect
    /// the next leader.
    pub(super) async fn votes(
        &self,
        key: NodeKey,
        by: tokio::time::Instant,
    ) -> Result<(), QuorumError> {
        let Some(peers) = &self.peers else { return Ok(()) };
        // A leader whose own vote was taken leads on until another one does.
        if key == self.node {
            return Ok(());
        }
        let mut leadership = self.leadership.clone();
        let said = async {
            loop {
                let epoch = leadership.borrow_and_update().epoch;
                self.must_lead()?;
                if peers.word_of(key, epoch) == Word::Votes {
                    return Ok(());
                }
                tokio::select! {
                    () = peers.word() => {}
                    changed = leadership.changed() => changed.map_err(|e| stopped(&e))?,
                }
            }
        };
        tokio::time::timeout_at(by, said).await.unwrap_or_else(|_| {
            Err(QuorumError::Busy(format!(
                "node {key} did not say within {CATCH_UP:?} that it has the metadata log, and may vote: check that it runs, \
                 and that it reaches the controller listener of this node"
            )))
        })
    }

    /// Changes the set of voters by one entry.
    async fn revote(
        &self,
        change: impl Fn(&mut BTreeSet<NodeKey>, &mut BTreeMap<NodeKey, Member>),
    ) -> Result<(), QuorumError> {
        self.flatten().await?;
        let appended = || {
            let now = self.membership();
            let mut voters: BTreeSet<NodeKey> = now.voter_ids().collect();
            let mut nodes: BTreeMap<NodeKey, Member> =
                now.nodes().map(|(key, member)| (*key, member.clone())).collect();
            change(&mut voters, &mut nodes);
            let preconditions =
                [Precondition::LastMembershipLogId { last_membership_log_id: *now.log_id() }];
            let proposed = Membership::new(vec![voters], nodes);
            async move {
                let proposed = proposed.map_err(|e| {
                    let e = ChangeMembershipError::from(e);
                    RaftError::APIError(ClientWriteError::ChangeMembershipError(e))
                })?;
                self.raft.append_membership(proposed, Payload::Blank, preconditions).await
            }
        };
        self.retried(appended).await.map(|_| ())
    }

    /// Ends a joint configuration, which only an earlier version can have left.
    async fn flatten(&self) -> Result<(), QuorumError> {
        if self.membership().get_joint_config().len() < 2 {
            return Ok(());
        }
        let nothing = || ChangeMembers::AddVoterIds(BTreeSet::new());
        self.retried(|| self.raft.change_membership(nothing(), true)).await.map(|_| ())
    }

    /// Writes a membership, again while the one before it is not committed.
    async fn retried<F, Fut>(&self, write: F) -> Result<LogId, QuorumError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<openraft::raft::ClientWriteResponse<TypeConfig>, WriteError>>,
    {
        let begun = tokio::time::Instant::now();
        loop {
            match write().await {
                Ok(done) => return Ok(done.log_id),
                Err(RaftError::APIError(e)) if is_early(&e) => {
                    if begun.elapsed() > EARLIER_CHANGE {
                        return Err(QuorumError::Busy(format!(
                            "an earlier change of the members is not committed: {e}"
                        )));
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(RaftError::APIError(e)) => return Err(refused(&e)),
                Err(RaftError::Fatal(e)) => return Err(stopped(&e)),
            }
        }
    }

    async fn update(&self, voter: Voter) -> Result<(), QuorumError> {
        let Voter { key, member } = voter;
        let voters: Vec<_> = self.membership().voter_ids().collect();
        if !voters.contains(&key) {
            return Err(QuorumError::VoterNotFound { what: "update", asked: key, voters });
        }
        self.set_node(key, member).await.map(|_| ())
    }

    fn check_removable(&self, key: NodeKey) -> Result<(), QuorumError> {
        let voters: Vec<_> = self.membership().voter_ids().collect();
        if !voters.contains(&key) {
            return Err(QuorumError::VoterNotFound { what: "remove", asked: key, voters });
        }
        if voters.len() == 1 {
            let why = "the last voter cannot be removed: add another one first";
            return Err(QuorumError::Membership(why.to_owned()));
        }
        Ok(())
    }

    /// Hands leadership over, and has the new leader remove this node.
    async fn leave(&self) -> Result<(), QuorumError> {
        let Some(peers) = &self.peers else {
            let why = "the leader cannot remove itself: hand leadership over first";
            return Err(QuorumError::Membership(why.to_owned()));
        };
        self.hand_over(None).await?;
        let me = Voter { key: self.node, member: Member::default() };
        let asks = async {
            let mut leadership = self.leadership.clone();
            let other = |now: &Leadership| now.leader.is_some_and(|leader| leader != self.node);
            loop {
                let leader = leadership.wait_for(other).await.map(|now| now.leader);
                let leader = leader.map_err(|e| stopped(&e))?.unwrap_or(self.node);
                match self.pass_on(peers, leader, ChangeKind::Remove, &me).await {
                    // It was elected, and has not got as far as to say so; or another one was.
                    Err(QuorumError::Told { code: ErrorCode::NOT_CONTROLLER, .. }) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    done => return done,
                }
            }
        };
        tokio::time::timeout(SUCCESSION, asks).await.unwrap_or_else(|_| {
            let why = "no other voter took the lead in time to remove this one";
            Err(QuorumError::Busy(why.to_owned()))
        })
    }

    /// Asks another member, the leader, for a change.
    async fn pass_on(
        &self,
        peers: &Peers,
        leader: NodeKey,
        kind: ChangeKind,
        voter: &Voter,
    ) -> Result<(), QuorumError> {
        let member = self.membership().get_node(&leader).cloned().unwrap_or_default();
        let body = ChangeBody::new(kind, voter);
        let asked = peers.ask((leader, &member), Kind::Change, &body, desk::CHANGE_PATIENCE);
        match asked.await {
            Ok(ChangeAnswer { code: 0, .. }) => Ok(()),
            Ok(ChangeAnswer { code, text }) => {
                Err(QuorumError::Told { code: ErrorCode(code), text })
            }
            Err(e) => Err(QuorumError::Busy(format!("node {}, the leader: {e}", leader.id))),
        }
    }

    /// Lets another voter lead.
    pub(crate) async fn hand_over(&self, to: Option<NodeKey>) -> Result<(), QuorumError> {
        let to = match to {
            Some(to) => to,
            None => self.best_successor().ok_or_else(|| {
                QuorumError::Membership("there is no other voter to lead".to_owned())
            })?,
        };
        self.raft.trigger().transfer_leader(to).await.map_err(|e| stopped(&e))
    }

    /// The other voter whose log is longest. Of several the one that was heard last: who is gone may have had as much as
    /// who is there.
    pub(super) fn best_successor(&self) -> Option<NodeKey> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let others = metrics.membership_config.voter_ids().filter(|v| *v != self.node);
        others.max_by_key(|v| {
            let matched = metrics.replication.as_ref().and_then(|r| r.get(v).copied().flatten());
            let heard = metrics.heartbeat.as_ref().and_then(|h| h.get(v).cloned().flatten());
            (matched, heard.map(|at| Reverse(at.elapsed())))
        })
    }

    /// Does for a member that said hello what it needs, beside whatever else goes on. Who is no member yet, or asks for
    /// a vote, asks again if that fails.
    pub(crate) fn greeted(&self, voter: Voter, applicant: Applicant) {
        let now = self.membership();
        let nowhere = voter.member.endpoints.is_empty();
        let known = now.get_node(&voter.key).is_some_and(|m| nowhere || *m == voter.member);
        let votes = now.voter_ids().any(|v| v == voter.key);
        let joins = applicant == Applicant::Joining && !votes;
        // One that catches up may have been forgotten meanwhile; it gets the log, and stands by when it has it.
        let admits =
            matches!(applicant, Applicant::CatchingUp | Applicant::Standby | Applicant::Joining)
                || now.get_node(&voter.key).is_some();
        if (known || !admits) && !joins {
            // It may be back where it was, before another address was written.
            self.moves.forget(voter.key);
            return;
        }
        let this = self.clone();
        if !joins && now.get_node(&voter.key).is_some() {
            // It tells each leader once.
            if self.moves.note(voter) {
                simulated::spawn(async move { this.write_moves().await });
            }
            return;
        }
        simulated::spawn(async move {
            let Ok(_one) = this.changing.try_lock() else { return };
            let id = voter.key.id;
            let done = if joins {
                this.join(voter).await
            } else {
                this.set_node(voter.key, voter.member).await.map(|_| ())
            };
            if let Err(e) = done {
                tracing::warn!("node {id} cannot be taken into the quorum yet: {e}");
            }
        });
    }

    /// Writes where members are that moved, after whatever other change is under way.
    async fn write_moves(&self) {
        let mut again = false;
        while self.moves.go_on() {
            if again {
                tokio::time::sleep(MOVE_REST).await;
            }
            again = true;
            let _one = self.changing.lock().await;
            for (key, member) in self.moves.take() {
                // A member tells the next leader itself; and one that was removed meanwhile is no member.
                if self.must_lead().is_err() || self.membership().get_node(&key).is_none() {
                    continue;
                }
                if let Err(e) = self.set_node(key, member.clone()).await {
                    tracing::warn!("the new address of node {} is not written yet: {e}", key.id);
                    self.moves.put_back(key, member);
                }
            }
        }
    }

    /// Makes a voter of a controller that asks for it. One with the same id and another directory, whose disk is gone,
    /// goes first.
    async fn join(&self, voter: Voter) -> Result<(), QuorumError> {
        let old = self.membership().voter_ids().find(|v| v.id == voter.key.id);
        if let Some(old) = old {
            self.check_removable(old)?;
            let added = self.set_node(voter.key, voter.member.clone()).await?;
            self.caught_up(voter.key, added).await?;
            self.check_spare(old).await?;
            // Its directory is gone, and nobody will ever answer for it.
            self.remove(old, Gone::Forgotten).await?;
        }
        self.add(voter).await
    }

    /// Forgets members without a vote that were not heard of for long, or never since this node leads.
    pub(super) async fn forget_silent(&self, leads_for: Duration) -> Result<(), QuorumError> {
        let silent: BTreeSet<NodeKey> = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let Some(heartbeat) = &metrics.heartbeat else { return Ok(()) };
            let learners = metrics.membership_config.membership().learner_ids();
            learners
                .filter(|key| {
                    let heard = heartbeat.get(key).cloned().flatten();
                    heard.map_or(leads_for, |at| at.elapsed()) > SILENCE
                })
                .collect()
        };
        if silent.is_empty() {
            return Ok(());
        }
        let Ok(_one) = self.changing.try_lock() else { return Ok(()) };
        for key in &silent {
            tracing::info!(
                "node {key}, a controller without a vote, was silent for long and is forgotten"
            );
        }
        let forget = || ChangeMembers::RemoveNodes(silent.clone());
        self.retried(|| self.raft.change_membership(forget(), true)).await.map(|_| ())
    }
}

/// Whether a membership was refused only because another one is on its way.
fn is_early(e: &ClientWriteError<TypeConfig>) -> bool {
    matches!(
        e,
        ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        ) | ClientWriteError::PreconditionFailed(_)
    )
}
